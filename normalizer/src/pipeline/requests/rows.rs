//! The way of a row from the encoder to the file of its run: determines the run, keeps rows that must wait, and writes rows.

use aggregate::ids::RunId;
use cctf_proto::otlp::trace::Span;

use super::Requests;
use super::crossings::RowRun;
use super::encode::RowSpan;
use super::graph_stats::{is_same_edge, record_call_edges};
use super::request_rows::RequestRow;
use super::row_facts::{DerivedFieldOffsets, RowFacts};
use super::write::{EncodedRow, write_row};
use crate::join::{Joined, Outcome, PendingId, Resolved, RowRef};
use crate::pipeline::output::Output;
use crate::pipeline::shared::Shared;
use crate::pipeline::shared::accounts::Fate;
use crate::pipeline::shared::memory::{JOIN_SPAN_BYTES, TRACE_BYTES};
use crate::pipeline::shared::source::Source;

/// A row that was just encoded. Its line is the last one in the request's lines.
pub struct NewRow {
    /// Offset of the start of its line.
    pub begin: usize,
    pub offsets: DerivedFieldOffsets,
    pub facts: RowFacts,
    pub run: Option<RunId>,
    pub joined: Joined,
}

impl Requests {
    /// The run of a span's row, as far as it is known now: the run that the span names, or else the run of its trace.
    #[inline]
    pub fn run_of_row(
        &mut self,
        row: &RowSpan<'_, '_>,
        named: Option<RunId>,
        shared: &mut Shared,
        output: &mut Output,
    ) -> Option<RunId> {
        let resource_run = row.source.identity.run_id.as_deref();
        let start = row.span.start_time_unix_nano;
        named.or_else(|| self.run_of_nameless(&row.trace_id.0, resource_run, start, shared, output))
    }

    /// The run of a span that names none, as far as it is known now. `None` means that the row must wait for its trace.
    fn run_of_nameless(
        &self,
        trace_id: &[u8; 16],
        resource_run: Option<&str>,
        start_unix_ns: u64,
        shared: &mut Shared,
        output: &mut Output,
    ) -> Option<RunId> {
        if let Some(run) = self.run_of_trace(trace_id) {
            return Some(run);
        }
        if shared.runs.any_explicit() {
            return None;
        }
        fallback_run(resource_run, start_unix_ns, shared, output).ok()
    }

    /// Counts a span without a row, in the run that it names or else in the run of its trace.
    pub fn account_span(
        &mut self,
        span: &Span<'_>,
        source: &Source,
        named_run: Option<RunId>,
        fate: Fate,
        shared: &mut Shared,
        output: &mut Output,
    ) {
        let Ok(trace_id) = <[u8; 16]>::try_from(span.trace_id) else {
            return;
        };
        let (resource_run, start) = (source.identity.run_id.as_deref(), span.start_time_unix_nano);
        let run = named_run.or_else(|| self.run_of_nameless(&trace_id, resource_run, start, shared, output));
        self.account_rowless(run, fate, RowFacts::new(span, trace_id, source), shared);
    }

    /// Counts a span without a row in its run. If the run is unknown, keeps the count until it is known.
    pub fn account_rowless(&mut self, run: Option<RunId>, fate: Fate, facts: RowFacts, shared: &mut Shared) {
        match run {
            Some(_) => shared.account(run, fate, 1),
            None => self.pending.add_rowless(fate, facts, deadline(shared)),
        }
    }

