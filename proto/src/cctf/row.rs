//! [`Row`] and the `row!` macro: one declaration generates a row's struct, encoder, readers and field table.

use serde::de::Deserialize;

use super::decode::Decode;
use super::treatment::{Replacer, Treatment, Untreatable};
use super::value::{Kind, Value};

/// Whether a field is in every row, and whether it can be null.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// In every row, never null.
    Required,
    /// In every row, null when unknown.
    Nullable,
    /// Absent when unknown, never null.
    Optional,
}

/// A field of a row. The schemas and tables are generated from it.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    /// Name in the file.
    pub name: &'static str,
    pub presence: Presence,
    pub kind: Kind,
    /// How the field's values change when a run is anonymised.
    pub treatment: Treatment,
    /// Meaning and unit.
    pub doc: &'static str,
}

/// A row: a line of a `.jsonl` file, an object of a `.json` file, or an object nested in one.
pub trait Row<'a>: Deserialize<'a> + Decode<'a> {
    /// The fields, in the order of the files.
    const FIELDS: &'static [Field];

    /// Appends the row as one JSON object, without a newline.
    fn encode(&self, out: &mut Vec<u8>);

    /// Like [`Row::encode`], but replaces each value according to the treatment of its field.
    ///
    /// # Errors
    /// If a value has no replacement. `out` may then contain a part of the row.
    fn encode_anonymised<R: Replacer>(&self, by: &mut R, out: &mut Vec<u8>) -> Result<(), Untreatable>;
}

/// The index of a field, for use in constants.
///
/// # Panics
/// If no field has that name. In a constant this is a compile error.
pub const fn field_index(fields: &[Field], name: &str) -> usize {
    let mut index = 0;
    while index < fields.len() {
        if same(fields[index].name.as_bytes(), name.as_bytes()) {
            return index;
        }
        index += 1;
    }
    panic!("no field of that name")
}

const fn same(left: &[u8], right: &[u8]) -> bool {
    if left.len() != right.len() {
        return false;
    }
    let mut index = 0;
    while index < left.len() {
        if left[index] != right[index] {
            return false;
        }
        index += 1;
    }
    true
}

/// Appends one field of a row whose other fields were encoded earlier. It writes a comma first, so it must not be the first
/// field. It is always inlined: with a constant field, its name is copied without a call.
#[inline(always)]
pub fn push_field<T: Value>(field: &Field, value: Option<&T>, out: &mut Vec<u8>) {
    if value.is_none() && field.presence == Presence::Optional {
        return;
    }
    out.extend_from_slice(b",\"");
    out.extend_from_slice(field.name.as_bytes());
    out.extend_from_slice(b"\":");
    match value {
        Some(value) => value.encode(out),
        None => out.extend_from_slice(b"null"),
    }
}

/// Finds a field by name. It first tries the field after the last one found, because rows are written in a fixed order.
pub(crate) fn find_field(fields: &[Field], name: &str, expected: &mut usize) -> Option<usize> {
    let after = *expected;
    let index = match fields[after..].iter().position(|field| field.name == name) {
        Some(skipped) => after + skipped,
        None => fields[..after].iter().position(|field| field.name == name)?,
    };
    *expected = index + 1;
    Some(index)
}

/// Adds the name of the field to the error about its value.
#[cold]
pub(crate) fn in_field<E: serde::de::Error>(name: &str, error: E) -> E {
    E::custom(format_args!("{name}: {error}"))
}

