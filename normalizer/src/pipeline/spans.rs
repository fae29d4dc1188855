//! Spans: each is told apart from its copies, given to the join, and encoded as the row that it may become.

use std::sync::Arc;

use cctf_proto::cctf::Row;
use cctf_proto::cctf::{
    Call, Flag, Flags, Invocation, Milliseconds, SpanId, SpanKind as RowKind, Text, TraceId, field_index,
};
use cctf_proto::otlp::trace::{Span, SpanKind};

use super::accounts::Fate;
use super::crossings::RowRun;
use super::dedup::span_fingerprint;
use super::held::{Gaps, RowFacts};
use super::output::Output;
use super::sources::Source;
use super::{NO_INSTANCE, Pipeline};
use crate::join::{Arrival, Role};
use crate::mapping::conventions::Slot;
use crate::mapping::{AttributeSlots, MappedSpan, failure, links, map_span, peer, query};
use aggregate::modules::InvocationFacts;
use aggregate::names::{NAMELESS, endpoint_key};

const PARENT_ID: usize = field_index(Invocation::FIELDS, "parent_id");
const MODULE_ID: usize = field_index(Invocation::FIELDS, "module_id");
const TS_ENQUEUE: usize = field_index(Invocation::FIELDS, "ts_enqueue");
const NODE: usize = field_index(Invocation::FIELDS, "node");
const METHOD: usize = field_index(Invocation::FIELDS, "method");
const CALLER: usize = field_index(Invocation::FIELDS, "caller_span_id");
const LINKS: usize = field_index(Invocation::FIELDS, "links");
const FLAGS: usize = field_index(Invocation::FIELDS, "flags");
const ANCESTOR_ID: usize = field_index(Call::FIELDS, "ancestor_id");
const CALL_TS_START: usize = field_index(Call::FIELDS, "ts_start");
const PEER_MODULE: usize = field_index(Call::FIELDS, "peer_module");
const CALL_FLAGS: usize = field_index(Call::FIELDS, "flags");
/// What a source's encoded fields stand for.
const _: () = assert!(
    MODULE_ID + 2 == TS_ENQUEUE
        && NODE + 2 == METHOD
        && ANCESTOR_ID + 5 == CALL_TS_START
        && field_index(Call::FIELDS, "module_id") == ANCESTOR_ID + 1
        && field_index(Call::FIELDS, "node") == ANCESTOR_ID + 3
);

