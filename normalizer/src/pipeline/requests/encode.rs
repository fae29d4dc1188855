//! Encodes the fields of a row that depend only on its span. The derived fields are added when the row is written.

use std::sync::Arc;

use aggregate::modules::InvocationFacts;
use aggregate::names::{Names, endpoint_key};
use cctf_proto::cctf::{
    Call, Flag, Flags, Invocation, Milliseconds, Row, SpanId, SpanKind as RowKind, SpanLink, Text, TraceId,
    field_index, is_error,
};
use cctf_proto::otlp::trace::{Span, SpanKind};

use super::row_facts::{DerivedFieldOffsets, RowFacts};
use crate::join::Role;
use crate::mapping::conventions::Slot;
use crate::mapping::{AttributeSlots, MappedSpan, failure, links, query};
use crate::pipeline::shared::source::Source;

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
/// The fields of a row that a source has already encoded ([`EncodedFields`]) must follow one another as they do in that text.
const _: () = assert!(
    MODULE_ID + 2 == TS_ENQUEUE
        && NODE + 2 == METHOD
        && ANCESTOR_ID + 5 == CALL_TS_START
        && field_index(Call::FIELDS, "module_id") == ANCESTOR_ID + 1
        && field_index(Call::FIELDS, "node") == ANCESTOR_ID + 3
);

/// A span that is being turned into a row.
pub struct RowSpan<'s, 'a> {
    pub span: &'s Span<'a>,
    pub slots: &'s AttributeSlots<'a>,
    pub source: &'s Arc<Source>,
    pub role: Role,
    pub trace_id: TraceId,
    pub span_id: SpanId,
    pub parent_span_id: Option<SpanId>,
}

impl<'a> RowSpan<'_, 'a> {
    /// Call this only for spans that have a row, because it reads the span's events.
    pub fn error_type(&self, mapped: &MappedSpan<'a>) -> Option<&'a str> {
        mapped.error_type.or_else(|| failure(self.span, self.slots))
    }

    /// Whether a part of the span or its resource is missing: dropped by the SDK, too long, or unreadable.
    pub fn is_truncated(&self) -> bool {
        self.span.dropped_attributes_count > 0 || self.slots.is_cut() || self.source.identity.is_truncated
    }

    pub fn milliseconds(&self, slot: Slot) -> Option<Milliseconds> {
        self.slots.unsigned(slot).and_then(Milliseconds::from_unsigned_ns)
    }

    /// The recorded request that this call replays. Both ids are needed, so if one is missing or invalid, the other is ignored.
    pub fn original(&self) -> Option<(TraceId, SpanId)> {
        let trace_id = self.slots.text(Slot::ReplayOfTrace).and_then(TraceId::parse)?;
        let span_id = self.slots.text(Slot::ReplayOfSpan).and_then(SpanId::parse)?;
        Some((TraceId::from_bytes(&trace_id.0)?, SpanId::from_bytes(&span_id.0)?))
    }

    pub fn facts(&self) -> RowFacts {
        RowFacts::new(self.span, self.trace_id.0, self.source)
    }
}

/// The times of an invocation.
pub struct Times {
    pub enqueued: Milliseconds,
    pub started: Milliseconds,
    pub ended: Milliseconds,
    /// `None` if the telemetry does not state when processing started, or states a time before the span's start.
    pub queue: Option<Milliseconds>,
    /// `None` if negative.
    pub service: Option<Milliseconds>,
    /// `None` if negative.
    pub residence: Option<Milliseconds>,
    /// Whether the telemetry states when processing started.
    pub is_start_explicit: bool,
}