    /// Writes a new row, or keeps it until its run and its outcome are known.
    #[inline]
    pub fn place_row(&mut self, new: NewRow, shared: &mut Shared, output: &mut Output) {
        let NewRow {
            begin,
            offsets,
            facts,
            run,
            joined,
        } = new;
        if let (Joined::Waits(entry), Some(run)) = (joined, run) {
            let place = self.request_rows.rows.len() as u32;
            self.join.hold(entry, RowRef::OfRequest(place));
            self.request_rows.rows.push(RequestRow {
                begin,
                end: self.request_rows.lines.len(),
                offsets,
                facts,
                run,
                entry,
                is_resolved: false,
            });
            return;
        }
        let line = &self.request_rows.lines[begin..];
        match (joined, run) {
            (Joined::Resolved(Outcome::Nothing), _) => {
                self.account_rowless(run, facts.fate_without_row(), facts, shared);
            }
            (Joined::Resolved(outcome), Some(run)) => {
                let row = EncodedRow {
                    line,
                    offsets,
                    facts: &facts,
                    run,
                };
                write_row(row, outcome, &self.row_runs, shared, output);
            }
            (Joined::Resolved(outcome), None) => {
                self.pending
                    .add(line, offsets, facts, None, Some(outcome), deadline(shared));
            }
            (Joined::Waits(entry), run) => {
                let row = self
                    .pending
                    .add(line, offsets, facts, run, None, deadline(shared));
                self.pending.await_entry(row, entry);
                self.join.hold(entry, RowRef::Pending(row));
            }
        }
        self.request_rows.lines.truncate(begin);
    }

    /// Called at the end of a request: keeps the rows that still wait.
    pub fn end_request(&mut self, shared: &Shared) {
        let deadline = deadline(shared);
        for row in self.request_rows.rows.drain(..).filter(|row| !row.is_resolved) {
            let line = &self.request_rows.lines[row.begin..row.end];
            let pending = self
                .pending
                .add(line, row.offsets, row.facts, Some(row.run), None, deadline);
            self.pending.await_entry(pending, row.entry);
            self.join.hold(row.entry, RowRef::Pending(pending));
        }
        self.request_rows.lines.clear();
    }

    /// Writes the rows that the join has resolved, and counts the calls that have left the join.
    pub fn write_resolved(&mut self, shared: &mut Shared, output: &mut Output) {
        while let Some(Resolved { row, outcome }) = self.join.take_resolved() {
            match row {
                RowRef::OfRequest(place) => self.write_request_row(place, outcome, shared, output),
                RowRef::Inner(place) => {
                    if let Some(inner) = self.request_rows.inner.get_mut(place as usize) {
                        inner.joined = Joined::Resolved(outcome);
                    }
                }
                RowRef::Pending(id) => {
                    if self.pending.resolve(id, outcome) {
                        self.write_pending(id, shared, output);
                    }
                }
            }
        }
        self.count_evicted(shared);
    }

    /// Counts the calls that have left the join. Most consecutive calls have the same run, module and peer, so such calls are
    /// counted together.
    fn count_evicted(&mut self, shared: &mut Shared) {
        let Some(mut like) = self.join.take_evicted() else {
            return;
        };
        let mut count = 1;
        while let Some(evicted) = self.join.take_evicted() {
            if !is_same_edge(&like, &evicted) {
                record_call_edges(shared, &self.row_runs, &like, count);
                (like, count) = (evicted, 0);
            }
            count += 1;
        }
        record_call_edges(shared, &self.row_runs, &like, count);
    }

    fn write_request_row(&mut self, place: u32, outcome: Outcome, shared: &mut Shared, output: &mut Output) {
        if let Some(row) = self.request_rows.rows.get_mut(place as usize) {
            row.is_resolved = true;
            let row = EncodedRow {
                line: &self.request_rows.lines[row.begin..row.end],
                offsets: row.offsets,
                facts: &row.facts,
                run: row.run,
            };
            write_row(row, outcome, &self.row_runs, shared, output);
        }
    }

    /// Writes or drops the rows whose deadline has passed at `now`.
    pub fn expire_rows(&mut self, now: u64, shared: &mut Shared, output: &mut Output) {
        self.join.expire(now);
        self.write_resolved(shared, output);
        while let Some(row) = self.pending.next_without_run(now) {
            self.write_by_fallback(row, shared, output);
        }
    }

    /// While too much memory is used, writes the oldest rows early, with the facts known so far.
    #[inline]
    pub fn evict_over_limit(&mut self, shared: &mut Shared, output: &mut Output) {
        while self.pool_used(shared) > shared.shares.pool {
            let Some(row) = self.pending.pop_oldest() else {
                return;
            };
            shared.totals.evicted += u64::from(self.pending.has_line(row));
            if let Some(entry) = self.pending.awaited_entry(row) {
                self.join.resolve_early(entry, RowRef::Pending(row));
                self.write_resolved(shared, output);
            }
            if self.pending.leave_trace(row) {
                self.write_by_fallback(row, shared, output);
            }
        }
    }

