//! [`InvocationRow`] and [`CallRow`]: a line as far as it matters for work, read without decoding the rest.

use std::borrow::Cow;

use cctf_proto::cctf::{
    Call, Flag, Flags, Invocation, Milliseconds, Row as _, SpanId, SpanKind, TraceId, field_index,
};
use rundir::fields::{Fields, Name, Order, names_of, text};

/// Ids, names and times of an invocation. `None`: unknown.
#[derive(Debug, Clone, PartialEq)]
pub struct InvocationRow<'a> {
    pub trace_id: TraceId,
    pub span_id: SpanId,
    pub parent_id: Option<SpanId>,
    pub has_parent_span: bool,
    pub caller_span_id: Option<SpanId>,
    pub module: Cow<'a, str>,
    pub instance: Cow<'a, str>,
    pub node: Cow<'a, str>,
    pub method: Option<Cow<'a, str>>,
    pub path: Option<Cow<'a, str>>,
    pub route: Option<Cow<'a, str>>,
    pub enqueue: Milliseconds,
    pub end: Milliseconds,
    pub response: Option<Milliseconds>,
    pub queue: Option<Milliseconds>,
    pub wakeup: Option<Milliseconds>,
    pub slot_wait: Option<Milliseconds>,
    pub cpu: Option<Milliseconds>,
    pub cpu_wait: Option<Milliseconds>,
    pub status: Option<i64>,
    pub is_orphan: bool,
    /// Whether it represents more than one request.
    pub is_sampled: bool,
}

/// Ids, node and times of a call.
#[derive(Debug, Clone, PartialEq)]
pub struct CallRow<'a> {
    pub trace_id: TraceId,
    pub span_id: SpanId,
    pub has_parent_span: bool,
    pub ancestor_id: Option<SpanId>,
    pub node: Cow<'a, str>,
    pub start: Milliseconds,
    pub end: Milliseconds,
    pub is_message: bool,
}

const INVOCATION: &[cctf_proto::cctf::Field] = Invocation::FIELDS;
static INVOCATION_NAMES: [Name; INVOCATION.len()] = names_of::<{ INVOCATION.len() }>(INVOCATION);
const CALL: &[cctf_proto::cctf::Field] = Call::FIELDS;
static CALL_NAMES: [Name; CALL.len()] = names_of::<{ CALL.len() }>(CALL);

/// The raw values of some fields, in the order of `wanted`. `None` if the line is not an object.
#[inline]
fn values<'a, const N: usize>(
    line: &'a [u8],
    fields: &'static [cctf_proto::cctf::Field],
    names: &[Name],
    wanted: &[usize],
) -> Option<[&'a [u8]; N]> {
    let mut found: [&[u8]; N] = [b"null"; N];
    let (mut scan, mut order) = (Fields::new(line).ok()?, Order::new(fields));
    while let Some((index, field)) = scan.next_known(&mut order, names).ok()? {
        if let Some(place) = wanted.get(index).filter(|place| **place < N) {
            found[*place] = field.value;
        }
    }
    Some(found)
}

/// For each field, its place among the wanted ones, or `usize::MAX`.
const fn places<const N: usize>(fields: &[cctf_proto::cctf::Field], wanted: &[&str]) -> [usize; N] {
    let mut places = [usize::MAX; N];
    let mut place = 0;
    while place < wanted.len() {
        places[field_index(fields, wanted[place])] = place;
        place += 1;
    }
    places
}

static INVOCATION_PLACES: [usize; INVOCATION.len()] = places(
    INVOCATION,
    &[
        "trace_id",
        "span_id",
        "parent_id",
        "parent_span_id",
        "caller_span_id",
        "module_id",
        "instance_id",
        "node",
        "method",
        "path",
        "route",
        "ts_enqueue",
        "ts_end",
        "rt_ms",
        "queue_time_ms",
        "wakeup_ms",
        "slot_wait_ms",
        "cpu_time_ms",
        "cpu_wait_ms",
        "status",
        "flags",
        "sample_weight",
    ],
);
static CALL_PLACES: [usize; CALL.len()] = places(
    CALL,
    &[
        "trace_id",
        "span_id",
        "parent_span_id",
        "ancestor_id",
        "node",
        "ts_start",
        "ts_end",
        "kind",
    ],
);