impl Times {
    #[inline]
    pub fn new(span: &Span<'_>, slots: &AttributeSlots<'_>) -> Self {
        let explicit_start = slots
            .unsigned(Slot::StartTime)
            .filter(|&ns| ns > 0)
            .and_then(Milliseconds::from_unsigned_ns);
        let enqueued = Milliseconds::from_ns(span.start_time_unix_nano as i64);
        let started = explicit_start.unwrap_or(enqueued);
        let ended = Milliseconds::from_ns(span.end_time_unix_nano as i64);
        let not_negative = |time: Option<Milliseconds>| time.filter(|time| time.as_ns() >= 0);
        Self {
            enqueued,
            started,
            ended,
            queue: explicit_start.and_then(|start| not_negative(enqueued.until(start))),
            service: not_negative(started.until(ended)),
            residence: not_negative(enqueued.until(ended)),
            is_start_explicit: explicit_start.is_some(),
        }
    }

    pub fn is_any_negative(&self) -> bool {
        self.service.is_none() || self.residence.is_none() || (self.is_start_explicit && self.queue.is_none())
    }
}

/// Encodes the invocation and appends it to `lines`. `scratch` is overwritten.
pub fn encode_invocation<'a>(
    row: &RowSpan<'_, 'a>,
    mapped: &MappedSpan<'a>,
    keep_query: bool,
    endpoints: &mut Names,
    scratch: &mut String,
    lines: &mut Vec<u8>,
) -> (DerivedFieldOffsets, RowFacts) {
    let slots = row.slots;
    let times = Times::new(row.span, slots);
    let mut flags = Flags::NONE;
    if times.is_any_negative() {
        flags = flags.with(Flag::Negative);
    }
    // This must be decided before the flag `truncated`, because reading a query that is too long cuts it.
    let is_query_kept = row.source.identity.keep_query || keep_query;
    let query = is_query_kept.then(|| query(slots)).flatten();
    let error_type = row.error_type(mapped);
    let (links, has_more_links) = links(row.span);
    if row.is_truncated() || has_more_links {
        flags = flags.with(Flag::Truncated);
    }
    let invocation = invocation(row, mapped, &times, query, error_type, links);
    let offsets = push_invocation(&invocation, row.source, lines);
    endpoint_key(mapped.method, mapped.route.or(mapped.path.as_deref()), scratch);
    let facts = RowFacts {
        flags,
        starts_after_body: times.is_start_explicit,
        is_error: is_error(mapped.status, error_type),
        invocation: InvocationFacts {
            endpoint: endpoints.number(scratch),
            service_ns: times.service.map(Milliseconds::as_ns),
            cpu_ns: slots.unsigned(Slot::CpuTime),
            bytes_in: mapped.bytes_in,
            bytes_out: mapped.bytes_out,
        },
        ..row.facts()
    };
    (offsets, facts)
}

#[inline]
pub fn invocation<'r, 'a>(
    row: &'r RowSpan<'_, 'a>,
    mapped: &'r MappedSpan<'a>,
    times: &Times,
    query: Option<&'r str>,
    error_type: Option<&'r str>,
    links: Vec<SpanLink>,
) -> Invocation<'r> {
    let identity = &row.source.identity;
    Invocation {
        trace_id: row.trace_id,
        span_id: row.span_id,
        parent_id: None,
        parent_span_id: row.parent_span_id,
        module_id: identity.module_id.as_str().into(),
        instance_id: identity.instance_id.as_str().into(),
        ts_enqueue: times.enqueued,
        ts_start: times.started,
        ts_end: times.ended,
        node: identity.node.as_str().into(),
        stage: identity.stage(),
        method: mapped.method.map(Text::from),
        path: mapped.path.as_deref().map(Text::from),
        bytes_in: mapped.bytes_in,
        bytes_out: mapped.bytes_out,
        cpu_time_ms: row.milliseconds(Slot::CpuTime),
        queue_time_ms: times.queue,
        service_time_ms: times.service,
        rt_ms: times.residence,
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
        downstream_ms: row.milliseconds(Slot::DownstreamTime),
        cpu_wait_ms: row.milliseconds(Slot::CpuWait),
        wakeup_ms: row.milliseconds(Slot::WakeupTime),
        slot_wait_ms: row.milliseconds(Slot::SlotWait),
        kind: row_kind(row.span.kind),
        caller_span_id: None,
        net_ms: None,
        links: (!links.is_empty()).then_some(links),
        sample_weight: mapped.sample_weight,
        flags: None,
    }
}

