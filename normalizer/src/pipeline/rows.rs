//! Rows on their way out: which run they go to, what the join adds to them, and what the inventories learn from them.

use cctf_proto::cctf::{Call, File, Flag, Invocation, Milliseconds, Row, Text, field_index, push_field};

use super::held::{Gaps, HeldRow, RowFacts};
use super::links::LinkCall;
use super::names::NAMELESS;
use super::output::Output;
use super::runs::Totals;
use super::{NO_INSTANCE, Pipeline};
use crate::join::{Caller, Outcome};

const INVOCATION: &[cctf_proto::cctf::Field] = Invocation::FIELDS;
const PARENT_ID: usize = field_index(INVOCATION, "parent_id");
const CALLER_SPAN_ID: usize = field_index(INVOCATION, "caller_span_id");
const NET_MS: usize = field_index(INVOCATION, "net_ms");
const FLAGS: usize = field_index(INVOCATION, "flags");
const CALL: &[cctf_proto::cctf::Field] = Call::FIELDS;
const ANCESTOR_ID: usize = field_index(CALL, "ancestor_id");
const PEER_MODULE: usize = field_index(CALL, "peer_module");

impl Pipeline {
    /// Opens a run, unless it is known; `None` (and counted) if there are too many.
    pub(super) fn open_run(
        &mut self,
        id: &str,
        explicit: bool,
        started_unix_nano: u64,
        output: &mut Output,
    ) -> Option<usize> {
        match self.runs.open(id, explicit, self.now, output) {
            Ok((run, is_new)) => {
                if is_new {
                    let totals_at_open = self.totals_before(id);
                    let opened = self.runs.at(run);
                    opened.part.totals_at_open = totals_at_open;
                    opened.started_unix_nano = started_unix_nano;
                    self.announce_living(run, output);
                }
                Some(run)
            }
            Err(reason) => {
                self.totals.reject(reason, 1);
                None
            }
        }
    }

    /// What had been counted before the span or point that opens a run: it is the first that the run counts. The
    /// normalizer's own run counts all.
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

    /// The run of a row without one of its own, as far as it can be known now. `None`: it has to wait for its trace.
    pub(super) fn run_of_trace(
        &mut self,
        trace_id: &[u8; 16],
        resource_run: Option<&str>,
        start_unix_nano: u64,
        output: &mut Output,
    ) -> Option<usize> {
        if let Some(run) = self.traces.get(trace_id) {
            return Some(run);
        }
        if self.runs.any_explicit() {
            return None;
        }
        self.fallback_run(resource_run, start_unix_nano, output)
    }

    /// The run of a row whose trace named none: the one driven run, the resource's, the normalizer's own.
    fn fallback_run(
        &mut self,
        resource_run: Option<&str>,
        start_unix_nano: u64,
        output: &mut Output,
    ) -> Option<usize> {
        if let Some(run) = self.runs.only_driven() {
            return Some(run);
        }
        if let Some(run_id) = resource_run {
            // No span names it, so no row need wait for its trace to do so.
            return self.open_run(run_id, false, start_unix_nano, output);
        }
        let own = self.runs.own_id().to_owned();
        self.open_run(&own, false, start_unix_nano, output)
    }

    /// Writes the row in the scratch line, or holds it until all is known.
    pub(super) fn place_row(
        &mut self,
        gaps: Gaps,
        facts: RowFacts,
        run: Option<usize>,
        joined: Result<Outcome, u32>,
        output: &mut Output,
    ) {
        let deadline = self.now + self.window_nanos;
        match (joined, run) {
            (Ok(Outcome::Nothing), _) => {}
            (Ok(outcome), Some(run)) => {
                let line = std::mem::take(&mut self.line);
                self.write_row(&line, gaps, &facts, run, outcome, output);
                self.line = line;
            }
            (Ok(outcome), None) => {
                self.held
                    .add(&self.line, gaps, facts, None, Some(outcome), deadline);
            }
            (Err(entry), run) => {
                let row = self.held.add(&self.line, gaps, facts, run, None, deadline);
                self.join.hold(entry, row);
            }
        }
    }

    /// Writes the rows that the join has settled, and counts the calls that have left it.
    pub(super) fn write_settled(&mut self, output: &mut Output) {
        while let Some(settled) = self.join.take_settled() {
            if let Some(row) = self.held.settle(settled.row, settled.outcome) {
                self.write_held(row, output);
            }
        }
        while let Some(departed) = self.join.take_departed() {
            self.count_call_edge(&departed);
        }
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
        let (instance, start_unix_nano) = (facts.instance, facts.start_unix_nano);
        let resource_run = instance.and_then(|instance| self.sources.instance(instance).run_id.clone());
        let Some(run) = self.fallback_run(resource_run.as_deref(), start_unix_nano, output) else {
            return self.held.refuse(row);
        };
        if let Some(held) = self.held.set_run(row, run) {
            self.write_held(held, output);
        }
    }

