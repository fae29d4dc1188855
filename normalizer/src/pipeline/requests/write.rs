//! The last step of a row: the derived fields are added, and the row is counted.

use aggregate::ids::RunId;
use cctf_proto::cctf::{
    Call, Field, File, Flag, Flags, Invocation, Milliseconds, Row, SpanId, Text, field_index, push_field,
};

use super::graph_stats::{record_call, record_invocation};
use super::row_facts::{DerivedFieldOffsets, RowFacts, RowType};
use super::row_runs::RowRuns;
use crate::join::{Caller, Outcome};
use crate::pipeline::output::Output;
use crate::pipeline::shared::Shared;

const INVOCATION: &[Field] = Invocation::FIELDS;
const PARENT_ID: usize = field_index(INVOCATION, "parent_id");
const CALLER_SPAN_ID: usize = field_index(INVOCATION, "caller_span_id");
const NET_MS: usize = field_index(INVOCATION, "net_ms");
const FLAGS: usize = field_index(INVOCATION, "flags");
const CALL: &[Field] = Call::FIELDS;
const ANCESTOR_ID: usize = field_index(CALL, "ancestor_id");
const PEER_MODULE: usize = field_index(CALL, "peer_module");
const CALL_FLAGS: usize = field_index(CALL, "flags");

/// A row whose run is known.
#[derive(Clone, Copy)]
pub struct EncodedRow<'r> {
    pub line: &'r [u8],
    pub offsets: DerivedFieldOffsets,
    pub facts: &'r RowFacts,
    pub run: RunId,
}

/// Writes a row, or counts its span if it has none.
pub fn write_row(
    row: EncodedRow<'_>,
    outcome: Outcome,
    row_runs: &RowRuns,
    shared: &mut Shared,
    output: &mut Output,
) {
    match outcome {
        Outcome::Invocation {
            parent,
            caller,
            orphan,
        } => {
            let (parent, orphan) = row.within_run(row_runs, parent, orphan);
            let caller = Callers::new(&row, caller, row_runs);
            write_invocation(row, parent, orphan, caller, shared, output);
        }
        Outcome::Call {
            ancestor,
            callee,
            orphan,
        } => {
            let (ancestor, orphan) = row.within_run(row_runs, ancestor, orphan);
            let flags = row.count(File::Calls, orphan, row.facts.flags, shared);
            if let Some(callee) = callee {
                // The rows of the callee may belong to another run or to a later part, but the inventory must contain its module.
                let module = shared.sources.instance(callee).module;
                shared.runs[row.run].modules.entry(module).or_default();
            }
            let peer_module = callee.map(|callee| shared.sources.module_of(callee).module_id.as_str());
            let peer_module = peer_module.map(Text::from);
            let run = &mut shared.runs[row.run];
            let lines = output.run(row.run, &run.part.of).lines(File::Calls);
            let begin = lines.len();
            lines.extend_from_slice(row.first());
            push_field(&CALL[ANCESTOR_ID], ancestor.as_ref(), lines);
            lines.extend_from_slice(row.second());
            push_field(&CALL[PEER_MODULE], peer_module.as_ref(), lines);
            lines.extend_from_slice(row.last());
            push_field(&CALL[CALL_FLAGS], flags.non_empty().as_ref(), lines);
            lines.extend_from_slice(b"}\n");
            run.part.bytes += (lines.len() - begin) as u64;
            record_call(shared, row.run, row.facts);
        }
        Outcome::Nothing => shared.account(Some(row.run), row.facts.fate_without_row(), 1),
    }
}

/// The call that reached an invocation, and what the row states about it.
struct Callers {
    /// Whether any call reached the invocation.
    is_known: bool,
    /// The call, if the row may name it as its caller. It must have only this answer, last at least as long as it, and belong
    /// to the same run.
    of_row: Option<Caller>,
    /// Whether the invocation lasted longer than the call.
    is_outlived: bool,
}

