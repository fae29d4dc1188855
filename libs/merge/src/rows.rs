//! [`SpanRow`]: what the merge reads of a line of invocations.jsonl or calls.jsonl.

use std::hash::{BuildHasher, Hasher};

use cctf_proto::cctf::{Call, Field, Flags, Invocation, Row, SpanId, SpanKind, Stage, TraceId, field_index};

use super::directory::Directory;
use super::gaps::{GapFinder, Gaps, base, fields_of};
use super::values::{count, flags, kind, ns, optional_ns, span_id, stage, trace_id};
use rundir::fields::{Fields, Name, NotAnObject, Order, UNKNOWN, names_of};

/// A stretch of a line, or of the bytes that a row was kept in.
pub type Span = (u32, u32);

/// Where a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Origin {
    /// The folder, by number.
    pub input: u32,
    /// Its first byte in the file.
    pub at: u64,
    /// Its bytes, without the newline.
    pub length: u32,
}

/// One row.
#[derive(Debug, Clone)]
pub struct SpanRow {
    pub is_call: bool,
    pub kind: SpanKind,
    pub trace_id: TraceId,
    pub span_id: SpanId,
    pub parent_span_id: Option<SpanId>,
    /// parent_id or ancestor_id as it was told.
    pub above: Option<SpanId>,
    pub caller_span_id: Option<SpanId>,
    pub net_ns: Option<i64>,
    pub flags: Flags,
    /// ts_enqueue, or a call's ts_start, nanoseconds.
    pub start: i64,
    pub end: i64,
    /// Numbers in the directory.
    pub node: u32,
    pub instance: u32,
    pub bytes_in: Option<u64>,
    pub bytes_out: Option<u64>,
    pub cpu_ns: Option<u64>,
    pub service_ns: Option<i64>,
    /// Whether its span starts when the body has been read.
    pub starts_after_body: bool,
    pub method: Option<Span>,
    /// The route, else the path.
    pub path: Option<Span>,
    pub peer: Option<Span>,
    pub peer_module: Option<Span>,
    /// Tells the parts of the line that do not depend on other rows from others.
    pub base_hash: u64,
    pub origin: Origin,
    /// Where derived fields stand or belong; `None` if that has to be looked for when the line is written.
    pub gaps: Option<Gaps>,
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

/// What a field is to a merge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Column {
    Other,
    TraceId,
    SpanId,
    ParentSpanId,
    Above,
    Module,
    Instance,
    Start,
    WorkStart,
    End,
    Node,
    Stage,
    Method,
    Path,
    BytesIn,
    BytesOut,
    CpuTime,
    QueueTime,
    ServiceTime,
    App,
    Route,
    Kind,
    Caller,
    Net,
    Peer,
    PeerModule,
    Flags,
}

/// Fields of a file: as they are looked for, and what each is.
struct Columns {
    names: &'static [Name],
    columns: &'static [Column],
    required: &'static [(&'static str, Column)],
}