    pub(super) fn write_held(&mut self, row: HeldRow, output: &mut Output) {
        if let (Some(run), Some(outcome)) = (row.run, row.outcome) {
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
                let caller_fits = caller.is_some_and(|caller| caller.duration_nanos >= facts.duration_nanos);
                let is_outlived =
                    caller.is_some_and(|caller| (0..facts.duration_nanos).contains(&caller.duration_nanos));
                let caller_alone = caller.filter(|caller| facts.is_server && caller.callees == 1);
                let told_caller = caller_alone.filter(|_| caller_fits && facts.duration_nanos >= 0);
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
                let net = told_caller.map(|caller| caller.duration_nanos - facts.duration_nanos);
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
                    net.map(Milliseconds::from_nanos).as_ref(),
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
                let mut flags = facts.flags;
                if orphan {
                    flags = flags.with(Flag::Orphan);
                }
                if self.count_row(run, File::Calls, facts, orphan) {
                    flags = flags.with(Flag::Late);
                }
                let callee = callee.filter(|&callee| callee != NO_INSTANCE);
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
            Outcome::Nothing => {}
        }
    }

    /// Counts a row; true if it is late.
    fn count_row(&mut self, run: usize, file: File, facts: &RowFacts, orphan: bool) -> bool {
        let run = self.runs.at(run);
        run.part.orphans += u64::from(orphan);
        run.nodes.extend(facts.node);
        run.begin_by(facts.start_unix_nano);
        run.count_row(file, facts.end_unix_nano, self.now)
    }

    fn learn_invocation(
        &mut self,
        run: usize,
        facts: &RowFacts,
        is_called: bool,
        call: Option<(Caller, i64)>,
    ) {
        let Some(instance) = facts.instance else {
            return;
        };
        let stats = self
            .runs
            .at(run)
            .modules
            .entry(self.sources.instance(instance).module)
            .or_default();
        stats.instances.insert(instance);
        stats.is_called |= is_called;
        stats.add(&facts.invocation);
        if let Some((caller, net_nanos)) = call {
            self.learn_link(run, facts, &caller, net_nanos);
        }
    }

    fn learn_call(&mut self, run: usize, facts: &RowFacts) {
        let Some(instance) = facts.instance else {
            return;
        };
        let stats = self
            .runs
            .at(run)
            .modules
            .entry(self.sources.instance(instance).module)
            .or_default();
        stats.instances.insert(instance);
        stats.makes_calls = true;
    }

    fn learn_link(&mut self, run: usize, facts: &RowFacts, caller: &Caller, net_nanos: i64) {
        if caller.instance == NO_INSTANCE {
            return;
        }
        let from = self.sources.instance(caller.instance);
        let bytes = facts
            .invocation
            .bytes_in
            .zip(facts.invocation.bytes_out)
            .map(|(sent, received)| sent + received);
        if let (Some(callee), from_module) = (facts.instance, from.module) {
            let to_module = self.sources.instance(callee).module;
            let stats = self.runs.at(run).modules.entry(from_module).or_default();
            stats.call_bytes.entry(to_module).or_default().add(bytes);
        }
        let (Some(u), Some(v)) = (from.node, facts.node) else {
            return;
        };
        if u == v {
            return;
        }
        let call = LinkCall {
            net_nanos,
            sent: facts.invocation.bytes_in,
            received: facts.invocation.bytes_out,
            sent_counts: facts.starts_after_body,
            end_unix_nano: caller.end_unix_nano,
        };
        let now = self.now;
        self.runs.at(run).links.entry((u, v)).or_default().add(&call, now);
    }

    /// Counts whom a call reached, now that no answer can come any more.
    fn count_call_edge(&mut self, departed: &crate::join::Departed) {
        if departed.instance == NO_INSTANCE {
            return;
        }
        let caller = self.sources.instance(departed.instance);
        let from = caller.module;
        let run_of_resource = || {
            self.runs
                .find(caller.run_id.as_deref().unwrap_or(self.runs.own_id()))
        };
        let run = self.traces.get(&departed.trace_id);
        let Some(run) = run.or_else(|| self.runs.only_driven()).or_else(run_of_resource) else {
            return;
        };
        let to = departed
            .callee
            .filter(|&callee| callee != NO_INSTANCE)
            .map(|callee| self.sources.instance(callee).module);
        let run = self.runs.at(run);
        run.dirty = true;
        match to {
            Some(to) => {
                if departed.peer != NAMELESS && !departed.is_message {
                    run.modules_by_peer.entry(departed.peer).or_insert(to);
                }
                *run.modules.entry(from).or_default().calls.entry(to).or_default() += 1;
            }
            None => *run.external_calls.entry((from, departed.peer)).or_default() += 1,
        }
    }
}
