//! Converts OTLP/JSON to protobuf in one pass, so that all later parts handle one format.
//!
//! By the specification, names are lowerCamelCase (snake_case is accepted as well), ids are hex, enums are numbers, 64-bit numbers
//! are strings or numbers, bytes are base64, and unknown fields are skipped. 64-bit numbers never pass through a float. Text that
//! is not Unicode, such as half of a surrogate pair, becomes bytes that the intake repairs.

mod scalar;
mod schema;

use std::fmt;

use bytes::Bytes;
use cctf_proto::otlp::WireErrorKind;
use cctf_proto::otlp::wire::NESTING_MAX;
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint};
use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor,
};
use serde_json::value::RawValue;

use super::budget::{Budget, Reservation};
use super::intake::readable;
use super::refusal::Refusal;
use crate::journal::Signal;
use scalar::Scalar;
use schema::{Field, Kind, Message};

/// Converts an export request in JSON to protobuf, without limits. Texts that are not UTF-8 stay as they are.
pub fn message_of_json(signal: Signal, json: &[u8]) -> Result<Bytes, Refusal> {
    let mut reservation = Budget::new(usize::MAX).reservation();
    to_protobuf(signal, json, usize::MAX, &mut reservation)
}

/// Converts an export request in JSON to the protobuf bytes of a journal record, without limits. For tests and tools.
pub fn protobuf_of_json(signal: Signal, json: &[u8]) -> Result<Bytes, Refusal> {
    let message = message_of_json(signal, json)?;
    readable(signal, &message)
        .map(Bytes::from)
        .map_err(|error| Refusal::Malformed(error.to_string()))
}

/// Converts an export request in JSON to at most `limit` bytes of protobuf.
pub(super) fn to_protobuf(
    signal: Signal,
    json: &[u8],
    limit: usize,
    reservation: &mut Reservation,
) -> Result<Bytes, Refusal> {
    let message = match signal {
        Signal::Traces => &schema::TRACE_REQUEST,
        Signal::Metrics => &schema::METRICS_REQUEST,
        Signal::Logs => &schema::LOGS_REQUEST,
    };
    let mut out = Vec::with_capacity(json.len() / 2);
    let mut reader = serde_json::Deserializer::from_slice(json);
    // The recursion limit is not needed: nesting of messages is limited as in protobuf, and unknown fields are skipped without
    // recursion.
    reader.disable_recursion_limit();
    let written = Fields {
        message,
        out: &mut out,
        limit,
        levels: NESTING_MAX,
    }
    .deserialize(&mut reader)
    .and_then(|()| reader.end());
    if out.len() > limit {
        return Err(Refusal::TooLarge { limit });
    }
    written.map_err(|error| Refusal::Malformed(error.to_string()))?;
    reservation.grow(out.len())?;
    Ok(Bytes::from(out))
}

/// A visitor that appends an object's fields.
struct Fields<'out> {
    message: &'static Message,
    out: &'out mut Vec<u8>,
    limit: usize,
    /// Remaining levels of nesting.
    levels: u32,
}

impl<'de> DeserializeSeed<'de> for Fields<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Fields<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(field) = map.next_key_seed(Name {
            message: self.message,
        })? {
            let Some(field) = field else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            map.next_value_seed(Value {
                field,
                in_list: false,
                out: self.out,
                limit: self.limit,
                levels: self.levels,
            })?;
        }
        Ok(())
    }
}

/// A visitor for a field's name; `None` for an unknown one.
struct Name {
    message: &'static Message,
}

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Option<&'static Field>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_bytes(self)
    }
}

impl Visitor<'_> for Name {
    type Value = Option<&'static Field>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a field's name")
    }

    fn visit_bytes<E: Error>(self, name: &[u8]) -> Result<Self::Value, E> {
        let fields = self.message.fields;
        let field = fields.iter().find(|field| field.name.as_bytes() == name);
        Ok(field.or_else(|| fields.iter().find(|field| is_snake_case_of(name, field.name))))
    }
}

fn is_snake_case_of(name: &[u8], camel_case: &str) -> bool {
    let mut name = name.iter().copied();
    camel_case.bytes().all(|byte| match byte {
        b'A'..=b'Z' => name.next() == Some(b'_') && name.next() == Some(byte.to_ascii_lowercase()),
        _ => name.next() == Some(byte),
    }) && name.next().is_none()
}

/// A visitor for the value of a field, or for one element of a list.
struct Value<'out> {
    field: &'static Field,
    in_list: bool,
    out: &'out mut Vec<u8>,
    limit: usize,
    levels: u32,
}

