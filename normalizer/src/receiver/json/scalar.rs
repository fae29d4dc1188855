//! Scalars of OTLP/JSON: the values that each kind of field accepts, and their protobuf bytes.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use prost::encoding::encode_varint;

use super::schema::Kind;

/// A JSON scalar.
#[derive(Debug, Clone, Copy)]
pub(super) enum Scalar<'a> {
    Bool(bool),
    Signed(i64),
    Unsigned(u64),
    Float(f64),
    /// The text of a number, for an integer field.
    Number(&'a str),
    /// Text, possibly invalid Unicode.
    Text(&'a [u8]),
}

/// Replaces an id that is not hex. One byte is too short for a valid id, so only the id's row is rejected, not the whole request.
const UNREADABLE_ID: [u8; 1] = [0];

const LENIENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const BASE64: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
const BASE64_URL: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);

/// Appends the value in the wire format of its kind, without the key. If the format has a length, this is included. `None` if
/// the value is invalid for the kind.
pub(super) fn encode(kind: Kind, scalar: Scalar<'_>, out: &mut Vec<u8>) -> Option<()> {
    match kind {
        Kind::String => delimited(text(scalar)?, out),
        Kind::Id => delimited(&unhex(text(scalar)?).unwrap_or(UNREADABLE_ID.to_vec()), out),
        Kind::Bytes => delimited(&unbase64(text(scalar)?)?, out),
        Kind::Bool => match scalar {
            Scalar::Bool(value) => out.push(u8::from(value)),
            _ => return None,
        },
        Kind::Int => encode_varint(signed(scalar)?.cast_unsigned(), out),
        Kind::Sint => {
            let value = i32::try_from(signed(scalar)?).ok()?;
            encode_varint(u64::from(((value << 1) ^ (value >> 31)).cast_unsigned()), out);
        }
        Kind::Uint => encode_varint(unsigned(scalar)?, out),
        Kind::Fixed32 => out.extend(u32::try_from(unsigned(scalar)?).ok()?.to_le_bytes()),
        Kind::Fixed64 => out.extend(unsigned(scalar)?.to_le_bytes()),
        Kind::Sfixed64 => out.extend(signed(scalar)?.to_le_bytes()),
        Kind::Double => out.extend(double(scalar)?.to_le_bytes()),
        Kind::Message(_) => return None,
    }
    Some(())
}

fn delimited(bytes: &[u8], out: &mut Vec<u8>) {
    encode_varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

fn text(scalar: Scalar<'_>) -> Option<&[u8]> {
    match scalar {
        Scalar::Text(text) => Some(text),
        _ => None,
    }
}

fn signed(scalar: Scalar<'_>) -> Option<i64> {
    integer(scalar).and_then(|value| i64::try_from(value).ok())
}

fn unsigned(scalar: Scalar<'_>) -> Option<u64> {
    integer(scalar).and_then(|value| u64::try_from(value).ok())
}

/// By the specification 64-bit numbers are strings, but numbers are accepted as well. ProtoJSON permits an exponent in both.
fn integer(scalar: Scalar<'_>) -> Option<i128> {
    match scalar {
        Scalar::Number(text) => exact(text),
        Scalar::Text(text) => exact(std::str::from_utf8(text).ok()?),
        Scalar::Signed(value) => Some(value.into()),
        Scalar::Unsigned(value) => Some(value.into()),
        Scalar::Bool(_) | Scalar::Float(_) => None,
    }
}

/// The integer value of a decimal number, computed digit by digit. `None` if it has a fraction or exceeds 64 bits.
fn exact(text: &str) -> Option<i128> {
    let (is_negative, magnitude) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (decimal, exponent) = match magnitude.split_once(['e', 'E']) {
        Some((decimal, exponent)) => (decimal, exponent.parse::<i32>().ok()?),
        None => (magnitude, 0),
    };
    let (whole, fraction) = match decimal.split_once('.') {
        Some((_, "")) => return None,
        Some(parts) => parts,
        None => (decimal, ""),
    };
    if whole.is_empty() {
        return None;
    }
    // Digits before this position belong to the integer part.
    let point = whole.len() as i64 + i64::from(exponent);
    let mut value = 0_i128;
    let mut place = 0_i64;
    for digit in whole.bytes().chain(fraction.bytes()) {
        let digit = digit.wrapping_sub(b'0');
        if digit > 9 || (place >= point && digit > 0) {
            return None;
        }
        if place < point {
            value = within_64_bits(value * 10 + i128::from(digit))?;
        }
        place += 1;
    }
    while place < point && value > 0 {
        value = within_64_bits(value * 10)?;
        place += 1;
    }
    Some(if is_negative { -value } else { value })
}

fn within_64_bits(value: i128) -> Option<i128> {
    (value <= i128::from(u64::MAX)).then_some(value)
}

fn double(scalar: Scalar<'_>) -> Option<f64> {
    match scalar {
        Scalar::Signed(value) => Some(value as f64),
        Scalar::Unsigned(value) => Some(value as f64),
        Scalar::Float(value) => Some(value),
        Scalar::Text(b"NaN") => Some(f64::NAN),
        Scalar::Text(b"Infinity") => Some(f64::INFINITY),
        Scalar::Text(b"-Infinity") => Some(f64::NEG_INFINITY),
        Scalar::Text(text) => std::str::from_utf8(text).ok()?.parse().ok(),
        Scalar::Bool(_) | Scalar::Number(_) => None,
    }
}

fn unhex(text: &[u8]) -> Option<Vec<u8>> {
    let (pairs, odd) = text.as_chunks::<2>();
    if !odd.is_empty() {
        return None;
    }
    let digit = |digit: u8| {
        char::from(digit)
            .to_digit(16)
            .and_then(|value| u8::try_from(value).ok())
    };
    pairs
        .iter()
        .map(|&[high, low]| Some(digit(high)? << 4 | digit(low)?))
        .collect()
}

fn unbase64(text: &[u8]) -> Option<Vec<u8>> {
    BASE64.decode(text).or_else(|_| BASE64_URL.decode(text)).ok()
}

impl std::fmt::Display for Scalar<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Bool(value) => write!(formatter, "{value}"),
            Self::Signed(value) => write!(formatter, "{value}"),
            Self::Unsigned(value) => write!(formatter, "{value}"),
            Self::Float(value) => write!(formatter, "{value}"),
            Self::Number(text) => formatter.write_str(text),
            Self::Text(text) => write!(formatter, "{:?}", String::from_utf8_lossy(text)),
        }
    }
}
