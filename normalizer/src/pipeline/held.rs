//! Rows that wait: for the outcome of the join, for their trace's run, or for both. Each is encoded already, with gaps.

use std::collections::VecDeque;

use cctf_proto::cctf::Flags;
use cctf_proto::otlp::trace::{Span, SpanKind};
use serde::{Deserialize, Serialize};

use super::accounts::Fate;
use super::sources::Source;
use crate::join::Outcome;
use aggregate::maps::Map;
use aggregate::modules::InvocationFacts;

/// What is known of a row besides its encoded fields.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RowFacts {
    /// Whether it is a call.
    pub is_call: bool,
    /// Whether its span is of kind SERVER.
    pub is_server: bool,
    /// Whether it handles a message, which someone has sent.
    pub is_message: bool,
    /// Flags that do not depend on other rows.
    pub flags: Flags,
    /// Its trace.
    pub trace_id: [u8; 16],
    /// The instance that sent it, by number.
    pub instance: Option<u32>,
    /// Its node, by number.
    pub node: Option<u32>,
    /// End less start, nanoseconds.
    pub duration_ns: i64,
    /// Start, nanoseconds since the Unix epoch.
    pub start_unix_ns: u64,
    /// End, nanoseconds since the Unix epoch.
    pub end_unix_ns: u64,
    /// Whether its span starts when the body has been read.
    pub starts_after_body: bool,
    /// For the statistics of its module.
    pub invocation: InvocationFacts,
}

impl RowFacts {
    /// What is known of any span.
    pub fn of(span: &Span<'_>, trace_id: [u8; 16], source: &Source) -> Self {
        Self {
            is_call: matches!(span.kind, SpanKind::Client | SpanKind::Producer),
            is_server: span.kind == SpanKind::Server,
            is_message: span.kind == SpanKind::Consumer,
            flags: Flags::NONE,
            trace_id,
            instance: source.instance,
            node: source.node,
            duration_ns: (span.end_time_unix_nano as i64).wrapping_sub(span.start_time_unix_nano as i64),
            start_unix_ns: span.start_time_unix_nano,
            end_unix_ns: span.end_time_unix_nano,
            starts_after_body: false,
            invocation: InvocationFacts::default(),
        }
    }

    /// What became of the span if it has no row after all: a receipt of messages was a poll, and a request had been seen.
    pub fn fate_without_row(&self) -> Fate {
        if self.is_message { Fate::Aside } else { Fate::Inner }
    }
}

/// A row's encoding, open where it waits: `[..first]`, the ancestor's field, `[first..second]`, the fields of the join,
/// `[second..]`, flags, and the closing brace.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Gaps {
    /// Where the ancestor's field goes.
    pub first: usize,
    /// Where the other fields of the join go.
    pub second: usize,
}

/// A row that waits.
#[derive(Debug, Serialize, Deserialize)]
pub struct HeldRow {
    /// Its fields, encoded.
    pub line: Vec<u8>,
    /// Where they are open.
    pub gaps: Gaps,
    /// What else is known.
    pub facts: RowFacts,
    /// Its run, once known.
    pub run: Option<usize>,
    /// What it turned out to be, once known.
    pub outcome: Option<Outcome>,
    is_refused: bool,
    /// Spans that it counts instead of being a row, by what became of them.
    pub rowless: Rowless,
    /// The entry of the join that its outcome is awaited of.
    entry: Option<u32>,
    /// Whether it is among the rows of its trace that wait for the run.
    waits_for_run: bool,
    number: u64,
}

/// Spans of one trace without a row.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rowless {
    inner: u64,
    asides: u64,
}

impl Rowless {
    fn count(&mut self, fate: Fate) {
        match fate {
            Fate::Aside => self.asides += 1,
            _ => self.inner += 1,
        }
    }

    /// How many of each.
    pub fn by_fate(self) -> [(Fate, u64); 2] {
        [(Fate::Inner, self.inner), (Fate::Aside, self.asides)]
    }
}

/// All rows that wait.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct HeldRows {
    rows: Vec<Option<HeldRow>>,
    free: Vec<u32>,
    /// Deadline, row and its number, for rows without a run.
    run_deadlines: VecDeque<(u64, u32, u64)>,
    by_trace: Map<[u8; 16], OfTrace>,
    /// Rows and their numbers, oldest first. One whose number is not the row's any more is passed over.
    by_age: VecDeque<(u32, u64)>,
    made: u64,
    /// Bytes of the lines.
    line_bytes: u64,
    /// Buffers to be used again: giving memory back and asking for it anew costs more than encoding a row.
    #[serde(skip)]
    spare: Vec<Vec<u8>>,
}

