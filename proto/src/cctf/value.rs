//! [`Value`]: the types that a field of a row can have, with their JSON encodings.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;

use serde::de::{Deserialize, Deserializer, Visitor};
use serde_json::value::RawValue;

use super::decode::{Decode, Encoded, escapes};
use super::row::Field;

/// The type of a field, from which the schemas are generated.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// 32 hex digits.
    TraceId,
    /// 16 hex digits.
    SpanId,
    /// A string.
    Text,
    /// One of a fixed set of strings.
    OneOf(&'static [&'static str]),
    /// A signed 64-bit integer.
    Integer,
    /// An unsigned integer, at most 2^63 - 1.
    Unsigned,
    /// A double.
    Float,
    /// true or false.
    Bool,
    /// A decimal of milliseconds with six places.
    Milliseconds,
    /// An array whose items have this type.
    List(&'static Kind),
    /// An object with these fields.
    Object(&'static [Field]),
    /// An object whose keys are data and whose values are scalars.
    Attributes,
    /// An object whose keys are data and whose values are counts.
    Counters,
}

/// A value of a field.
pub trait Value {
    /// The type in the schemas.
    const KIND: Kind;
    /// Appends the value as JSON.
    fn encode(&self, out: &mut Vec<u8>);
}

/// A string, borrowed from the telemetry or from the line if possible.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Text<'a>(pub Cow<'a, str>);

impl Text<'_> {
    /// The text with its own memory.
    pub fn into_owned(self) -> Text<'static> {
        Text(Cow::Owned(self.0.into_owned()))
    }
}

impl Deref for Text<'_> {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Text<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, formatter)
    }
}

impl<'a> From<&'a str> for Text<'a> {
    fn from(text: &'a str) -> Self {
        Self(Cow::Borrowed(text))
    }
}

impl From<String> for Text<'_> {
    fn from(text: String) -> Self {
        Self(Cow::Owned(text))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor<'a>(PhantomData<&'a ()>);
        impl<'de: 'a, 'a> Visitor<'de> for TextVisitor<'a> {
            type Value = Text<'a>;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a string")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Borrowed(text)))
            }
            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(TextVisitor(PhantomData))
    }
}

impl<'de: 'a, 'a> Decode<'de> for Text<'a> {
    #[inline]
    fn decode(from: &mut Encoded<'de>) -> Option<Self> {
        from.plain_string().map(Self::from)
    }
}

/// Appends `text` as a JSON string.
#[inline]
pub fn push_json_string(text: &str, out: &mut Vec<u8>) {
    if needs_escape(text.as_bytes()) {
        return push_escaped(text, out);
    }
    out.reserve(text.len() + 2);
    out.push(b'"');
    out.extend_from_slice(text.as_bytes());
    out.push(b'"');
}

/// Whether any byte must be escaped in a JSON string. It compares eight bytes at a time, because it runs for every text of
/// every row and nearly always returns false.
#[inline]
fn needs_escape(bytes: &[u8]) -> bool {
    let (words, rest) = bytes.as_chunks::<8>();
    let in_words = words
        .iter()
        .fold(0, |found, word| found | escapes(u64::from_le_bytes(*word)));
    let mut last = [b'a'; 8];
    last[..rest.len()].copy_from_slice(rest);
    in_words | escapes(u64::from_le_bytes(last)) != 0
}

#[cold]
fn push_escaped(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    let bytes = text.as_bytes();
    let mut clean_from = 0;
    for (index, &byte) in bytes.iter().enumerate() {
        if byte >= 0x20 && byte != b'"' && byte != b'\\' {
            continue;
        }
        out.extend_from_slice(&bytes[clean_from..index]);
        clean_from = index + 1;
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            _ => out.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
        }
    }
    out.extend_from_slice(&bytes[clean_from..]);
    out.push(b'"');
}

impl Value for Text<'_> {
    const KIND: Kind = Kind::Text;
    fn encode(&self, out: &mut Vec<u8>) {
        push_json_string(&self.0, out);
    }
}

impl Value for u64 {
    const KIND: Kind = Kind::Unsigned;
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(itoa::Buffer::new().format(*self).as_bytes());
    }
}

impl Value for i64 {
    const KIND: Kind = Kind::Integer;
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(itoa::Buffer::new().format(*self).as_bytes());
    }
}

impl Value for f64 {
    const KIND: Kind = Kind::Float;
    /// Encodes the number with a decimal point or an exponent, so that the type of a column is the same in all rows. The caller
    /// must have removed infinite values and NaN, which JSON cannot represent.
    fn encode(&self, out: &mut Vec<u8>) {
        debug_assert!(self.is_finite());
        if self.is_finite() {
            out.extend_from_slice(ryu::Buffer::new().format_finite(*self).as_bytes());
        } else {
            out.extend_from_slice(b"null");
        }
    }
}

