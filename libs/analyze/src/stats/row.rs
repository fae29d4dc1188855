//! [`InvocationRow`] and [`CallRow`]: the fields of a line that statistics need. Other fields are not decoded.

use cctf_proto::cctf::{Call, Invocation, Milliseconds, Row, field_index, is_error};
use memchr::memmem;
use rundir::fields::{Fields, Name, NotAnObject, Order, names_of};

use super::figures::Time;

/// The reason why a line is damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RowError {
    #[error(transparent)]
    NotAnObject(#[from] NotAnObject),
    #[error("field {0} is missing or invalid")]
    InvalidField(&'static str),
    #[error("not a row of this file")]
    InvalidRow,
    #[error("the line is too long")]
    TooLong,
    #[error("the line is incomplete")]
    Incomplete,
}

/// The fields of an invocation. Texts are JSON texts with their quotes, and empty if unknown.
#[derive(Debug, Default)]
pub struct InvocationRow<'a> {
    pub trace_id: &'a [u8],
    pub span_id: &'a [u8],
    /// The parent invocation.
    pub parent_id: &'a [u8],
    pub caller_span_id: &'a [u8],
    pub app: &'a [u8],
    pub module: &'a [u8],
    pub node: &'a [u8],
    pub method: &'a [u8],
    pub path: &'a [u8],
    pub route: &'a [u8],
    /// Nanoseconds since the Unix epoch, like all timestamps.
    pub ts_enqueue: i64,
    pub ts_start: i64,
    pub ts_end: i64,
    /// The row's times in nanoseconds, in the order of [`Time::ALL`].
    pub times: [Option<u64>; Time::ALL.len()],
    /// The parts of the service time during which a released slot is free, nanoseconds.
    pub waits: u64,
    pub bytes_in: Option<u64>,
    pub bytes_out: Option<u64>,
    pub is_error: bool,
    /// Whether the invocation answers a request and names the span that sent it.
    pub is_called: bool,
    /// Whether the recording lacks its caller.
    pub is_orphan: bool,
}

/// The fields of a call.
#[derive(Debug, Default)]
pub struct CallRow<'a> {
    pub trace_id: &'a [u8],
    pub span_id: &'a [u8],
    pub module: &'a [u8],
    pub instance: &'a [u8],
    pub node: &'a [u8],
    pub peer: &'a [u8],
    pub peer_module: &'a [u8],
    pub ts_start: i64,
    pub ts_end: i64,
    pub bytes_in: Option<u64>,
    pub bytes_out: Option<u64>,
    pub is_error: bool,
    /// Whether the call is a request that was answered without an error.
    pub is_answered: bool,
}

const INVOCATION: &[cctf_proto::cctf::Field] = Invocation::FIELDS;
static INVOCATION_NAMES: [Name; INVOCATION.len()] = names_of::<{ INVOCATION.len() }>(INVOCATION);
const CALL: &[cctf_proto::cctf::Field] = Call::FIELDS;
static CALL_NAMES: [Name; CALL.len()] = names_of::<{ CALL.len() }>(CALL);

/// Declares the indices of a row type's fields.
macro_rules! indices {
    ($fields:ident: $($name:ident $field:literal)*) => {
        $(const $name: usize = field_index($fields, $field);)*
    };
}
indices! { INVOCATION:
    TRACE "trace_id"
    SPAN "span_id"
    PARENT_INVOCATION "parent_id"
    CALLER "caller_span_id"
    PARENT "parent_span_id"
    KIND "kind"
    APP "app_id"
    MODULE "module_id"
    NODE "node"
    METHOD "method"
    PATH "path"
    ROUTE "route"
    ENQUEUE "ts_enqueue"
    START "ts_start"
    END "ts_end"
    QUEUE "queue_time_ms"
    SERVICE "service_time_ms"
    RESPONSE "rt_ms"
    CPU "cpu_time_ms"
    NETWORK "net_ms"
    DOWNSTREAM "downstream_ms"
    SLOT_WAIT "slot_wait_ms"
    BYTES_IN "bytes_in"
    BYTES_OUT "bytes_out"
    STATUS "status"
    ERROR "error_type"
    FLAGS "flags"
}