impl Pipeline {
    /// Takes a span that can be used.
    pub(super) fn take_span<'a>(
        &mut self,
        span: &Span<'a>,
        slots: &AttributeSlots<'a>,
        source: &Arc<Source>,
        output: &mut Output,
    ) {
        let (Some(trace_id), Some(span_id)) = (
            TraceId::from_bytes(span.trace_id),
            SpanId::from_bytes(span.span_id),
        ) else {
            return;
        };
        if !self.seen.insert(
            span_fingerprint(&trace_id.0, &span_id.0, row_kind(span.kind) as u8),
            self.now,
        ) {
            return self.account_duplicate(slots.text(Slot::RunId), &trace_id.0, source);
        }
        let named_run = slots
            .text(Slot::RunId)
            .map(|run_id| self.open_run(run_id, true, span.start_time_unix_nano, output));
        let refusal = named_run.and_then(Result::err);
        let own_run = named_run.and_then(Result::ok);
        if let Some(run) = own_run {
            self.runs.at(run).last_activity = self.now;
            if self.traces.set(&trace_id.0, run) {
                for row in self.know_run(&trace_id.0, run) {
                    self.write_held(row, output);
                }
                self.know_run_of_inner_work(&trace_id.0, run);
            }
        }
        self.totals.unknown_node += u64::from(!source.identity.node_known);
        self.hear(source, span.start_time_unix_nano, span.end_time_unix_nano);
        let mapped = map_span(span, slots);
        let parent_span_id = SpanId::from_bytes(span.parent_span_id);
        let role = role_of(span, &mapped);
        let mut peer_text = std::mem::take(&mut self.peer_text);
        let peer = if role.is_call() {
            peer(slots, &mut peer_text)
        } else {
            None
        };
        let is_remote = span.parent_is_remote();
        let has_row = match role {
            Role::Internal => parent_span_id.is_none() || is_remote == Some(true),
            Role::Poll | Role::Missing => false,
            Role::Server | Role::Consumer | Role::Receipt | Role::Client | Role::Producer => true,
        };
        let row = RowSpan {
            span,
            slots,
            mapped: &mapped,
            source,
            trace_id,
            span_id,
            parent_span_id,
        };
        let run = self.run_on_arrival(&row, role, named_run, output);
        let arrival = Arrival {
            trace_id: trace_id.0,
            span_id: span_id.0,
            parent_span_id,
            peer: peer.map_or(NAMELESS, |peer| self.peers.number(peer)),
            run: run.map(|run| run as u32),
            ..arrival_of(span, role, source)
        };
        let joined = self.join.insert(&arrival, self.now);
        if let Some(reason) = refusal {
            self.reject_span(None, reason);
        } else if has_row {
            let begin = self.unsettled.lines.len();
            let (gaps, facts) = if role.is_call() {
                self.encode_call(&row, peer)
            } else {
                self.encode_invocation(&row)
            };
            self.place_row(begin, gaps, facts, run, joined, output);
        } else if role == Role::Internal {
            if is_remote.is_some() || !self.await_inner_work(joined, (trace_id.0, span_id.0), run) {
                self.account_rowless(run, Fate::Inner, row.facts());
            }
        } else {
            self.account_span(span, source, own_run, fate_of(role), output);
        }
        self.peer_text = peer_text;
        self.write_settled(output);
        self.make_room(output);
    }

    /// Notes and returns the run of a span's row, if known now. The join ignores runs, so rows may refer to a refused span, and
    /// to inner work that becomes an invocation when its row is made, at the end of the request.
    fn run_on_arrival(
        &mut self,
        row: &RowSpan<'_, '_>,
        role: Role,
        named_run: Option<Result<usize, &'static str>>,
        output: &mut Output,
    ) -> Option<usize> {
        if matches!(role, Role::Poll | Role::Missing) {
            return None;
        }
        let (run, noted) = match named_run {
            Some(Err(_)) => (None, RowRun::Refused),
            named => {
                let run = self.run_of_row(row, named.and_then(Result::ok), output);
                (run, RowRun::of(run))
            }
        };
        self.note_run(&row.trace_id.0, &row.span_id.0, row_kind(row.span.kind), noted);
        run
    }

    /// Encodes the invocation behind the lines that wait.
    pub(super) fn encode_invocation(&mut self, row: &RowSpan<'_, '_>) -> (Gaps, RowFacts) {
        let (span, slots, mapped, identity) = (row.span, row.slots, row.mapped, &row.source.identity);
        let told_start = slots
            .unsigned(Slot::StartTime)
            .filter(|&ns| ns > 0)
            .and_then(Milliseconds::from_unsigned_ns);
        let enqueued = Milliseconds::from_ns(span.start_time_unix_nano as i64);
        let started = told_start.unwrap_or(enqueued);
        let ended = Milliseconds::from_ns(span.end_time_unix_nano as i64);
        let not_negative = |time: Option<Milliseconds>| time.filter(|time| time.as_ns() >= 0);
        let queue_time = told_start.and_then(|start| not_negative(enqueued.until(start)));
        let service_time = not_negative(started.until(ended));
        let residence_time = not_negative(enqueued.until(ended));
        let mut flags = Flags::NONE;
        if service_time.is_none()
            || residence_time.is_none()
            || (told_start.is_some() && queue_time.is_none())
        {
            flags = flags.with(Flag::Negative);
        }
        // Before the flag is decided: a long query is cut, too.
        let is_query_kept = identity.keep_query || self.settings.keep_query;
        let query = is_query_kept.then(|| query(slots)).flatten();
        let error_type = row.error_type();
        let (links, has_more_links) = links(span);
        if row.is_truncated() || has_more_links {
            flags = flags.with(Flag::Truncated);
        }
        let milliseconds = |slot| slots.unsigned(slot).and_then(Milliseconds::from_unsigned_ns);
        let invocation = Invocation {
            trace_id: row.trace_id,
            span_id: row.span_id,
            parent_id: None,
            parent_span_id: row.parent_span_id,
            module_id: identity.module_id.as_str().into(),
            instance_id: identity.instance_id.as_str().into(),
            ts_enqueue: enqueued,
            ts_start: started,
            ts_end: ended,
            node: identity.node.as_str().into(),
            stage: identity.stage(),
            method: mapped.method.map(Text::from),
            path: mapped.path.as_deref().map(Text::from),
            bytes_in: mapped.bytes_in,
            bytes_out: mapped.bytes_out,
            cpu_time_ms: milliseconds(Slot::CpuTime),
            queue_time_ms: queue_time,
            service_time_ms: service_time,
            rt_ms: residence_time,
            status: mapped.status,
            pid: identity.pid,
            app_id: identity.app_id.as_deref().map(Text::from),
            protocol: mapped.protocol.map(Text::from),
            route: mapped.route.map(Text::from),
            query: query.map(Text::from),
            session_id: mapped.session_id.map(Text::from),
            name: mapped.name.map(Text::from),
            status_text: mapped.status_text.map(Text::from),
            error_type: error_type.map(Text::from),
            cold_start: mapped.cold_start,
            downstream_ms: milliseconds(Slot::DownstreamTime),
            cpu_wait_ms: milliseconds(Slot::CpuWait),
            wakeup_ms: milliseconds(Slot::WakeupTime),
            slot_wait_ms: milliseconds(Slot::SlotWait),
            kind: row_kind(span.kind),
            caller_span_id: None,
            net_ms: None,
            links: (!links.is_empty()).then_some(links),
            sample_weight: mapped.sample_weight,
            flags: None,
        };
        let line = &mut self.unsettled.lines;
        let begin = line.len();
        invocation.encode_part::<0, PARENT_ID>(line);
        let first = line.len() - begin;
        invocation.encode_part::<{ PARENT_ID + 1 }, MODULE_ID>(line);
        line.extend_from_slice(&row.source.encoded().module);
        invocation.encode_part::<TS_ENQUEUE, NODE>(line);
        line.extend_from_slice(&row.source.encoded().node);
        invocation.encode_part::<METHOD, CALLER>(line);
        let second = line.len() - begin;
        invocation.encode_part::<LINKS, FLAGS>(line);
        endpoint_key(
            mapped.method,
            mapped.route.or(mapped.path.as_deref()),
            &mut self.endpoint_key,
        );
        let facts = RowFacts {
            flags,
            starts_after_body: told_start.is_some(),
            invocation: InvocationFacts {
                endpoint: self.endpoints.number(&self.endpoint_key),
                service_ns: service_time.map(Milliseconds::as_ns),
                cpu_ns: slots.unsigned(Slot::CpuTime),
                bytes_in: mapped.bytes_in,
                bytes_out: mapped.bytes_out,
            },
            ..row.facts()
        };
        (Gaps { first, second }, facts)
    }

    /// Encodes the call behind the lines that wait.
    fn encode_call(&mut self, row: &RowSpan<'_, '_>, peer: Option<&str>) -> (Gaps, RowFacts) {
        let (span, mapped, identity) = (row.span, row.mapped, &row.source.identity);
        let (start, end) = (span.start_time_unix_nano as i64, span.end_time_unix_nano as i64);
        let mut flags = if end < start {
            Flags::NONE.with(Flag::Negative)
        } else {
            Flags::NONE
        };
        let error_type = row.error_type();
        if row.is_truncated() {
            flags = flags.with(Flag::Truncated);
        }
        let call = Call {
            trace_id: row.trace_id,
            span_id: row.span_id,
            parent_span_id: row.parent_span_id,
            ancestor_id: None,
            module_id: identity.module_id.as_str().into(),
            instance_id: identity.instance_id.as_str().into(),
            node: identity.node.as_str().into(),
            stage: identity.stage(),
            ts_start: Milliseconds::from_ns(start),
            ts_end: Milliseconds::from_ns(end),
            method: mapped.method.map(Text::from),
            path: mapped.path.as_deref().map(Text::from),
            bytes_out: mapped.bytes_out,
            bytes_in: mapped.bytes_in,
            status: mapped.status,
            kind: Some(row_kind(span.kind)),
            protocol: mapped.protocol.map(Text::from),
            name: mapped.name.map(Text::from),
            peer: peer.map(Text::from),
            peer_module: None,
            resend_count: mapped.resend_count,
            session_id: mapped.session_id.map(Text::from),
            error_type: error_type.map(Text::from),
            flags: None,
        };
        let line = &mut self.unsettled.lines;
        let begin = line.len();
        call.encode_part::<0, ANCESTOR_ID>(line);
        let first = line.len() - begin;
        line.extend_from_slice(&row.source.encoded().module);
        line.extend_from_slice(&row.source.encoded().node);
        call.encode_part::<CALL_TS_START, PEER_MODULE>(line);
        let second = line.len() - begin;
        call.encode_part::<{ PEER_MODULE + 1 }, CALL_FLAGS>(line);
        (Gaps { first, second }, RowFacts { flags, ..row.facts() })
    }
}

