//! [`Factor`]: a positive decimal number, exact to a millionth. Dividing times by it has no rounding errors of floating-point
//! numbers.

use std::fmt;
use std::str::FromStr;

/// Millionths in one.
const ONE: u64 = 1_000_000;
/// Decimals of a factor.
const DECIMALS: usize = 6;
/// Maximum factor. It shortens a day to less than a tenth of a second, and products with a 64-bit time fit into 128 bits.
const MAX: u64 = 1_000_000 * ONE;

/// A factor from 0.000001 to 1000000, in millionths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Factor(u64);

impl Factor {
    pub const ONE: Self = Self(ONE);

    /// `None` if the value is out of range.
    pub fn from_millionths(millionths: u64) -> Option<Self> {
        (1..=MAX).contains(&millionths).then_some(Self(millionths))
    }

    pub const fn millionths(self) -> u64 {
        self.0
    }

    /// The integer part.
    pub const fn whole(self) -> u64 {
        self.0 / ONE
    }

    /// The fractional part; `None` if it is zero.
    pub fn fraction(self) -> Option<Self> {
        Self::from_millionths(self.0 % ONE)
    }

    /// `ns` divided by both factors, rounded down. The result saturates at the maximum of 64 bits (584 years).
    pub fn divide(ns: u64, by: Self, and: Self) -> u64 {
        let scaled = u128::from(ns) * u128::from(ONE) * u128::from(ONE);
        let divided = scaled / (u128::from(by.0) * u128::from(and.0));
        u64::try_from(divided).unwrap_or(u64::MAX)
    }

    /// Whether a uniformly distributed value is in the lowest part of all 64-bit values; this factor is the size of the part. A
    /// larger part contains all values of a smaller one.
    pub fn has(self, uniform: u64) -> bool {
        u128::from(uniform) * u128::from(ONE) < u128::from(self.0) << 64
    }
}

impl FromStr for Factor {
    type Err = String;

    /// Parses a decimal such as `100`, `2.5` or `0.1`.
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "invalid factor {text:?}: use a decimal from 0.000001 to 1000000 with at most {DECIMALS} decimals, such as 2.5"
            )
        };
        let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
        let is_number = |digits: &str| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        if !is_number(whole) || !is_number(decimals) || decimals.len() > DECIMALS {
            return Err(wrong());
        }
        let millionths = format!("{whole}{decimals:0<DECIMALS$}").parse().ok();
        millionths.and_then(Self::from_millionths).ok_or_else(wrong)
    }
}

impl fmt::Display for Factor {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (self.0 / ONE, self.0 % ONE);
        if rest == 0 {
            return write!(formatter, "{whole}");
        }
        let decimals = format!("{rest:06}");
        write!(formatter, "{whole}.{}", decimals.trim_end_matches('0'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_factor_is_exact_and_printed_as_it_was_written() {
        for (text, millionths) in [
            ("1", 1_000_000),
            ("2.5", 2_500_000),
            ("0.000001", 1),
            ("1000000", MAX),
        ] {
            let factor: Factor = text.parse().unwrap();
            assert_eq!(
                (factor.millionths(), factor.to_string()),
                (millionths, text.to_owned())
            );
        }
        for text in [
            "",
            "0",
            "-1",
            "1e3",
            ".5",
            "5.",
            "0.0000001",
            "1000000.1",
            "nan",
            "99999999999999999999",
        ] {
            let error = text.parse::<Factor>().unwrap_err();
            assert!(error.contains("invalid factor"), "{text}");
        }
    }

    #[test]
    fn division_keeps_every_nanosecond() {
        let factor = |text: &str| text.parse::<Factor>().unwrap();
        // An f64 cannot hold this time.
        let ns = (1 << 53) + 1;
        assert_eq!(Factor::divide(ns, Factor::ONE, Factor::ONE), ns);
        assert_eq!(Factor::divide(1_000, factor("2.5"), factor("2")), 200);
        assert_eq!(
            Factor::divide(u64::MAX, factor("0.000001"), Factor::ONE),
            u64::MAX
        );
        assert_eq!(
            Factor::divide(u64::MAX, factor("1000000"), factor("1000000")),
            18_446_744
        );
    }

    #[test]
    fn a_value_in_a_share_is_in_every_larger_one() {
        let half: Factor = "0.5".parse().unwrap();
        assert!(half.has(0) && half.has((1 << 63) - 1) && !half.has(1 << 63));
        assert!(Factor::ONE.has(u64::MAX) && !Factor(1).has(u64::MAX / 1_000_000 + 1));
    }
}