const fn columns_of<const N: usize>(fields: &[Field], of: &[&[(&'static str, Column)]]) -> [Column; N] {
    let mut columns = [Column::Other; N];
    let mut list = 0;
    while list < of.len() {
        let mut at = 0;
        while at < of[list].len() {
            columns[field_index(fields, of[list][at].0)] = of[list][at].1;
            at += 1;
        }
        list += 1;
    }
    columns
}

const INVOCATION_REQUIRED: &[(&str, Column)] = &[
    ("trace_id", Column::TraceId),
    ("span_id", Column::SpanId),
    ("module_id", Column::Module),
    ("instance_id", Column::Instance),
    ("ts_enqueue", Column::Start),
    ("ts_start", Column::WorkStart),
    ("ts_end", Column::End),
    ("node", Column::Node),
    ("stage", Column::Stage),
    ("kind", Column::Kind),
];
const INVOCATION_OPTIONAL: &[(&str, Column)] = &[
    ("parent_id", Column::Above),
    ("parent_span_id", Column::ParentSpanId),
    ("method", Column::Method),
    ("path", Column::Path),
    ("bytes_in", Column::BytesIn),
    ("bytes_out", Column::BytesOut),
    ("cpu_time_ms", Column::CpuTime),
    ("queue_time_ms", Column::QueueTime),
    ("service_time_ms", Column::ServiceTime),
    ("app_id", Column::App),
    ("route", Column::Route),
    ("caller_span_id", Column::Caller),
    ("net_ms", Column::Net),
    ("flags", Column::Flags),
];
const CALL_REQUIRED: &[(&str, Column)] = &[
    ("trace_id", Column::TraceId),
    ("span_id", Column::SpanId),
    ("module_id", Column::Module),
    ("instance_id", Column::Instance),
    ("node", Column::Node),
    ("stage", Column::Stage),
    ("ts_start", Column::Start),
    ("ts_end", Column::End),
];
const CALL_OPTIONAL: &[(&str, Column)] = &[
    ("parent_span_id", Column::ParentSpanId),
    ("ancestor_id", Column::Above),
    ("kind", Column::Kind),
    ("peer", Column::Peer),
    ("peer_module", Column::PeerModule),
    ("flags", Column::Flags),
];

static INVOCATIONS: Columns = Columns {
    names: &names_of::<{ Invocation::FIELDS.len() }>(Invocation::FIELDS),
    columns: &columns_of::<{ Invocation::FIELDS.len() }>(
        Invocation::FIELDS,
        &[INVOCATION_REQUIRED, INVOCATION_OPTIONAL],
    ),
    required: INVOCATION_REQUIRED,
};
static CALLS: Columns = Columns {
    names: &names_of::<{ Call::FIELDS.len() }>(Call::FIELDS),
    columns: &columns_of::<{ Call::FIELDS.len() }>(Call::FIELDS, &[CALL_REQUIRED, CALL_OPTIONAL]),
    required: CALL_REQUIRED,
};

/// A field's value on the way to a row.
struct Values {
    module: Span,
    instance: Span,
    node: Span,
    stage: Stage,
    app: Option<Span>,
    started: i64,
    has_queue_time: bool,
    /// A bit for each column.
    seen: u32,
}

/// Reads a line whose place is `origin`.
pub fn read(
    line: &[u8],
    origin: Origin,
    is_call: bool,
    directory: &mut Directory,
) -> Result<SpanRow, RowError> {
    let mut row = SpanRow {
        is_call,
        kind: SpanKind::Client,
        trace_id: TraceId([0; 16]),
        span_id: SpanId([0; 8]),
        parent_span_id: None,
        above: None,
        caller_span_id: None,
        net_ns: None,
        flags: Flags::NONE,
        start: 0,
        end: 0,
        node: 0,
        instance: 0,
        bytes_in: None,
        bytes_out: None,
        cpu_ns: None,
        service_ns: None,
        starts_after_body: false,
        method: None,
        path: None,
        peer: None,
        peer_module: None,
        base_hash: 0,
        origin,
        gaps: None,
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
    let columns = if is_call { &CALLS } else { &INVOCATIONS };
    let (mut finder, mut order) = (GapFinder::new(is_call), Order::new(fields_of(is_call)));
    let (mut scan, mut next) = (Fields::new(line)?, 0);
    while let Some((index, field)) = scan.next_known(&mut order, columns.names)? {
        if index == UNKNOWN {
            next = UNKNOWN;
        } else if index < next {
            return Err(RowError::Disordered);
        } else {
            next = index + 1;
        }
        finder.field(index, field.end);
        let Some(&column) = columns.columns.get(index) else {
            continue;
        };
        values.seen |= 1 << column as u32;
        let at = ((field.end - field.value.len()) as u32, field.end as u32);
        take(&mut row, &mut values, column, field.value, at)?;
    }
    let is_missing = |column: Column| values.seen & 1 << column as u32 == 0;
    if let Some((name, _)) = columns.required.iter().find(|(_, column)| is_missing(*column)) {
        return Err(RowError::Field(name));
    }
    row.starts_after_body = values.has_queue_time || (!is_call && values.started != row.start);
    let gaps = finder.finish();
    row.gaps = Gaps::of(gaps);
    row.base_hash = hash_of(base(line, gaps).unwrap_or_default());
    let part = |(begin, end): Span| &line[begin as usize..end as usize];
    row.node = directory.node(part(values.node), values.stage)?;
    row.instance = directory.instance(
        part(values.module),
        part(values.instance),
        values.app.map(part),
        row.node,
        Some(row.end),
    )?;
    Ok(row)
}

/// The seed is fixed: which of two copies is kept must be the same in every merge.
fn hash_of(base: [&[u8]; 4]) -> u64 {
    let mut hasher = foldhash::quality::FixedState::with_seed(0x6363_7466).build_hasher();
    for part in base {
        hasher.write(part);
    }
    hasher.finish()
}

#[inline]
fn take(
    row: &mut SpanRow,
    values: &mut Values,
    column: Column,
    value: &[u8],
    at: Span,
) -> Result<(), RowError> {
    let text = || (value != b"null").then_some(at);
    match column {
        Column::Other => {}
        Column::TraceId => row.trace_id = trace_id(value).ok_or(RowError::Field("trace_id"))?,
        Column::SpanId => row.span_id = span_id(value, "span_id")?.ok_or(RowError::Field("span_id"))?,
        Column::ParentSpanId => row.parent_span_id = span_id(value, "parent_span_id")?,
        Column::Above => {
            let name = if row.is_call { "ancestor_id" } else { "parent_id" };
            row.above = span_id(value, name)?;
        }
        Column::Module => values.module = at,
        Column::Instance => values.instance = at,
        Column::Start => {
            let name = if row.is_call { "ts_start" } else { "ts_enqueue" };
            row.start = ns(value, name)?;
        }
        Column::WorkStart => values.started = ns(value, "ts_start")?,
        Column::End => row.end = ns(value, "ts_end")?,
        Column::Node => values.node = at,
        Column::Stage => values.stage = stage(value)?,
        Column::Method => row.method = text(),
        Column::Path => row.path = text(),
        // Behind the path, which it goes before.
        Column::Route => row.path = text().or(row.path),
        Column::BytesIn => row.bytes_in = count(value),
        Column::BytesOut => row.bytes_out = count(value),
        Column::CpuTime => row.cpu_ns = optional_ns(value, "cpu_time_ms")?.map(|ns| ns.max(0) as u64),
        Column::QueueTime => values.has_queue_time = value != b"null",
        Column::ServiceTime => row.service_ns = optional_ns(value, "service_time_ms")?,
        Column::App => values.app = text(),
        Column::Kind => row.kind = kind(value)?,
        Column::Caller => row.caller_span_id = span_id(value, "caller_span_id")?,
        Column::Net => row.net_ns = optional_ns(value, "net_ms")?,
        Column::Peer => row.peer = text(),
        Column::PeerModule => row.peer_module = text(),
        Column::Flags => row.flags = flags(value),
    }
    Ok(())
}

impl SpanRow {
    /// A string of the line, or of the bytes that it was kept in; a name that cannot be read is none.
    pub fn text<'p>(&self, bytes: &'p [u8], part: Option<Span>) -> Option<std::borrow::Cow<'p, str>> {
        let (begin, end) = part?;
        rundir::fields::text(&bytes[begin as usize..end as usize])
    }

    /// End less start, nanoseconds.
    pub fn duration(&self) -> i64 {
        self.end.wrapping_sub(self.start)
    }
}
