//! [`Milliseconds`]: an exact decimal of six places made from integer nanoseconds.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error};
use serde_json::value::RawValue;

use super::value::{Kind, Value};

const NANOS_PER_MILLI: u64 = 1_000_000;
const DECIMALS: usize = 6;

/// A stamp or a duration in milliseconds, held as integer nanoseconds and written with exactly six decimals.
///
/// As a stamp it counts from the Unix epoch, UTC. i64 nanoseconds reach to the year 2262.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Milliseconds(i64);

impl Milliseconds {
    /// From nanoseconds.
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// From unsigned nanoseconds; `None` past the year 2262.
    pub fn from_unsigned_nanos(nanos: u64) -> Option<Self> {
        i64::try_from(nanos).ok().map(Self)
    }

    /// The nanoseconds.
    pub const fn nanos(self) -> i64 {
        self.0
    }

    /// `later - self`; `None` when it does not fit.
    pub fn until(self, later: Self) -> Option<Self> {
        later.0.checked_sub(self.0).map(Self)
    }

    /// Parses a plain JSON decimal of at most six places; no exponent.
    pub fn parse(text: &str) -> Option<Self> {
        let (negative, digits) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (whole, fraction) = match digits.split_once('.') {
            Some((_, "")) => return None,
            Some(parts) => parts,
            None => (digits, ""),
        };
        let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || fraction.len() > DECIMALS || !all_digits(whole) || !all_digits(fraction) {
            return None;
        }
        let mut magnitude: u64 = whole.parse::<u64>().ok()?.checked_mul(NANOS_PER_MILLI)?;
        if !fraction.is_empty() {
            let scale = 10_u64.pow((DECIMALS - fraction.len()) as u32);
            magnitude = magnitude.checked_add(fraction.parse::<u64>().ok()? * scale)?;
        }
        if negative {
            0_i64.checked_sub_unsigned(magnitude)
        } else {
            i64::try_from(magnitude).ok()
        }
        .map(Self)
    }
}

impl fmt::Display for Milliseconds {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = Vec::with_capacity(24);
        self.encode(&mut out);
        formatter.write_str(&String::from_utf8_lossy(&out))
    }
}

/// The two digits of each number below 100.
static DIGITS: [[u8; 2]; 100] = {
    let mut pairs = [[0; 2]; 100];
    let mut number = 0;
    while number < 100 {
        pairs[number] = [b'0' + (number / 10) as u8, b'0' + (number % 10) as u8];
        number += 1;
    }
    pairs
};

impl Value for Milliseconds {
    const KIND: Kind = Kind::Milliseconds;

    fn encode(&self, out: &mut Vec<u8>) {
        if self.0 < 0 {
            out.push(b'-');
        }
        let nanos = self.0.unsigned_abs();
        out.extend_from_slice(itoa::Buffer::new().format(nanos / NANOS_PER_MILLI).as_bytes());
        let rest = (nanos % NANOS_PER_MILLI) as usize;
        let [[a, b], [c, d], [e, f]] = [rest / 10_000, rest / 100 % 100, rest % 100].map(|two| DIGITS[two]);
        let decimals = [b'.', a, b, c, d, e, f];
        out.extend_from_slice(&decimals);
    }
}

impl<'de> Deserialize<'de> for Milliseconds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // The raw text, because a double would round the nanoseconds away.
        let raw = <&RawValue>::deserialize(deserializer)?;
        Self::parse(raw.get()).ok_or_else(|| {
            D::Error::custom(format!(
                "{} is not a decimal of milliseconds with at most six places",
                raw.get()
            ))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn six_places_always_and_never_a_rounding() {
        for (nanos, text) in [
            (0, "0.000000"),
            (3_000_000, "3.000000"),
            (1, "0.000001"),
            (-1, "-0.000001"),
            (1_760_000_000_000_123_456, "1760000000000.123456"),
            (i64::MAX, "9223372036854.775807"),
            (i64::MIN, "-9223372036854.775808"),
        ] {
            assert_eq!(Milliseconds::from_nanos(nanos).to_string(), text);
            assert_eq!(Milliseconds::parse(text), Some(Milliseconds::from_nanos(nanos)));
        }
    }

    #[test]
    fn what_is_not_a_plain_decimal_is_refused() {
        for text in [
            "",
            ".",
            ".5",
            "5.",
            "1e3",
            "1.0000001",
            "abc",
            "--1",
            "1.-5",
            "9223372036854.775808",
            "99999999999999999999",
        ] {
            assert_eq!(Milliseconds::parse(text), None, "{text}");
        }
    }
}
