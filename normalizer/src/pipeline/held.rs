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
    number: u64,
}

/// All rows that wait.
#[derive(Debug, Default)]
pub struct HeldRows {
    rows: Vec<Option<HeldRow>>,
    free: Vec<u32>,
    /// Deadline, row and its number, for rows without a run.
    run_deadlines: VecDeque<(u64, u32, u64)>,
    by_trace: HashMap<[u8; 16], Vec<u32>>,
    made: u64,
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
            self.by_trace.entry(trace_id).or_default().push(at);
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
        let waiting = self.by_trace.remove(trace_id).unwrap_or_default();
        waiting
            .into_iter()
            .filter_map(|at| self.set_run(at, run))
            .collect()
    }

    /// Says a row's run; gives it back if nothing else is missing.
    pub fn set_run(&mut self, at: u32, run: usize) -> Option<HeldRow> {
        let row = self.rows[at as usize].as_mut()?;
        row.run = Some(run);
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
                .is_some_and(|row| row.number == number && row.run.is_none());
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

    fn forget_in_trace(&mut self, at: u32) {
        let Some(trace_id) = self.rows[at as usize].as_ref().map(|row| row.facts.trace_id) else {
            return;
        };
        if let Some(rows) = self.by_trace.get_mut(&trace_id) {
            rows.retain(|&other| other != at);
            if rows.is_empty() {
                self.by_trace.remove(&trace_id);
            }
        }
    }
}

/// Which run a trace belongs to, for one to two turns of a time that the caller says.
#[derive(Debug, Default)]
pub struct TraceRuns {
    young: HashMap<[u8; 16], u32>,
    old: HashMap<[u8; 16], u32>,
    turns_at: u64,
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
    pub fn set(&mut self, trace_id: &[u8; 16], run: usize, now: u64, turn_nanos: u64) -> bool {
        if self.last.is_some_and(|(last, _)| last == *trace_id) {
            return false;
        }
        if now >= self.turns_at || self.young.len() >= TRACES_MAX {
            self.old = std::mem::take(&mut self.young);
            self.turns_at = now.saturating_add(turn_nanos);
        }
        let known = self.get(trace_id).is_some();
        if !known {
            self.young.insert(*trace_id, run as u32);
        }
        self.last = Some((*trace_id, self.get(trace_id).unwrap_or(run)));
        !known
    }
}
