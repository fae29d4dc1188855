//! The values of a row's fields, read from the bytes that they are written with.

use cctf_proto::cctf::{Flag, Flags, Milliseconds, SpanId, SpanKind, Stage, TraceId, Value};

use super::rows::RowError;
use super::scan::Fields;

/// The trace of a line, for which nothing else of it need be read.
pub fn trace_of(line: &[u8]) -> Option<TraceId> {
    const START: &[u8] = b"{\"trace_id\":\"";
    if let Some(rest) = line.strip_prefix(START) {
        return TraceId::parse(std::str::from_utf8(rest.get(..32)?).ok()?);
    }
    let mut scan = Fields::of(line).ok()?;
    while let Some(field) = scan.next_field().ok()? {
        if field.name == b"trace_id" {
            return trace_id(field.value);
        }
    }
    None
}

/// What stands between the quotes of a string; `None` if it is none.
pub fn unquoted(value: &[u8]) -> Option<&str> {
    std::str::from_utf8(value.strip_prefix(b"\"")?.strip_suffix(b"\"")?).ok()
}

/// A trace id.
pub fn trace_id(value: &[u8]) -> Option<TraceId> {
    TraceId::parse(unquoted(value)?)
}

/// A span id; `None` for null.
pub fn span_id(value: &[u8], name: &'static str) -> Result<Option<SpanId>, RowError> {
    if value == b"null" {
        return Ok(None);
    }
    let id = unquoted(value).and_then(SpanId::parse);
    id.map(Some).ok_or(RowError::Field(name))
}

/// A stamp or duration, in nanoseconds.
pub fn nanos(value: &[u8], name: &'static str) -> Result<i64, RowError> {
    let text = std::str::from_utf8(value).map_err(|_| RowError::Field(name))?;
    let parsed = Milliseconds::parse(text).ok_or(RowError::Field(name))?;
    Ok(parsed.nanos())
}

/// The same; `None` for null.
pub fn optional_nanos(value: &[u8], name: &'static str) -> Result<Option<i64>, RowError> {
    if value == b"null" {
        Ok(None)
    } else {
        nanos(value, name).map(Some)
    }
}

/// A count; `None` for null.
pub fn count(value: &[u8]) -> Option<u64> {
    std::str::from_utf8(value).ok()?.parse().ok()
}

/// A stage.
pub fn stage(value: &[u8]) -> Result<Stage, RowError> {
    unquoted(value)
        .and_then(Stage::parse)
        .ok_or(RowError::Field("stage"))
}

/// A kind of span.
pub fn kind(value: &[u8]) -> Result<SpanKind, RowError> {
    unquoted(value)
        .and_then(SpanKind::parse)
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
