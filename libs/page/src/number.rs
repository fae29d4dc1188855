//! Numbers as text: three significant digits and a unit. A value that is not finite is shown as [`NONE`].

/// Shown where there is no value.
pub const NONE: &str = "–";

/// The unit in which a number is passed, and with it the unit in which it is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Passed in nanoseconds, shown from ns to h.
    Nanoseconds,
    PerSecond,
    Bytes,
    BytesPerSecond,
    /// Passed as 0 to 1, shown in percent.
    Share,
    /// Passed as 0 to 100.
    Percent,
    Count,
}

impl Unit {
    pub fn format(self, value: f64) -> String {
        match self {
            Self::Nanoseconds => duration(value),
            Self::PerSecond => rate(value),
            Self::Bytes => bytes(value),
            Self::BytesPerSecond => with_suffix(bytes(value), "/s"),
            Self::Share => share(value),
            Self::Percent => percent(value),
            Self::Count => count(value),
        }
    }

    /// The unit's name, for the head of a column.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Nanoseconds => "time",
            Self::PerSecond => "per second",
            Self::Bytes => "bytes",
            Self::BytesPerSecond => "bytes per second",
            Self::Share | Self::Percent => "%",
            Self::Count => "count",
        }
    }
}

/// A value as text, or [`NONE`].
pub fn optional(value: Option<f64>, unit: Unit) -> String {
    value.map_or_else(|| NONE.to_owned(), |value| unit.format(value))
}

/// Time passed in nanoseconds: `850 ns`, `12.3 ms`, `4.56 s`, `2 min 5 s`, `3 h 12 min`.
pub fn duration(nanoseconds: f64) -> String {
    let magnitude = nanoseconds.abs();
    if !nanoseconds.is_finite() {
        return NONE.to_owned();
    }
    // The first value that would be shown as 1000 with three digits gets the next unit.
    let (divisor, unit) = match magnitude {
        0.0 => return "0".to_owned(),
        size if size < 999.5 => (1.0, "ns"),
        size if size < 999.5e3 => (1e3, "µs"),
        size if size < 999.5e6 => (1e6, "ms"),
        size if size < 119.5e9 => (1e9, "s"),
        _ => return long_duration(nanoseconds),
    };
    format!("{} {unit}", digits(nanoseconds / divisor))
}

/// A duration of at least two minutes.
fn long_duration(nanoseconds: f64) -> String {
    let sign = if nanoseconds < 0.0 { "-" } else { "" };
    let seconds = (nanoseconds.abs() / 1e9).round();
    let of = |high: f64, low: f64, names: [&str; 2]| {
        let total = (seconds / low).round();
        let per_high = high / low;
        let (whole, rest) = ((total / per_high).floor(), total % per_high);
        match rest {
            0.0 => format!("{sign}{} {}", grouped(whole), names[0]),
            _ => format!("{sign}{} {} {rest} {}", grouped(whole), names[0], names[1]),
        }
    };
    match seconds {
        s if s < 3600.0 => of(60.0, 1.0, ["min", "s"]),
        s if s < 172_800.0 => of(3600.0, 60.0, ["h", "min"]),
        _ => of(86_400.0, 3600.0, ["d", "h"]),
    }
}

/// Events per second: `12.3/s`, `1.20k/s`.
pub fn rate(per_second: f64) -> String {
    with_suffix(count(per_second), "/s")
}

/// Bytes in powers of 1000: `512 B`, `1.50 kB`, `2.00 GB`.
pub fn bytes(bytes: f64) -> String {
    if bytes.is_finite() && bytes.abs() < 999.5 {
        return format!("{} B", digits(bytes));
    }
    scaled(bytes, &[" kB", " MB", " GB", " TB", " PB", " EB"])
}

/// A share of 0 to 1 in percent: `12.3%`.
pub fn share(share: f64) -> String {
    percent(share * 100.0)
}

/// Percent: `12.3%`. A small value that is not zero is `<0.01%`.
pub fn percent(percent: f64) -> String {
    match percent {
        value if !value.is_finite() => NONE.to_owned(),
        value if value > 0.0 && value < 0.01 => "<0.01%".to_owned(),
        value if value.abs() < 1.0 => {
            let text = format!("{value:.2}");
            format!("{}%", without_zeros(&text))
        }
        value => format!("{}%", digits(value)),
    }
}

/// A count in three significant digits: `999`, `1.23k`, `4.56M`.
pub fn count(count: f64) -> String {
    if count.is_finite() && count.abs() < 999.5 {
        return digits(count);
    }
    scaled(count, &["k", "M", "G", "T", "P", "E"])
}