impl<'a> InvocationRow<'a> {
    /// The route of the endpoint, or its path if no route is known.
    #[inline]
    pub fn endpoint_route(&self) -> &'a [u8] {
        if self.route.is_empty() {
            self.path
        } else {
            self.route
        }
    }

    /// # Errors
    /// If the line is not an object, lacks a required field, or has a value of another type.
    #[inline]
    pub fn read(line: &'a [u8]) -> Result<Self, RowError> {
        let mut row = Self::default();
        let (mut scan, mut order) = (Fields::new(line)?, Order::new(INVOCATION));
        let (mut stamps, mut parent, mut is_server) = ([None; 3], &[][..], false);
        while let Some((index, field)) = scan.next_known(&mut order, &INVOCATION_NAMES)? {
            let value = field.value;
            match index {
                TRACE => row.trace_id = text(value, "trace_id")?,
                SPAN => row.span_id = text_or_none(value),
                PARENT_INVOCATION => row.parent_id = text_or_none(value),
                CALLER => row.caller_span_id = text(value, "caller_span_id")?,
                PARENT => parent = text(value, "parent_span_id")?,
                KIND => is_server = value == b"\"server\"",
                APP => row.app = text(value, "app_id")?,
                MODULE => row.module = text(value, "module_id")?,
                NODE => row.node = text(value, "node")?,
                METHOD => row.method = text(value, "method")?,
                PATH => row.path = text(value, "path")?,
                ROUTE => row.route = text(value, "route")?,
                ENQUEUE => stamps[0] = Some(stamp(value, "ts_enqueue")?),
                START => stamps[1] = Some(stamp(value, "ts_start")?),
                END => stamps[2] = Some(stamp(value, "ts_end")?),
                QUEUE => row.times[Time::Queue as usize] = duration(value, "queue_time_ms")?,
                SERVICE => row.times[Time::Service as usize] = duration(value, "service_time_ms")?,
                RESPONSE => row.times[Time::Response as usize] = duration(value, "rt_ms")?,
                CPU => row.times[Time::Cpu as usize] = duration(value, "cpu_time_ms")?,
                NETWORK => row.times[Time::Network as usize] = duration(value, "net_ms")?,
                DOWNSTREAM => row.add_wait(duration(value, "downstream_ms")?),
                SLOT_WAIT => row.add_wait(duration(value, "slot_wait_ms")?),
                BYTES_IN => row.bytes_in = count(value, "bytes_in")?,
                BYTES_OUT => row.bytes_out = count(value, "bytes_out")?,
                STATUS => row.is_error |= is_failure(value)?,
                ERROR => row.is_error |= !text(value, "error_type")?.is_empty(),
                FLAGS => row.is_orphan = memmem::find(value, b"\"orphan\"").is_some(),
                _ => {}
            }
        }
        for (text, name) in [
            (row.trace_id, "trace_id"),
            (row.module, "module_id"),
            (row.node, "node"),
        ] {
            if text.is_empty() {
                return Err(RowError::InvalidField(name));
            }
        }
        row.is_called = is_server && !parent.is_empty();
        let [enqueue, start, end] = stamps;
        row.ts_enqueue = enqueue.ok_or(RowError::InvalidField("ts_enqueue"))?;
        row.ts_start = start.ok_or(RowError::InvalidField("ts_start"))?;
        row.ts_end = end.ok_or(RowError::InvalidField("ts_end"))?;
        Ok(row)
    }

    fn add_wait(&mut self, ns: Option<u64>) {
        self.waits = self.waits.saturating_add(ns.unwrap_or(0));
    }
}

indices! { CALL:
    CALL_TRACE "trace_id"
    CALL_SPAN "span_id"
    CALL_MODULE "module_id"
    CALL_INSTANCE "instance_id"
    CALL_NODE "node"
    CALL_PEER "peer"
    CALL_PEER_MODULE "peer_module"
    CALL_START "ts_start"
    CALL_END "ts_end"
    CALL_BYTES_IN "bytes_in"
    CALL_BYTES_OUT "bytes_out"
    CALL_KIND "kind"
    CALL_STATUS "status"
    CALL_ERROR "error_type"
}

impl<'a> CallRow<'a> {
    /// # Errors
    /// The same errors as [`InvocationRow::read`].
    pub fn read(line: &'a [u8]) -> Result<Self, RowError> {
        let (mut is_client, mut has_status) = (false, false);
        let mut row = Self::default();
        let (mut scan, mut order) = (Fields::new(line)?, Order::new(CALL));
        while let Some((index, field)) = scan.next_known(&mut order, &CALL_NAMES)? {
            let value = field.value;
            match index {
                CALL_TRACE => row.trace_id = text(value, "trace_id")?,
                CALL_SPAN => row.span_id = text(value, "span_id")?,
                CALL_MODULE => row.module = text_or_none(value),
                CALL_INSTANCE => row.instance = text_or_none(value),
                CALL_NODE => row.node = text(value, "node")?,
                CALL_PEER => row.peer = text(value, "peer")?,
                CALL_PEER_MODULE => row.peer_module = text_or_none(value),
                CALL_START => row.ts_start = stamp(value, "ts_start")?,
                CALL_END => row.ts_end = stamp(value, "ts_end")?,
                CALL_BYTES_IN => row.bytes_in = unsigned(value),
                CALL_BYTES_OUT => row.bytes_out = unsigned(value),
                CALL_KIND => is_client = value == b"\"client\"",
                CALL_STATUS => {
                    has_status = value != b"null";
                    row.is_error |= is_failure(value)?;
                }
                CALL_ERROR => row.is_error |= !text(value, "error_type")?.is_empty(),
                _ => {}
            }
        }
        for (text, name) in [
            (row.trace_id, "trace_id"),
            (row.span_id, "span_id"),
            (row.node, "node"),
        ] {
            if text.is_empty() {
                return Err(RowError::InvalidField(name));
            }
        }
        row.is_answered = is_client && has_status && !row.is_error;
        Ok(row)
    }
}

