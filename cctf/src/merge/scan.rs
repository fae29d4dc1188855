//! [`Fields`]: the fields of one line of JSON, each as the bytes that it is written with, so that what is not changed is copied.

use cctf_proto::cctf::Field;

/// The index of a field that the contract does not know.
pub const UNKNOWN: usize = usize::MAX;

/// One field of an object.
#[derive(Debug, Clone, Copy)]
pub struct RawField<'a> {
    /// Its name, as written.
    pub name: &'a [u8],
    /// Its value, as written.
    pub value: &'a [u8],
    /// Where its name's quote stands in the line.
    pub begin: usize,
    /// Where its value ends.
    pub end: usize,
}

/// A line that is no object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not one JSON object")]
pub struct NotAnObject;

/// The fields of an object, from the first to the last.
pub struct Fields<'a> {
    line: &'a [u8],
    at: usize,
    is_first: bool,
}

impl<'a> Fields<'a> {
    /// The fields of the object that `line` is.
    pub fn of(line: &'a [u8]) -> Result<Self, NotAnObject> {
        let at = skip_spaces(line, 0);
        if line.get(at) != Some(&b'{') {
            return Err(NotAnObject);
        }
        Ok(Self {
            line,
            at: at + 1,
            is_first: true,
        })
    }

    /// The next field; `None` behind the last, where nothing but spaces may follow.
    #[inline]
    pub fn next_field(&mut self) -> Result<Option<RawField<'a>>, NotAnObject> {
        let line = self.line;
        let mut at = skip_spaces(line, self.at);
        match line.get(at) {
            Some(b'}') => {
                let rest = skip_spaces(line, at + 1);
                return if rest == line.len() {
                    Ok(None)
                } else {
                    Err(NotAnObject)
                };
            }
            Some(b',') if !self.is_first => at = skip_spaces(line, at + 1),
            Some(b'"') if self.is_first => {}
            _ => return Err(NotAnObject),
        }
        self.is_first = false;
        let begin = at;
        let name_end = end_of_string(line, at)?;
        at = skip_spaces(line, name_end);
        if line.get(at) != Some(&b':') {
            return Err(NotAnObject);
        }
        let value_begin = skip_spaces(line, at + 1);
        let end = end_of_value(line, value_begin)?;
        self.at = end;
        Ok(Some(RawField {
            name: &line[begin + 1..name_end - 1],
            value: &line[value_begin..end],
            begin,
            end,
        }))
    }
}

#[inline]
fn skip_spaces(line: &[u8], mut at: usize) -> usize {
    while matches!(line.get(at), Some(b' ' | b'\t' | b'\r' | b'\n')) {
        at += 1;
    }
    at
}

/// Behind the closing quote of the string that begins at `at`.
#[inline]
fn end_of_string(line: &[u8], at: usize) -> Result<usize, NotAnObject> {
    if line.get(at) != Some(&b'"') {
        return Err(NotAnObject);
    }
    let mut at = at + 1;
    loop {
        match line.get(at) {
            Some(b'"') => return Ok(at + 1),
            Some(b'\\') => at += 2,
            Some(_) => at += 1,
            None => return Err(NotAnObject),
        }
    }
}

#[inline]
fn end_of_value(line: &[u8], at: usize) -> Result<usize, NotAnObject> {
    match line.get(at) {
        Some(b'"') => end_of_string(line, at),
        Some(b'{' | b'[') => end_of_nested(line, at),
        Some(b'-' | b'0'..=b'9' | b't' | b'f' | b'n') => {
            let mut at = at + 1;
            while matches!(line.get(at), Some(byte) if !matches!(byte, b',' | b'}' | b']' | b' ' | b'\t' | b'\r' | b'\n'))
            {
                at += 1;
            }
            Ok(at)
        }
        _ => Err(NotAnObject),
    }
}

fn end_of_nested(line: &[u8], mut at: usize) -> Result<usize, NotAnObject> {
    let mut depth = 0_usize;
    loop {
        match line.get(at) {
            Some(b'{' | b'[') => depth += 1,
            Some(b'}' | b']') => {
                depth -= 1;
                if depth == 0 {
                    return Ok(at + 1);
                }
            }
            Some(b'"') => {
                at = end_of_string(line, at)?;
                continue;
            }
            Some(_) => {}
            None => return Err(NotAnObject),
        }
        at += 1;
    }
}

/// Finds fields by name, trying first the one behind the last found: rows are written in the contract's order.
#[derive(Debug, Clone, Copy)]
pub struct Order {
    fields: &'static [Field],
    expected: usize,
}

