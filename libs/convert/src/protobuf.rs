//! Encodes fields of OTLP's messages as protobuf directly, without an object for each message.

use std::borrow::Cow;

pub use cctf_proto::otlp::field;
use prost::encoding::{WireType, encode_varint, encoded_len_varint};

/// The value of an attribute.
#[derive(Debug, Clone, PartialEq)]
pub enum Value<'v> {
    Text(Cow<'v, str>),
    Bool(bool),
    Int(i64),
    Double(f64),
}

/// Nearly all keys and lengths have one byte, which is written without a call of the library. The calls would be a tenth of the
/// work for a span.
#[inline]
fn varint(value: u64, out: &mut Vec<u8>) {
    match u8::try_from(value) {
        Ok(byte @ ..0x80) => out.push(byte),
        _ => encode_varint(value, out),
    }
}

#[inline]
fn key(number: u32, wire: WireType, out: &mut Vec<u8>) {
    varint(u64::from(number << 3 | wire as u32), out);
}

/// Appends the key and length of a text or message whose content has `bytes` bytes.
#[inline]
pub fn begin_field(number: u32, bytes: usize, out: &mut Vec<u8>) {
    key(number, WireType::LengthDelimited, out);
    varint(bytes as u64, out);
}

pub fn bytes_field(number: u32, bytes: &[u8], out: &mut Vec<u8>) {
    begin_field(number, bytes.len(), out);
    out.extend_from_slice(bytes);
}

pub fn varint_field(number: u32, value: u64, out: &mut Vec<u8>) {
    key(number, WireType::Varint, out);
    varint(value, out);
}

pub fn fixed64(number: u32, value: u64, out: &mut Vec<u8>) {
    key(number, WireType::SixtyFourBit, out);
    out.extend_from_slice(&value.to_le_bytes());
}

/// Appends an attribute with a text as its value.
pub fn text_attribute(number: u32, key: &str, value: &[u8], out: &mut Vec<u8>) {
    begin_attribute(number, key, field_len(value.len()), out);
    bytes_field(field::ANY_STRING, value, out);
}

pub fn attribute(number: u32, key: &str, value: &Value<'_>, out: &mut Vec<u8>) {
    match value {
        Value::Text(text) => text_attribute(number, key, text.as_bytes(), out),
        Value::Bool(value) => {
            begin_attribute(number, key, 2, out);
            varint_field(field::ANY_BOOL, u64::from(*value), out);
        }
        Value::Int(value) => {
            let value = value.cast_unsigned();
            begin_attribute(number, key, 1 + encoded_len_varint(value), out);
            varint_field(field::ANY_INT, value, out);
        }
        Value::Double(value) => {
            begin_attribute(number, key, 9, out);
            fixed64(field::ANY_DOUBLE, value.to_bits(), out);
        }
    }
}

/// Appends everything of an attribute that comes before the content of its value, which has `value_bytes` bytes.
fn begin_attribute(number: u32, key: &str, value_bytes: usize, out: &mut Vec<u8>) {
    begin_field(number, field_len(key.len()) + field_len(value_bytes), out);
    bytes_field(field::PAIR_KEY, key.as_bytes(), out);
    begin_field(field::PAIR_VALUE, value_bytes, out);
}

/// Length of a field that is a text or message with `bytes` bytes. The number of the field must be below 16, so that its key has
/// one byte.
pub fn field_len(bytes: usize) -> usize {
    1 + encoded_len_varint(bytes as u64) + bytes
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

    use opentelemetry_proto::tonic::common::v1::any_value;
    use opentelemetry_proto::tonic::resource::v1::Resource;
    use prost::Message;

    use super::*;

    #[test]
    fn a_decoder_reads_attributes_of_all_types() {
        let values = [
            (
                Value::Text("a".into()),
                any_value::Value::StringValue("a".to_owned()),
            ),
            (Value::Bool(false), any_value::Value::BoolValue(false)),
            (Value::Int(-1), any_value::Value::IntValue(-1)),
            (Value::Double(0.5), any_value::Value::DoubleValue(0.5)),
        ];
        let mut out = Vec::new();
        for (value, _) in &values {
            attribute(1, "key", value, &mut out);
        }
        let resource = Resource::decode(&out[..]).unwrap();
        for (attribute, (_, expected)) in resource.attributes.iter().zip(&values) {
            let value = attribute.value.as_ref().unwrap();
            assert_eq!((&*attribute.key, &value.value), ("key", &Some(expected.clone())));
        }
        assert_eq!(resource.attributes.len(), values.len());
    }
}