/// Buffers kept to be used again, and the largest of them.
const SPARE_MAX: usize = 4096;
const SPARE_BYTES_MAX: usize = 4096;

/// A row that waits, besides its line: itself, its places in the lists by trace and deadline, and what its line's buffer has
/// too much.
const ROW_BYTES: u64 = size_of::<HeldRow>() as u64 + 192;
/// A place in the list by age.
const AGE_BYTES: u64 = 16;

/// Rows of one trace that wait for its run.
#[derive(Debug, Default, Serialize, Deserialize)]
struct OfTrace {
    /// Row and its number. One whose number is not the row's any more is passed over.
    rows: Vec<(u32, u64)>,
    /// What counts its spans without a row, and its number.
    rowless: Option<(u32, u64)>,
    waiting: u32,
}

impl HeldRows {
    /// Keeps a row; one without a run until `deadline` at most.
    pub fn add(
        &mut self,
        line: &[u8],
        gaps: Gaps,
        facts: RowFacts,
        run: Option<usize>,
        outcome: Option<Outcome>,
        deadline: u64,
    ) -> u32 {
        self.made += 1;
        let trace_id = facts.trace_id;
        let fits = |spare: &Vec<u8>| spare.capacity() <= 2 * line.len();
        let mut buffer = self.spare.pop().filter(fits).unwrap_or_default();
        buffer.extend_from_slice(line);
        let row = Some(HeldRow {
            line: buffer,
            gaps,
            facts,
            run,
            outcome,
            is_refused: false,
            rowless: Rowless::default(),
            entry: None,
            waits_for_run: run.is_none(),
            number: self.made,
        });
        let at = match self.free.pop() {
            Some(at) => {
                self.rows[at as usize] = row;
                at
            }
            None => {
                self.rows.push(row);
                (self.rows.len() - 1) as u32
            }
        };
        self.line_bytes += line.len() as u64;
        self.pop_gone();
        self.by_age.push_back((at, self.made));
        if run.is_none() {
            self.run_deadlines.push_back((deadline, at, self.made));
            let of_trace = self.by_trace.entry(trace_id).or_default();
            of_trace.rows.push((at, self.made));
            of_trace.waiting += 1;
        }
        at
    }

    /// Counts a span without a row, which waits for its trace's run as a row does, until `deadline` at most. One place does
    /// for all of a trace.
    pub fn add_rowless(&mut self, fate: Fate, facts: RowFacts, deadline: u64) {
        let trace_id = facts.trace_id;
        let of_trace = self.by_trace.get(&trace_id);
        if let Some((at, number)) = of_trace.and_then(|of_trace| of_trace.rowless)
            && let Some(row) = self.rows[at as usize].as_mut()
            && row.number == number
            && row.waits_for_run
        {
            return row.rowless.count(fate);
        }
        let nowhere = Gaps { first: 0, second: 0 };
        let at = self.add(&[], nowhere, facts, None, Some(Outcome::Nothing), deadline);
        if let Some(row) = self.rows[at as usize].as_mut() {
            row.rowless.count(fate);
        }
        if let Some(of_trace) = self.by_trace.get_mut(&trace_id) {
            of_trace.rowless = Some((at, self.made));
        }
    }

    /// Says what a row turned out to be; gives it back if nothing else is missing.
    pub fn settle(&mut self, at: u32, outcome: Outcome) -> Option<HeldRow> {
        let row = self.rows[at as usize].as_mut()?;
        row.outcome = Some(outcome);
        if row.is_refused {
            self.forget_in_trace(at);
            self.take(at);
            return None;
        }
        if outcome == Outcome::Nothing {
            let fate = row.facts.fate_without_row();
            row.rowless.count(fate);
        }
        if row.run.is_some() { self.take(at) } else { None }
    }

    /// Gives the rows of a trace that wait for its run that run, after `note` has seen each; returns those that miss nothing
    /// else.
    pub fn know_run(
        &mut self,
        trace_id: &[u8; 16],
        run: usize,
        mut note: impl FnMut(&HeldRow),
    ) -> Vec<HeldRow> {
        let of_trace = self.by_trace.remove(trace_id).unwrap_or_default();
        let waits = |(at, number): &(u32, u64)| {
            let row = self.rows[*at as usize].as_ref();
            row.is_some_and(|row| row.number == *number && row.waits_for_run)
        };
        let waiting: Vec<_> = of_trace.rows.into_iter().filter(waits).collect();
        waiting
            .into_iter()
            .filter_map(|(at, _)| {
                note(self.get(at)?);
                self.set_run(at, run)
            })
            .collect()
    }