impl<'a> InvocationRow<'a> {
    /// `None` if the line is not an object, lacks a required field, or has a value of another type in a field that is read.
    pub fn read(line: &'a [u8]) -> Option<Self> {
        let [
            trace,
            span,
            parent,
            above,
            caller,
            module,
            instance,
            node,
            method,
            path,
            route,
            enqueue,
            end,
            response,
            queue,
            wakeup,
            slot_wait,
            cpu,
            cpu_wait,
            status,
            flags,
            weight,
        ] = values(line, INVOCATION, &INVOCATION_NAMES, &INVOCATION_PLACES)?;
        Some(Self {
            trace_id: TraceId::parse_bytes(unquoted(trace)?)?,
            span_id: span_id(span)??,
            parent_id: span_id(parent)?,
            has_parent_span: span_id(above)?.is_some(),
            caller_span_id: span_id(caller)?,
            module: text(module)?,
            instance: text(instance)?,
            node: text(node)?,
            method: optional(method, text)?,
            path: optional(path, text)?,
            route: optional(route, text)?,
            enqueue: Milliseconds::parse_bytes(enqueue)?,
            end: Milliseconds::parse_bytes(end)?,
            response: optional(response, Milliseconds::parse_bytes)?,
            queue: optional(queue, Milliseconds::parse_bytes)?,
            wakeup: optional(wakeup, Milliseconds::parse_bytes)?,
            slot_wait: optional(slot_wait, Milliseconds::parse_bytes)?,
            cpu: optional(cpu, Milliseconds::parse_bytes)?,
            cpu_wait: optional(cpu_wait, Milliseconds::parse_bytes)?,
            status: optional(status, |value| std::str::from_utf8(value).ok()?.parse().ok())?,
            is_orphan: is_orphan(optional(flags, |value| serde_json::from_slice(value).ok())?),
            is_sampled: is_sampled(optional(weight, |value| serde_json::from_slice(value).ok())?),
        })
    }
}

impl<'a> CallRow<'a> {
    /// As [`InvocationRow::read`].
    pub fn read(line: &'a [u8]) -> Option<Self> {
        let [trace, span, above, ancestor, node, start, end, kind] =
            values(line, CALL, &CALL_NAMES, &CALL_PLACES)?;
        Some(Self {
            trace_id: TraceId::parse_bytes(unquoted(trace)?)?,
            span_id: span_id(span)??,
            has_parent_span: span_id(above)?.is_some(),
            ancestor_id: span_id(ancestor)?,
            node: text(node)?,
            start: Milliseconds::parse_bytes(start)?,
            end: Milliseconds::parse_bytes(end)?,
            is_message: kind == b"\"producer\"",
        })
    }
}

fn is_orphan(flags: Option<Flags>) -> bool {
    flags.is_some_and(|flags| flags.has(Flag::Orphan))
}

fn is_sampled(weight: Option<f64>) -> bool {
    weight.is_some_and(|weight| weight > 1.0)
}

#[inline]
fn unquoted(value: &[u8]) -> Option<&[u8]> {
    value.strip_prefix(b"\"")?.strip_suffix(b"\"")
}

/// The inner `None` stands for null.
#[inline]
fn optional<'a, T>(value: &'a [u8], read: impl FnOnce(&'a [u8]) -> Option<T>) -> Option<Option<T>> {
    match value {
        b"null" => Some(None),
        _ => read(value).map(Some),
    }
}

#[inline]
fn span_id(value: &[u8]) -> Option<Option<SpanId>> {
    optional(value, |value| SpanId::parse_bytes(unquoted(value)?))
}

impl<'a> From<&'a Invocation<'_>> for InvocationRow<'a> {
    fn from(row: &'a Invocation<'_>) -> Self {
        let owned = |text: &'a Option<cctf_proto::cctf::Text<'_>>| text.as_deref().map(Cow::Borrowed);
        Self {
            trace_id: row.trace_id,
            span_id: row.span_id,
            parent_id: row.parent_id,
            has_parent_span: row.parent_span_id.is_some(),
            caller_span_id: row.caller_span_id,
            module: Cow::Borrowed(&row.module_id),
            instance: Cow::Borrowed(&row.instance_id),
            node: Cow::Borrowed(&row.node),
            method: owned(&row.method),
            path: owned(&row.path),
            route: owned(&row.route),
            enqueue: row.ts_enqueue,
            end: row.ts_end,
            response: row.rt_ms,
            queue: row.queue_time_ms,
            wakeup: row.wakeup_ms,
            slot_wait: row.slot_wait_ms,
            cpu: row.cpu_time_ms,
            cpu_wait: row.cpu_wait_ms,
            status: row.status,
            is_orphan: is_orphan(row.flags),
            is_sampled: is_sampled(row.sample_weight),
        }
    }
}

impl<'a> From<&'a Call<'_>> for CallRow<'a> {
    fn from(row: &'a Call<'_>) -> Self {
        Self {
            trace_id: row.trace_id,
            span_id: row.span_id,
            has_parent_span: row.parent_span_id.is_some(),
            ancestor_id: row.ancestor_id,
            node: Cow::Borrowed(&row.node),
            start: row.ts_start,
            end: row.ts_end,
            is_message: row.kind == Some(SpanKind::Producer),
        }
    }
}