impl Callers {
    #[inline]
    fn new(row: &EncodedRow<'_>, caller: Option<Caller>, row_runs: &RowRuns) -> Self {
        let facts = row.facts;
        let is_outlived = caller.is_some_and(|caller| (0..facts.duration_ns).contains(&caller.duration_ns));
        let of_row = caller
            .filter(|caller| facts.is_server && caller.callees == 1)
            .filter(|caller| facts.duration_ns >= 0 && caller.duration_ns >= facts.duration_ns)
            .filter(|caller| row_runs.is_in_run(row.run, &facts.trace_id, &caller.span_id.0, RowType::Call));
        Self {
            is_known: caller.is_some(),
            of_row,
            is_outlived,
        }
    }
}

#[inline]
fn write_invocation(
    row: EncodedRow<'_>,
    parent: Option<SpanId>,
    orphan: bool,
    caller: Callers,
    shared: &mut Shared,
    output: &mut Output,
) {
    let facts = row.facts;
    let mut flags = facts.flags;
    // A message's consumer starts after its producer has ended, so only an answer can last longer than its caller.
    if facts.is_server && caller.is_outlived {
        flags = flags.with(Flag::ChildOutlivesCaller);
    }
    let flags = row.count(File::Invocations, orphan, flags, shared);
    let net = caller.of_row.map(|of| of.duration_ns - facts.duration_ns);
    let run = &mut shared.runs[row.run];
    let lines = output.run(row.run, &run.part.of).lines(File::Invocations);
    let begin = lines.len();
    lines.extend_from_slice(row.first());
    push_field(&INVOCATION[PARENT_ID], parent.as_ref(), lines);
    lines.extend_from_slice(row.second());
    push_field(
        &INVOCATION[CALLER_SPAN_ID],
        caller.of_row.map(|of| of.span_id).as_ref(),
        lines,
    );
    push_field(
        &INVOCATION[NET_MS],
        net.map(Milliseconds::from_ns).as_ref(),
        lines,
    );
    lines.extend_from_slice(row.last());
    push_field(&INVOCATION[FLAGS], flags.non_empty().as_ref(), lines);
    lines.extend_from_slice(b"}\n");
    run.part.bytes += (lines.len() - begin) as u64;
    let is_called = parent.is_some() || caller.is_known || orphan || facts.is_message;
    record_invocation(shared, row.run, facts, is_called, caller.of_row.zip(net));
}

impl<'r> EncodedRow<'r> {
    fn first(&self) -> &'r [u8] {
        &self.line[..self.offsets.first]
    }

    fn second(&self) -> &'r [u8] {
        &self.line[self.offsets.first..self.offsets.second]
    }

    fn last(&self) -> &'r [u8] {
        &self.line[self.offsets.second..]
    }

    /// The invocation that the row may name as its parent or ancestor, and whether the row is an orphan. A reference to a row
    /// that is not in the run's folder would lead nowhere.
    #[inline]
    fn within_run(&self, row_runs: &RowRuns, parent: Option<SpanId>, orphan: bool) -> (Option<SpanId>, bool) {
        let is_in_run =
            |id: SpanId| row_runs.is_in_run(self.run, &self.facts.trace_id, &id.0, RowType::Invocation);
        match parent {
            Some(id) if !is_in_run(id) => (None, true),
            _ => (parent, orphan),
        }
    }

    /// Counts the row, and adds the flags that depend on other rows.
    #[inline]
    fn count(&self, file: File, orphan: bool, mut flags: Flags, shared: &mut Shared) -> Flags {
        shared.runs.rows_written += 1;
        let run = &mut shared.runs[self.run];
        run.part.orphans += u64::from(orphan);
        run.nodes.extend(self.facts.node);
        run.begin_by(self.facts.start_unix_ns);
        let is_late = run.count_row(file, self.facts.end_unix_ns, shared.clock.now);
        if orphan {
            flags = flags.with(Flag::Orphan);
        }
        if is_late {
            flags = flags.with(Flag::Late);
        }
        flags
    }
}
