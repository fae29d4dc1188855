//! [`SpanRow`]: what the merge reads of a line of invocations.jsonl or calls.jsonl, and where its derived fields stand.

use cctf_proto::cctf::{
    Call, Field, Flags, Invocation, Milliseconds, Row, SpanId, SpanKind, Stage, Text, TraceId, field_index,
    push_field,
};

use super::directory::Directory;
use super::scan::{Fields, NotAnObject, Order, UNKNOWN};
use super::values::{count, flags, kind, nanos, optional_nanos, span_id, stage, trace_id};

/// A stretch of a line.
pub type Span = (u32, u32);

/// One row.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "most are named as the fields of the files")]
pub struct SpanRow {
    pub is_call: bool,
    pub kind: SpanKind,
    /// [`place_of`](super::spool::place_of) its trace.
    pub place: u64,
    pub trace_id: TraceId,
    pub span_id: SpanId,
    pub parent_span_id: Option<SpanId>,
    /// parent_id or ancestor_id as it was told.
    pub above: Option<SpanId>,
    pub caller_span_id: Option<SpanId>,
    pub net_nanos: Option<i64>,
    pub flags: Flags,
    /// ts_enqueue, or a call's ts_start, nanoseconds.
    pub start: i64,
    pub end: i64,
    /// Numbers in the directory.
    pub node: u32,
    pub instance: u32,
    pub bytes_in: Option<u64>,
    pub bytes_out: Option<u64>,
    pub cpu_nanos: Option<u64>,
    pub service_nanos: Option<i64>,
    /// Whether its span starts when the body has been read.
    pub starts_after_body: bool,
    /// Where the line is in the partition.
    pub at: (usize, usize),
    pub method: Option<Span>,
    pub path: Option<Span>,
    pub route: Option<Span>,
    pub peer: Option<Span>,
    /// In the partition, not in the line: a copy may have told it.
    pub peer_module: Option<(usize, usize)>,
    /// Where derived fields stand or belong, with the commas before them.
    gaps: [Span; 3],
}

/// What follows from other rows.
#[derive(Debug, Clone, Copy, Default)]
pub struct Derived<'a> {
    /// parent_id or ancestor_id.
    pub above: Option<SpanId>,
    /// The call that reached it, and its duration less this one's, nanoseconds.
    pub caller: Option<SpanId>,
    #[allow(missing_docs, reason = "see caller")]
    pub net_nanos: Option<i64>,
    /// The module that answered, as it is.
    pub peer_module: Option<&'a str>,
    /// All flags.
    pub flags: Flags,
}

