//! [`PendingRows`]: rows that wait for the join, or until it is known to which run their trace belongs, or for both. The join
//! returns a row's parent and caller, or that it must not be written ([`Outcome`]). Each row is already encoded, except the
//! fields that the join derives.
//!
//! Spans without a row also wait until the run of their trace is known, because that run counts them. A counter holds their
//! number. It is a [`PendingRow`] that is never written.

use std::collections::VecDeque;

use aggregate::ids::RunId;
use aggregate::maps::Map;
use serde::{Deserialize, Serialize};

use super::row_facts::{DerivedFieldOffsets, RowFacts};
use crate::join::{EntryId, Outcome, PendingId};
use crate::pipeline::shared::accounts::Fate;

/// A row that waits, or a counter of spans without a row.
#[derive(Debug, Serialize, Deserialize)]
pub struct PendingRow {
    /// The encoded fields, except those that the join derives.
    pub line: Vec<u8>,
    pub offsets: DerivedFieldOffsets,
    pub facts: RowFacts,
    /// `None` until the run is known.
    pub run: Option<RunId>,
    /// `None` until the join has returned it. Always [`Outcome::Nothing`] in a counter.
    pub outcome: Option<Outcome>,
    /// No run accepts the row. It stays until the join returns its outcome.
    is_refused: bool,
    /// All zero if this is a row. If the join decides that the span has no row, this becomes a counter of one span.
    pub rowless: Rowless,
    /// The entry in the join's table that the outcome comes from.
    entry: Option<EntryId>,
    /// Whether the row waits for its run, in the list of its trace.
    waits_for_run: bool,
    /// Distinguishes this row from earlier rows in the same place of the table.
    number: u64,
}

/// A place in the table, and the number of the row there. The ticket is void when the place has a row with another number.
type Ticket = (PendingId, u64);

/// Number of spans that have no row, by reason.
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

    pub fn by_fate(self) -> [(Fate, u64); 2] {
        [(Fate::Inner, self.inner), (Fate::Aside, self.asides)]
    }
}

/// All rows and counters that wait.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct PendingRows {
    rows: Vec<Option<PendingRow>>,
    free: Vec<PendingId>,
    /// Deadline and ticket of each row without a run, by deadline.
    run_deadlines: VecDeque<(u64, Ticket)>,
    by_trace: Map<[u8; 16], OfTrace>,
    /// All rows, oldest first.
    by_age: VecDeque<Ticket>,
    /// Number of rows added so far.
    made: u64,
    /// Total size of the lines, bytes.
    line_bytes: u64,
    /// Buffers for reuse: freeing and allocating memory costs more than encoding a row.
    #[serde(skip)]
    spare: Vec<Vec<u8>>,
    /// Size of these buffers, bytes.
    #[serde(skip)]
    spare_bytes: u64,
    /// Maximum of this size. It is 0 after a restart, until the settings are applied.
    #[serde(skip)]
    spare_bytes_max: u64,
}

/// Maximum number of buffers that are kept for reuse.
const SPARE_MAX: usize = 4096;
/// Maximum size of a buffer that is kept for reuse.
const SPARE_BUFFER_BYTES_MAX: usize = 4096;

/// Memory of a waiting row besides its line, bytes. The 192 bytes are an estimate. They cover the row's places in the lists by
/// trace and by deadline, and the unused part of its line's buffer.
const ROW_BYTES: u64 = size_of::<PendingRow>() as u64 + 192;
/// Memory of a place in the list by age, bytes.
const AGE_BYTES: u64 = 16;

/// Rows of one trace that wait for its run.
#[derive(Debug, Default, Serialize, Deserialize)]
struct OfTrace {
    rows: Vec<Ticket>,
    /// The trace's counter of spans without a row.
    rowless: Option<Ticket>,
    /// Number of rows that still wait.
    waiting: u32,
}

impl PendingRows {
    /// No rows. At most `spare_bytes_max` bytes of buffers are kept for reuse.
    pub fn new(spare_bytes_max: u64) -> Self {
        Self {
            spare_bytes_max,
            ..Self::default()
        }
    }

    /// Changes the maximum size of the buffers that are kept for reuse, bytes.
    pub fn set_spare_max(&mut self, spare_bytes_max: u64) {
        self.spare_bytes_max = spare_bytes_max;
        while self.spare_bytes > spare_bytes_max {
            self.pop_spare();
        }
    }