/// A span on its way to a row.
pub(super) struct RowSpan<'s, 'a> {
    pub span: &'s Span<'a>,
    pub slots: &'s AttributeSlots<'a>,
    pub mapped: &'s MappedSpan<'a>,
    pub source: &'s Arc<Source>,
    pub trace_id: TraceId,
    pub span_id: SpanId,
    pub parent_span_id: Option<SpanId>,
}

impl<'a> RowSpan<'_, 'a> {
    /// Events are read of spans that have a row.
    fn error_type(&self) -> Option<&'a str> {
        self.mapped.error_type.or_else(|| failure(self.span, self.slots))
    }

    /// Whether something of the span or its resource was lost: left out by the SDK, too long, or not readable.
    fn is_truncated(&self) -> bool {
        self.span.dropped_attributes_count > 0 || self.slots.is_cut() || self.source.identity.is_truncated
    }

    fn facts(&self) -> RowFacts {
        RowFacts::of(self.span, self.trace_id.0, self.source)
    }
}

/// What the join learns of a span from its own fields alone.
fn arrival_of(span: &Span<'_>, role: Role, source: &Source) -> Arrival {
    let parent_is_remote = span.parent_is_remote();
    Arrival {
        trace_id: [0; 16],
        span_id: [0; 8],
        parent_span_id: None,
        role,
        parent_is_remote: is_caused_from_outside(span, role)
            .then_some(true)
            .or(parent_is_remote),
        // An SDK gives each span an id of its own, and names itself.
        may_share_id: parent_is_remote.is_none() && source.identity.language.is_none(),
        instance: source.instance.unwrap_or(NO_INSTANCE),
        duration_ns: (span.end_time_unix_nano as i64).wrapping_sub(span.start_time_unix_nano as i64),
        end_unix_ns: span.end_time_unix_nano,
        peer: NAMELESS,
        run: None,
    }
}