impl Order {
    /// The order of these fields.
    pub const fn of(fields: &'static [Field]) -> Self {
        Self { fields, expected: 0 }
    }

    /// The field's index, or [`UNKNOWN`].
    #[inline]
    pub fn index(&mut self, name: &[u8]) -> usize {
        let is_it = |field: &Field| field.name.as_bytes() == name;
        let ahead = self.fields[self.expected..].iter().position(is_it);
        let found = match ahead {
            Some(skipped) => self.expected + skipped,
            None => match self.fields[..self.expected].iter().position(is_it) {
                Some(found) => found,
                None => return UNKNOWN,
            },
        };
        self.expected = found + 1;
        found
    }
}

/// The line with its fields in the contract's order, if they are not.
pub fn put_in_order(line: &[u8], fields: &'static [Field]) -> Result<Option<Vec<u8>>, NotAnObject> {
    let mut order = Order::of(fields);
    let (mut scan, mut last) = (Fields::of(line)?, 0);
    while let Some(field) = scan.next_field()? {
        let index = order.index(field.name);
        if index < last {
            return in_order(line, fields).map(Some);
        }
        last = index;
    }
    Ok(None)
}

/// The same object with its fields in the order of the contract, those that it does not know behind them.
fn in_order(line: &[u8], fields: &'static [Field]) -> Result<Vec<u8>, NotAnObject> {
    let mut order = Order::of(fields);
    let mut found: Vec<(usize, RawField<'_>)> = Vec::new();
    let mut scan = Fields::of(line)?;
    while let Some(field) = scan.next_field()? {
        found.push((order.index(field.name), field));
    }
    found.sort_by_key(|(index, _)| *index);
    let mut out = vec![b'{'];
    for (at, (_, field)) in found.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        out.push(b'"');
        out.extend_from_slice(field.name);
        out.extend_from_slice(b"\":");
        out.extend_from_slice(field.value);
    }
    out.push(b'}');
    Ok(out)
}

/// The text of a JSON string; `None` if it is no string.
pub fn text(raw: &[u8]) -> Option<std::borrow::Cow<'_, str>> {
    let inner = raw.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    if memchr::memchr(b'\\', inner).is_none() {
        return std::str::from_utf8(inner).ok().map(Into::into);
    }
    serde_json::from_slice::<String>(raw).ok().map(Into::into)
}

#[cfg(test)]
mod tests {
    use super::*;
    use cctf_proto::cctf::{Call, Row};

    fn fields(line: &str) -> Result<Vec<(String, String)>, NotAnObject> {
        let mut scan = Fields::of(line.as_bytes())?;
        let mut found = Vec::new();
        while let Some(field) = scan.next_field()? {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            assert_eq!(
                &line.as_bytes()[field.begin + 1..][..field.name.len()],
                field.name
            );
            assert!(line.as_bytes()[..field.end].ends_with(field.value));
            found.push((text(field.name), text(field.value)));
        }
        Ok(found)
    }

    #[test]
    fn values_are_given_as_they_are_written() {
        let line = r#" { "a" : "x\"}" ,"b":[{"c":"]"},1], "d":-1.50,"e":null,"f":{} } "#;
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(
            fields(line).unwrap(),
            [
                pair("a", r#""x\"}""#),
                pair("b", r#"[{"c":"]"},1]"#),
                pair("d", "-1.50"),
                pair("e", "null"),
                pair("f", "{}"),
            ]
        );
        assert_eq!(fields("{}").unwrap(), []);
    }

    #[test]
    fn what_is_no_object_or_not_whole_is_told() {
        for bad in [
            "",
            "[]",
            "{",
            r#"{"a""#,
            r#"{"a":"#,
            r#"{"a":1"#,
            r#"{"a":1,}"#,
            r#"{"a":1}x"#,
            r#"{,"a":1}"#,
        ] {
            assert_eq!(fields(bad), Err(NotAnObject), "{bad}");
        }
    }

    #[test]
    fn fields_out_of_order_are_put_in_order_and_none_is_lost() {
        let line = br#"{"mine":{"x":1},"span_id":"b","trace_id":"a","kind":"client"}"#;
        let sorted = in_order(line, Call::FIELDS).unwrap();
        assert_eq!(
            String::from_utf8(sorted).unwrap(),
            r#"{"trace_id":"a","span_id":"b","kind":"client","mine":{"x":1}}"#
        );
    }
}
