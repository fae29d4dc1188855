//! Rows that wait: for the outcome of the join, for their trace's run, or for both. Each is encoded already, with gaps.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use cctf_proto::cctf::Flags;

use super::modules::InvocationFacts;
use super::sources::Source;
use crate::join::Outcome;

/// What is known of a row besides its encoded fields.
#[derive(Debug, Clone)]
pub struct RowFacts {
    /// Whether its span is of kind SERVER.
    pub is_server: bool,
    /// Flags that do not depend on other rows.
    pub flags: Flags,
    /// Its trace.
    pub trace_id: [u8; 16],
    /// Who sent it.
    pub source: Arc<Source>,
    /// End less start, nanoseconds.
    pub duration_nanos: i64,
    /// Start, nanoseconds since the Unix epoch.
    pub start_unix_nano: u64,
    /// End, nanoseconds since the Unix epoch.
    pub end_unix_nano: u64,
    /// Whether its span starts when the body has been read.
    pub starts_after_body: bool,
    /// For the statistics of its module.
    pub invocation: InvocationFacts,
}

/// A row's encoding, open where it waits: `[..first]`, the ancestor's field, `[first..second]`, the fields of the join,
/// `[second..]`, flags, and the closing brace.
#[derive(Debug, Clone, Copy)]
pub struct Gaps {
    /// Where the ancestor's field goes.
    pub first: usize,
    /// Where the other fields of the join go.
    pub second: usize,
}

/// A row that waits.
#[derive(Debug)]
pub struct HeldRow {
    /// Its fields, encoded.
    pub line: Box<[u8]>,
    /// Where they are open.
    pub gaps: Gaps,
    /// What else is known.
    pub facts: RowFacts,
    /// Its run, once known.
    pub run: Option<usize>,
    /// What it turned out to be, once known.
    pub outcome: Option<Outcome>,
    is_refused: bool,
    /// Whether it is among the rows of its trace that wait for the run.
    waits_for_run: bool,
    number: u64,
}

/// All rows that wait.
#[derive(Debug, Default)]
pub struct HeldRows {
    rows: Vec<Option<HeldRow>>,
    free: Vec<u32>,
    /// Deadline, row and its number, for rows without a run.
    run_deadlines: VecDeque<(u64, u32, u64)>,
    by_trace: HashMap<[u8; 16], OfTrace>,
    made: u64,
}

/// Rows of one trace that wait for its run.
#[derive(Debug, Default)]
struct OfTrace {
    /// Row and its number. One whose number is not the row's any more is passed over.
    rows: Vec<(u32, u64)>,
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
        let row = Some(HeldRow {
            line: line.into(),
            gaps,
            facts,
            run,
            outcome,
            is_refused: false,
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
        if run.is_none() {
            self.run_deadlines.push_back((deadline, at, self.made));
            let of_trace = self.by_trace.entry(trace_id).or_default();
            of_trace.rows.push((at, self.made));
            of_trace.waiting += 1;
        }
        at
    }

    /// Says what a row turned out to be; gives it back if nothing else is missing.
    pub fn settle(&mut self, at: u32, outcome: Outcome) -> Option<HeldRow> {
        let row = self.rows[at as usize].as_mut()?;
        row.outcome = Some(outcome);
        if outcome == Outcome::Nothing || row.is_refused {
            self.forget_in_trace(at);
            self.take(at);
            return None;
        }
        if row.run.is_some() { self.take(at) } else { None }
    }

    /// Says the run of a trace; gives back the rows that miss nothing else.
    pub fn know_run(&mut self, trace_id: &[u8; 16], run: usize) -> Vec<HeldRow> {
        let of_trace = self.by_trace.remove(trace_id).unwrap_or_default();
        let waits = |(at, number): &(u32, u64)| {
            let row = self.rows[*at as usize].as_ref();
            row.is_some_and(|row| row.number == *number && row.waits_for_run)
        };
        let waiting: Vec<_> = of_trace.rows.into_iter().filter(waits).collect();
        waiting
            .into_iter()
            .filter_map(|(at, _)| self.set_run(at, run))
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

    /// Forgets a row that no run can take; the join may still name it until its outcome is known.
    pub fn refuse(&mut self, at: u32) {
        let Some(row) = self.rows[at as usize].as_mut() else {
            return;
        };
        row.is_refused = true;
        if row.outcome.is_some() {
            self.take(at);
        }
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.rows.len() - self.free.len()
    }

    fn take(&mut self, at: u32) -> Option<HeldRow> {
        let row = self.rows[at as usize].take()?;
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

/// Which run a trace belongs to, for one to two turns.
#[derive(Debug, Default)]
pub struct TraceRuns {
    young: HashMap<[u8; 16], u32>,
    old: HashMap<[u8; 16], u32>,
    last: Option<([u8; 16], usize)>,
}

/// Traces of one generation; past it the older generation leaves early.
const TRACES_MAX: usize = 1 << 20;

impl TraceRuns {
    /// The run of a trace.
    pub fn get(&self, trace_id: &[u8; 16]) -> Option<usize> {
        if let Some((last, run)) = &self.last
            && last == trace_id
        {
            return Some(*run);
        }
        self.young
            .get(trace_id)
            .or_else(|| self.old.get(trace_id))
            .map(|&run| run as usize)
    }

    /// Says the run of a trace; true if it was unknown.
    pub fn set(&mut self, trace_id: &[u8; 16], run: usize) -> bool {
        if self.last.is_some_and(|(last, _)| last == *trace_id) {
            return false;
        }
        if self.young.len() >= TRACES_MAX {
            self.turn();
        }
        let known = self.get(trace_id).is_some();
        if !known {
            self.young.insert(*trace_id, run as u32);
        }
        self.last = Some((*trace_id, self.get(trace_id).unwrap_or(run)));
        !known
    }

    /// Forgets the older generation.
    pub fn turn(&mut self) {
        self.old = std::mem::take(&mut self.young);
        self.last = None;
    }
}
