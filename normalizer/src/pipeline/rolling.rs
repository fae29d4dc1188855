//! Rolling: a run that goes on for very long is split into parts. Each is complete by itself once it is closed; the join,
//! the inventories and what is held know nothing of it.

use cctf_proto::cctf::{File, Part};
use serde::{Deserialize, Serialize};

use super::accounts::Accounts;
use super::output::Output;
use super::runs::{Run, Runs};
use super::totals::Totals;
use super::{Pipeline, Settings, ns};

/// When a part is closed.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct RollLimits {
    bytes: u64,
    age_ns: u64,
}

impl RollLimits {
    /// What the settings say.
    pub fn of(settings: &Settings) -> Self {
        Self {
            bytes: settings.roll_bytes.unwrap_or(u64::MAX),
            age_ns: settings.roll_age.map_or(u64::MAX, ns),
        }
    }
}

/// The part of a run that is being written.
#[derive(Debug, Serialize, Deserialize)]
pub struct OpenPart {
    /// Which.
    pub of: Part,
    /// Start of a later part, nanoseconds since the Unix epoch; the first starts with its run.
    pub started_unix_ns: Option<u64>,
    /// End, once it is closed and the run goes on in the next one.
    ended_unix_ns: Option<u64>,
    /// Journal time at which it was opened.
    opened_at: u64,
    /// End of the latest row.
    pub last_row_unix_ns: u64,
    /// The totals before it was opened.
    pub totals_at_open: Totals,
    /// Bytes of its lines, but for those that a later part begins with: these alone never make another one.
    pub bytes: u64,
    /// Lines written by file.
    pub rows: [u64; File::ALL.len()],
    /// Spans that have no row.
    pub accounts: Accounts,
    /// Rows flagged orphan.
    pub orphans: u64,
    /// Rows that came after the run was closed.
    pub late: u64,
}

impl OpenPart {
    /// A part without rows.
    pub fn new(of: Part, started_unix_ns: Option<u64>, now: u64) -> Self {
        Self {
            of,
            started_unix_ns,
            ended_unix_ns: None,
            opened_at: now,
            last_row_unix_ns: 0,
            totals_at_open: Totals::default(),
            bytes: 0,
            rows: [0; File::ALL.len()],
            accounts: Accounts::default(),
            orphans: 0,
            late: 0,
        }
    }

    /// Age alone makes no empty part.
    fn is_due(&self, now: u64, limits: RollLimits) -> bool {
        let is_old = now >= self.opened_at.saturating_add(limits.age_ns);
        self.bytes > 0 && (self.bytes >= limits.bytes || is_old)
    }
}

impl Run {
    /// Start of the part that is being written.
    pub fn started(&self) -> u64 {
        self.part.started_unix_ns.unwrap_or(self.started_unix_ns)
    }

    /// End of that part, once it is known: a run whose end was told is open until what is under way has come.
    pub fn ended(&self) -> Option<u64> {
        let of_run = self.ended_unix_ns.filter(|_| !self.is_live());
        let ended = self.part.ended_unix_ns.or(of_run)?;
        // A driver's clock may say otherwise: a run ends no earlier than it starts.
        Some(ended.max(self.started()))
    }
}

impl Runs {
    /// Whether rows may come for the part in that folder.
    pub fn writes_to(&self, folder: &str) -> bool {
        let mut runs = self.slots.iter().flatten();
        runs.any(|run| run.part.of.folder() == folder)
    }

    /// Whether a run of that id would share the folder of another's part.
    pub fn is_taken_by_a_part(&self, id: &str) -> bool {
        let Some((run_id, number)) = Part::parse(id) else {
            return false;
        };
        let run = self.find(run_id).and_then(|slot| self.slots[slot].as_ref());
        run.is_some_and(|run| number <= run.part.of.number())
    }

    /// Whether a run of that id would share the folder of another where case is ignored.
    pub fn is_taken_in_other_case(&self, id: &str) -> bool {
        let mut runs = self.slots.iter().flatten();
        runs.any(|run| run.id != id && run.id.eq_ignore_ascii_case(id))
    }

    /// The part behind the one of that run; a number whose folder is another run's is left out.
    fn next_part(&mut self, slot: usize) -> Part {
        let mut next = self.at(slot).part.of.next();
        while self.find(next.folder()).is_some() {
            next = next.next();
        }
        next
    }

    fn due_to_roll(&self, now: u64, limits: RollLimits) -> Vec<usize> {
        let is_due = |run: &Run| run.part.is_due(now, limits);
        (0..self.slots.len())
            .filter(|&slot| self.slots[slot].as_ref().is_some_and(is_due))
            .collect()
    }
}

impl Pipeline {
    /// Closes the parts that are large or old enough, and opens the next ones.
    pub(super) fn roll_runs(&mut self, output: &mut Output) {
        for slot in self.runs.due_to_roll(self.now, self.roll) {
            self.roll_run(slot, output);
        }
    }

    fn roll_run(&mut self, slot: usize, output: &mut Output) {
        self.conclude_starts_of(slot, output);
        let next = self.runs.next_part(slot);
        let run = self.runs.at(slot);
        run.part.ended_unix_ns = Some(run.part.last_row_unix_ns.max(run.started()));
        if run.totals_at_close.is_some() {
            run.totals_at_close = Some(self.totals.clone());
        }
        self.make_snapshot(slot, output);

        let run = self.runs.at(slot);
        // A part for what comes after a run's end starts with that end.
        let ended = run.ended_unix_ns.unwrap_or(u64::MAX);
        let started = self.last_unix_ns.min(ended);
        let part = OpenPart {
            totals_at_open: self.totals.clone(),
            ..OpenPart::new(next.clone(), Some(started), self.now)
        };
        let closed = std::mem::replace(&mut run.part, part);
        output.run(slot, &closed.of).rolled_to = Some(next);
        run.announced.clear();
        run.dirty = true;
        run.snapshot_at = 0;
        let (is_live, is_newest) = (run.is_live(), self.runs.newest == slot);
        output.run(slot, &self.runs.at(slot).part.of).latest = is_newest;
        if is_live {
            self.announce_living(slot, output);
            self.runs.at(slot).part.bytes = 0;
        }
    }
}