#[inline]
fn push_invocation(invocation: &Invocation<'_>, source: &Source, lines: &mut Vec<u8>) -> DerivedFieldOffsets {
    let begin = lines.len();
    invocation.encode_part::<0, PARENT_ID>(lines);
    let first = lines.len() - begin;
    invocation.encode_part::<{ PARENT_ID + 1 }, MODULE_ID>(lines);
    lines.extend_from_slice(&source.encoded().module);
    invocation.encode_part::<TS_ENQUEUE, NODE>(lines);
    lines.extend_from_slice(&source.encoded().node);
    invocation.encode_part::<METHOD, CALLER>(lines);
    let second = lines.len() - begin;
    invocation.encode_part::<LINKS, FLAGS>(lines);
    DerivedFieldOffsets { first, second }
}

/// Encodes the call and appends it to `lines`.
pub fn encode_call<'a>(
    row: &RowSpan<'_, 'a>,
    mapped: &MappedSpan<'a>,
    peer: Option<&str>,
    lines: &mut Vec<u8>,
) -> (DerivedFieldOffsets, RowFacts) {
    let span = row.span;
    let mut flags = if span.end_time_unix_nano < span.start_time_unix_nano {
        Flags::NONE.with(Flag::Negative)
    } else {
        Flags::NONE
    };
    let error_type = row.error_type(mapped);
    if row.is_truncated() {
        flags = flags.with(Flag::Truncated);
    }
    let call = call(row, mapped, peer, error_type);
    let begin = lines.len();
    call.encode_part::<0, ANCESTOR_ID>(lines);
    let first = lines.len() - begin;
    lines.extend_from_slice(&row.source.encoded().module);
    lines.extend_from_slice(&row.source.encoded().node);
    call.encode_part::<CALL_TS_START, PEER_MODULE>(lines);
    let second = lines.len() - begin;
    call.encode_part::<{ PEER_MODULE + 1 }, CALL_FLAGS>(lines);
    let offsets = DerivedFieldOffsets { first, second };
    (offsets, RowFacts { flags, ..row.facts() })
}

#[inline]
pub fn call<'r, 'a>(
    row: &'r RowSpan<'_, 'a>,
    mapped: &'r MappedSpan<'a>,
    peer: Option<&'r str>,
    error_type: Option<&'r str>,
) -> Call<'r> {
    let (span, identity, original) = (row.span, &row.source.identity, row.original());
    Call {
        trace_id: row.trace_id,
        span_id: row.span_id,
        parent_span_id: row.parent_span_id,
        ancestor_id: None,
        module_id: identity.module_id.as_str().into(),
        instance_id: identity.instance_id.as_str().into(),
        node: identity.node.as_str().into(),
        stage: identity.stage(),
        ts_start: Milliseconds::from_ns(span.start_time_unix_nano as i64),
        ts_end: Milliseconds::from_ns(span.end_time_unix_nano as i64),
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
        replay_of_trace_id: original.map(|(trace_id, _)| trace_id),
        replay_of_span_id: original.map(|(_, span_id)| span_id),
        lateness_ms: row.milliseconds(Slot::Lateness),
        error_type: error_type.map(Text::from),
        flags: None,
    }
}

pub fn row_kind(kind: SpanKind) -> RowKind {
    match kind {
        SpanKind::Server => RowKind::Server,
        SpanKind::Consumer => RowKind::Consumer,
        SpanKind::Client => RowKind::Client,
        SpanKind::Producer => RowKind::Producer,
        SpanKind::Internal | SpanKind::Unspecified => RowKind::Internal,
    }
}