/// Why a line is no row.
#[derive(Debug, thiserror::Error)]
pub enum RowError {
    /// No object.
    #[error(transparent)]
    NotAnObject(#[from] NotAnObject),
    /// A field that is needed is not there, or is not of its type.
    #[error("{0} is missing or not as the contract has it")]
    Field(&'static str),
    /// Fields stand in another order than the contract's.
    #[error("fields out of order")]
    Disordered,
    /// There are more names than are kept.
    #[error(transparent)]
    TooManyNames(#[from] super::directory::TooManyNames),
}

macro_rules! indexes {
    ($fields:expr; $($name:ident = $field:literal,)*) => {
        $(pub const $name: usize = field_index($fields, $field);)*
    };
}

mod invocation {
    use super::*;
    indexes! { Invocation::FIELDS;
        TRACE_ID = "trace_id", SPAN_ID = "span_id", PARENT_ID = "parent_id", PARENT_SPAN_ID = "parent_span_id",
        MODULE_ID = "module_id", INSTANCE_ID = "instance_id", TS_ENQUEUE = "ts_enqueue", TS_START = "ts_start",
        TS_END = "ts_end", NODE = "node", STAGE = "stage", METHOD = "method", PATH = "path", BYTES_IN = "bytes_in",
        BYTES_OUT = "bytes_out", CPU_TIME_MS = "cpu_time_ms", QUEUE_TIME_MS = "queue_time_ms",
        SERVICE_TIME_MS = "service_time_ms", APP_ID = "app_id", ROUTE = "route", KIND = "kind",
        CALLER_SPAN_ID = "caller_span_id", NET_MS = "net_ms", FLAGS = "flags",
    }
}

mod call {
    use super::*;
    indexes! { Call::FIELDS;
        TRACE_ID = "trace_id", SPAN_ID = "span_id", PARENT_SPAN_ID = "parent_span_id", ANCESTOR_ID = "ancestor_id",
        MODULE_ID = "module_id", INSTANCE_ID = "instance_id", NODE = "node", STAGE = "stage", TS_START = "ts_start",
        TS_END = "ts_end", KIND = "kind", PEER = "peer", PEER_MODULE = "peer_module", FLAGS = "flags",
    }
}

/// First and last index of the derived fields of each gap.
const INVOCATION_GAPS: [(usize, usize); 3] = [
    (invocation::PARENT_ID, invocation::PARENT_ID),
    (invocation::CALLER_SPAN_ID, invocation::NET_MS),
    (invocation::FLAGS, invocation::FLAGS),
];
const CALL_GAPS: [(usize, usize); 3] = [
    (call::ANCESTOR_ID, call::ANCESTOR_ID),
    (call::PEER_MODULE, call::PEER_MODULE),
    (call::FLAGS, call::FLAGS),
];
const _: () = assert!(invocation::NET_MS == invocation::CALLER_SPAN_ID + 1);

/// The contract's fields of the file.
pub fn fields_of(is_call: bool) -> &'static [Field] {
    if is_call { Call::FIELDS } else { Invocation::FIELDS }
}

/// A field's value on the way to a row.
struct Values {
    module: Span,
    instance: Span,
    node: Span,
    stage: Stage,
    app: Option<Span>,
    started: i64,
    has_queue_time: bool,
    seen: u64,
}

/// Reads a line that lies at `at` of `partition`.
pub fn read(
    partition: &[u8],
    at: (usize, usize),
    is_call: bool,
    place: impl Fn(&TraceId) -> u64,
    directory: &mut Directory,
) -> Result<SpanRow, RowError> {
    let line = &partition[at.0..at.1];
    let mut row = SpanRow {
        is_call,
        kind: SpanKind::Client,
        place: 0,
        trace_id: TraceId([0; 16]),
        span_id: SpanId([0; 8]),
        parent_span_id: None,
        above: None,
        caller_span_id: None,
        net_nanos: None,
        flags: Flags::NONE,
        start: 0,
        end: 0,
        node: 0,
        instance: 0,
        bytes_in: None,
        bytes_out: None,
        cpu_nanos: None,
        service_nanos: None,
        starts_after_body: false,
        at,
        method: None,
        path: None,
        route: None,
        peer: None,
        peer_module: None,
        gaps: [(0, 0); 3],
    };
    let mut values = Values {
        module: (0, 0),
        instance: (0, 0),
        node: (0, 0),
        stage: Stage::Unknown,
        app: None,
        started: 0,
        has_queue_time: false,
        seen: 0,
    };
    let gaps = if is_call { &CALL_GAPS } else { &INVOCATION_GAPS };
    let mut order = Order::of(fields_of(is_call));
    let (mut scan, mut last) = (Fields::of(line)?, None);
    while let Some(field) = scan.next_field()? {
        let index = order.index(field.name);
        if index != UNKNOWN && last.is_some_and(|last| index <= last) {
            return Err(RowError::Disordered);
        }
        last = Some(index);
        for (gap, &(first, last)) in row.gaps.iter_mut().zip(gaps) {
            if index < first {
                *gap = (field.end as u32, field.end as u32);
            } else if index <= last {
                gap.1 = field.end as u32;
            }
        }
        if index == UNKNOWN {
            continue;
        }
        values.seen |= 1 << index;
        let at = ((field.end - field.value.len()) as u32, field.end as u32);
        if is_call {
            take_call_field(&mut row, &mut values, index, field.value, at)?;
        } else {
            take_invocation_field(&mut row, &mut values, index, field.value, at)?;
        }
    }
    check_seen(values.seen, is_call)?;
    row.starts_after_body = values.has_queue_time || (!is_call && values.started != row.start);
    let part = |(begin, end): Span| &line[begin as usize..end as usize];
    row.node = directory.node(part(values.node), values.stage)?;
    row.instance = directory.instance(
        part(values.module),
        part(values.instance),
        values.app.map(part),
        row.node,
        row.end,
    )?;
    row.place = place(&row.trace_id);
    Ok(row)
}

fn check_seen(seen: u64, is_call: bool) -> Result<(), RowError> {
    let required: &[(usize, &'static str)] = if is_call {
        &[
            (call::TRACE_ID, "trace_id"),
            (call::SPAN_ID, "span_id"),
            (call::MODULE_ID, "module_id"),
            (call::INSTANCE_ID, "instance_id"),
            (call::NODE, "node"),
            (call::STAGE, "stage"),
            (call::TS_START, "ts_start"),
            (call::TS_END, "ts_end"),
        ]
    } else {
        &[
            (invocation::TRACE_ID, "trace_id"),
            (invocation::SPAN_ID, "span_id"),
            (invocation::MODULE_ID, "module_id"),
            (invocation::INSTANCE_ID, "instance_id"),
            (invocation::TS_ENQUEUE, "ts_enqueue"),
            (invocation::TS_START, "ts_start"),
            (invocation::TS_END, "ts_end"),
            (invocation::NODE, "node"),
            (invocation::STAGE, "stage"),
            (invocation::KIND, "kind"),
        ]
    };
    match required.iter().find(|(index, _)| seen & 1 << index == 0) {
        Some((_, name)) => Err(RowError::Field(name)),
        None => Ok(()),
    }
}

fn take_invocation_field(
    row: &mut SpanRow,
    values: &mut Values,
    index: usize,
    value: &[u8],
    at: Span,
) -> Result<(), RowError> {
    use invocation::*;
    let text = || (value != b"null").then_some(at);
    match index {
        TRACE_ID => row.trace_id = trace_id(value).ok_or(RowError::Field("trace_id"))?,
        SPAN_ID => row.span_id = span_id(value, "span_id")?.ok_or(RowError::Field("span_id"))?,
        PARENT_ID => row.above = span_id(value, "parent_id")?,
        PARENT_SPAN_ID => row.parent_span_id = span_id(value, "parent_span_id")?,
        MODULE_ID => values.module = at,
        INSTANCE_ID => values.instance = at,
        TS_ENQUEUE => row.start = nanos(value, "ts_enqueue")?,
        TS_START => values.started = nanos(value, "ts_start")?,
        TS_END => row.end = nanos(value, "ts_end")?,
        NODE => values.node = at,
        STAGE => values.stage = stage(value)?,
        METHOD => row.method = text(),
        PATH => row.path = text(),
        BYTES_IN => row.bytes_in = count(value),
        BYTES_OUT => row.bytes_out = count(value),
        CPU_TIME_MS => row.cpu_nanos = optional_nanos(value, "cpu_time_ms")?.map(|nanos| nanos.max(0) as u64),
        QUEUE_TIME_MS => values.has_queue_time = value != b"null",
        SERVICE_TIME_MS => row.service_nanos = optional_nanos(value, "service_time_ms")?,
        APP_ID => values.app = text(),
        ROUTE => row.route = text(),
        KIND => row.kind = kind(value)?,
        CALLER_SPAN_ID => row.caller_span_id = span_id(value, "caller_span_id")?,
        NET_MS => row.net_nanos = optional_nanos(value, "net_ms")?,
        FLAGS => row.flags = flags(value),
        _ => {}
    }
    Ok(())
}

fn take_call_field(
    row: &mut SpanRow,
    values: &mut Values,
    index: usize,
    value: &[u8],
    at: Span,
) -> Result<(), RowError> {
    use call::*;
    let text = || (value != b"null").then_some(at);
    match index {
        TRACE_ID => row.trace_id = trace_id(value).ok_or(RowError::Field("trace_id"))?,
        SPAN_ID => row.span_id = span_id(value, "span_id")?.ok_or(RowError::Field("span_id"))?,
        PARENT_SPAN_ID => row.parent_span_id = span_id(value, "parent_span_id")?,
        ANCESTOR_ID => row.above = span_id(value, "ancestor_id")?,
        MODULE_ID => values.module = at,
        INSTANCE_ID => values.instance = at,
        NODE => values.node = at,
        STAGE => values.stage = stage(value)?,
        TS_START => row.start = nanos(value, "ts_start")?,
        TS_END => row.end = nanos(value, "ts_end")?,
        KIND => row.kind = kind(value)?,
        PEER => row.peer = text(),
        PEER_MODULE => {
            row.peer_module = text().map(|(begin, end)| (row.at.0 + begin as usize, row.at.0 + end as usize))
        }
        FLAGS => row.flags = flags(value),
        _ => {}
    }
    Ok(())
}

impl SpanRow {
    /// The line, in the partition that it was read from.
    pub fn line<'p>(&self, partition: &'p [u8]) -> &'p [u8] {
        &partition[self.at.0..self.at.1]
    }

    /// A string of the line; a name that cannot be read is none.
    pub fn text<'p>(&self, partition: &'p [u8], part: Option<Span>) -> Option<std::borrow::Cow<'p, str>> {
        let (begin, end) = part?;
        super::scan::text(&self.line(partition)[begin as usize..end as usize])
    }

    /// The module that answered, as it was told.
    pub fn told_peer_module<'p>(&self, partition: &'p [u8]) -> Option<std::borrow::Cow<'p, str>> {
        let (begin, end) = self.peer_module?;
        super::scan::text(&partition[begin..end])
    }

    /// End less start, nanoseconds.
    pub fn duration(&self) -> i64 {
        self.end.wrapping_sub(self.start)
    }

    /// The parts of the line that do not depend on other rows.
    pub fn base<'p>(&self, partition: &'p [u8]) -> [&'p [u8]; 4] {
        let line = self.line(partition);
        let [first, second, third] = self.gaps.map(|(begin, end)| (begin as usize, end as usize));
        [
            &line[..first.0],
            &line[first.1..second.0],
            &line[second.1..third.0],
            &line[third.1..],
        ]
    }

    /// Appends the line with these derived fields.
    pub fn write(&self, partition: &[u8], derived: &Derived<'_>, out: &mut Vec<u8>) {
        let [first, second, third, rest] = self.base(partition);
        let fields = fields_of(self.is_call);
        let (gaps, flags) = if self.is_call {
            (&CALL_GAPS, call::FLAGS)
        } else {
            (&INVOCATION_GAPS, invocation::FLAGS)
        };
        out.extend_from_slice(first);
        push_field(&fields[gaps[0].0], derived.above.as_ref(), out);
        out.extend_from_slice(second);
        if self.is_call {
            push_text(&fields[call::PEER_MODULE], derived.peer_module, out);
        } else {
            push_field(&fields[invocation::CALLER_SPAN_ID], derived.caller.as_ref(), out);
            let net = derived.net_nanos.map(Milliseconds::from_nanos);
            push_field(&fields[invocation::NET_MS], net.as_ref(), out);
        }
        out.extend_from_slice(third);
        push_field(&fields[flags], derived.flags.non_empty().as_ref(), out);
        out.extend_from_slice(rest);
    }
}

fn push_text(field: &Field, text: Option<&str>, out: &mut Vec<u8>) {
    push_field(field, text.map(Text::from).as_ref(), out);
}
