//! [`Pattern`]: the bytes of a span that was read, to read further spans like it by comparison instead of field by field.
//!
//! Spans of one place in a program differ only in ids, times and a few values. A pattern compares everything between these with
//! the bytes of the first span, so an attribute that does not vary costs a part of one comparison.

use super::ascii::ascii_as_str;
use super::attributes::usual_varint;
use super::span::{Span, SpanKind, Status, StatusCode};
use super::usual::{
    ATTRIBUTE, IDS, Length, PARENT, PATTERN_BYTES_MAX, SpanMessage, TIMES, UsualSpan, Value, length,
};

/// How the value of an attribute compares to that of the first span. Values with a tag are returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Agreement<T> {
    /// It is the same.
    Same(Option<T>),
    /// It varies and is not read.
    Ignored,
    /// It varies. It is an ASCII text that is not empty.
    Text(Option<T>),
    /// It varies. It is an integer.
    Int(Option<T>),
}

/// What follows the bytes that must be the same.
#[derive(Debug)]
enum Then<T> {
    End,
    /// The last of these bytes are a text to return.
    Return(T, usize),
    /// An attribute that varies. Behind the key byte of its field come the length, this many bytes of head (the attribute's
    /// key), and the value.
    Ignore(usize),
    Text(usize, Option<T>),
    Int(usize, Option<T>),
}

#[derive(Debug)]
struct Step<T> {
    same: usize,
    then: Then<T>,
}

/// The pattern of a span: which of its bytes are the same in all spans like it, and where the others are.
#[derive(Debug)]
pub struct Pattern<T> {
    kind: SpanKind,
    kind_byte: u8,
    has_parent: bool,
    /// The field of the name; `None` if the name varies.
    name: Option<Box<[u8]>>,
    steps: Box<[Step<T>]>,
    /// For each step: the bytes that must be the same, then the head of the attribute.
    bytes: Box<[u8]>,
    /// Integers that are returned and are the same in all spans.
    numbers: Box<[(T, i64)]>,
    tail: usize,
    dropped_attributes_count: u32,
    dropped_links_count: u32,
    status: StatusCode,
    flags: u32,
}

impl<T: Copy> Pattern<T> {
    /// The pattern of a span. `agreement` is called with the index of each attribute. An attribute whose encoding is not usual
    /// can only be the same.
    pub fn new(of: &UsualSpan<'_>, name_varies: bool, agreement: impl Fn(usize) -> Agreement<T>) -> Self {
        let (mut steps, mut bytes, mut numbers) = (Vec::new(), Vec::new(), Vec::new());
        let mut same_from = 0;
        let step = |then, same_from: &mut usize, bytes: &Vec<u8>| {
            let same = bytes.len() - *same_from;
            *same_from = bytes.len();
            Step { same, then }
        };
        for (index, attribute) in of.attributes.iter().enumerate() {
            let head = attribute.head;
            let then = match (agreement(index), attribute.value) {
                (Agreement::Same(Some(tag)), Some(Value::Text(text))) => {
                    bytes.extend_from_slice(attribute.bytes);
                    steps.push(step(Then::Return(tag, text.len()), &mut same_from, &bytes));
                    continue;
                }
                (Agreement::Ignored, _) if !head.is_empty() => Then::Ignore(head.len()),
                (Agreement::Text(tag), Some(Value::Text(_))) => Then::Text(head.len(), tag),
                (Agreement::Int(tag), Some(Value::Int(_))) => Then::Int(head.len(), tag),
                (Agreement::Same(Some(tag)), Some(Value::Int(number))) => {
                    numbers.push((tag, number));
                    bytes.extend_from_slice(attribute.bytes);
                    continue;
                }
                _ => {
                    bytes.extend_from_slice(attribute.bytes);
                    continue;
                }
            };
            bytes.push(ATTRIBUTE);
            steps.push(step(then, &mut same_from, &bytes));
            bytes.extend_from_slice(head);
            same_from = bytes.len();
        }
        bytes.extend_from_slice(of.tail);
        steps.push(step(Then::End, &mut same_from, &bytes));
        let span = &of.span;
        Self {
            kind: span.kind,
            kind_byte: of.kind_byte,
            has_parent: !span.parent_span_id.is_empty(),
            name: (!name_varies).then(|| of.name.into()),
            steps: steps.into(),
            bytes: bytes.into(),
            numbers: numbers.into(),
            tail: of.tail.len(),
            dropped_attributes_count: span.dropped_attributes_count,
            dropped_links_count: span.dropped_links_count,
            status: span.status.code,
            flags: span.flags,
        }
    }

    /// Size in memory, bytes.
    pub fn size(&self) -> usize {
        let name = self.name.as_ref().map_or(0, |name| name.len());
        size_of::<Self>() + size_of_val(&*self.steps) + self.bytes.len() + size_of_val(&*self.numbers) + name
    }

