//! [`Fields`]: the fields of one line of JSON as raw bytes, so that unchanged fields can be copied.

use cctf_proto::cctf::Field;

use crate::words::{ONES, bytes_equal_to, find};

/// The index of a field that CCTF does not define.
pub const UNKNOWN: usize = usize::MAX;

/// One field of an object.
#[derive(Debug, Clone, Copy)]
pub struct RawField<'a> {
    /// The name as written in the file.
    pub name: &'a [u8],
    /// The value as written in the file.
    pub value: &'a [u8],
    /// Offset of the opening quote of its name in the line.
    pub begin: usize,
    /// Offset after its value.
    pub end: usize,
}

/// A line that is not a JSON object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not one JSON object")]
pub struct NotAnObject;

/// An iterator over the fields of an object.
pub struct Fields<'a> {
    line: &'a [u8],
    offset: usize,
    is_first: bool,
}

impl<'a> Fields<'a> {
    /// The fields of the object in `line`.
    pub fn new(line: &'a [u8]) -> Result<Self, NotAnObject> {
        let offset = skip_spaces(line, 0);
        if line.get(offset) != Some(&b'{') {
            return Err(NotAnObject);
        }
        Ok(Self {
            line,
            offset: offset + 1,
            is_first: true,
        })
    }

    /// The next field and its index in CCTF, or [`UNKNOWN`]. Rows are written in a fixed order and without spaces, so the
    /// function first checks whether the expected name follows.
    #[inline]
    pub fn next_known(
        &mut self,
        order: &mut Order,
        names: &[Name],
    ) -> Result<Option<(usize, RawField<'a>)>, NotAnObject> {
        let line = self.line;
        let begin = self.offset + usize::from(!self.is_first);
        if line.get(begin) == Some(&b'"') && (self.is_first || line[self.offset] == b',') {
            let rest = &line[begin + 1..];
            let word = match rest.first_chunk::<NAME_BYTES>() {
                Some(word) => u128::from_le_bytes(*word),
                None => word_of(rest),
            };
            let fits = |name: &Name| (word ^ name.word) & name.mask == 0;
            if let Some(skipped) = names[order.expected..].iter().position(fits) {
                let index = order.expected + skipped;
                let name_end = begin + 1 + names[index].length;
                let value_begin = name_end + 2;
                if names[index].has_rest(&line[begin + 1..])
                    && line.get(name_end + 1) == Some(&b':')
                    && let Ok(end) = end_of_value(line, value_begin)
                {
                    order.expected = index + 1;
                    (self.offset, self.is_first) = (end, false);
                    let field = RawField {
                        name: &line[begin + 1..name_end],
                        value: &line[value_begin..end],
                        begin,
                        end,
                    };
                    return Ok(Some((index, field)));
                }
            }
        }
        let Some(field) = self.next_field()? else {
            return Ok(None);
        };
        Ok(Some((order.index(field.name), field)))
    }

    /// The next field; `None` after the last one, which only spaces may follow.
    #[inline]
    pub fn next_field(&mut self) -> Result<Option<RawField<'a>>, NotAnObject> {
        let line = self.line;
        let mut offset = skip_spaces(line, self.offset);
        match line.get(offset) {
            Some(b'}') => {
                let rest = skip_spaces(line, offset + 1);
                return if rest == line.len() {
                    Ok(None)
                } else {
                    Err(NotAnObject)
                };
            }
            Some(b',') if !self.is_first => offset = skip_spaces(line, offset + 1),
            Some(b'"') if self.is_first => {}
            _ => return Err(NotAnObject),
        }
        self.is_first = false;
        let begin = offset;
        let name_end = end_of_string(line, offset)?;
        offset = skip_spaces(line, name_end);
        if line.get(offset) != Some(&b':') {
            return Err(NotAnObject);
        }
        let value_begin = skip_spaces(line, offset + 1);
        let end = end_of_value(line, value_begin)?;
        self.offset = end;
        Ok(Some(RawField {
            name: &line[begin + 1..name_end - 1],
            value: &line[value_begin..end],
            begin,
            end,
        }))
    }
}

