//! The values of a row's fields, read from the bytes that they are written with.

use cctf_proto::cctf::{Flag, Flags, Milliseconds, SpanId, SpanKind, Stage, TraceId, Value};

use super::rows::RowError;

/// What stands between the quotes of a string; `None` if it is none.
fn unquoted(value: &[u8]) -> Option<&[u8]> {
    value.strip_prefix(b"\"")?.strip_suffix(b"\"")
}

/// A trace id.
pub fn trace_id(value: &[u8]) -> Option<TraceId> {
    TraceId::parse_bytes(unquoted(value)?)
}

/// A span id; `None` for null.
pub fn span_id(value: &[u8], name: &'static str) -> Result<Option<SpanId>, RowError> {
    if value == b"null" {
        return Ok(None);
    }
    let id = unquoted(value).and_then(SpanId::parse_bytes);
    id.map(Some).ok_or(RowError::Field(name))
}

/// A stamp or duration, in nanoseconds.
pub fn ns(value: &[u8], name: &'static str) -> Result<i64, RowError> {
    let parsed = Milliseconds::parse_bytes(value).ok_or(RowError::Field(name))?;
    Ok(parsed.as_ns())
}

/// The same; `None` for null.
pub fn optional_ns(value: &[u8], name: &'static str) -> Result<Option<i64>, RowError> {
    if value == b"null" {
        Ok(None)
    } else {
        ns(value, name).map(Some)
    }
}

/// A count; `None` for null.
pub fn count(value: &[u8]) -> Option<u64> {
    std::str::from_utf8(value).ok()?.parse().ok()
}

/// A stage.
pub fn stage(value: &[u8]) -> Result<Stage, RowError> {
    let named = |stage: &&Stage| unquoted(value) == Some(stage.as_str().as_bytes());
    Stage::ALL
        .iter()
        .find(named)
        .copied()
        .ok_or(RowError::Field("stage"))
}

/// A kind of span.
pub fn kind(value: &[u8]) -> Result<SpanKind, RowError> {
    let named = |kind: &&SpanKind| unquoted(value) == Some(kind.as_str().as_bytes());
    SpanKind::ALL
        .iter()
        .find(named)
        .copied()
        .ok_or(RowError::Field("kind"))
}

/// A set of flags.
pub fn flags(value: &[u8]) -> Flags {
    let told = |flag: &Flag| {
        let name = flag.as_str().as_bytes();
        value.split(|byte| *byte == b'"').any(|part| part == name)
    };
    Flag::ALL
        .iter()
        .filter(|flag| told(flag))
        .fold(Flags::NONE, |flags, &flag| flags.with(flag))
}

/// A value as JSON.
pub fn encoded(value: &impl Value) -> Vec<u8> {
    let mut out = Vec::new();
    value.encode(&mut out);
    out
}