/// Declares a row type. Each field has a doc comment, `required`, `nullable` or `optional`, a name, a type, and after `=>` its
/// treatment in an anonymised run. `as "type"` sets the name in the file if this name is a Rust keyword.
macro_rules! row {
    (
        $(#[doc = $row_doc:literal])*
        pub struct $name:ident $(<$life:lifetime>)? {
            $($(#[doc = $doc:literal])* $presence:ident $field:ident $(as $rename:literal)? : $type:ty
                => $treatment:ident $(($of:ident))?,)*
        }
    ) => {
        $(#[doc = $row_doc])*
        #[derive(Debug, Clone, PartialEq)]
        #[allow(non_snake_case)]
        pub struct $name $(<$life>)? {
            $($(#[doc = $doc])* pub $field: $crate::cctf::row::row!(@type $presence $type),)*
        }

        impl $(<$life>)? $name $(<$life>)? {
            /// Appends the fields from index `FROM` up to but excluding `TO`. The first part opens the object and the last
            /// one closes it, so that parts encoded at different times can be concatenated to the row.
            #[inline]
            pub fn encode_part<const FROM: usize, const TO: usize>(&self, out: &mut Vec<u8>) {
                self.encode_fields::<FROM, TO>(out, |_| ());
                if TO >= <Self as $crate::cctf::row::Row>::FIELDS.len() {
                    out.push(b'}');
                }
            }

            /// Appends all fields without the brace at the end, and the end of each field to `ends`. So the caller can write
            /// similar rows from the same text.
            pub fn encode_with_ends(&self, out: &mut Vec<u8>, ends: &mut Vec<usize>) {
                self.encode_fields::<0, { usize::MAX }>(out, |end| ends.push(end));
            }

            /// Appends the fields from index `FROM` up to but excluding `TO`, and passes the end of each to `ended`.
            #[inline(always)]
            fn encode_fields<const FROM: usize, const TO: usize>(
                &self,
                out: &mut Vec<u8>,
                mut ended: impl FnMut(usize),
            ) {
                #[allow(non_camel_case_types, clippy::upper_case_acronyms)]
                enum Index { $($field,)* }
                if FROM == 0 {
                    out.push(b'{');
                }
                $(
                    if Index::$field as usize >= FROM && (Index::$field as usize) < TO {
                        $crate::cctf::row::row!(
                            @encode $presence, self.$field, out,
                            // The first field has no comma before it. It is always present, because it is required in every row
                            // type.
                            if Index::$field as usize == 0 {
                                concat!("\"", $crate::cctf::row::row!(@name $field $($rename)?), "\":")
                            } else {
                                concat!(",\"", $crate::cctf::row::row!(@name $field $($rename)?), "\":")
                            }
                        );
                        ended(out.len());
                    }
                )*
            }
        }

        impl<'de $(: $life, $life)?> $crate::cctf::row::Row<'de> for $name $(<$life>)? {
            const FIELDS: &'static [$crate::cctf::row::Field] = &[$(
                $crate::cctf::row::Field {
                    name: $crate::cctf::row::row!(@name $field $($rename)?),
                    presence: $crate::cctf::row::row!(@presence $presence),
                    kind: <$type as $crate::cctf::value::Value>::KIND,
                    treatment: $crate::cctf::row::row!(@treatment $treatment $($of)?).checked(
                        <$type as $crate::cctf::value::Value>::KIND,
                        $crate::cctf::row::row!(@presence $presence),
                    ),
                    doc: concat!($($doc, "\n",)*),
                },
            )*];

            fn encode(&self, out: &mut Vec<u8>) {
                self.encode_part::<0, { usize::MAX }>(out);
            }

            fn encode_anonymised<R: $crate::cctf::treatment::Replacer>(
                &self,
                by: &mut R,
                out: &mut Vec<u8>,
            ) -> Result<(), $crate::cctf::treatment::Untreatable> {
                const INNER: $crate::cctf::treatment::Treatment = $crate::cctf::treatment::Treatment::Inner;
                $crate::cctf::treatment::Treat::encode_treated(self, INNER, "", by, out)
            }
        }

        impl $(<$life>)? $crate::cctf::value::Value for $name $(<$life>)? {
            const KIND: $crate::cctf::value::Kind =
                $crate::cctf::value::Kind::Object(<Self as $crate::cctf::row::Row>::FIELDS);
            fn encode(&self, out: &mut Vec<u8>) {
                $crate::cctf::row::Row::encode(self, out);
            }
        }

        impl $(<$life>)? $crate::cctf::treatment::Treat for $name $(<$life>)? {
            fn encode_treated<R: $crate::cctf::treatment::Replacer>(
                &self,
                _: $crate::cctf::treatment::Treatment,
                _: &str,
                by: &mut R,
                out: &mut Vec<u8>,
            ) -> Result<(), $crate::cctf::treatment::Untreatable> {
                #[allow(non_camel_case_types, clippy::upper_case_acronyms)]
                enum Index { $($field,)* }
                out.push(b'{');
                $(
                    $crate::cctf::row::row!(
                        @encode_treated $presence, self.$field,
                        const { &<Self as $crate::cctf::row::Row>::FIELDS[Index::$field as usize] },
                        $crate::cctf::row::row!(@node self, $treatment $($of)?), by, out,
                        if Index::$field as usize == 0 {
                            concat!("\"", $crate::cctf::row::row!(@name $field $($rename)?), "\":")
                        } else {
                            concat!(",\"", $crate::cctf::row::row!(@name $field $($rename)?), "\":")
                        }
                    );
                )*
                out.push(b'}');
                Ok(())
            }
        }

        impl<'de $(: $life, $life)?> $crate::cctf::decode::Decode<'de> for $name $(<$life>)? {
            #[allow(non_snake_case)]
            fn decode(from: &mut $crate::cctf::decode::Encoded<'de>) -> Option<Self> {
                #[allow(non_camel_case_types, clippy::upper_case_acronyms)]
                enum Index { $($field,)* }
                $(
                    let $field = $crate::cctf::row::row!(
                        @decode $presence $type, from,
                        if Index::$field as usize == 0 {
                            concat!("{\"", $crate::cctf::row::row!(@name $field $($rename)?), "\":")
                        } else {
                            concat!(",\"", $crate::cctf::row::row!(@name $field $($rename)?), "\":")
                        }
                    );
                )*
                from.skip("}").then_some($name { $($field,)* })
            }
        }

        impl<'de $(: $life, $life)?> serde::Deserialize<'de> for $name $(<$life>)? {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct RowVisitor<T>(std::marker::PhantomData<T>);
                impl<'de $(: $life, $life)?> serde::de::Visitor<'de> for RowVisitor<$name $(<$life>)?> {
                    type Value = $name $(<$life>)?;
                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        formatter.write_str("an object")
                    }
                    #[allow(non_snake_case)]
                    fn visit_map<M: serde::de::MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
                        #[allow(non_camel_case_types, clippy::upper_case_acronyms)]
                        enum Index { $($field,)* }
                        $(let mut $field: Option<$crate::cctf::row::row!(@read $presence $type)> = None;)*
                        let mut expected = 0;
                        while let Some(name) = map.next_key::<$crate::cctf::value::Text<'de>>()? {
                            let found = $crate::cctf::row::find_field(
                                <Self::Value as $crate::cctf::row::Row>::FIELDS, &name, &mut expected,
                            );
                            match found {
                                $(Some(index) if index == Index::$field as usize => {
                                    const NAME: &str = $crate::cctf::row::row!(@name $field $($rename)?);
                                    let value =
                                        map.next_value().map_err(|error| $crate::cctf::row::in_field(NAME, error))?;
                                    if $field.replace(value).is_some() {
                                        return Err(serde::de::Error::duplicate_field(NAME));
                                    }
                                })*
                                _ => { map.next_value::<serde::de::IgnoredAny>()?; }
                            }
                        }
                        Ok($name {
                            $($field: $crate::cctf::row::row!(
                                @take $presence, $field, $crate::cctf::row::row!(@name $field $($rename)?)
                            ),)*
                        })
                    }
                }
                deserializer.deserialize_map(RowVisitor(std::marker::PhantomData))
            }
        }
    };
    (@decode required $type:ty, $from:ident, $key:expr) => {
        if $from.skip($key) { <$type as $crate::cctf::decode::Decode>::decode($from)? } else { return None }
    };
    (@decode nullable $type:ty, $from:ident, $key:expr) => {
        match $from.skip($key) {
            true if $from.skip("null") => None,
            true => Some(<$type as $crate::cctf::decode::Decode>::decode($from)?),
            false => return None,
        }
    };
    (@decode optional $type:ty, $from:ident, $key:expr) => {
        if $from.skip($key) { Some(<$type as $crate::cctf::decode::Decode>::decode($from)?) } else { None }
    };
    (@type required $type:ty) => { $type };
    (@type $presence:ident $type:ty) => { Option<$type> };
    (@read nullable $type:ty) => { Option<$type> };
    (@read $presence:ident $type:ty) => { $type };
    (@name $field:ident $rename:literal) => { $rename };
    (@name $field:ident) => { stringify!($field) };
    (@presence required) => { $crate::cctf::row::Presence::Required };
    (@presence nullable) => { $crate::cctf::row::Presence::Nullable };
    (@presence optional) => { $crate::cctf::row::Presence::Optional };
    (@take optional, $field:ident, $name:expr) => { $field };
    (@take $presence:ident, $field:ident, $name:expr) => {
        $field.ok_or_else(|| serde::de::Error::missing_field($name))?
    };
    (@treatment id) => { $crate::cctf::treatment::Treatment::Id };
    (@treatment name) => { $crate::cctf::treatment::Treatment::Name };
    (@treatment path) => { $crate::cctf::treatment::Treatment::Path };
    (@treatment url) => { $crate::cctf::treatment::Treatment::Url };
    (@treatment query) => { $crate::cctf::treatment::Treatment::Query };
    (@treatment text) => { $crate::cctf::treatment::Treatment::Text };
    (@treatment run_id) => { $crate::cctf::treatment::Treatment::RunId };
    (@treatment link $node:ident) => { $crate::cctf::treatment::Treatment::Link };
    (@treatment attributes) => { $crate::cctf::treatment::Treatment::Attributes };
    (@treatment known $known:ident) => { $crate::cctf::treatment::Treatment::Known($crate::cctf::known::$known) };
    (@treatment time) => { $crate::cctf::treatment::Treatment::Time };
    (@treatment keep) => { $crate::cctf::treatment::Treatment::Keep };
    (@treatment drop) => { $crate::cctf::treatment::Treatment::Drop };
    (@treatment inner) => { $crate::cctf::treatment::Treatment::Inner };
    (@node $row:ident, link $node:ident) => { &*$row.$node };
    (@node $row:ident, $($treatment:tt)*) => { "" };
    (@encode_treated required, $value:expr, $of:expr, $node:expr, $by:ident, $out:ident, $key:expr) => {
        $out.extend_from_slice($key.as_bytes());
        $crate::cctf::treatment::Treat::encode_treated(&$value, $of.treatment, $node, $by, $out)?;
    };
    (@encode_treated nullable, $value:expr, $of:expr, $node:expr, $by:ident, $out:ident, $key:expr) => {
        $out.extend_from_slice($key.as_bytes());
        match (&$value, $of.treatment) {
            (None, _) => $out.extend_from_slice(b"null"),
            (Some(_), $crate::cctf::treatment::Treatment::Drop) => {
                $by.dropped($of);
                $out.extend_from_slice(b"null");
            }
            (Some(value), treatment) => {
                $crate::cctf::treatment::Treat::encode_treated(value, treatment, $node, $by, $out)?;
            }
        }
    };
    (@encode_treated optional, $value:expr, $of:expr, $node:expr, $by:ident, $out:ident, $key:expr) => {
        match (&$value, $of.treatment) {
            (None, _) => {}
            (Some(_), $crate::cctf::treatment::Treatment::Drop) => $by.dropped($of),
            (Some(value), treatment) => {
                $out.extend_from_slice($key.as_bytes());
                $crate::cctf::treatment::Treat::encode_treated(value, treatment, $node, $by, $out)?;
            }
        }
    };
    (@encode required, $value:expr, $out:ident, $key:expr) => {
        $out.extend_from_slice($key.as_bytes());
        $crate::cctf::value::Value::encode(&$value, $out);
    };
    (@encode nullable, $value:expr, $out:ident, $key:expr) => {
        $out.extend_from_slice($key.as_bytes());
        match &$value {
            Some(value) => $crate::cctf::value::Value::encode(value, $out),
            None => $out.extend_from_slice(b"null"),
        }
    };
    (@encode optional, $value:expr, $out:ident, $key:expr) => {
        if let Some(value) = &$value {
            $out.extend_from_slice($key.as_bytes());
            $crate::cctf::value::Value::encode(value, $out);
        }
    };
}
pub(crate) use row;
