//! [`Milliseconds`]: integer nanoseconds, written as an exact decimal with six places.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error};
use serde_json::value::RawValue;

use super::decode::{Decode, Encoded};
use super::digits::{DIGITS_AT_ONCE, leading_digits};
use super::value::{Kind, Value};

const NANOS_PER_MILLI: u64 = 1_000_000;
const DECIMALS: usize = 6;
/// Length of a buffer for the longest text, -9223372036854.775808, in whole words.
const TEXT_LEN_MAX: usize = 24;

/// A timestamp or a duration: integer nanoseconds, written in milliseconds with exactly six decimal places.
///
/// A timestamp counts from the Unix epoch, UTC. 64 bits suffice until the year 2262.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Milliseconds(i64);

impl Milliseconds {
    pub const fn from_ns(ns: i64) -> Self {
        Self(ns)
    }

    /// `None` after the year 2262.
    pub fn from_unsigned_ns(ns: u64) -> Option<Self> {
        i64::try_from(ns).ok().map(Self)
    }

    pub const fn as_ns(self) -> i64 {
        self.0
    }

    /// `later - self`; `None` on overflow.
    pub fn until(self, later: Self) -> Option<Self> {
        later.0.checked_sub(self.0).map(Self)
    }

    /// Parses a JSON decimal with at most six places and no exponent.
    pub fn parse(text: &str) -> Option<Self> {
        Self::parse_bytes(text.as_bytes())
    }

    /// Like [`Self::parse`], for text that may not be UTF-8.
    #[inline]
    pub fn parse_bytes(text: &[u8]) -> Option<Self> {
        let (negative, digits) = match text {
            [b'-', rest @ ..] => (true, rest),
            _ => (false, text),
        };
        // In valid files, the point is always at this position.
        let point = match digits.len().checked_sub(DECIMALS + 1) {
            Some(index) if digits[index] == b'.' => Some(index),
            _ => digits.iter().position(|byte| *byte == b'.'),
        };
        let (whole, fraction) = match point {
            Some(index) if index + 1 == digits.len() => return None,
            Some(index) => (&digits[..index], &digits[index + 1..]),
            None => (digits, &[][..]),
        };
        if whole.is_empty() || fraction.len() > DECIMALS {
            return None;
        }
        let scale = 10_u64.pow((DECIMALS - fraction.len()) as u32);
        let magnitude = number(whole)?
            .checked_mul(NANOS_PER_MILLI)?
            .checked_add(number(fraction)? * scale)?;
        if negative {
            0_i64.checked_sub_unsigned(magnitude)
        } else {
            i64::try_from(magnitude).ok()
        }
        .map(Self)
    }
}

/// The value of a text of digits; 0 if it is empty.
#[inline]
fn number(mut digits: &[u8]) -> Option<u64> {
    // Maximum number of digits for which the value cannot overflow.
    const SAFE: usize = 19;
    let mut value = 0_u64;
    if digits.len() > SAFE {
        for byte in digits {
            let digit = byte.wrapping_sub(b'0');
            value = value.checked_mul(10)?.checked_add(u64::from(digit))?;
            if digit > 9 {
                return None;
            }
        }
        return Some(value);
    }
    while let Some((eight, rest)) = digits.split_first_chunk() {
        let (digits_of_eight, DIGITS_AT_ONCE) = leading_digits(*eight) else {
            return None;
        };
        value = value * 100_000_000 + digits_of_eight;
        digits = rest;
    }
    for byte in digits {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value * 10 + u64::from(digit);
    }
    Some(value)
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

    /// Writes the digits from the end of a buffer's first half, and then copies a piece of constant length, which the compiler
    /// does without a call. A row has up to nine of these numbers. Before this, writing them was a tenth of the work for a row.
    fn encode(&self, out: &mut Vec<u8>) {
        const POINT: usize = TEXT_LEN_MAX - 1 - DECIMALS;
        const EIGHT_DIGITS: u64 = 100_000_000;
        let mut text = [0; 2 * TEXT_LEN_MAX];
        let ns = self.0.unsigned_abs();
        let (mut whole, rest) = (ns / NANOS_PER_MILLI, (ns % NANOS_PER_MILLI) as usize);
        let ([a, b], [c, d], [e, f]) = (
            DIGITS[rest / 10_000],
            DIGITS[rest / 100 % 100],
            DIGITS[rest % 100],
        );
        text[POINT..TEXT_LEN_MAX].copy_from_slice(&[b'.', a, b, c, d, e, f]);
        let mut at = POINT;
        if whole >= EIGHT_DIGITS {
            let low = (whole % EIGHT_DIGITS) as usize;
            whole /= EIGHT_DIGITS;
            at -= 8;
            let ([a, b], [c, d]) = (DIGITS[low / 1_000_000], DIGITS[low / 10_000 % 100]);
            let ([e, f], [g, h]) = (DIGITS[low / 100 % 100], DIGITS[low % 100]);
            text[POINT - 8..POINT].copy_from_slice(&[a, b, c, d, e, f, g, h]);
            // Times from 2001 to 2286 have five more digits.
            if let high @ 10_000..100_000 = whole as usize {
                let ([a, b], [c, d]) = (DIGITS[high / 1000], DIGITS[high / 10 % 100]);
                text[POINT - 13..POINT - 8].copy_from_slice(&[a, b, c, d, b'0' + (high % 10) as u8]);
                at = POINT - 13;
                whole = 0;
            }
        }
        while whole >= 10 {
            at -= 2;
            text[at..at + 2].copy_from_slice(&DIGITS[(whole % 100) as usize]);
            whole /= 100;
        }
        // The last digit, unless a pair has it.
        if whole > 0 || at == POINT {
            at -= 1;
            text[at] = b'0' + whole as u8;
        }
        if self.0 < 0 {
            at -= 1;
            text[at] = b'-';
        }
        let begin = out.len();
        out.extend_from_slice(&text[at..at + TEXT_LEN_MAX]);
        out.truncate(begin + TEXT_LEN_MAX - at);
    }
}

