//! [`Document`]: a JSON file that a user wrote. Errors name the field and the expected value.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::RangeInclusive;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

/// Longest value that an error quotes, bytes.
const SHOWN_BYTES_MAX: usize = 40;

/// A parsed file.
#[derive(Debug)]
pub struct Document(Json);

/// A parsed value. An object keeps duplicate names, so that they can be refused.
#[derive(Debug)]
enum Json {
    Null,
    Bool(bool),
    Number(f64),
    Text(String),
    List(Vec<Json>),
    Object(Vec<(String, Json)>),
}

/// A value and its position in the file.
#[derive(Debug, Clone)]
pub struct Item<'a> {
    path: String,
    value: &'a Json,
}

/// The fields of an object.
#[derive(Debug, Clone)]
pub struct Fields<'a> {
    path: String,
    fields: &'a [(String, Json)],
}

impl Document {
    /// Parses a text. Like all errors of this module, the error does not include the path of the file.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        if bytes.trim_ascii().is_empty() {
            return Err("it is empty".to_owned());
        }
        match serde_json::from_slice(bytes) {
            Ok(json) => Ok(Self(json)),
            Err(error) => Err(format!("it is not valid JSON: {error}")),
        }
    }

    /// The fields of the file's object. `example` is an example of such an object, for the error.
    pub fn fields(&self, example: &str) -> Result<Fields<'_>, String> {
        let top = Item {
            path: String::new(),
            value: &self.0,
        };
        match &self.0 {
            Json::Object(_) => top.fields(),
            other => Err(format!(
                "it must be an object such as {example}, not {}",
                shown(other)
            )),
        }
    }
}

impl<'a> Item<'a> {
    /// The position of the value, such as `modules.cart.slots`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The error text for a value that is not `what`.
    pub fn must_be(&self, what: &str) -> String {
        format!("{} must be {what}, not {}", self.path, shown(self.value))
    }

    /// The fields of an object. Duplicate names are refused.
    pub fn fields(&self) -> Result<Fields<'a>, String> {
        let Json::Object(fields) = self.value else {
            return Err(self.must_be("an object in braces"));
        };
        let mut names: Vec<&str> = fields.iter().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        if let Some(twice) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(format!("{} is there twice", below(&self.path, twice[0])));
        }
        Ok(Fields {
            path: self.path.clone(),
            fields,
        })
    }

    pub fn list(&self) -> Result<Vec<Item<'a>>, String> {
        let Json::List(values) = self.value else {
            return Err(self.must_be("a list in brackets"));
        };
        let items = values.iter().enumerate().map(|(index, value)| Item {
            path: format!("{}[{index}]", self.path),
            value,
        });
        Ok(items.collect())
    }

    pub fn text(&self) -> Result<&'a str, String> {
        self.as_text().ok_or_else(|| self.must_be("a text in quotes"))
    }

    /// The value, if it is a text.
    pub fn as_text(&self) -> Option<&'a str> {
        match self.value {
            Json::Text(text) => Some(text),
            _ => None,
        }
    }

    pub fn number(&self) -> Result<f64, String> {
        match self.value {
            Json::Number(number) => Ok(*number),
            _ => Err(self.must_be("a number")),
        }
    }

    /// An integer within a range. The end of the range is at most 2^53.
    pub fn whole(&self, range: RangeInclusive<u64>) -> Result<u64, String> {
        let (from, to) = range.into_inner();
        match self.value {
            Json::Number(number) if number.fract() == 0.0 && (from as f64..=to as f64).contains(number) => {
                Ok(*number as u64)
            }
            _ => Err(self.must_be(&format!("a whole number from {from} to {to}"))),
        }
    }

    /// The choice whose name is the value.
    pub fn choice<T: Copy>(&self, choices: &[(&str, T)]) -> Result<T, String> {
        let found = choices.iter().find(|(name, _)| self.as_text() == Some(name));
        found.map(|(_, value)| *value).ok_or_else(|| {
            let names: Vec<String> = choices.iter().map(|(name, _)| format!("{name:?}")).collect();
            self.must_be(&names.join(" or "))
        })
    }
}

impl<'a> Fields<'a> {
    /// Refuses all names except those in `known`.
    pub fn only(self, known: &[&str]) -> Result<Self, String> {
        match self
            .fields
            .iter()
            .find(|(name, _)| !known.contains(&name.as_str()))
        {
            Some((name, _)) => Err(format!(
                "the field {} is unknown; use {}",
                below(&self.path, name),
                known.join(", ")
            )),
            None => Ok(self),
        }
    }