/// All digits of a count, grouped: `1,234,567`.
pub fn exact(count: u64) -> String {
    let digits = count.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// A count with its word: `1 row`, `1,234 rows`.
pub fn counted(count: u64, one: &str, more: &str) -> String {
    match count {
        1 => format!("1 {one}"),
        count => format!("{} {more}", exact(count)),
    }
}

fn grouped(whole: f64) -> String {
    match whole < 1e6 {
        true => exact(whole as u64),
        false => count(whole),
    }
}

fn with_suffix(text: String, suffix: &str) -> String {
    match text.as_str() {
        NONE => text,
        _ => text + suffix,
    }
}

/// A value of at least 999.5 in powers of 1000.
fn scaled(value: f64, suffixes: &[&str]) -> String {
    if !value.is_finite() {
        return NONE.to_owned();
    }
    let mut scaled = value;
    for (index, suffix) in suffixes.iter().enumerate() {
        scaled /= 1000.0;
        if scaled.abs() < 999.5 || index + 1 == suffixes.len() {
            return match scaled.abs() < 999_999.5 {
                true => format!("{}{suffix}", digits(scaled)),
                false => format!("{value:.2e}"),
            };
        }
    }
    digits(scaled)
}

/// A value with three significant digits. A whole number is shown without zeros after the decimal point.
fn digits(value: f64) -> String {
    let decimals = match value.abs() {
        size if size >= 99.95 => 0,
        size if size >= 9.995 => 1,
        size if size >= 0.9995 => 2,
        size if size >= 0.09995 => 3,
        0.0 => return "0".to_owned(),
        size if size < 0.000_1 => return format!("{value:.1e}"),
        _ => 4,
    };
    // A sum such as 0.1 + 0.2 can differ from a round value in its last bits, so values very near to a whole number count as
    // whole.
    let is_whole = (value - value.round()).abs() <= value.abs() * 1e-12;
    if is_whole && value.abs() < 999.5 {
        return format!("{value:.0}");
    }
    format!("{value:.decimals$}")
}

/// A number as text without zeros at the end of its decimals.
pub(crate) fn without_zeros(text: &str) -> &str {
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.'),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(format: impl Fn(f64) -> String, expected: &[(f64, &str)]) {
        for (value, text) in expected {
            assert_eq!(format(*value), *text, "{value:?}");
        }
    }

    #[test]
    fn durations_have_three_digits_and_the_unit_that_fits() {
        check(
            duration,
            &[
                (0.0, "0"),
                (850.0, "850 ns"),
                (999.6, "1.00 µs"),
                (12_345.0, "12.3 µs"),
                (5e6, "5 ms"),
                (1_234_567.0, "1.23 ms"),
                (999_499_999.0, "999 ms"),
                (999_500_000.0, "1.00 s"),
                (60e9, "60 s"),
                (119.4e9, "119 s"),
                (120e9, "2 min"),
                (125.4e9, "2 min 5 s"),
                (3599.6e9, "1 h"),
                (11_520e9, "3 h 12 min"),
                (200_000e9, "2 d 8 h"),
                (-2_500_000.0, "-2.50 ms"),
                (1e30, "11.6P d 16 h"),
                (f64::NAN, NONE),
                (f64::INFINITY, NONE),
            ],
        );
    }

    #[test]
    fn counts_and_rates_are_scaled_by_thousands() {
        check(
            count,
            &[
                (0.0, "0"),
                (7.0, "7"),
                (0.25, "0.250"),
                (12.34, "12.3"),
                (999.0, "999"),
                (999.6, "1.00k"),
                (1234.0, "1.23k"),
                (12_345.0, "12.3k"),
                (999_999.0, "1.00M"),
                (1e8, "100M"),
                (1e300, "1.00e300"),
                (f64::NEG_INFINITY, NONE),
            ],
        );
        check(rate, &[(50_000.0, "50k/s"), (0.5, "0.500/s"), (f64::NAN, NONE)]);
        assert_eq!(exact(0), "0");
        assert_eq!(exact(999), "999");
        assert_eq!(exact(1000), "1,000");
        assert_eq!(exact(12_345_678), "12,345,678");
    }

    #[test]
    fn bytes_and_percent_name_their_unit() {
        check(
            bytes,
            &[(0.0, "0 B"), (512.0, "512 B"), (1500.0, "1.50 kB"), (2e9, "2 GB")],
        );
        check(
            share,
            &[
                (0.0, "0%"),
                (0.000_01, "<0.01%"),
                (0.004, "0.4%"),
                (0.1234, "12.3%"),
                (1.0, "100%"),
                (0.1 + 0.2, "30%"),
                (f64::NAN, NONE),
            ],
        );
    }
}
