//! [`Traces`]: makes the spans of each trace: one for each row, and an *inner span* for each parent that rows name but that has
//! no row.
//!
//! Receivers decide from the spans which of them are requests, and who called whom. For this, the flags of a span state whether
//! its parent is in another process: the parent of an invocation is, and that of every other span is not. Only spans that share
//! an id, as a call and its answer do in Zipkin, have no flags: a receiver expects shared ids only where flags are missing.

use std::collections::BTreeMap;

use cctf_proto::cctf::{Call, Flag, Invocation, Milliseconds, SpanId, SpanKind, SpanLink};
use cctf_proto::keys;
use foldhash::HashSet;
use opentelemetry_proto::tonic::trace::v1::span::{Link, SpanKind as OtlpKind};
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{Span, Status};

use crate::counts::Counts;

use super::attributes::{Attributes, Described, of_call, of_invocation};
use super::losses::Losses;
use super::requests::{Origins, Sent};
use super::rows::Row;
use super::senders::Senders;
use super::weight::trace_state;

/// Scopes of the spans that have a row, and of inner spans.
const ROW_SCOPE: &str = "cctf.export";
const INNER_SCOPE: &str = "cctf.export.inner";
/// Name of an inner span, whose real name no row states.
const INNER_NAME: &str = "inner span";
/// Name of an inner span that fetched messages.
const POLL_NAME: &str = "poll";
/// Bits of a span's flags. The first one: the second one is valid. The second one: the parent is in another process.
const IS_STATED: u32 = 0x100;
const IS_REMOTE: u32 = 0x200;

/// A span that has no row, but is the parent of rows.
#[derive(Debug, Clone, Copy)]
struct Inner {
    /// The invocation above the span. `None` if the rows below have no ancestor: then the span fetched messages.
    parent: Option<SpanId>,
    /// Index of a row whose instance also sends this span.
    of: usize,
    start: Milliseconds,
    end: Milliseconds,
}

/// Makes the spans of traces.
pub struct Traces<'a> {
    senders: Senders,
    pub losses: Losses,
    pub counts: Counts,
    run_id: &'a str,
    origins: Origins,
}

impl<'a> Traces<'a> {
    pub fn new(senders: Senders, losses: Losses, run_id: &'a str) -> Self {
        Self {
            senders,
            losses,
            counts: Counts::default(),
            run_id,
            origins: Origins::default(),
        }
    }

    /// The spans of a trace, sorted by start. `rows` are all rows of the trace.
    pub fn spans(&mut self, mut rows: Vec<Row<'_>>) -> Vec<Sent> {
        rows.sort_by_key(|row| (row.span_id(), row.kind()));
        let before = rows.len();
        rows.dedup_by_key(|row| (row.span_id(), row.kind()));
        self.losses.duplicates += (before - rows.len()) as u64;
        let in_time = rows.len();
        rows.retain(|row| row.start().as_ns() > 0 && row.end().as_ns() > 0);
        self.losses.without_time += (in_time - rows.len()) as u64;

        let inner = self.inner_spans(&rows);
        self.losses.inner_spans += inner.len() as u64;
        let callees = rows.iter().filter(|row| row.is_callee());
        let answered: HashSet<SpanId> = callees.filter_map(Row::parent_span_id).collect();
        let mut spans = Vec::with_capacity(rows.len() + inner.len());
        for row in &rows {
            self.count(row);
            self.count_losses(&rows, row, &answered);
            let is_shared = with_id(&rows, row.span_id()).len() > 1;
            let span = self.span(row, is_shared);
            spans.push(self.sent(row, ROW_SCOPE, span));
        }
        for (&id, inner) in &inner {
            let span = self.inner_span(&rows[inner.of], id, inner);
            spans.push(self.sent(&rows[inner.of], INNER_SCOPE, span));
        }
        spans.sort_by_key(|sent| (sent.span.start_time_unix_nano, sent.span.end_time_unix_nano));
        spans
    }

    /// A span with the resource of the row's sender.
    fn sent(&mut self, row: &Row<'_>, scope: &'static str, span: Span) -> Sent {
        self.losses.stages +=
            u64::from(scope == ROW_SCOPE && self.senders.is_stage_other(row.node(), row.stage()));
        let (senders, sender) = (&self.senders, self.senders.of_row(row));
        let origin = self.origins.get(sender.key(), || senders.resource(&sender));
        Sent { origin, scope, span }
    }

