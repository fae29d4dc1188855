//! Processes spans: passes each to the join, and encodes the row that it may become.

use std::sync::Arc;

use aggregate::ids::RunId;
use cctf_proto::cctf::{SpanId, TraceId};
use cctf_proto::otlp::trace::Span;

use super::crossings::RowRun;
use super::encode::{RowSpan, encode_call, encode_invocation, row_kind};
use super::roles::{has_row, is_caused_from_outside, role_of};
use super::row_facts::{DerivedFieldOffsets, RowFacts};
use super::rows::NewRow;
use super::templates::Template;
use super::{Requests, SpanFacts};
use crate::join::{Arrival, Role};
use crate::mapping::conventions::Slot;
use crate::mapping::{AttributeSlots, MappedSpan, map_span, peer};
use crate::pipeline::output::Output;
use crate::pipeline::shared::Shared;
use crate::pipeline::shared::accounts::Fate;
use crate::pipeline::shared::facts::Activity;
use crate::pipeline::shared::source::Source;

/// The run that a span names, or the reason for which it cannot be opened.
type NamedRun = Option<Result<RunId, &'static str>>;

/// Where the fields of a row come from.
#[derive(Clone, Copy)]
enum Fields<'s, 'a> {
    Mapped(&'s MappedSpan<'a>),
    Template(&'s Template),
}

impl Requests {
    /// Processes a valid span. If it was read with a template, `slots` has only the values that vary within the template.
    pub fn take_span<'a>(
        &mut self,
        span: &Span<'a>,
        slots: &AttributeSlots<'a>,
        source: &Arc<Source>,
        template: Option<&Template>,
        shared: &mut Shared,
        output: &mut Output,
    ) -> SpanFacts {
        let (Some(trace_id), Some(span_id)) = (
            TraceId::from_bytes(span.trace_id),
            SpanId::from_bytes(span.span_id),
        ) else {
            return SpanFacts::default();
        };
        let run_id = slots.text(Slot::RunId);
        if !self.is_new(span, (&trace_id.0, &span_id.0), run_id, source, shared) {
            return SpanFacts::default();
        }
        let named_run = run_id.map(|run_id| shared.open_run(run_id, true, span.start_time_unix_nano, output));
        if let Some(Ok(run)) = named_run {
            shared.runs[run].last_activity = shared.clock.now;
            if self.row_runs.traces.set(&trace_id.0, run) {
                self.write_rows_of_trace(&trace_id.0, run, shared, output);
                self.know_run_of_inner_work(&trace_id.0, run, shared);
            }
        }
        shared.totals.unknown_node += u64::from(!source.identity.node_known);
        let mapped;
        let (fields, role) = match template {
            Some(template) => (Fields::Template(template), template.role),
            None => {
                mapped = map_span(span, slots);
                (Fields::Mapped(&mapped), role_of(span, &mapped))
            }
        };
        let row = RowSpan {
            span,
            slots,
            source,
            role,
            trace_id,
            span_id,
            parent_span_id: SpanId::from_bytes(span.parent_span_id),
        };
        let is_taken_again = self.join_span(&row, fields, named_run, shared, output);
        self.write_resolved(shared, output);
        self.evict_over_limit(shared, output);
        SpanFacts {
            activity: Activity::from_source(source, span.start_time_unix_nano, span.end_time_unix_nano),
            is_taken_again,
        }
    }