/// A string as JSON text; empty for null.
#[inline]
pub fn text<'a>(value: &'a [u8], name: &'static str) -> Result<&'a [u8], RowError> {
    match value {
        [b'"', ..] => Ok(value),
        b"null" => Ok(&[]),
        _ => Err(RowError::InvalidField(name)),
    }
}

/// Like [`text`], for fields that do not affect the figures of `cctf stats`. Anything but a string counts as unknown, and the
/// line stays valid.
#[inline]
fn text_or_none(value: &[u8]) -> &[u8] {
    if value.first() == Some(&b'"') { value } else { &[] }
}

/// A timestamp, nanoseconds.
#[inline]
pub fn stamp(value: &[u8], name: &'static str) -> Result<i64, RowError> {
    let parsed = Milliseconds::parse_bytes(value).ok_or(RowError::InvalidField(name))?;
    Ok(parsed.as_ns())
}

/// A duration in nanoseconds; `None` for null. The files contain null instead of a negative duration.
#[inline]
fn duration(value: &[u8], name: &'static str) -> Result<Option<u64>, RowError> {
    if value == b"null" {
        return Ok(None);
    }
    let ns = u64::try_from(stamp(value, name)?);
    ns.map(Some).map_err(|_| RowError::InvalidField(name))
}

/// A number of bytes; `None` for null.
#[inline]
fn count(value: &[u8], name: &'static str) -> Result<Option<u64>, RowError> {
    if value == b"null" {
        return Ok(None);
    }
    unsigned(value).map(Some).ok_or(RowError::InvalidField(name))
}

#[inline]
fn unsigned(value: &[u8]) -> Option<u64> {
    std::str::from_utf8(value).ok().and_then(|text| text.parse().ok())
}

#[inline]
fn is_failure(value: &[u8]) -> Result<bool, RowError> {
    if value == b"null" {
        return Ok(false);
    }
    let parsed: Option<i64> = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
    parsed
        .map(|status| is_error(Some(status), None))
        .ok_or(RowError::InvalidField("status"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = r#"{"trace_id":"00000000000000000000000000000001","span_id":"0000000000000001","parent_id":null,"parent_span_id":null,"module_id":"m","instance_id":"i","ts_enqueue":1.000001,"ts_start":2.000002,"ts_end":4.500000,"node":"n","stage":"edge","method":"GET","path":"/a","bytes_in":null,"bytes_out":7,"cpu_time_ms":0.000000,"queue_time_ms":1.000001,"service_time_ms":null,"rt_ms":3.499999,"status":200,"downstream_ms":1.000000,"kind":"server"}"#;

    #[test]
    fn a_line_s_fields_are_integers_and_null_is_unknown() {
        let row = InvocationRow::read(LINE.as_bytes()).unwrap();
        assert_eq!(
            (row.ts_enqueue, row.ts_start, row.ts_end),
            (1_000_001, 2_000_002, 4_500_000)
        );
        assert_eq!(row.times, [Some(1_000_001), None, Some(3_499_999), Some(0), None]);
        assert_eq!(
            (row.bytes_in, row.bytes_out, row.waits),
            (None, Some(7), 1_000_000)
        );
        assert_eq!(
            (row.module, row.route, row.is_error),
            (&b"\"m\""[..], &b""[..], false)
        );
        let failed = LINE.replace("200", "503");
        assert!(InvocationRow::read(failed.as_bytes()).unwrap().is_error);
        let failed = LINE.replace("\"kind\"", "\"error_type\":\"E\",\"kind\"");
        assert!(InvocationRow::read(failed.as_bytes()).unwrap().is_error);
    }

    #[test]
    fn a_damaged_line_names_its_field() {
        let invalid = |name| RowError::InvalidField(name);
        for (from, to, error) in [
            ("\"ts_start\":2.000002,", "", invalid("ts_start")),
            ("\"rt_ms\":3.499999", "\"rt_ms\":-3.499999", invalid("rt_ms")),
            ("\"rt_ms\":3.499999", "\"rt_ms\":1e3", invalid("rt_ms")),
            ("\"module_id\":\"m\"", "\"module_id\":1", invalid("module_id")),
            ("\"node\":\"n\"", "\"node\":null", invalid("node")),
            ("\"bytes_out\":7", "\"bytes_out\":7.5", invalid("bytes_out")),
            (
                "\"status\":200",
                "\"status\":x",
                RowError::NotAnObject(NotAnObject),
            ),
            ("}", "", RowError::NotAnObject(NotAnObject)),
        ] {
            let line = LINE.replace(from, to);
            assert_eq!(InvocationRow::read(line.as_bytes()).unwrap_err(), error, "{line}");
        }
    }
}