    fn pop_spare(&mut self) -> Option<Vec<u8>> {
        let spare = self.spare.pop()?;
        self.spare_bytes -= spare.capacity() as u64;
        Some(spare)
    }

    /// Adds a row. If `run` is `None`, the row waits for its run until `deadline` at the latest.
    pub fn add(
        &mut self,
        line: &[u8],
        offsets: DerivedFieldOffsets,
        facts: RowFacts,
        run: Option<RunId>,
        outcome: Option<Outcome>,
        deadline: u64,
    ) -> PendingId {
        self.made += 1;
        let trace_id = facts.trace_id;
        let fits = |spare: &Vec<u8>| spare.capacity() <= 2 * line.len();
        let mut buffer = self.pop_spare().filter(fits).unwrap_or_default();
        buffer.extend_from_slice(line);
        let id = self.free.pop().unwrap_or_else(|| {
            self.rows.push(None);
            PendingId::new(self.rows.len() - 1)
        });
        self.rows[id.index()] = Some(PendingRow {
            line: buffer,
            offsets,
            facts,
            run,
            outcome,
            is_refused: false,
            rowless: Rowless::default(),
            entry: None,
            waits_for_run: run.is_none(),
            number: self.made,
        });
        let ticket = (id, self.made);
        self.line_bytes += line.len() as u64;
        self.pop_gone();
        self.by_age.push_back(ticket);
        if run.is_none() {
            self.run_deadlines.push_back((deadline, ticket));
            let of_trace = self.by_trace.entry(trace_id).or_default();
            of_trace.rows.push(ticket);
            of_trace.waiting += 1;
        }
        id
    }

    /// Adds a span without a row to its trace's counter. Like a row, a counter waits for the trace's run until its deadline at the
    /// latest. `deadline` is used only if this creates the counter.
    pub fn add_rowless(&mut self, fate: Fate, facts: RowFacts, deadline: u64) {
        let trace_id = facts.trace_id;
        let of_trace = self.by_trace.get(&trace_id);
        if let Some((id, number)) = of_trace.and_then(|of_trace| of_trace.rowless)
            && let Some(row) = self.rows[id.index()].as_mut()
            && row.number == number
            && row.waits_for_run
        {
            return row.rowless.count(fate);
        }
        let nowhere = DerivedFieldOffsets { first: 0, second: 0 };
        let id = self.add(&[], nowhere, facts, None, Some(Outcome::Nothing), deadline);
        if let Some(row) = self.rows[id.index()].as_mut() {
            row.rowless.count(fate);
        }
        if let Some(of_trace) = self.by_trace.get_mut(&trace_id) {
            of_trace.rowless = Some((id, self.made));
        }
    }

    /// Sets the outcome of a row. Returns true if its run is also known, so that the row can be written and removed.
    pub fn resolve(&mut self, id: PendingId, outcome: Outcome) -> bool {
        let Some(row) = self.rows[id.index()].as_mut() else {
            return false;
        };
        row.outcome = Some(outcome);
        if row.is_refused {
            self.forget_in_trace(id);
            self.remove(id);
            return false;
        }
        if outcome == Outcome::Nothing {
            let fate = row.facts.fate_without_row();
            row.rowless.count(fate);
        }
        row.run.is_some()
    }

    /// Sets the run of a trace. Calls `note` with each row that waited for the run. Returns those rows whose outcome is also
    /// known.
    pub fn set_run_of_trace(
        &mut self,
        trace_id: &[u8; 16],
        run: RunId,
        mut note: impl FnMut(&PendingRow),
    ) -> Vec<PendingId> {
        let of_trace = self.by_trace.remove(trace_id).unwrap_or_default();
        let waits = |&(id, number): &Ticket| {
            let row = self.rows[id.index()].as_ref();
            row.is_some_and(|row| row.number == number && row.waits_for_run)
        };
        let waiting: Vec<_> = of_trace.rows.into_iter().filter(waits).collect();
        waiting
            .into_iter()
            .filter_map(|(id, _)| {
                note(self.get(id)?);
                self.set_run(id, run).then_some(id)
            })
            .collect()
    }

    /// Sets the run of a row. Returns true if its outcome is also known, so that the row can be written and removed.
    pub fn set_run(&mut self, id: PendingId, run: RunId) -> bool {
        let Some(row) = self.rows[id.index()].as_mut() else {
            return false;
        };
        row.run = Some(run);
        row.waits_for_run = false;
        row.outcome.is_some()
    }

