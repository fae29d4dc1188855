//! [`TraceId`] and [`SpanId`]: W3C ids, written as lower-case hex.

use std::fmt;
use std::num::NonZero;

use serde::de::{Deserialize, Deserializer, Error};

use super::decode::{Decode, Encoded};
use super::value::{Kind, Text, Value};

/// The two digits of each byte.
static HEX: [[u8; 2]; 256] = {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut pairs = [[0; 2]; 256];
    let mut byte = 0;
    while byte < 256 {
        pairs[byte] = [DIGITS[byte >> 4], DIGITS[byte & 15]];
        byte += 1;
    }
    pairs
};

/// Writes the hex digits of `bytes` between the quotes of `quoted`.
#[inline]
fn write_hex(bytes: &[u8], quoted: &mut [u8]) {
    for (pair, byte) in quoted[1..].chunks_exact_mut(2).zip(bytes) {
        pair.copy_from_slice(&HEX[usize::from(*byte)]);
    }
}

/// Parses lower-case hex digits, two at a time in 16 bits. The loop has no branches, so the compiler can use vector
/// instructions.
#[inline]
fn parse_hex<const N: usize>(digits: &[u8]) -> Option<[u8; N]> {
    const ONE: u16 = 0x0101;
    let (pairs, []) = digits.as_chunks::<2>() else {
        return None;
    };
    let pairs: &[[u8; 2]; N] = pairs.try_into().ok()?;
    let (mut bytes, mut wrong) = ([0; N], 0);
    for (byte, pair) in bytes.iter_mut().zip(pairs) {
        let pair = u16::from_le_bytes(*pair);
        let is_letter = pair >> 6 & ONE;
        let nibbles = (pair & (0xf * ONE)).wrapping_add(is_letter.wrapping_mul(9));
        // Recomputes the digits from the nibbles. If they differ from the input, or a nibble is above 15, the pair contains a
        // byte that is not a digit.
        let is_above_nine = nibbles.wrapping_add(6 * ONE) >> 4 & ONE;
        let written = nibbles
            .wrapping_add(u16::from(b'0') * ONE)
            .wrapping_add(is_above_nine.wrapping_mul(u16::from(b'a' - b'0' - 10)));
        wrong |= written ^ pair | nibbles & (0xf0 * ONE);
        *byte = (nibbles << 4 | nibbles >> 8) as u8;
    }
    (wrong == 0).then_some(bytes)
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $bytes:literal, $kind:expr, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; $bytes]);

        impl $name {
            /// The id, if `bytes` has the right length and is not all zero.
            pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
                let bytes: [u8; $bytes] = bytes.try_into().ok()?;
                (bytes != [0; $bytes]).then_some(Self(bytes))
            }

            /// Parses lower-case hex digits, as in the files.
            pub fn parse(text: &str) -> Option<Self> {
                Self::parse_bytes(text.as_bytes())
            }

            /// Like [`Self::parse`], for bytes that may not be UTF-8.
            #[inline]
            pub fn parse_bytes(text: &[u8]) -> Option<Self> {
                parse_hex(text).map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, formatter)
            }
        }

        impl Value for $name {
            const KIND: Kind = $kind;

            fn encode(&self, out: &mut Vec<u8>) {
                let mut quoted = [b'"'; 2 * $bytes + 2];
                write_hex(&self.0, &mut quoted);
                out.extend_from_slice(&quoted);
            }
        }

        impl Decode<'_> for $name {
            #[inline]
            fn decode(from: &mut Encoded<'_>) -> Option<Self> {
                let quoted = from.take(2 * $bytes + 2)?;
                Self::parse(quoted.strip_prefix('"')?.strip_suffix('"')?)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = Text::deserialize(deserializer)?;
                Self::parse(&text).ok_or_else(|| D::Error::custom(format!("{:?} is not {}", &*text, $what)))
            }
        }
    };
}

id!(
    /// Id of a trace: 16 bytes.
    TraceId, 16, Kind::TraceId, "a trace id of 32 lower-case hex digits"
);
id!(
    /// Id of a span within its trace: 8 bytes.
    SpanId, 8, Kind::SpanId, "a span id of 16 lower-case hex digits"
);

impl TraceId {
    /// The bucket of a trace, from 0 up to but excluding `buckets`: the rows of a trace are in one bucket, in whatever file they
    /// are. The last two bytes of the id decide, because a generator that makes any part of an id at random makes these at random
    /// (W3C Trace Context, level 2).
    pub fn bucket(self, buckets: NonZero<u16>) -> u16 {
        u16::from_be_bytes([self.0[14], self.0[15]]) % buckets
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lower_case_hex_digits_are_parsed() {
        for index in 0..16 {
            for byte in 0..=255_u8 {
                let mut text = *b"00010203abcdefff";
                text[index] = byte;
                let digit = char::from(byte)
                    .to_digit(16)
                    .filter(|_| !byte.is_ascii_uppercase());
                let expected = digit.map(|digit| {
                    let mut bytes = [0, 1, 2, 3, 0xab, 0xcd, 0xef, 0xff];
                    let shift = 4 * (1 - index % 2);
                    bytes[index / 2] = bytes[index / 2] & !(0xf << shift) | (digit as u8) << shift;
                    SpanId(bytes)
                });
                assert_eq!(SpanId::parse_bytes(&text), expected, "{byte} at {index}");
            }
        }
    }

    #[test]
    fn a_bucket_follows_from_the_last_four_digits_of_a_trace_id() {
        let id = TraceId::parse("0af7651916cd43dd8448eb211c80319c").unwrap();
        for (buckets, bucket) in [(1, 0), (16, 0xc), (512, 0x19c), (1000, 0x319c % 1000)] {
            assert_eq!(id.bucket(NonZero::new(buckets).unwrap()), bucket);
        }
    }

    #[test]
    fn ids_are_lower_case_hex_and_never_zero() {
        let id = SpanId::from_bytes(&[0, 1, 2, 3, 0xab, 0xcd, 0xef, 0xff]).unwrap();
        assert_eq!(id.to_string(), "00010203abcdefff");
        assert_eq!(SpanId::parse("00010203abcdefff"), Some(id));
        assert_eq!(SpanId::parse("00010203ABCDEFFF"), None);
        assert_eq!(SpanId::parse_bytes(b"00010203abcdef\xff\xff"), None);
        assert_eq!(SpanId::parse("00010203abcdefff0"), None);
        assert_eq!(SpanId::from_bytes(&[0; 8]), None);
        assert_eq!(TraceId::from_bytes(&[1; 8]), None);
    }
}