impl Decode<'_> for Milliseconds {
    #[inline]
    fn decode(from: &mut Encoded<'_>) -> Option<Self> {
        let is_negative = from.skip("-");
        let whole = from.digits()?.checked_mul(NANOS_PER_MILLI)?;
        let fraction = if from.skip(".") {
            from.decimals(DECIMALS)?
        } else {
            return None;
        };
        let ns = i64::try_from(whole.checked_add(fraction)?).ok()?;
        match (is_negative, ns) {
            (true, 0) => None,
            (true, ns) => Some(Self(-ns)),
            (false, ns) => Some(Self(ns)),
        }
    }
}

impl<'de> Deserialize<'de> for Milliseconds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // The number is parsed from its text, because a double would lose the nanoseconds.
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
    fn always_six_places_and_never_rounded() {
        for (ns, text) in [
            (0, "0.000000"),
            (3_000_000, "3.000000"),
            (1, "0.000001"),
            (-1, "-0.000001"),
            (1_760_000_000_000_123_456, "1760000000000.123456"),
            (i64::MAX, "9223372036854.775807"),
            (i64::MIN, "-9223372036854.775808"),
        ] {
            assert_eq!(Milliseconds::from_ns(ns).to_string(), text);
            assert_eq!(Milliseconds::parse(text), Some(Milliseconds::from_ns(ns)));
        }
    }

    #[test]
    fn every_number_of_digits_is_written_as_the_standard_library_does() {
        let mut ns = 1_i64;
        for digit in (0..9).cycle().take(400) {
            for ns in [ns, -ns, ns - 1, ns / 1_000_000 * 1_000_000] {
                let (sign, size) = (if ns < 0 { "-" } else { "" }, ns.unsigned_abs());
                let text = format!("{sign}{}.{:06}", size / 1_000_000, size % 1_000_000);
                assert_eq!(Milliseconds::from_ns(ns).to_string(), text);
            }
            ns = ns
                .checked_mul(10)
                .and_then(|ns| ns.checked_add(digit))
                .unwrap_or(digit + 1);
        }
    }

    #[test]
    fn digits_are_parsed_like_the_standard_library_does() {
        let mut number = 1_u64;
        for length in 1..=20 {
            let text = number.to_string();
            assert_eq!(text.len(), length);
            assert_eq!(super::number(text.as_bytes()), Some(number), "{text}");
            for index in 0..length {
                // All other bytes, at every position.
                for byte in (0..=255_u8).filter(|byte| !byte.is_ascii_digit()) {
                    let mut other = text.clone().into_bytes();
                    other[index] = byte;
                    assert_eq!(super::number(&other), None, "{other:?}");
                }
            }
            number = number.saturating_mul(10).saturating_add(length as u64 % 10);
        }
        assert_eq!(super::number(b"18446744073709551615"), Some(u64::MAX));
        assert_eq!(super::number(b"18446744073709551616"), None);
    }

    #[test]
    fn texts_that_are_not_plain_decimals_are_refused() {
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
            "1.2.3",
            "1.234.567",
            "-",
            "1234:67.000000",
        ] {
            assert_eq!(Milliseconds::parse(text), None, "{text}");
        }
    }
}
