//! [`nanoseconds`]: a decimal number of seconds or milliseconds, without a detour through floating point.

/// Maximum number of digits after the point that are read. `end_timestamp` in Azure's table has digits beyond nanoseconds.
const FRACTION_DIGITS: usize = 9;

/// Parses a number in units of `unit_ns` nanoseconds. Returns `None` if it is invalid or does not fit. Digits below a nanosecond
/// are cut off.
pub fn nanoseconds(text: &[u8], unit_ns: i64) -> Option<i64> {
    let (is_negative, digits) = match text.trim_ascii() {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    let (mut number, mut whole) = (0_i64, 0);
    while let Some(digit) = digits.get(whole).filter(|digit| digit.is_ascii_digit()) {
        number = number.checked_mul(10)?.checked_add(i64::from(digit - b'0'))?;
        whole += 1;
    }
    let fraction = match &digits[whole..] {
        [] if whole > 0 => &[][..],
        [b'.', fraction @ ..] if whole > 0 && fraction.iter().all(u8::is_ascii_digit) => fraction,
        _ => return with_exponent(text, unit_ns),
    };
    let mut number = number.checked_mul(unit_ns)?;
    let mut place = unit_ns;
    for &digit in fraction.iter().take(FRACTION_DIGITS) {
        place /= 10;
        number = number.checked_add(place * i64::from(digit - b'0'))?;
    }
    Some(if is_negative { -number } else { number })
}

/// A number in another notation, such as 1e-05, as programs write small floating-point numbers.
fn with_exponent(text: &[u8], unit_ns: i64) -> Option<i64> {
    /// Below this number, a double represents every whole number of nanoseconds exactly.
    const MAX: f64 = (1_u64 << 53) as f64;
    let number: f64 = std::str::from_utf8(text).ok()?.trim().parse().ok()?;
    let nanoseconds = (number * unit_ns as f64).round();
    (nanoseconds.abs() < MAX).then_some(nanoseconds as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_exact_and_other_texts_are_refused() {
        for (text, unit_ns, expected) in [
            ("0", 1_000_000, Some(0)),
            ("-13", 1_000_000, Some(-13_000_000)),
            (" 2.0 ", 1_000_000, Some(2_000_000)),
            ("5160.142570018768", 1_000_000_000, Some(5_160_142_570_018)),
            ("0.134", 1_000_000_000, Some(134_000_000)),
            ("1e-05", 1_000_000_000, Some(10_000)),
            ("-0.5", 1_000_000, Some(-500_000)),
            ("", 1, None),
            ("None", 1, None),
            ("NaN", 1, None),
            ("inf", 1, None),
            ("MS_1", 1, None),
            ("1.2.3", 1, None),
            ("99999999999999999999", 1, None),
        ] {
            assert_eq!(nanoseconds(text.as_bytes(), unit_ns), expected, "{text}");
        }
    }
}
