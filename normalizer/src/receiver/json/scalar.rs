//! Scalars of OTLP/JSON: what each kind of field accepts, and its protobuf bytes.

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
    Text(&'a str),
}

/// What an id that is not hex becomes: too short for any id, so that its row alone is rejected and not its request.
const UNREADABLE_ID: [u8; 1] = [0];

const LENIENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const BASE64: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
const BASE64_URL: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);

/// Appends the value in the wire format of its kind, without key, but with length for what has one. `None` if the
/// kind has no such value.
pub(super) fn encode(kind: Kind, scalar: Scalar<'_>, out: &mut Vec<u8>) -> Option<()> {
    match kind {
        Kind::String => delimited(text(scalar)?.as_bytes(), out),
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

fn text(scalar: Scalar<'_>) -> Option<&str> {
    match scalar {
        Scalar::Text(text) => Some(text),
        _ => None,
    }
}

/// 64-bit numbers come as strings, by the specification, or as numbers, which JavaScript may write with an exponent.
fn signed(scalar: Scalar<'_>) -> Option<i64> {
    const BEYOND: f64 = 9_223_372_036_854_775_808.0;
    match scalar {
        Scalar::Signed(value) => Some(value),
        Scalar::Unsigned(value) => i64::try_from(value).ok(),
        Scalar::Float(value) if value.fract() == 0.0 && (-BEYOND..BEYOND).contains(&value) => {
            Some(value as i64)
        }
        Scalar::Text(text) => text.parse().ok(),
        _ => None,
    }
}

fn unsigned(scalar: Scalar<'_>) -> Option<u64> {
    const BEYOND: f64 = 18_446_744_073_709_551_616.0;
    match scalar {
        Scalar::Unsigned(value) => Some(value),
        Scalar::Float(value) if value.fract() == 0.0 && (0.0..BEYOND).contains(&value) => Some(value as u64),
        Scalar::Text(text) => text.parse().ok(),
        _ => None,
    }
}

fn double(scalar: Scalar<'_>) -> Option<f64> {
    match scalar {
        Scalar::Signed(value) => Some(value as f64),
        Scalar::Unsigned(value) => Some(value as f64),
        Scalar::Float(value) => Some(value),
        Scalar::Text("NaN") => Some(f64::NAN),
        Scalar::Text("Infinity") => Some(f64::INFINITY),
        Scalar::Text("-Infinity") => Some(f64::NEG_INFINITY),
        Scalar::Text(text) => text.parse().ok(),
        Scalar::Bool(_) => None,
    }
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let (pairs, odd) = text.as_bytes().as_chunks::<2>();
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

fn unbase64(text: &str) -> Option<Vec<u8>> {
    BASE64.decode(text).or_else(|_| BASE64_URL.decode(text)).ok()
}

impl std::fmt::Display for Scalar<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Bool(value) => write!(formatter, "{value}"),
            Self::Signed(value) => write!(formatter, "{value}"),
            Self::Unsigned(value) => write!(formatter, "{value}"),
            Self::Float(value) => write!(formatter, "{value}"),
            Self::Text(text) => write!(formatter, "{text:?}"),
        }
    }
}
