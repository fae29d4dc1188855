//! [`leading_digits`]: parses decimal digits, eight at a time.

/// Maximum number of digits that [`leading_digits`] parses.
pub(super) const DIGITS_AT_ONCE: usize = 8;

/// The value and the number of the decimal digits at the beginning of a text of eight bytes. Neighbouring digits are combined
/// into pairs, pairs into groups of four, and these into the result. This takes three multiplications in sequence instead of
/// eight.
#[inline]
pub(super) fn leading_digits(text: [u8; DIGITS_AT_ONCE]) -> (u64, usize) {
    const EACH: u64 = u64::MAX / 255;
    // The first byte is the lowest one.
    let digits = u64::from_le_bytes(text) ^ (EACH * b'0' as u64);
    // Adding six to a value above nine sets the upper half of its byte. Other non-digits already have it set. A carry changes
    // only bytes after a non-digit.
    let others = (digits | digits.wrapping_add(EACH * 6)) & (EACH * 0xf0);
    let count = others.trailing_zeros() / 8;
    // Moves zeros before the digits. The shift is done in two steps, because a single shift by 64 bits would overflow.
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
