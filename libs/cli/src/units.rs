//! Parsers of durations and sizes: `500ms`, `15s`, `1m30s`, `1.5h`; `65536`, `64KiB`, `64MiB`, `1GiB`.

use std::time::Duration;

/// Maximum number of decimals: a second has 10^9 nanoseconds.
const FRACTION_DIGITS_MAX: usize = 9;

/// Parses a duration: one or more numbers with their units.
///
/// # Errors
/// A sentence with examples.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("invalid duration {text:?}: write it as in 500ms, 15s, 1m30s or 1h");
    let mut total = Duration::ZERO;
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(wrong());
    }
    while !rest.is_empty() {
        let digits = rest
            .bytes()
            .take_while(|byte| byte.is_ascii_digit() || *byte == b'.')
            .count();
        let (number, after) = rest.split_at(digits);
        let after = after.trim_start();
        let letters = after.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (unit, after) = after.split_at(letters);
        let part = one_part(number, unit).ok_or_else(wrong)?;
        total = total.checked_add(part).ok_or_else(wrong)?;
        rest = after.trim_start();
    }
    Ok(total)
}

/// The duration of a number with its unit. It is exact to the nanosecond; smaller fractions are truncated.
fn one_part(number: &str, unit: &str) -> Option<Duration> {
    let unit_ns: u128 = match unit {
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return None,
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    if whole.is_empty() || fraction.is_empty() || fraction.len() > FRACTION_DIGITS_MAX {
        return None;
    }
    let scale = 10_u128.pow(u32::try_from(fraction.len()).ok()?);
    let fraction = u128::from(fraction.parse::<u64>().ok()?);
    let ns = u128::from(whole.parse::<u64>().ok()?) * unit_ns + fraction * unit_ns / scale;
    // The maximum is u64::MAX milliseconds.
    (ns / 1_000_000 <= u128::from(u64::MAX)).then(|| {
        let (seconds, rest) = (ns / 1_000_000_000, ns % 1_000_000_000);
        Duration::new(seconds as u64, rest as u32)
    })
}

/// Parses a number of bytes.
pub fn parse_bytes(text: &str) -> Result<usize, String> {
    let wrong = || format!("invalid size {text:?}: write it as in 65536, 64KiB, 64MiB or 1GiB");
    let (number, unit) = split_unit(text);
    let number: usize = number.parse().map_err(|_| wrong())?;
    let bytes = match unit {
        "" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return Err(wrong()),
    };
    number.checked_mul(bytes).ok_or_else(wrong)
}

fn split_unit(text: &str) -> (&str, &str) {
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    (number, unit.trim_start())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_sizes_need_a_number_and_a_known_unit() {
        assert_eq!(parse_duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse_duration(" 15 s"), Ok(Duration::from_secs(15)));
        assert_eq!(parse_duration("2m"), Ok(Duration::from_secs(120)));
        assert_eq!(parse_duration("1m30s"), Ok(Duration::from_secs(90)));
        assert_eq!(parse_duration("1h 1ms"), Ok(Duration::from_millis(3_600_001)));
        assert_eq!(parse_duration("1.5s"), Ok(Duration::from_millis(1500)));
        assert_eq!(parse_duration("0.25ms"), Ok(Duration::from_micros(250)));
        assert_eq!(parse_duration("0s"), Ok(Duration::ZERO));
        assert_eq!(parse_bytes("64MiB"), Ok(64 << 20));
        assert_eq!(parse_bytes("7"), Ok(7));
        for wrong in [
            "",
            "15",
            "s",
            "1..5s",
            ".5s",
            "5.s",
            "1d",
            "1m30",
            "-1s",
            "15S",
            "99999999999999999999s",
            "18446744073709551615h",
        ] {
            assert!(parse_duration(wrong).is_err(), "{wrong}");
        }
        for wrong in ["", "MiB", "64MB", "1e3", "18446744073709551615GiB"] {
            assert!(parse_bytes(wrong).is_err(), "{wrong}");
        }
    }
}