#[inline]
fn skip_spaces(line: &[u8], mut offset: usize) -> usize {
    while matches!(line.get(offset), Some(b' ' | b'\t' | b'\r' | b'\n')) {
        offset += 1;
    }
    offset
}

/// The offset after the closing quote of the string that starts at `offset`.
#[inline]
fn end_of_string(line: &[u8], offset: usize) -> Result<usize, NotAnObject> {
    if line.get(offset) != Some(&b'"') {
        return Err(NotAnObject);
    }
    let hits = |word| bytes_equal_to(word, b'"') | bytes_equal_to(word, b'\\');
    let mut offset = offset + 1;
    loop {
        offset = find(line, offset, hits, |byte| matches!(byte, b'"' | b'\\')).ok_or(NotAnObject)?;
        if line[offset] == b'"' {
            return Ok(offset + 1);
        }
        offset += 2;
    }
}

#[inline]
fn end_of_value(line: &[u8], offset: usize) -> Result<usize, NotAnObject> {
    match line.get(offset) {
        Some(b'"') => end_of_string(line, offset),
        Some(b'{' | b'[') => end_of_nested(line, offset),
        Some(b'-' | b'0'..=b'9' | b't' | b'f' | b'n') => {
            let hits = |word: u64| {
                let below_space = word.wrapping_sub(ONES * 0x21) & !word & (ONES << 7);
                below_space
                    | bytes_equal_to(word, b',')
                    | bytes_equal_to(word, b'}')
                    | bytes_equal_to(word, b']')
            };
            let is_end = |byte| matches!(byte, b',' | b'}' | b']' | 0..=b' ');
            Ok(find(line, offset, hits, is_end).unwrap_or(line.len()))
        }
        _ => Err(NotAnObject),
    }
}

fn end_of_nested(line: &[u8], mut offset: usize) -> Result<usize, NotAnObject> {
    let mut depth = 0_usize;
    loop {
        match line.get(offset) {
            Some(b'{' | b'[') => depth += 1,
            Some(b'}' | b']') => {
                depth -= 1;
                if depth == 0 {
                    return Ok(offset + 1);
                }
            }
            Some(b'"') => {
                offset = end_of_string(line, offset)?;
                continue;
            }
            Some(_) => {}
            None => return Err(NotAnObject),
        }
        offset += 1;
    }
}

/// Number of bytes at the start of a name, with its closing quote, that are compared as one number.
const NAME_BYTES: usize = 16;

/// A field's name with its closing quote, as a number.
#[derive(Debug, Clone, Copy)]
pub struct Name {
    word: u128,
    mask: u128,
    /// Length without the quote.
    length: usize,
    /// Bytes after the first [`NAME_BYTES`].
    rest: &'static [u8],
}

impl Name {
    /// Whether a name equals this name as a whole, provided that its first bytes do. `text` starts after the opening quote.
    #[inline]
    fn has_rest(&self, text: &[u8]) -> bool {
        self.length < NAME_BYTES
            || text
                .get(NAME_BYTES..)
                .and_then(|text| text.strip_prefix(self.rest))
                .is_some_and(|text| text.first() == Some(&b'"'))
    }
}

/// The encoded names of these fields.
pub const fn names_of<const N: usize>(fields: &[Field]) -> [Name; N] {
    let mut names = [Name {
        word: 0,
        mask: 0,
        rest: &[],
        length: 0,
    }; N];
    let mut index = 0;
    while index < N {
        let text = fields[index].name.as_bytes();
        let (first, rest) = match text.split_at_checked(NAME_BYTES) {
            Some(halves) => halves,
            None => (text, &[] as &[u8]),
        };
        let mut bytes = [0; NAME_BYTES];
        let mut byte = 0;
        while byte < first.len() {
            bytes[byte] = first[byte];
            byte += 1;
        }
        let mut mask = u128::MAX;
        if byte < NAME_BYTES {
            bytes[byte] = b'"';
            mask >>= 8 * (NAME_BYTES - 1 - byte);
        }
        names[index] = Name {
            word: u128::from_le_bytes(bytes),
            mask,
            length: text.len(),
            rest,
        };
        index += 1;
    }
    names
}