impl Value<'_> {
    /// Appends an integer from its text.
    fn number<E: Error>(self, json: &str) -> Result<(), E> {
        let name = self.field.name;
        match json.as_bytes().first() {
            Some(b'"') => {
                let text: String = serde_json::from_str(json).map_err(E::custom)?;
                self.scalar(Scalar::Text(text.as_bytes()))
            }
            Some(b'n') => self.visit_unit(),
            Some(b't' | b'f') => self.scalar(Scalar::Bool(json == "true")),
            Some(b'{') => Err(E::custom(format_args!("{name} cannot be an object"))),
            Some(b'[') => Err(E::custom(format_args!("{name} cannot be an array here"))),
            _ => self.scalar(Scalar::Number(json)),
        }
    }

    fn scalar<E: Error>(self, scalar: Scalar<'_>) -> Result<(), E> {
        let Field {
            name,
            number,
            kind,
            repeated,
        } = *self.field;
        if repeated != self.in_list {
            return Err(E::custom(format_args!("{name} must be an array")));
        }
        if !(self.in_list && kind.is_packed()) {
            encode_key(number, wire_type(kind), self.out);
        }
        scalar::encode(kind, scalar, self.out)
            .ok_or_else(|| E::custom(format_args!("{name} cannot be {scalar}")))?;
        self.within_limit()
    }

    /// Stops when the output exceeds the limit. The caller recognises this error by the length of the output.
    fn within_limit<E: Error>(&self) -> Result<(), E> {
        if self.out.len() > self.limit {
            Err(E::custom("the message is too large"))
        } else {
            Ok(())
        }
    }
}

impl<'de> DeserializeSeed<'de> for Value<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        let is_one = self.field.repeated == self.in_list;
        match self.field.kind {
            // Read as bytes, because the text may be invalid Unicode.
            Kind::String | Kind::Id if is_one => deserializer.deserialize_option(self),
            kind if is_one && kind.is_integer() => {
                let json = <&RawValue>::deserialize(deserializer)?;
                self.number(json.get())
            }
            _ => deserializer.deserialize_any(self),
        }
    }
}

impl<'de> Visitor<'de> for Value<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "a value of {}", self.field.name)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        self.scalar(Scalar::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        self.scalar(Scalar::Signed(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        self.scalar(Scalar::Unsigned(value))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        self.scalar(Scalar::Float(value))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<(), E> {
        self.scalar(Scalar::Text(value.as_bytes()))
    }

    fn visit_bytes<E: Error>(self, value: &[u8]) -> Result<(), E> {
        self.scalar(Scalar::Text(value))
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_bytes(self)
    }

    fn visit_none<E: Error>(self) -> Result<(), E> {
        self.visit_unit()
    }

    /// null counts as absent; in a list of messages, it is an empty message. In a list of scalars it is an error, as in ProtoJSON:
    /// without it, the later elements would move to other places, such as those of other buckets.
    fn visit_unit<E: Error>(self) -> Result<(), E> {
        match self.field.kind {
            Kind::Message(_) if self.in_list => delimited(self.field.number, self.out, |_| Ok(())),
            _ if self.in_list => Err(E::custom(format_args!("{} cannot contain null", self.field.name))),
            _ => Ok(()),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        let Kind::Message(message) = self.field.kind else {
            return Err(A::Error::custom(format_args!(
                "{} cannot be an object",
                self.field.name
            )));
        };
        if self.field.repeated != self.in_list {
            return Err(A::Error::custom(format_args!(
                "{} must be an array",
                self.field.name
            )));
        }
        let limit = self.limit;
        let Some(levels) = self.levels.checked_sub(1) else {
            return Err(A::Error::custom(WireErrorKind::NestedTooDeep));
        };
        delimited(self.field.number, &mut *self.out, |out| {
            let fields = Fields {
                message,
                out,
                limit,
                levels,
            };
            fields.visit_map(map)
        })?;
        self.within_limit()
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        let Self {
            field,
            in_list,
            out,
            limit,
            levels,
        } = self;
        if in_list || !field.repeated {
            return Err(A::Error::custom(format_args!(
                "{} cannot be an array here",
                field.name
            )));
        }
        let mut each = |out: &mut Vec<u8>| {
            while elements
                .next_element_seed(Value {
                    field,
                    in_list: true,
                    out,
                    limit,
                    levels,
                })?
                .is_some()
            {}
            Ok(())
        };
        if field.kind.is_packed() {
            delimited(field.number, out, each)
        } else {
            each(out)
        }
    }
}

/// Appends a length-delimited field. Its length is inserted after it is written.
fn delimited<E>(
    number: u32,
    out: &mut Vec<u8>,
    write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
) -> Result<(), E> {
    encode_key(number, WireType::LengthDelimited, out);
    out.push(0);
    let start = out.len();
    write(out)?;
    let len = out.len() - start;
    let length_len = encoded_len_varint(len as u64);
    out.resize(out.len() + length_len - 1, 0);
    out.copy_within(start..start + len, start + length_len - 1);
    let mut length = &mut out[start - 1..start - 1 + length_len];
    encode_varint(len as u64, &mut length);
    Ok(())
}

fn wire_type(kind: Kind) -> WireType {
    match kind {
        Kind::String | Kind::Id | Kind::Bytes | Kind::Message(_) => WireType::LengthDelimited,
        Kind::Bool | Kind::Int | Kind::Sint | Kind::Uint => WireType::Varint,
        Kind::Fixed32 => WireType::ThirtyTwoBit,
        Kind::Fixed64 | Kind::Sfixed64 | Kind::Double => WireType::SixtyFourBit,
    }
}

#[cfg(test)]
mod tests;
