//! Rows on their way out: which run they go to, and what the join adds to them.

use cctf_proto::cctf::{
    Call, File, Flag, Invocation, Milliseconds, Row, SpanId, Text, field_index, push_field,
};

use super::held::{Gaps, HeldRow, RowFacts};
use super::output::Output;
use super::spans::RowSpan;
use super::totals::Totals;
use super::unsettled::{INNER, UNSETTLED, UnsettledRow};
use super::{NO_INSTANCE, Pipeline};
use crate::join::Outcome;

const INVOCATION: &[cctf_proto::cctf::Field] = Invocation::FIELDS;
const PARENT_ID: usize = field_index(INVOCATION, "parent_id");
const CALLER_SPAN_ID: usize = field_index(INVOCATION, "caller_span_id");
const NET_MS: usize = field_index(INVOCATION, "net_ms");
const FLAGS: usize = field_index(INVOCATION, "flags");
const CALL: &[cctf_proto::cctf::Field] = Call::FIELDS;
const ANCESTOR_ID: usize = field_index(CALL, "ancestor_id");
const PEER_MODULE: usize = field_index(CALL, "peer_module");

impl Pipeline {
    /// Opens a run, unless it is known; `Err` is the reason for which what names it is rejected.
    pub(super) fn open_run(
        &mut self,
        id: &str,
        explicit: bool,
        started_unix_ns: u64,
        output: &mut Output,
    ) -> Result<usize, &'static str> {
        if self.settings.runs_ignore_case && self.runs.is_taken_in_other_case(id) {
            return Err("run_id_differs_in_case");
        }
        let (run, is_new) = self.runs.open(id, explicit, self.now, output)?;
        if is_new {
            let totals_at_open = self.totals_before(id);
            let opened = self.runs.at(run);
            opened.part.totals_at_open = totals_at_open;
            opened.started_unix_ns = started_unix_ns;
            if id == self.runs.own_id() {
                self.place_accounts(run);
            }
            self.announce_living(run, output);
        }
        Ok(run)
    }

    /// What had been counted before the point that opens a run: it is the first that the run counts. The normalizer's own
    /// run counts all.
    fn totals_before(&self, run_id: &str) -> Totals {
        if run_id == self.runs.own_id() {
            return Totals::default();
        }
        let (spans, points) = self.counted_before;
        Totals {
            spans,
            points,
            ..self.totals.clone()
        }
    }

    /// The run of a span's row, as far as it can be known now: the one that it names, else its trace's.
    pub(super) fn run_of_row(
        &mut self,
        row: &RowSpan<'_, '_>,
        named: Option<usize>,
        output: &mut Output,
    ) -> Option<usize> {
        let resource_run = row.source.identity.run_id.as_deref();
        let start = row.span.start_time_unix_nano;
        named.or_else(|| self.run_of_trace(&row.trace_id.0, resource_run, start, output))
    }

    /// The run of a row without one of its own, as far as it can be known now. `None`: it has to wait for its trace.
    pub(super) fn run_of_trace(
        &mut self,
        trace_id: &[u8; 16],
        resource_run: Option<&str>,
        start_unix_ns: u64,
        output: &mut Output,
    ) -> Option<usize> {
        if let Some(run) = self.traces.get(trace_id) {
            return Some(run);
        }
        if self.runs.any_explicit() {
            return None;
        }
        self.fallback_run(resource_run, start_unix_ns, output).ok()
    }

    /// The run of a row whose trace named none: the one driven run, the resource's, the normalizer's own.
    fn fallback_run(
        &mut self,
        resource_run: Option<&str>,
        start_unix_ns: u64,
        output: &mut Output,
    ) -> Result<usize, &'static str> {
        if let Some(run) = self.runs.only_driven() {
            return Ok(run);
        }
        if let Some(run_id) = resource_run {
            // No span names it, so no row need wait for its trace to do so.
            return self.open_run(run_id, false, start_unix_ns, output);
        }
        if let Some(own) = self.runs.find_own() {
            return Ok(own);
        }
        let own = self.runs.own_id().to_owned();
        self.open_run(&own, false, start_unix_ns, output)
    }

    /// Writes the row whose line begins there, or keeps it until all is known.
    pub(super) fn place_row(
        &mut self,
        begin: usize,
        gaps: Gaps,
        facts: RowFacts,
        run: Option<usize>,
        joined: Result<Outcome, u32>,
        output: &mut Output,
    ) {
        if let (Err(entry), Some(run)) = (joined, run) {
            self.join
                .hold(entry, UNSETTLED | self.unsettled.rows.len() as u32);
            self.unsettled.rows.push(UnsettledRow {
                begin,
                end: self.unsettled.lines.len(),
                gaps,
                facts,
                run,
                entry,
                is_settled: false,
            });
            return;
        }
        let mut lines = std::mem::take(&mut self.unsettled.lines);
        let (line, deadline) = (&lines[begin..], self.now + self.window_ns);
        match (joined, run) {
            (Ok(Outcome::Nothing), _) => self.account_rowless(run, facts.fate_without_row(), facts),
            (Ok(outcome), Some(run)) => self.write_row(line, gaps, &facts, run, outcome, output),
            (Ok(outcome), None) => {
                self.held.add(line, gaps, facts, None, Some(outcome), deadline);
            }
            (Err(entry), run) => {
                let row = self.held.add(line, gaps, facts, run, None, deadline);
                self.held.await_entry(row, entry);
                self.join.hold(entry, row);
            }
        }
        lines.truncate(begin);
        self.unsettled.lines = lines;
    }

    /// Holds the request's rows that still wait, now that it is at its end.
    pub(super) fn hold_unsettled(&mut self) {
        let deadline = self.now + self.window_ns;
        for row in self.unsettled.rows.drain(..).filter(|row| !row.is_settled) {
            let line = &self.unsettled.lines[row.begin..row.end];
            let held = self
                .held
                .add(line, row.gaps, row.facts, Some(row.run), None, deadline);
            self.held.await_entry(held, row.entry);
            self.join.hold(row.entry, held);
        }
        self.unsettled.lines.clear();
    }

    /// Writes the rows that the join has settled, and counts the calls that have left it.
    pub(super) fn write_settled(&mut self, output: &mut Output) {
        while let Some(settled) = self.join.take_settled() {
            if settled.row & UNSETTLED != 0 {
                self.write_unsettled(settled.row & !UNSETTLED, settled.outcome, output);
            } else if let Some(row) = self.held.settle(settled.row, settled.outcome) {
                self.write_held(row, output);
            }
        }
        while let Some(departed) = self.join.take_departed() {
            self.count_call_edge(&departed);
        }
    }

    fn write_unsettled(&mut self, row: u32, outcome: Outcome, output: &mut Output) {
        let mut unsettled = std::mem::take(&mut self.unsettled);
        if row & INNER != 0 {
            if let Some(inner) = unsettled.inner.get_mut((row & !INNER) as usize) {
                inner.outcome = Some(outcome);
            }
        } else if let Some(row) = unsettled.rows.get_mut(row as usize) {
            row.is_settled = true;
            let line = &unsettled.lines[row.begin..row.end];
            self.write_row(line, row.gaps, &row.facts, row.run, outcome, output);
        }
        self.unsettled = unsettled;
    }

    /// Lets go of what has waited long enough.
    pub(super) fn expire_rows(&mut self, output: &mut Output) {
        self.join.expire(self.now);
        self.write_settled(output);
        while let Some(row) = self.held.next_without_run(self.now) {
            self.write_by_fallback(row, output);
        }
    }

    /// Gives a row whose trace named no run the one it falls back to.
    pub(super) fn write_by_fallback(&mut self, row: u32, output: &mut Output) {
        let Some(facts) = self.held.get(row).map(|held| &held.facts) else {
            return;
        };
        let (instance, start_unix_ns) = (facts.instance, facts.start_unix_ns);
        let trace_id = facts.trace_id;
        let resource_run = instance.and_then(|instance| self.sources.instance(instance).run_id.clone());
        let is_row = self.held.has_line(row);
        let run = match self.fallback_run(resource_run.as_deref(), start_unix_ns, output) {
            Ok(run) => run,
            Err(reason) => {
                if is_row {
                    self.note_refusal(row);
                }
                for _ in 0..self.held.refuse(row) {
                    self.reject_span(None, reason);
                }
                return;
            }
        };
        // The whole trace falls back to the same run, so that its rows can refer to each other.
        if is_row {
            self.traces.set(&trace_id, run);
        }
        let run = self.traces.get(&trace_id).unwrap_or(run);
        if let Some(held) = self.set_run(row, run) {
            self.write_held(held, output);
        }
        if !is_row {
            return;
        }
        for held in self.know_run(&trace_id, run) {
            self.write_held(held, output);
        }
    }

    pub(super) fn write_held(&mut self, row: HeldRow, output: &mut Output) {
        for (fate, spans) in row.rowless.by_fate() {
            if spans > 0 {
                self.account(row.run, fate, spans);
            }
        }
        if let (Some(run), Some(outcome)) = (row.run, row.outcome)
            && outcome != Outcome::Nothing
        {
            self.write_row(&row.line, row.gaps, &row.facts, run, outcome, output);
        }
        self.held.give_back(row.line);
    }

    fn write_row(
        &mut self,
        line: &[u8],
        gaps: Gaps,
        facts: &RowFacts,
        run: usize,
        outcome: Outcome,
        output: &mut Output,
    ) {
        match outcome {
            Outcome::Invocation {
                parent,
                caller,
                orphan,
            } => {
                let (parent, orphan) = self.within_run(run, facts, parent, orphan);
                let caller_fits = caller.is_some_and(|caller| caller.duration_ns >= facts.duration_ns);
                let is_outlived =
                    caller.is_some_and(|caller| (0..facts.duration_ns).contains(&caller.duration_ns));
                let caller_alone = caller.filter(|caller| facts.is_server && caller.callees == 1);
                let told_caller = caller_alone
                    .filter(|_| caller_fits && facts.duration_ns >= 0)
                    .filter(|caller| self.is_in_run(run, &facts.trace_id, &caller.span_id.0, true));
                let mut flags = facts.flags;
                if orphan {
                    flags = flags.with(Flag::Orphan);
                }
                // A message's consumer runs after its producer is done: only an answer is outlived.
                if facts.is_server && is_outlived {
                    flags = flags.with(Flag::ChildOutlivesCaller);
                }
                if self.count_row(run, File::Invocations, facts, orphan) {
                    flags = flags.with(Flag::Late);
                }
                let net = told_caller.map(|caller| caller.duration_ns - facts.duration_ns);
                let lines = output
                    .run(run, &self.runs.at(run).part.of)
                    .lines(File::Invocations);
                let begin = lines.len();
                lines.extend_from_slice(&line[..gaps.first]);
                push_field(&INVOCATION[PARENT_ID], parent.as_ref(), lines);
                lines.extend_from_slice(&line[gaps.first..gaps.second]);
                push_field(
                    &INVOCATION[CALLER_SPAN_ID],
                    told_caller.map(|caller| caller.span_id).as_ref(),
                    lines,
                );
                push_field(
                    &INVOCATION[NET_MS],
                    net.map(Milliseconds::from_ns).as_ref(),
                    lines,
                );
                lines.extend_from_slice(&line[gaps.second..]);
                push_field(&INVOCATION[FLAGS], flags.non_empty().as_ref(), lines);
                lines.extend_from_slice(b"}\n");
                self.runs.at(run).part.bytes += (lines.len() - begin) as u64;
                let is_called = parent.is_some() || caller.is_some() || orphan || facts.is_message;
                self.learn_invocation(run, facts, is_called, told_caller.zip(net));
            }
            Outcome::Call {
                ancestor,
                callee,
                orphan,
            } => {
                let (ancestor, orphan) = self.within_run(run, facts, ancestor, orphan);
                let mut flags = facts.flags;
                if orphan {
                    flags = flags.with(Flag::Orphan);
                }
                if self.count_row(run, File::Calls, facts, orphan) {
                    flags = flags.with(Flag::Late);
                }
                let callee = callee.filter(|&callee| callee != NO_INSTANCE);
                if let Some(callee) = callee {
                    // Its own rows may be another run's, or in a later part.
                    let module = self.sources.instance(callee).module;
                    self.runs.at(run).modules.entry(module).or_default();
                }
                let peer_module =
                    callee.map(|callee| Text::from(self.sources.module_of(callee).module_id.as_str()));
                let lines = output.run(run, &self.runs.at(run).part.of).lines(File::Calls);
                let begin = lines.len();
                lines.extend_from_slice(&line[..gaps.first]);
                push_field(&CALL[ANCESTOR_ID], ancestor.as_ref(), lines);
                lines.extend_from_slice(&line[gaps.first..gaps.second]);
                push_field(&CALL[PEER_MODULE], peer_module.as_ref(), lines);
                lines.extend_from_slice(&line[gaps.second..]);
                push_field(&CALL[CALL.len() - 1], flags.non_empty().as_ref(), lines);
                lines.extend_from_slice(b"}\n");
                self.runs.at(run).part.bytes += (lines.len() - begin) as u64;
                self.learn_call(run, facts);
            }
            Outcome::Nothing => self.account(Some(run), facts.fate_without_row(), 1),
        }
    }

    /// What a row of this run says of the invocation above it, and whether it is an orphan: a reference to a row that is not
    /// in the run's folder would lead nowhere.
    #[inline]
    fn within_run(
        &self,
        run: usize,
        facts: &RowFacts,
        above: Option<SpanId>,
        orphan: bool,
    ) -> (Option<SpanId>, bool) {
        match above {
            Some(id) if !self.is_in_run(run, &facts.trace_id, &id.0, false) => (None, true),
            _ => (above, orphan),
        }
    }

    /// Counts a row; true if it is late.
    fn count_row(&mut self, run: usize, file: File, facts: &RowFacts, orphan: bool) -> bool {
        let run = self.runs.at(run);
        run.part.orphans += u64::from(orphan);
        run.nodes.extend(facts.node);
        run.begin_by(facts.start_unix_ns);
        run.count_row(file, facts.end_unix_ns, self.now)
    }
}