    /// An optional field. Null counts as missing.
    pub fn get(&self, name: &str) -> Option<Item<'a>> {
        let (name, value) = self.fields.iter().find(|(known, _)| known == name)?;
        (!matches!(value, Json::Null)).then(|| Item {
            path: below(&self.path, name),
            value,
        })
    }

    pub fn required(&self, name: &str) -> Result<Item<'a>, String> {
        self.get(name)
            .ok_or_else(|| format!("the field {} is missing", below(&self.path, name)))
    }

    /// The values of the object in the field `name`, by their names, which can be any; none if the field is missing.
    pub fn named<T>(
        &self,
        name: &str,
        parse: impl Fn(&Item<'_>) -> Result<T, String>,
    ) -> Result<BTreeMap<String, T>, String> {
        let fields = self.get(name).map(|item| item.fields()).transpose()?;
        let all = fields.iter().flat_map(Fields::all);
        all.map(|(name, item)| Ok((name.to_owned(), parse(&item)?)))
            .collect()
    }

    /// The values of the list in the field `name`; none if it is missing.
    pub fn each<T>(
        &self,
        name: &str,
        parse: impl Fn(&Item<'_>) -> Result<T, String>,
    ) -> Result<Vec<T>, String> {
        let items = self.get(name).map(|item| item.list()).transpose()?;
        items.iter().flatten().map(parse).collect()
    }

    /// All names and values.
    pub fn all(&self) -> impl Iterator<Item = (&'a str, Item<'a>)> {
        self.fields.iter().map(|(name, value)| {
            let path = below(&self.path, name);
            (name.as_str(), Item { path, value })
        })
    }
}

/// The path of a field of an object.
fn below(path: &str, name: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
    let name = match !name.is_empty() && name.bytes().all(is_plain) {
        true => name.to_owned(),
        false => format!("{name:?}"),
    };
    match path {
        "" => name,
        path => format!("{path}.{name}"),
    }
}

/// A value as shown in errors.
fn shown(value: &Json) -> String {
    match value {
        Json::Null => "null".to_owned(),
        Json::Bool(value) => value.to_string(),
        Json::Number(number) => number.to_string(),
        Json::Text(text) if text.len() <= SHOWN_BYTES_MAX => format!("{text:?}"),
        Json::Text(_) => "a long text".to_owned(),
        Json::List(values) if values.is_empty() => "an empty list".to_owned(),
        Json::List(_) => "a list".to_owned(),
        Json::Object(_) => "an object".to_owned(),
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(JsonVisitor)
    }
}

struct JsonVisitor;

impl<'de> Visitor<'de> for JsonVisitor {
    type Value = Json;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
        Ok(Json::Number(value as f64))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
        Ok(Json::Number(value as f64))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Json, E> {
        Ok(Json::Number(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Json, E> {
        Ok(Json::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Json, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Json::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Json, A::Error> {
        let mut object = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            object.push(entry);
        }
        Ok(Json::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cause(text: &str, read: impl Fn(&Fields<'_>) -> Result<(), String>) -> String {
        let read_all = |text: &str| {
            let document = Document::parse(text.as_bytes())?;
            read(&document.fields("{\"a\": 1}")?.only(&["a", "b"])?)
        };
        read_all(text).unwrap_err()
    }

    #[test]
    fn each_error_names_the_field_and_what_it_must_be() {
        let whole = |fields: &Fields<'_>| fields.required("a")?.whole(1..=1024).map(drop);
        for (text, expected) in [
            ("", "it is empty"),
            (" \n", "it is empty"),
            ("[]", "it must be an object such as {\"a\": 1}, not an empty list"),
            (
                "{",
                "it is not valid JSON: EOF while parsing an object at line 1 column 1",
            ),
            ("{\"b\": 1}", "the field a is missing"),
            ("{\"a\": null}", "the field a is missing"),
            ("{\"c\": 1}", "the field c is unknown; use a, b"),
            ("{\"a\": 1, \"a\": 2}", "a is there twice"),
            ("{\"a\": 0}", "a must be a whole number from 1 to 1024, not 0"),
            ("{\"a\": 1.5}", "a must be a whole number from 1 to 1024, not 1.5"),
            (
                "{\"a\": \"x\"}",
                "a must be a whole number from 1 to 1024, not \"x\"",
            ),
        ] {
            assert_eq!(cause(text, whole), expected, "{text}");
        }
        let nested = |fields: &Fields<'_>| {
            for (_, item) in fields.required("a")?.fields()?.all() {
                item.list()?[0].choice(&[("held", 1), ("released", 2)])?;
            }
            Ok(())
        };
        for (text, expected) in [
            ("{\"a\": []}", "a must be an object in braces, not an empty list"),
            (
                "{\"a\": {\"x\": true}}",
                "a.x must be a list in brackets, not true",
            ),
            (
                "{\"a\": {\"x y\": [{}]}}",
                "a.\"x y\"[0] must be \"held\" or \"released\", not an object",
            ),
            (
                "{\"a\": {\"x\": [\"held\"], \"x\": [\"held\"]}}",
                "a.x is there twice",
            ),
        ] {
            assert_eq!(cause(text, nested), expected, "{text}");
        }
    }
}
