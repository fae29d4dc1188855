//! Whether a text is ASCII, as nearly all texts of telemetry are.

/// The bytes as a text, if they are ASCII.
#[inline]
pub(super) fn ascii_as_str(bytes: &[u8]) -> Option<&str> {
    // SAFETY: ASCII is UTF-8.
    is_ascii(bytes).then(|| unsafe { std::str::from_utf8_unchecked(bytes) })
}

/// Whether all bytes are below 0x80. Keys and values are short and vary in length, so branches on the length would be
/// mispredicted. Overlapping words cover up to 64 bytes without them.
#[inline]
pub(super) fn is_ascii(bytes: &[u8]) -> bool {
    const HIGH_BITS: u64 = 0x8080_8080_8080_8080;
    let word = |start: usize| match bytes.get(start..).and_then(<[u8]>::first_chunk::<8>) {
        Some(word) => u64::from_le_bytes(*word),
        None => HIGH_BITS,
    };
    match bytes.len() {
        0..8 => bytes.iter().fold(0, |bits, byte| bits | byte) < 0x80,
        length @ 8..=32 => {
            let last = length - 8;
            let bits = word(0) | word(last.min(8)) | word(last.saturating_sub(8)) | word(last);
            bits & HIGH_BITS == 0
        }
        length @ 33..=64 => {
            let last = length - 8;
            let bits = word(0) | word(8) | word(16) | word(24) | word(last.min(32));
            let bits = bits | word(last.min(40)) | word(last.min(48)) | word(last);
            bits & HIGH_BITS == 0
        }
        _ => bytes.is_ascii(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_byte_above_ascii_is_found_at_every_place_of_every_length() {
        for length in 0..70 {
            let mut bytes = vec![b'a'; length];
            assert!(is_ascii(&bytes), "{length}");
            for place in 0..length {
                bytes[place] = 0x80;
                assert!(!is_ascii(&bytes), "{place} of {length}");
                bytes[place] = 0x7f;
            }
        }
    }
}