    /// The inner spans of a trace: rows name them as their parents, but they have no row.
    fn inner_spans(&mut self, rows: &[Row<'_>]) -> BTreeMap<SpanId, Inner> {
        let mut inner: BTreeMap<SpanId, Inner> = BTreeMap::new();
        for (index, row) in rows.iter().enumerate() {
            let Some(parent) = row.parent_span_id() else {
                continue;
            };
            let is_own = parent == row.span_id();
            if row.has(Flag::Orphan) || is_own || has_other(rows, parent, index) {
                continue;
            }
            let (above, of) = match row.ancestor() {
                None => (None, index),
                Some(ancestor) => match invocation(rows, ancestor) {
                    Some(of) => (Some(ancestor), of),
                    None => continue,
                },
            };
            let known = inner.entry(parent).or_insert(Inner {
                parent: above,
                of,
                start: row.start(),
                end: row.end(),
            });
            known.start = known.start.min(row.start());
            known.end = known.end.max(row.end());
        }
        for (index, row) in rows.iter().enumerate().filter(|(_, row)| row.has(Flag::Orphan)) {
            let is_known = |parent: SpanId| inner.contains_key(&parent) || has_other(rows, parent, index);
            self.losses.connected += u64::from(row.parent_span_id().is_some_and(is_known));
        }
        inner
    }

    fn count(&mut self, row: &Row<'_>) {
        let counts = &mut self.counts;
        match row {
            Row::Invocation(of) => {
                counts.invocations += 1;
                counts.roots += u64::from(of.parent_id.is_none() && !row.has(Flag::Orphan));
                counts.bytes_in += of.bytes_in.unwrap_or(0);
                counts.bytes_out += of.bytes_out.unwrap_or(0);
            }
            Row::Call(_) => {
                counts.calls += 1;
                counts.messages += u64::from(row.kind() == SpanKind::Producer);
            }
        }
    }

    /// Counts what the export loses of a row. `answered` has the parents of all invocations with the kind SERVER or CONSUMER.
    fn count_losses(&mut self, rows: &[Row<'_>], row: &Row<'_>, answered: &HashSet<SpanId>) {
        let losses = &mut self.losses;
        losses.late += u64::from(row.has(Flag::Late));
        let is_missing = |ancestor: SpanId| invocation(rows, ancestor).is_none();
        losses.without_ancestor += u64::from(row.ancestor().is_some_and(is_missing));
        match row {
            Row::Invocation(of) => {
                let is_missing = |call: SpanId| !with_id(rows, call).iter().any(Row::is_call);
                losses.without_call += u64::from(of.caller_span_id.is_some_and(is_missing));
            }
            Row::Call(of) => {
                let is_twin =
                    |other: &Row<'_>| other.is_callee() && other.parent_span_id() == of.parent_span_id;
                let has_twin = || with_id(rows, of.span_id).iter().any(is_twin);
                let is_answered = answered.contains(&of.span_id) || has_twin();
                losses.without_answer += u64::from(of.peer_module.is_some() && !is_answered);
            }
        }
    }

    fn span(&mut self, row: &Row<'_>, is_shared: bool) -> Span {
        let (described, own) = match row {
            Row::Invocation(row) => (of_invocation(row), of_invocation_alone(row)),
            Row::Call(call) => (of_call(call, row.kind()), of_call_alone(call)),
        };
        let Described {
            name,
            mut attributes,
            is_failed,
            is_exact,
            is_protocol_assumed,
        } = described;
        self.losses.protocols += u64::from(is_protocol_assumed);
        self.losses.fields += u64::from(!(is_exact && own.is_exact));
        attributes.0.extend(own.attributes.0);
        attributes.text(keys::RUN_ID, Some(self.run_id));
        let is_remote = !row.is_call() && row.parent_span_id().is_some();
        let flags = match (is_shared, is_remote) {
            (true, _) => 0,
            (false, true) => IS_STATED | IS_REMOTE,
            (false, false) => IS_STATED,
        };
        Span {
            trace_id: row.trace_id().0.to_vec(),
            span_id: row.span_id().0.to_vec(),
            trace_state: own.trace_state,
            parent_span_id: parent_id(row.parent_span_id()),
            flags,
            name,
            kind: otlp_kind(row.kind()) as i32,
            start_time_unix_nano: unsigned(row.start()),
            end_time_unix_nano: unsigned(row.end()),
            attributes: attributes.0,
            // It is unknown which texts of the row were cut, so this counts as one attribute.
            dropped_attributes_count: u32::from(row.has(Flag::Truncated)),
            links: own.links,
            status: is_failed.then(|| Status {
                code: StatusCode::Error as i32,
                ..Status::default()
            }),
            ..Span::default()
        }
    }

    fn inner_span(&self, of: &Row<'_>, id: SpanId, inner: &Inner) -> Span {
        let mut attributes = Attributes::default();
        let is_poll = inner.parent.is_none();
        attributes.text("messaging.operation.type", Some("receive").filter(|_| is_poll));
        attributes.text(keys::RUN_ID, Some(self.run_id));
        Span {
            trace_id: of.trace_id().0.to_vec(),
            span_id: id.0.to_vec(),
            parent_span_id: parent_id(inner.parent),
            flags: IS_STATED,
            name: if is_poll { POLL_NAME } else { INNER_NAME }.to_owned(),
            kind: if is_poll {
                OtlpKind::Consumer
            } else {
                OtlpKind::Internal
            } as i32,
            start_time_unix_nano: unsigned(inner.start),
            end_time_unix_nano: unsigned(inner.end),
            attributes: attributes.0,
            ..Span::default()
        }
    }
}

/// The parts of a span that only one of the two kinds of rows has.
#[derive(Default)]
struct Alone {
    attributes: Attributes,
    trace_state: String,
    links: Vec<Link>,
    is_exact: bool,
}

fn of_invocation_alone(row: &Invocation<'_>) -> Alone {
    let mut attributes = Attributes::default();
    let is_start_stated = row.queue_time_ms.is_some() || row.ts_start != row.ts_enqueue;
    let started = Some(row.ts_start.as_ns()).filter(|_| is_start_stated);
    attributes.integer(keys::START_TIME_UNIX_NANO, started);
    for (key, time) in [
        (keys::CPU_TIME_NS, row.cpu_time_ms),
        (keys::CPU_WAIT_NS, row.cpu_wait_ms),
        (keys::DOWNSTREAM_TIME_NS, row.downstream_ms),
        (keys::WAKEUP_TIME_NS, row.wakeup_ms),
        (keys::SLOT_WAIT_NS, row.slot_wait_ms),
    ] {
        attributes.integer(key, time.map(Milliseconds::as_ns));
    }
    attributes.text("url.query", row.query.as_deref());
    attributes.boolean("faas.coldstart", row.cold_start);
    let state = row.sample_weight.map(trace_state);
    Alone {
        attributes,
        is_exact: state != Some(None),
        trace_state: state.flatten().unwrap_or_default(),
        links: row.links.iter().flatten().map(link).collect(),
    }
}

fn of_call_alone(row: &Call<'_>) -> Alone {
    let mut attributes = Attributes::default();
    attributes.integer(keys::LATENESS_NS, row.lateness_ms.map(Milliseconds::as_ns));
    let trace = row.replay_of_trace_id.map(|id| id.to_string());
    let span = row.replay_of_span_id.map(|id| id.to_string());
    attributes.text(keys::REPLAY_OF_TRACE_ID, trace.as_deref());
    attributes.text(keys::REPLAY_OF_SPAN_ID, span.as_deref());
    Alone {
        attributes,
        is_exact: true,
        ..Alone::default()
    }
}

fn link(link: &SpanLink) -> Link {
    Link {
        trace_id: link.trace_id.0.to_vec(),
        span_id: link.span_id.0.to_vec(),
        ..Link::default()
    }
}

/// The rows with this span id. `rows` must be sorted by span id.
fn with_id<'r, 'l>(rows: &'r [Row<'l>], id: SpanId) -> &'r [Row<'l>] {
    let begin = rows.partition_point(|row| row.span_id() < id);
    let count = rows[begin..].iter().take_while(|row| row.span_id() == id).count();
    &rows[begin..begin + count]
}

