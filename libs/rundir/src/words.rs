//! Searches in short texts, eight bytes at once. In a short text, the call of a function that searches with wider registers would
//! take longer.

/// The value 1 in each byte.
pub const ONES: u64 = u64::MAX / 255;

/// Marks the first byte of `word` that equals `wanted`: its top bit is the lowest one that is set in the result. Later bytes may
/// be marked wrongly.
#[inline]
pub fn bytes_equal_to(word: u64, wanted: u8) -> u64 {
    let zero_if_equal = word ^ (ONES * u64::from(wanted));
    zero_if_equal.wrapping_sub(ONES) & !zero_if_equal & (ONES << 7)
}

/// Marks each byte of `word` that equals `wanted`: only the top bits of these bytes are set in the result.
#[inline]
pub fn all_bytes_equal_to(word: u64, wanted: u8) -> u64 {
    const LOW_BITS: u64 = ONES * 0x7f;
    let zero_if_equal = word ^ (ONES * u64::from(wanted));
    // The sum of a byte's low bits and 0x7f has its top bit set if any of the low bits is set. No sum exceeds its byte.
    !(((zero_if_equal & LOW_BITS) + LOW_BITS) | zero_if_equal | LOW_BITS)
}

/// The offset of the first matching byte, from `offset` on. `hits` compares eight bytes at once. `matches` compares one byte, and
/// is used for the bytes at the end.
#[inline]
pub fn find(
    line: &[u8],
    mut offset: usize,
    hits: impl Fn(u64) -> u64,
    matches: impl Fn(u8) -> bool,
) -> Option<usize> {
    while let Some(eight) = line.get(offset..).and_then(|rest| rest.first_chunk::<8>()) {
        let found = hits(u64::from_le_bytes(*eight));
        if found != 0 {
            return Some(offset + found.trailing_zeros() as usize / 8);
        }
        offset += 8;
    }
    let rest = line.get(offset..)?;
    rest.iter()
        .position(|byte| matches(*byte))
        .map(|index| offset + index)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_byte_at_each_place_is_found_and_no_other() {
        for wanted in [b',', b'"', 0, 0x80, 0xff] {
            for byte in 0..=u8::MAX {
                for place in 0..8 {
                    let mut word = [wanted; 8];
                    word[place] = byte;
                    let bits = ONES << 7;
                    let expected = if byte == wanted {
                        bits
                    } else {
                        bits & !(0x80 << (8 * place))
                    };
                    let word = u64::from_le_bytes(word);
                    assert_eq!(
                        all_bytes_equal_to(word, wanted),
                        expected,
                        "{byte} instead of {wanted} at {place}"
                    );
                    let first = bytes_equal_to(word, wanted).trailing_zeros();
                    assert_eq!(
                        first,
                        expected.trailing_zeros(),
                        "{byte} instead of {wanted} at {place}"
                    );
                }
            }
        }
    }
}
