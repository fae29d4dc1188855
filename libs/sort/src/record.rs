//! [`Record`]: a record to sort, and its layout in bytes.
//!
//! A record starts with a head: the key (8 bytes), the length of the body (4), and the length of the identity (4), all
//! little-endian. The body follows: the identity, then the line.

/// Bytes of a record's head.
pub const HEAD_BYTES: usize = 16;
const BODY_LENGTH_OFFSET: usize = 8;
const IDENTITY_LENGTH_OFFSET: usize = 12;

#[derive(Debug, Clone, Copy)]
pub struct Record<'a> {
    /// First sort key.
    pub key: u64,
    /// Second sort key. It is not part of the line.
    pub identity: &'a [u8],
    /// Third sort key.
    pub line: &'a [u8],
}

/// A signed number as a key with the same order.
pub fn key_of(number: i64) -> u64 {
    number as u64 ^ 1 << 63
}

/// The inverse of [`key_of`].
pub fn number_of_key(key: u64) -> i64 {
    (key ^ 1 << 63) as i64
}

pub fn push_record(record: &Record<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(&record.key.to_le_bytes());
    out.extend_from_slice(&((record.identity.len() + record.line.len()) as u32).to_le_bytes());
    out.extend_from_slice(&(record.identity.len() as u32).to_le_bytes());
    out.extend_from_slice(record.identity);
    out.extend_from_slice(record.line);
}

/// The key of the record at the start of `bytes`.
pub fn key_at(bytes: &[u8]) -> u64 {
    let mut eight = [0; 8];
    eight.copy_from_slice(&bytes[..8]);
    u64::from_le_bytes(eight)
}

fn length_at(bytes: &[u8], offset: usize) -> usize {
    let mut four = [0; 4];
    four.copy_from_slice(&bytes[offset..offset + 4]);
    u32::from_le_bytes(four) as usize
}

/// Length of the record at `offset`. `bytes` must contain at least its head.
pub fn record_length_at(bytes: &[u8], offset: usize) -> usize {
    HEAD_BYTES + length_at(bytes, offset + BODY_LENGTH_OFFSET)
}

pub fn body_at(bytes: &[u8], offset: usize) -> &[u8] {
    &bytes[offset + HEAD_BYTES..][..length_at(bytes, offset + BODY_LENGTH_OFFSET)]
}

pub fn record_at(bytes: &[u8], offset: usize) -> Record<'_> {
    let (identity, line) = body_at(bytes, offset).split_at(length_at(bytes, offset + IDENTITY_LENGTH_OFFSET));
    Record {
        key: key_at(&bytes[offset..]),
        identity,
        line,
    }
}

/// The first bytes of a body, as numbers. If the numbers of two bodies differ, the bodies have the same order as the numbers.
pub fn prefix_of(body: &[u8]) -> [u64; 2] {
    let mut bytes = [0; 16];
    let known = body.len().min(16);
    bytes[..known].copy_from_slice(&body[..known]);
    let number = u128::from_be_bytes(bytes);
    [(number >> 64) as u64, number as u64]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_keep_the_order_of_signed_numbers() {
        let numbers = [i64::MIN, -1, 0, 1, i64::MAX];
        assert!(numbers.map(key_of).is_sorted());
        assert_eq!(numbers.map(key_of).map(number_of_key), numbers);
    }
}