    /// Returns the next row that has no run at its deadline. From then on, the row no longer waits for a run.
    pub fn next_without_run(&mut self, now: u64) -> Option<PendingId> {
        while let Some(&(deadline, (id, number))) = self.run_deadlines.front() {
            let waits = self.rows[id.index()]
                .as_ref()
                .is_some_and(|row| row.number == number && row.waits_for_run);
            if waits && deadline > now {
                return None;
            }
            self.run_deadlines.pop_front();
            if waits {
                self.forget_in_trace(id);
                return Some(id);
            }
        }
        None
    }

    pub fn get(&self, id: PendingId) -> Option<&PendingRow> {
        self.rows.get(id.index())?.as_ref()
    }

    /// Drops a row or counter that no run accepts. Returns its number of spans: 1 for a row. A row keeps its place until the join
    /// returns its outcome, because the join still refers to the place.
    pub fn refuse(&mut self, id: PendingId) -> u64 {
        let Some(row) = self.rows[id.index()].as_mut() else {
            return 0;
        };
        row.is_refused = true;
        let spans = (row.rowless.inner + row.rowless.asides).max(1);
        if row.outcome.is_some() {
            self.remove(id);
        }
        spans
    }

    /// Memory of all waiting rows, bytes.
    pub fn bytes(&self) -> u64 {
        self.line_bytes + self.len() as u64 * ROW_BYTES + self.by_age.len() as u64 * AGE_BYTES
    }

    /// Sets the entry in the join's table that a row's outcome comes from.
    pub fn await_entry(&mut self, id: PendingId, entry: EntryId) {
        if let Some(row) = self.rows[id.index()].as_mut() {
            row.entry = Some(entry);
        }
    }

    /// The entry in the join's table that a row's outcome will come from. `None` if the join has returned the outcome.
    pub fn awaited_entry(&self, id: PendingId) -> Option<EntryId> {
        let row = self.get(id)?;
        row.entry.filter(|_| row.outcome.is_none())
    }

    /// Returns the row that has waited longest, and removes it from the list by age. It keeps its place in the table.
    pub fn pop_oldest(&mut self) -> Option<PendingId> {
        self.pop_gone();
        self.by_age.pop_front().map(|(id, _)| id)
    }

    /// Removes void tickets from the front of the list by age.
    fn pop_gone(&mut self) {
        let is_gone = |rows: &[Option<PendingRow>], &(id, number): &Ticket| {
            rows[id.index()].as_ref().is_none_or(|row| row.number != number)
        };
        while self
            .by_age
            .front()
            .is_some_and(|oldest| is_gone(&self.rows, oldest))
        {
            self.by_age.pop_front();
        }
    }

    /// Ends a row's wait for the run of its trace. Returns whether the row waited.
    pub fn leave_trace(&mut self, id: PendingId) -> bool {
        let waits = self.get(id).is_some_and(|row| row.waits_for_run);
        if waits {
            self.forget_in_trace(id);
        }
        waits
    }

    pub fn len(&self) -> usize {
        self.rows.len() - self.free.len()
    }

    /// Whether the place has a row that may be written. A counter does not count as a row.
    pub fn has_line(&self, id: PendingId) -> bool {
        self.get(id)
            .is_some_and(|row| row.outcome != Some(Outcome::Nothing))
    }

    /// Removes a row, and keeps its buffer for reuse. A row is not moved for this, because it has 300 bytes.
    pub fn remove(&mut self, id: PendingId) {
        let Some(row) = self.rows[id.index()].as_mut() else {
            return;
        };
        let mut line = std::mem::take(&mut row.line);
        self.rows[id.index()] = None;
        self.free.push(id);
        self.line_bytes -= line.len() as u64;
        let capacity = line.capacity();
        let spare_bytes = self.spare_bytes + capacity as u64;
        let has_room = self.spare.len() < SPARE_MAX && spare_bytes <= self.spare_bytes_max;
        if has_room && capacity <= SPARE_BUFFER_BYTES_MAX {
            line.clear();
            self.spare.push(line);
            self.spare_bytes = spare_bytes;
        }
    }

    /// Notes that a row no longer waits in the list of its trace. The last row to leave removes the list.
    fn forget_in_trace(&mut self, id: PendingId) {
        let Some(row) = self.rows[id.index()].as_mut().filter(|row| row.waits_for_run) else {
            return;
        };
        row.waits_for_run = false;
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