    /// Passes a span to the join, and encodes its row if it may have one. Returns true if the span is inner work: it has no
    /// row, but is processed again at the end of the OTLP request.
    #[inline]
    fn join_span<'a>(
        &mut self,
        row: &RowSpan<'_, 'a>,
        fields: Fields<'_, 'a>,
        named_run: NamedRun,
        shared: &mut Shared,
        output: &mut Output,
    ) -> bool {
        let (role, is_remote) = (row.role, row.span.parent_is_remote());
        let has_row = has_row(role, row.span);
        let run = self.run_on_arrival(row, named_run, shared, output);
        let (peer, peer_number) = match fields {
            _ if !role.is_call() => (None, None),
            Fields::Template(template) if !template.is_peer_varying() => (None, template.peer()),
            _ => {
                let peer = peer(row.slots, &mut self.peer_text);
                (peer, peer.and_then(|peer| shared.peers.number(peer)))
            }
        };
        let arrival = Arrival {
            peer: peer_number,
            run,
            ..arrival_of(row)
        };
        let joined = self.join.insert(&arrival, shared.clock.now);
        if let Some(Err(reason)) = named_run {
            shared.reject_span(None, reason);
        } else if has_row {
            let lines = &mut self.request_rows.lines;
            let begin = lines.len();
            let (offsets, facts) = encode(row, fields, peer, &mut self.endpoint_key, shared, lines);
            let new = NewRow {
                begin,
                offsets,
                facts,
                run,
                joined,
            };
            self.place_row(new, shared, output);
        } else if role == Role::Internal {
            if is_remote.is_none() && self.await_inner_work(joined, row, run) {
                return true;
            }
            self.account_rowless(run, Fate::Inner, row.facts(), shared);
        } else {
            let own_run = named_run.and_then(Result::ok);
            self.account_span(row.span, row.source, own_run, fate_of(role), shared, output);
        }
        false
    }

    /// Records the run of a span's row, and returns it if it is known now. It is also recorded for spans without a row, because
    /// such a span can be the parent of a row. For inner work, the run is recorded because it may become an invocation later.
    /// For a span whose run cannot be opened, the record states that it is refused. The join may still choose a refused span as
    /// a parent, because it does not consider runs.
    #[inline]
    fn run_on_arrival(
        &mut self,
        row: &RowSpan<'_, '_>,
        named_run: NamedRun,
        shared: &mut Shared,
        output: &mut Output,
    ) -> Option<RunId> {
        if matches!(row.role, Role::Poll | Role::Missing) {
            return None;
        }
        let (run, noted) = match named_run {
            Some(Err(_)) => (None, RowRun::Refused),
            named => {
                let run = self.run_of_row(row, named.and_then(Result::ok), shared, output);
                (run, RowRun::new(run))
            }
        };
        let ids = (&row.trace_id.0, &row.span_id.0);
        self.row_runs
            .note_run(ids, row_kind(row.span.kind), noted, &self.recent, shared);
        run
    }
}

/// Encodes the row of a span. `peer` is the receiver of a call, unless it is in the text of a template.
#[inline]
fn encode<'a>(
    row: &RowSpan<'_, 'a>,
    fields: Fields<'_, 'a>,
    peer: Option<&str>,
    key: &mut String,
    shared: &mut Shared,
    lines: &mut Vec<u8>,
) -> (DerivedFieldOffsets, RowFacts) {
    match fields {
        Fields::Template(Template {
            row: Some(template), ..
        }) => template.encode(row, peer, &mut shared.endpoints, key, lines),
        Fields::Mapped(mapped) if row.role.is_call() => encode_call(row, mapped, peer, lines),
        Fields::Mapped(mapped) => {
            let keep_query = shared.settings.keep_query;
            encode_invocation(row, mapped, keep_query, &mut shared.endpoints, key, lines)
        }
        // This case does not occur: a template has a row if its spans have one.
        Fields::Template(_) => (DerivedFieldOffsets { first: 0, second: 0 }, row.facts()),
    }
}

/// The span as the join sees it, from its own fields only.
#[inline]
fn arrival_of(row: &RowSpan<'_, '_>) -> Arrival {
    let span = row.span;
    let parent_is_remote = span.parent_is_remote();
    Arrival {
        trace_id: row.trace_id.0,
        span_id: row.span_id.0,
        parent_span_id: row.parent_span_id,
        role: row.role,
        parent_is_remote: is_caused_from_outside(span, row.role)
            .then_some(true)
            .or(parent_is_remote),
        // Spans of an SDK never share an id. All SDKs report `telemetry.sdk.language`.
        may_share_id: parent_is_remote.is_none() && row.source.identity.language.is_none(),
        instance: row.source.instance,
        duration_ns: (span.end_time_unix_nano as i64).wrapping_sub(span.start_time_unix_nano as i64),
        end_unix_ns: span.end_time_unix_nano,
        peer: None,
        run: None,
    }
}

fn fate_of(rowless: Role) -> Fate {
    if rowless == Role::Poll {
        Fate::Aside
    } else {
        Fate::Inner
    }
}