    fn pool_used(&self, shared: &Shared) -> u64 {
        self.join.len() as u64 * JOIN_SPAN_BYTES
            + self.pending.bytes()
            + self.row_runs.len() as u64 * TRACE_BYTES
            + shared.inventory_bytes
    }

    /// Assigns a fallback run to a row whose trace named none.
    fn write_by_fallback(&mut self, row: PendingId, shared: &mut Shared, output: &mut Output) {
        let Some(facts) = self.pending.get(row).map(|pending| &pending.facts) else {
            return;
        };
        let (instance, start_unix_ns) = (facts.instance, facts.start_unix_ns);
        let trace_id = facts.trace_id;
        let resource_run = instance.and_then(|instance| shared.sources.instance(instance).run_id.clone());
        let is_row = self.pending.has_line(row);
        let run = match fallback_run(resource_run.as_deref(), start_unix_ns, shared, output) {
            Ok(run) => run,
            Err(reason) => return self.refuse(row, reason, shared),
        };
        // The whole trace gets the same fallback run, so that its rows can refer to each other.
        if is_row {
            self.row_runs.traces.set(&trace_id, run);
        }
        let run = self.run_of_trace(&trace_id).unwrap_or(run);
        if let Some(pending) = self.pending.get(row) {
            self.row_runs.note_decided(pending, RowRun::Known(run), shared);
        }
        if self.pending.set_run(row, run) {
            self.write_pending(row, shared, output);
        }
        if is_row {
            self.write_rows_of_trace(&trace_id, run, shared, output);
        }
    }

    /// Drops a row that no run accepts, and counts its spans.
    fn refuse(&mut self, row: PendingId, reason: &'static str, shared: &mut Shared) {
        if self.pending.has_line(row)
            && let Some(pending) = self.pending.get(row)
        {
            self.row_runs.note_decided(pending, RowRun::Refused, shared);
        }
        for _ in 0..self.pending.refuse(row) {
            shared.reject_span(None, reason);
        }
    }

    /// Writes the rows of a trace that waited only for its run.
    pub fn write_rows_of_trace(
        &mut self,
        trace_id: &[u8; 16],
        run: RunId,
        shared: &mut Shared,
        output: &mut Output,
    ) {
        let row_runs = &mut self.row_runs;
        let resolved = self.pending.set_run_of_trace(trace_id, run, |row| {
            row_runs.note_decided(row, RowRun::Known(run), shared);
        });
        for row in resolved {
            self.write_pending(row, shared, output);
        }
    }

    /// Writes and removes a row whose run and outcome are known.
    fn write_pending(&mut self, id: PendingId, shared: &mut Shared, output: &mut Output) {
        let Some(row) = self.pending.get(id) else { return };
        for (fate, spans) in row.rowless.by_fate() {
            if spans > 0 {
                shared.account(row.run, fate, spans);
            }
        }
        if let (Some(run), Some(outcome)) = (row.run, row.outcome)
            && outcome != Outcome::Nothing
        {
            let encoded = EncodedRow {
                line: &row.line,
                offsets: row.offsets,
                facts: &row.facts,
                run,
            };
            write_row(encoded, outcome, &self.row_runs, shared, output);
        }
        self.pending.remove(id);
    }
}

fn deadline(shared: &Shared) -> u64 {
    shared.clock.now + shared.windows.join_ns
}

/// The run of a row whose trace named none: the only run of a load driver (`Runs::only_driven`), or else the run that the
/// resource names, or else the normalizer's own run.
fn fallback_run(
    resource_run: Option<&str>,
    start_unix_ns: u64,
    shared: &mut Shared,
    output: &mut Output,
) -> Result<RunId, &'static str> {
    if let Some(run) = shared.runs.only_driven() {
        return Ok(run);
    }
    if let Some(run_id) = resource_run {
        // A resource names this run, not a span. So the run is not explicit, and does not make rows wait for the run of their
        // trace.
        return shared.open_run(run_id, false, start_unix_ns, output);
    }
    match shared.runs.find_own() {
        Some(own) => Ok(own),
        None => shared.open_own(start_unix_ns, output),
    }
}