/// Whether a row other than the one at `index` has this span id.
fn has_other(rows: &[Row<'_>], id: SpanId, index: usize) -> bool {
    let is_own = rows[index].span_id() == id;
    with_id(rows, id).len() > usize::from(is_own)
}

/// The index of the invocation with this span id.
fn invocation(rows: &[Row<'_>], id: SpanId) -> Option<usize> {
    let begin = rows.partition_point(|row| row.span_id() < id);
    let found = with_id(rows, id).iter().position(|row| !row.is_call());
    found.map(|place| begin + place)
}

fn parent_id(parent: Option<SpanId>) -> Vec<u8> {
    parent.map_or_else(Vec::new, |id| id.0.to_vec())
}

/// A time as OTLP has it. Rows before 1970 were left out earlier.
fn unsigned(time: Milliseconds) -> u64 {
    u64::try_from(time.as_ns()).unwrap_or_default()
}

fn otlp_kind(kind: SpanKind) -> OtlpKind {
    match kind {
        SpanKind::Server => OtlpKind::Server,
        SpanKind::Consumer => OtlpKind::Consumer,
        SpanKind::Internal => OtlpKind::Internal,
        SpanKind::Client => OtlpKind::Client,
        SpanKind::Producer => OtlpKind::Producer,
    }
}
