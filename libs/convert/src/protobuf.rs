//! Fields of OTLP's messages as protobuf bytes, without objects between a record and its bytes.

use std::borrow::Cow;

use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint};

/// Field numbers of `KeyValue` and of `AnyValue`.
const KEY: u32 = 1;
const VALUE: u32 = 2;
const STRING: u32 = 1;
const BOOL: u32 = 2;
const INT: u32 = 3;
const DOUBLE: u32 = 4;

/// The value of an attribute.
#[derive(Debug, Clone, PartialEq)]
pub enum Value<'v> {
    Text(Cow<'v, str>),
    Bool(bool),
    Int(i64),
    Double(f64),
}

pub fn bytes_field(number: u32, bytes: &[u8], out: &mut Vec<u8>) {
    encode_key(number, WireType::LengthDelimited, out);
    encode_varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

pub fn varint_field(number: u32, value: u64, out: &mut Vec<u8>) {
    encode_key(number, WireType::Varint, out);
    encode_varint(value, out);
}

pub fn fixed64(number: u32, value: u64, out: &mut Vec<u8>) {
    encode_key(number, WireType::SixtyFourBit, out);
    out.extend_from_slice(&value.to_le_bytes());
}

/// An attribute with a text as its value.
pub fn text_attribute(number: u32, key: &str, value: &[u8], out: &mut Vec<u8>) {
    begin_attribute(number, key, field_len(value.len()), out);
    bytes_field(STRING, value, out);
}

pub fn attribute(number: u32, key: &str, value: &Value<'_>, out: &mut Vec<u8>) {
    match value {
        Value::Text(text) => text_attribute(number, key, text.as_bytes(), out),
        Value::Bool(value) => {
            begin_attribute(number, key, 2, out);
            varint_field(BOOL, u64::from(*value), out);
        }
        Value::Int(value) => {
            let value = value.cast_unsigned();
            begin_attribute(number, key, 1 + encoded_len_varint(value), out);
            varint_field(INT, value, out);
        }
        Value::Double(value) => {
            begin_attribute(number, key, 9, out);
            fixed64(DOUBLE, value.to_bits(), out);
        }
    }
}

/// Everything of an attribute before the content of its value, which has so many bytes.
fn begin_attribute(number: u32, key: &str, value_bytes: usize, out: &mut Vec<u8>) {
    encode_key(number, WireType::LengthDelimited, out);
    encode_varint((field_len(key.len()) + field_len(value_bytes)) as u64, out);
    bytes_field(KEY, key.as_bytes(), out);
    encode_key(VALUE, WireType::LengthDelimited, out);
    encode_varint(value_bytes as u64, out);
}

/// Length of a field with `bytes` bytes. Its number is below 16, so its key has one byte.
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