fn role_of(span: &Span<'_>, mapped: &MappedSpan<'_>) -> Role {
    match span.kind {
        _ if mapped.is_aside => Role::Poll,
        SpanKind::Consumer if mapped.is_receiving && span.parent_is_remote() == Some(false) => Role::Poll,
        SpanKind::Consumer if mapped.is_receiving => Role::Receipt,
        SpanKind::Server => Role::Server,
        SpanKind::Consumer => Role::Consumer,
        SpanKind::Client => Role::Client,
        SpanKind::Producer => Role::Producer,
        // The specification: a receiver may take an unspecified kind as INTERNAL.
        SpanKind::Internal | SpanKind::Unspecified => Role::Internal,
    }
}

/// Whether the parent does not decide what a span is. A CONSUMER that handles is looked at more closely only below a span
/// that is known to be of its own process, unless its links name messages of its own.
fn is_caused_from_outside(span: &Span<'_>, role: Role) -> bool {
    let is_remote = span.parent_is_remote();
    match role {
        Role::Consumer => is_remote != Some(false) || span.links().next().is_some(),
        _ => is_remote == Some(true),
    }
}

fn fate_of(rowless: Role) -> Fate {
    if rowless == Role::Poll {
        Fate::Aside
    } else {
        Fate::Inner
    }
}

pub(super) fn row_kind(kind: SpanKind) -> RowKind {
    match kind {
        SpanKind::Server => RowKind::Server,
        SpanKind::Consumer => RowKind::Consumer,
        SpanKind::Client => RowKind::Client,
        SpanKind::Producer => RowKind::Producer,
        SpanKind::Internal | SpanKind::Unspecified => RowKind::Internal,
    }
}
