//! Reads a line of `invocations.jsonl` or `calls.jsonl` as a [`SpanRow`], without decoding the rest of it.

use std::hash::{BuildHasher, Hasher};

use cctf_proto::cctf::{Call, Field, Invocation, Row, Stage, field_index};
use rundir::fields::{Fields, Name, NotAnObject, Order, UNKNOWN, names_of};

use crate::inputs::LineLocation;
use crate::registry::{EntityRegistry, TooManyNames};
use crate::rows::derived_fields::{DerivedFieldFinder, DerivedFieldOffsets, own_parts};
use crate::rows::row::{ByteRange, SpanRow};
use crate::rows::span_file::SpanFile;
use crate::values::{InvalidField, count, flags, kind, ns, optional_ns, span_id, stage, trace_id};

/// The reason why a line is not a row.
#[derive(Debug, thiserror::Error)]
pub enum RowError {
    #[error(transparent)]
    NotAnObject(#[from] NotAnObject),
    #[error(transparent)]
    InvalidField(#[from] InvalidField),
    /// The fields are not in the contract's order.
    #[error("fields out of order")]
    Disordered,
    #[error(transparent)]
    TooManyNames(#[from] TooManyNames),
}

/// The meaning that a field has for the merge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Column {
    Other,
    TraceId,
    SpanId,
    ParentSpanId,
    Ancestor,
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

/// Fields of a file, by index.
struct Columns {
    names: &'static [Name],
    columns: &'static [Column],
    required: &'static [(&'static str, Column)],
}

const fn columns_of<const N: usize>(fields: &[Field], lists: &[&[(&'static str, Column)]]) -> [Column; N] {
    let mut columns = [Column::Other; N];
    let mut list = 0;
    while list < lists.len() {
        let mut entry = 0;
        while entry < lists[list].len() {
            columns[field_index(fields, lists[list][entry].0)] = lists[list][entry].1;
            entry += 1;
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
    ("parent_id", Column::Ancestor),
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
    ("ancestor_id", Column::Ancestor),
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

/// Values from which fields of the row are computed.
struct Values {
    module: ByteRange,
    instance: ByteRange,
    node: ByteRange,
    stage: Stage,
    app: Option<ByteRange>,
    work_start: i64,
    has_queue_time: bool,
    /// The columns that were read. Each has one bit.
    seen: u32,
}

impl Values {
    const NONE: Self = Self {
        module: ByteRange { begin: 0, end: 0 },
        instance: ByteRange { begin: 0, end: 0 },
        node: ByteRange { begin: 0, end: 0 },
        stage: Stage::Unknown,
        app: None,
        work_start: 0,
        has_queue_time: false,
        seen: 0,
    };
}

/// Reads a line of `file`, whose fields must be in the contract's order.
pub fn read(
    line: &[u8],
    location: LineLocation,
    file: SpanFile,
    registry: &mut EntityRegistry,
) -> Result<SpanRow, RowError> {
    let mut row = SpanRow::new(file, location);
    let mut values = Values::NONE;
    let columns = match file {
        SpanFile::Invocations => &INVOCATIONS,
        SpanFile::Calls => &CALLS,
    };
    let (mut finder, mut order) = (DerivedFieldFinder::new(file), Order::new(file.fields()));
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
        let range = ByteRange {
            begin: (field.end - field.value.len()) as u32,
            end: field.end as u32,
        };
        take(&mut row, &mut values, column, field.value, range)?;
    }
    let is_missing = |column: Column| values.seen & 1 << column as u32 == 0;
    if let Some((name, _)) = columns.required.iter().find(|(_, column)| is_missing(*column)) {
        return Err(InvalidField(name).into());
    }
    row.starts_after_body =
        values.has_queue_time || (file == SpanFile::Invocations && values.work_start != row.start);
    let derived_fields = finder.finish();
    row.derived_fields = DerivedFieldOffsets::from_ranges(derived_fields);
    row.own_hash = hash_of(own_parts(line, derived_fields).unwrap_or_default());
    row.node = registry.node(values.node.slice(line), values.stage)?;
    row.instance = registry.instance(
        values.module.slice(line),
        values.instance.slice(line),
        values.app.map(|app| app.slice(line)),
        row.node,
        Some(row.end),
    )?;
    Ok(row)
}

/// The seed is fixed, because every merge must keep the same one of two duplicates.
fn hash_of(own: [&[u8]; 4]) -> u64 {
    let mut hasher = foldhash::quality::FixedState::with_seed(0x6363_7466).build_hasher();
    for part in own {
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
    range: ByteRange,
) -> Result<(), InvalidField> {
    let text = || (value != b"null").then_some(range);
    match column {
        Column::Other => {}
        Column::TraceId => row.trace_id = trace_id(value, "trace_id")?,
        Column::SpanId => row.span_id = span_id(value, "span_id")?.ok_or(InvalidField("span_id"))?,
        Column::ParentSpanId => row.parent_span_id = span_id(value, "parent_span_id")?,
        Column::Ancestor => {
            let name = if row.is_call() { "ancestor_id" } else { "parent_id" };
            row.ancestor = span_id(value, name)?;
        }
        Column::Module => values.module = range,
        Column::Instance => values.instance = range,
        Column::Start => {
            let name = if row.is_call() { "ts_start" } else { "ts_enqueue" };
            row.start = ns(value, name)?;
        }
        Column::WorkStart => values.work_start = ns(value, "ts_start")?,
        Column::End => row.end = ns(value, "ts_end")?,
        Column::Node => values.node = range,
        Column::Stage => values.stage = stage(value)?,
        Column::Method => row.method = text(),
        Column::Path => row.path = text(),
        // The route has priority over the path. The contract's order puts it after the path.
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