#[inline]
fn word_of(rest: &[u8]) -> u128 {
    let mut bytes = [0; NAME_BYTES];
    bytes[..rest.len()].copy_from_slice(rest);
    u128::from_le_bytes(bytes)
}

/// Finds fields by name. It first tries the field that follows the last one found, because rows are written in a fixed order.
#[derive(Debug, Clone, Copy)]
pub struct Order {
    fields: &'static [Field],
    expected: usize,
}

impl Order {
    pub const fn new(fields: &'static [Field]) -> Self {
        Self { fields, expected: 0 }
    }

    /// The field's index, or [`UNKNOWN`].
    #[inline]
    pub fn index(&mut self, name: &[u8]) -> usize {
        let has_name = |field: &Field| field.name.as_bytes() == name;
        let ahead = self.fields[self.expected..].iter().position(has_name);
        let found = match ahead {
            Some(skipped) => self.expected + skipped,
            None => match self.fields[..self.expected].iter().position(has_name) {
                Some(found) => found,
                None => return UNKNOWN,
            },
        };
        self.expected = found + 1;
        found
    }
}

/// The line with its fields in the order of CCTF; `None` if they already have this order.
pub fn put_in_order(line: &[u8], fields: &'static [Field]) -> Result<Option<Vec<u8>>, NotAnObject> {
    let mut order = Order::new(fields);
    let (mut scan, mut last) = (Fields::new(line)?, 0);
    while let Some(field) = scan.next_field()? {
        let index = order.index(field.name);
        if index < last {
            return in_order(line, fields).map(Some);
        }
        last = index;
    }
    Ok(None)
}

/// The object with its fields in the order of CCTF. Unknown fields follow.
fn in_order(line: &[u8], fields: &'static [Field]) -> Result<Vec<u8>, NotAnObject> {
    let mut order = Order::new(fields);
    let mut found: Vec<(usize, RawField<'_>)> = Vec::new();
    let mut scan = Fields::new(line)?;
    while let Some(field) = scan.next_field()? {
        found.push((order.index(field.name), field));
    }
    found.sort_by_key(|(index, _)| *index);
    let mut out = vec![b'{'];
    for (index, (_, field)) in found.iter().enumerate() {
        if index > 0 {
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

/// The text of a JSON string; `None` for any other value.
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
        let mut scan = Fields::new(line.as_bytes())?;
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
    fn values_are_returned_as_written() {
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
    fn a_line_that_is_not_a_complete_object_is_an_error() {
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

    #[test]
    fn names_longer_than_one_number_are_found_whole_or_not_at_all() {
        static NAMES: [Name; Call::FIELDS.len()] = names_of(Call::FIELDS);
        let found = |line: &str| {
            let (mut scan, mut order) = (Fields::new(line.as_bytes()).unwrap(), Order::new(Call::FIELDS));
            let mut names = Vec::new();
            while let Some((index, field)) = scan.next_known(&mut order, &NAMES).unwrap() {
                let known = Call::FIELDS.get(index).map(|field| field.name);
                assert!(known.is_none_or(|known| known.as_bytes() == field.name), "{line}");
                names.push(known);
            }
            names
        };
        let whole = r#"{"replay_of_trace_id":"a","replay_of_span_id":"b","lateness_ms":1}"#;
        assert_eq!(
            found(whole),
            [
                Some("replay_of_trace_id"),
                Some("replay_of_span_id"),
                Some("lateness_ms")
            ]
        );
        for unlike in [
            "replay_of_trace_",
            "replay_of_trace_i",
            "replay_of_trace_idx",
            "replay_of_trace_xx",
        ] {
            let line = format!(r#"{{"{unlike}":1,"flags":[]}}"#);
            assert_eq!(found(&line), [None, Some("flags")]);
        }
    }
}
