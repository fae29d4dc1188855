//! Reads values of fields from the bytes of a line, and encodes them as JSON.

use cctf_proto::cctf::{Flag, Flags, Milliseconds, SpanId, SpanKind, Stage, TraceId, Value};

/// The error for a required field that is missing, or for a value of the wrong type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("field {0} is missing or invalid")]
pub struct InvalidField(pub &'static str);

/// The text between the quotes, with its escape sequences. `None` if the value is not a string.
fn unquoted(value: &[u8]) -> Option<&[u8]> {
    value.strip_prefix(b"\"")?.strip_suffix(b"\"")
}

pub fn trace_id(value: &[u8], name: &'static str) -> Result<TraceId, InvalidField> {
    let id = unquoted(value).and_then(TraceId::parse_bytes);
    id.ok_or(InvalidField(name))
}

/// The id, or `None` for null.
pub fn span_id(value: &[u8], name: &'static str) -> Result<Option<SpanId>, InvalidField> {
    if value == b"null" {
        return Ok(None);
    }
    let id = unquoted(value).and_then(SpanId::parse_bytes);
    id.map(Some).ok_or(InvalidField(name))
}

/// A timestamp or duration, in nanoseconds.
pub fn ns(value: &[u8], name: &'static str) -> Result<i64, InvalidField> {
    let parsed = Milliseconds::parse_bytes(value).ok_or(InvalidField(name))?;
    Ok(parsed.as_ns())
}

/// Like [`ns`], or `None` for null.
pub fn optional_ns(value: &[u8], name: &'static str) -> Result<Option<i64>, InvalidField> {
    if value == b"null" {
        Ok(None)
    } else {
        ns(value, name).map(Some)
    }
}

/// The count. `None` for null, and for anything else that is not a count.
pub fn count(value: &[u8]) -> Option<u64> {
    std::str::from_utf8(value).ok()?.parse().ok()
}

pub fn stage(value: &[u8]) -> Result<Stage, InvalidField> {
    let is_named = |stage: &&Stage| unquoted(value) == Some(stage.as_str().as_bytes());
    let stage = Stage::ALL.iter().find(is_named).copied();
    stage.ok_or(InvalidField("stage"))
}

pub fn kind(value: &[u8]) -> Result<SpanKind, InvalidField> {
    let is_named = |kind: &&SpanKind| unquoted(value) == Some(kind.as_str().as_bytes());
    let kind = SpanKind::ALL.iter().find(is_named).copied();
    kind.ok_or(InvalidField("kind"))
}

/// The known flags of a list. Other flags are ignored.
pub fn flags(value: &[u8]) -> Flags {
    let is_listed = |flag: &Flag| {
        let name = flag.as_str().as_bytes();
        value.split(|byte| *byte == b'"').any(|part| part == name)
    };
    Flag::ALL
        .iter()
        .filter(|flag| is_listed(flag))
        .fold(Flags::NONE, |flags, &flag| flags.with(flag))
}

/// The value as JSON.
pub fn encoded(value: &impl Value) -> Vec<u8> {
    let mut out = Vec::new();
    value.encode(&mut out);
    out
}