    /// Says a row's run; gives it back if nothing else is missing.
    pub fn set_run(&mut self, at: u32, run: usize) -> Option<HeldRow> {
        let row = self.rows[at as usize].as_mut()?;
        row.run = Some(run);
        row.waits_for_run = false;
        if row.outcome.is_some() {
            self.take(at)
        } else {
            None
        }
    }

    /// A row whose run is unknown and whose time has passed at `now`.
    pub fn next_without_run(&mut self, now: u64) -> Option<u32> {
        while let Some(&(deadline, at, number)) = self.run_deadlines.front() {
            let waits = self.rows[at as usize]
                .as_ref()
                .is_some_and(|row| row.number == number && row.waits_for_run);
            if waits && deadline > now {
                return None;
            }
            self.run_deadlines.pop_front();
            if waits {
                self.forget_in_trace(at);
                return Some(at);
            }
        }
        None
    }

    /// A row.
    pub fn get(&self, at: u32) -> Option<&HeldRow> {
        self.rows.get(at as usize)?.as_ref()
    }

    /// Forgets a row that no run can take, and says of how many spans it was; the join may still name it until its outcome
    /// is known.
    pub fn refuse(&mut self, at: u32) -> u64 {
        let Some(row) = self.rows[at as usize].as_mut() else {
            return 0;
        };
        row.is_refused = true;
        let spans = (row.rowless.inner + row.rowless.asides).max(1);
        if row.outcome.is_some() {
            self.take(at);
        }
        spans
    }

    /// What all that waits takes, in bytes.
    pub fn bytes(&self) -> u64 {
        self.line_bytes + self.len() as u64 * ROW_BYTES + self.by_age.len() as u64 * AGE_BYTES
    }

    /// Says of which entry of the join a row's outcome is awaited.
    pub fn await_entry(&mut self, at: u32, entry: u32) {
        if let Some(row) = self.rows[at as usize].as_mut() {
            row.entry = Some(entry);
        }
    }

    /// The entry of the join that a row's outcome is still awaited of.
    pub fn awaited_entry(&self, at: u32) -> Option<u32> {
        let row = self.get(at)?;
        row.entry.filter(|_| row.outcome.is_none())
    }

    /// The row that has waited longest; it is not told again.
    pub fn pop_oldest(&mut self) -> Option<u32> {
        self.pop_gone();
        self.by_age.pop_front().map(|(at, _)| at)
    }

    fn pop_gone(&mut self) {
        let is_gone = |rows: &[Option<HeldRow>], &(at, number): &(u32, u64)| {
            rows[at as usize].as_ref().is_none_or(|row| row.number != number)
        };
        while self
            .by_age
            .front()
            .is_some_and(|oldest| is_gone(&self.rows, oldest))
        {
            self.by_age.pop_front();
        }
    }

    /// Whether a row still waits for its trace's run; it does not any more.
    pub fn leave_trace(&mut self, at: u32) -> bool {
        let waits = self.get(at).is_some_and(|row| row.waits_for_run);
        if waits {
            self.forget_in_trace(at);
        }
        waits
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.rows.len() - self.free.len()
    }

    /// Whether it is a row, as far as is known, and not only a count of spans that are none.
    pub fn has_line(&self, at: u32) -> bool {
        self.get(at)
            .is_some_and(|row| row.outcome != Some(Outcome::Nothing))
    }

    /// Takes back the buffer of a row that has been written.
    pub fn give_back(&mut self, mut line: Vec<u8>) {
        if self.spare.len() < SPARE_MAX && line.capacity() <= SPARE_BYTES_MAX {
            line.clear();
            self.spare.push(line);
        }
    }

    fn take(&mut self, at: u32) -> Option<HeldRow> {
        let row = self.rows[at as usize].take()?;
        self.line_bytes -= row.line.len() as u64;
        self.free.push(at);
        Some(row)
    }

    /// Counts a row out that waits for its trace's run no more; the trace is forgotten with its last.
    fn forget_in_trace(&mut self, at: u32) {
        let Some(row) = self.rows[at as usize].as_mut() else {
            return;
        };
        if !std::mem::take(&mut row.waits_for_run) {
            return;
        }
        let trace_id = row.facts.trace_id;
        if let Some(of_trace) = self.by_trace.get_mut(&trace_id) {
            of_trace.waiting -= 1;
            if of_trace.waiting == 0 {
                self.by_trace.remove(&trace_id);
            }
        }
    }
}

#[cfg(test)]
mod tests;