    /// Reads a span, if it has this pattern, and passes the values with tags to `take`. The result is what parsing the span would
    /// give. If the span does not have this pattern, `take` may have been called.
    #[inline]
    pub fn read<'a>(&self, message: SpanMessage<'a>, mut take: impl FnMut(T, Value<'a>)) -> Option<Span<'a>> {
        let bytes = message.bytes();
        if bytes.len() > PATTERN_BYTES_MAX {
            return None;
        }
        let (mut span, attributes) = self.read_head(bytes)?;
        let end = self.read_attributes(bytes, attributes, &mut take)?;
        for &(tag, number) in &self.numbers {
            take(tag, Value::Int(number));
        }
        let position = message.0.position();
        span.attributes = message.0.range(position + attributes..position + end);
        Some(span)
    }

    /// The span without its attributes, and where these begin.
    #[inline]
    fn read_head<'a>(&self, bytes: &'a [u8]) -> Option<(Span<'a>, usize)> {
        let ids = bytes.first_chunk::<IDS>()?;
        if ids[..2] != [0x0a, 0x10] || ids[18..20] != [0x12, 0x08] {
            return None;
        }
        let mut at = IDS;
        let mut parent_span_id: &[u8] = &[];
        if self.has_parent {
            let parent = bytes[at..].first_chunk::<PARENT>()?;
            // A parent of zeros is none, which makes the span a root.
            if parent[..2] != [0x22, 0x08] || parent[2..] == [0; 8] {
                return None;
            }
            parent_span_id = &parent[2..];
            at += PARENT;
        }
        let name = self.name_at(bytes.get(at..)?)?;
        at += 2 + name.len();
        let times = bytes.get(at..)?.first_chunk::<TIMES>()?;
        if times[0] != 0x30 || times[2] != 0x39 || times[11] != 0x41 || times[1] != self.kind_byte {
            return None;
        }
        let span = Span {
            trace_id: &ids[2..18],
            span_id: &ids[20..],
            parent_span_id,
            name,
            kind: self.kind,
            start_time_unix_nano: u64::from_le_bytes(*times[3..].first_chunk()?),
            end_time_unix_nano: u64::from_le_bytes(*times[12..].first_chunk()?),
            dropped_attributes_count: self.dropped_attributes_count,
            dropped_links_count: self.dropped_links_count,
            status: Status {
                code: self.status,
                message: "",
            },
            flags: self.flags,
            ..Span::NONE
        };
        Some((span, at + TIMES))
    }

    /// The name, if it is the same or may vary.
    #[inline]
    fn name_at<'a>(&self, bytes: &'a [u8]) -> Option<&'a str> {
        match &self.name {
            Some(name) => ascii_as_str(
                bytes
                    .get(..name.len())
                    .filter(|field| **field == **name)?
                    .get(2..)?,
            ),
            None => {
                let [0x2a, length @ 0..=0x7f, rest @ ..] = bytes else {
                    return None;
                };
                ascii_as_str(rest.get(..usize::from(*length))?)
            }
        }
    }

    /// Compares the attributes and everything after them. Returns the end of the attributes.
    #[inline]
    fn read_attributes<'a>(
        &self,
        bytes: &'a [u8],
        mut at: usize,
        take: &mut impl FnMut(T, Value<'a>),
    ) -> Option<usize> {
        let mut expected = &*self.bytes;
        for step in &self.steps {
            let (same, rest) = expected.split_at_checked(step.same)?;
            expected = rest;
            let end = at + step.same;
            if bytes.get(at..end)? != same {
                return None;
            }
            at = end;
            let (head, tag, is_text) = match step.then {
                Then::End => return (at == bytes.len()).then_some(at - self.tail),
                Then::Return(tag, length) => {
                    take(tag, Value::Text(ascii_as_str(&bytes[at - length..at])?));
                    continue;
                }
                Then::Ignore(head) => {
                    let (head, rest) = expected.split_at_checked(head)?;
                    expected = rest;
                    at = ignore(bytes, at, head)?;
                    continue;
                }
                Then::Text(head, tag) => (head, tag, true),
                Then::Int(head, tag) => (head, tag, false),
            };
            let (head, rest) = expected.split_at_checked(head)?;
            expected = rest;
            let (value, end) = value_at(bytes, at, head)?;
            at = end;
            let value = match is_text {
                true => Value::Text(Value::text_of(value).filter(|text| !text.is_empty())?),
                false => Value::Int(usual_varint(value.strip_prefix(&[0x18])?)?),
            };
            if let Some(tag) = tag {
                take(tag, value);
            }
        }
        None
    }
}

/// The value of an attribute whose length is at `at`, and the attribute's end. `head` is what must be before the value's length.
#[inline]
fn value_at<'a>(bytes: &'a [u8], at: usize, head: &[u8]) -> Option<(&'a [u8], usize)> {
    let Length { value, end: begin } = length(bytes, at)?;
    let end = begin + value;
    let attribute = bytes.get(begin..end)?;
    if attribute.get(..head.len())? != head {
        return None;
    }
    let Length { value, end: begin } = length(attribute, head.len())?;
    let value_bytes = &attribute[begin..];
    (value_bytes.len() == value).then_some((value_bytes, end))
}

/// The end of an attribute whose value is not read. If both lengths have one byte, the value is not checked, because parsing the
/// span would not check it either. Other values are checked here, as they are when the span is parsed.
#[inline]
fn ignore(bytes: &[u8], at: usize, head: &[u8]) -> Option<usize> {
    let (value, end) = value_at(bytes, at, head)?;
    let is_short = bytes[at] < 0x80 && end - at == head.len() + value.len() + 2;
    (is_short || Value::text_of(value).is_some()).then_some(end)
}