impl Value for bool {
    const KIND: Kind = Kind::Bool;
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(if *self { b"true" } else { b"false" });
    }
}

impl<T: Value> Value for Vec<T> {
    const KIND: Kind = Kind::List(&T::KIND);
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(b'[');
        for (index, item) in self.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            item.encode(out);
        }
        out.push(b']');
    }
}

/// An encoded JSON object with sorted keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonObject<'a>(pub Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for JsonObject<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&RawValue>::deserialize(deserializer)?;
        if !raw.get().starts_with('{') {
            return Err(serde::de::Error::custom("expected an object"));
        }
        Ok(Self(Cow::Borrowed(raw.get())))
    }
}

impl<'de: 'a, 'a> Decode<'de> for JsonObject<'a> {
    fn decode(from: &mut Encoded<'de>) -> Option<Self> {
        let mut values = serde_json::Deserializer::from_str(from.rest()).into_iter::<&RawValue>();
        let raw = values.next()?.ok()?.get();
        // The caller needs the object at this position, so a space before it is not accepted.
        let taken = from.take(raw.len())?;
        (taken == raw && raw.starts_with('{')).then_some(Self(Cow::Borrowed(taken)))
    }
}

impl Value for JsonObject<'_> {
    const KIND: Kind = Kind::Attributes;
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.0.as_bytes());
    }
}

/// Counts by name, sorted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Counters(pub BTreeMap<String, u64>);

impl<'de> Deserialize<'de> for Counters {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        BTreeMap::deserialize(deserializer).map(Self)
    }
}

impl Decode<'_> for Counters {
    /// Always `None`: only `run_meta.json` has counters, so speed does not matter.
    fn decode(_: &mut Encoded<'_>) -> Option<Self> {
        None
    }
}

impl Value for Counters {
    const KIND: Kind = Kind::Counters;
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(b'{');
        for (index, (name, count)) in self.0.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            push_json_string(name, out);
            out.push(b':');
            count.encode(out);
        }
        out.push(b'}');
    }
}

/// Declares an enum whose values are written as fixed strings.
macro_rules! one_of {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$variant_doc])* $variant,)* }

        impl $name {
            /// All values, in the order of the contract.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The string in the files.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }

            /// The value with this string.
            pub fn parse(text: &str) -> Option<Self> {
                match text { $($text => Some(Self::$variant),)* _ => None }
            }
        }

        impl $crate::cctf::value::Value for $name {
            const KIND: $crate::cctf::value::Kind = $crate::cctf::value::Kind::OneOf(&[$($text,)*]);
            fn encode(&self, out: &mut Vec<u8>) {
                out.push(b'"');
                out.extend_from_slice(self.as_str().as_bytes());
                out.push(b'"');
            }
        }

        impl $crate::cctf::treatment::Treat for $name {}

        impl $crate::cctf::decode::Decode<'_> for $name {
            fn decode(from: &mut $crate::cctf::decode::Encoded<'_>) -> Option<Self> {
                Self::parse(from.plain_string()?)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = $crate::cctf::value::Text::deserialize(deserializer)?;
                Self::parse(&text).ok_or_else(|| serde::de::Error::unknown_variant(&text, &[$($text,)*]))
            }
        }
    };
}
pub(crate) use one_of;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_escaped_as_json_requires() {
        let text = "a\"b\\c\nd\u{1}e\u{7f}ü\u{1F980}";
        let mut out = Vec::new();
        push_json_string(text, &mut out);
        assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text);
    }

    /// Fails if a byte that must be escaped is written as it is, which would make the line invalid.
    #[test]
    fn every_byte_that_needs_it_is_escaped_at_every_offset() {
        for len in 1..20 {
            for index in 0..len {
                for byte in 0..0x80 {
                    let mut text = vec![b'x'; len];
                    text[index] = byte;
                    let text = String::from_utf8(text).unwrap();
                    let is_plain = byte >= 0x20 && byte != b'"' && byte != b'\\';
                    assert_eq!(
                        needs_escape(text.as_bytes()),
                        !is_plain,
                        "{byte} at {index} of {len}"
                    );
                    let mut out = Vec::new();
                    push_json_string(&text, &mut out);
                    assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text);
                }
            }
        }
        assert!(!needs_escape("ü\u{1F980}\u{7f}ÿ".as_bytes()));
    }

    #[test]
    fn a_whole_number_is_still_written_as_a_float() {
        let mut out = Vec::new();
        3.0_f64.encode(&mut out);
        assert_eq!(out, b"3.0");
    }
}
