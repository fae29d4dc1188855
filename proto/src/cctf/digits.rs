//! [`leading_digits`]: decimal digits, eight at a time.

/// Digits that [`leading_digits`] takes at most.
pub(super) const DIGITS_AT_ONCE: usize = 8;

/// The value and the number of the decimal digits with which a text of eight bytes begins. It combines neighbours into pairs,
/// pairs into groups of four and these into the whole: three multiplications in sequence instead of eight.
#[inline]
pub(super) fn leading_digits(text: [u8; DIGITS_AT_ONCE]) -> (u64, usize) {
    const EACH: u64 = u64::MAX / 255;
    // The first byte is the lowest one.
    let digits = u64::from_le_bytes(text) ^ (EACH * b'0' as u64);
    // A value above nine, plus six, sets the upper half of its byte. Other non-digits have set it already. A carry changes only
    // bytes after a non-digit.
    let others = (digits | digits.wrapping_add(EACH * 6)) & (EACH * 0xf0);
    let count = others.trailing_zeros() / 8;
    // Zeros before the digits. A single shift by all 64 bits would overflow.
    let half = 4 * (8 - count);
    let digits = digits << half << half;
    let pairs = digits.wrapping_mul(10).wrapping_add(digits >> 8) & 0x00ff_00ff_00ff_00ff;
    let fours = pairs.wrapping_mul(100).wrapping_add(pairs >> 16) & 0x0000_ffff_0000_ffff;
    let all = fours.wrapping_mul(10_000).wrapping_add(fours >> 32) & 0xffff_ffff;
    (all, count as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leading_digits_are_those_of_a_simple_parser() {
        for count in 0..=DIGITS_AT_ONCE {
            for byte in 0..=255_u8 {
                let mut text = *b"90817263";
                if count < DIGITS_AT_ONCE {
                    text[count] = byte;
                }
                let digits = text.iter().take_while(|byte| byte.is_ascii_digit());
                let expected = digits.fold((0, 0), |(value, count), digit| {
                    (10 * value + u64::from(digit - b'0'), count + 1)
                });
                assert_eq!(leading_digits(text), expected, "{text:?}");
            }
        }
    }
}
