//! [`Runs`]: all known runs. It knows which runs are open, and appends rows to their output.

use std::ops::{Index, IndexMut};

use aggregate::ids::RunId;
use aggregate::maps::Map;
use cctf_proto::cctf::{File, Part, Row};
use serde::{Deserialize, Serialize};

use super::parts::RollLimits;
use super::run::{Phase, Run};
use crate::pipeline::output::Output;

/// Maximum number of closed runs that are kept for late rows. Beyond it, the run whose last activity is oldest is forgotten,
/// and its late rows are rejected.
const CLOSED_RUNS_MAX: usize = 256;

/// All runs.
#[derive(Debug, Serialize, Deserialize)]
pub struct Runs {
    slots: Vec<Option<Run>>,
    by_id: Map<String, RunId>,
    own: String,
    open_max: usize,
    /// The last slot of the normalizer's own run.
    own_slot: RunId,
    /// The run that was opened most recently.
    pub newest: RunId,
    /// Rows written since the process started.
    #[serde(skip)]
    pub rows_written: u64,
}

impl Index<RunId> for Runs {
    type Output = Run;

    /// # Panics
    /// If the slot is empty. This cannot happen, because a slot is cleared only when its run has been closed for so long that
    /// no row can wait for it.
    #[inline]
    fn index(&self, run: RunId) -> &Run {
        #[allow(clippy::expect_used, reason = "see Panics")]
        self.slots[run.index()].as_ref().expect(FORGOTTEN)
    }
}

impl IndexMut<RunId> for Runs {
    #[inline]
    fn index_mut(&mut self, run: RunId) -> &mut Run {
        #[allow(clippy::expect_used, reason = "see Panics of index")]
        self.slots[run.index()].as_mut().expect(FORGOTTEN)
    }
}

const FORGOTTEN: &str = "a run in use is not forgotten";

impl Runs {
    /// `own` is the id of the normalizer's own run.
    pub fn new(own: &str, open_max: usize) -> Self {
        Self {
            slots: Vec::new(),
            by_id: Map::default(),
            own: own.to_owned(),
            open_max,
            own_slot: RunId::new(0),
            newest: RunId::new(0),
            rows_written: 0,
        }
    }

    pub fn find(&self, id: &str) -> Option<RunId> {
        self.by_id.get(id).copied()
    }

    /// The normalizer's own run, if it is known. It is needed for each span without a run, so its last slot is tried first.
    pub fn find_own(&self) -> Option<RunId> {
        match self.slots.get(self.own_slot.index()) {
            Some(Some(run)) if run.id == self.own => Some(self.own_slot),
            _ => self.find(&self.own),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// Size of all runs in memory, bytes.
    pub fn bytes(&self) -> u64 {
        self.slots.iter().flatten().map(Run::bytes).sum()
    }

    /// Opens the run with this id if it is unknown. Returns the run and whether it is new, or the reason why it cannot be
    /// opened.
    pub fn open(
        &mut self,
        id: &str,
        explicit: bool,
        now: u64,
        output: &mut Output,
    ) -> Result<(RunId, bool), &'static str> {
        if let Some(run) = self.find(id) {
            self[run].explicit |= explicit;
            return Ok((run, false));
        }
        if self.is_taken_by_a_part(id) {
            return Err("run_id_of_a_part");
        }
        if self.live().count() >= self.open_max {
            return Err("too_many_runs");
        }
        let run = self.free_slot();
        self.slots[run.index()] = Some(Run::new(id, explicit, now));
        self.by_id.insert(id.to_owned(), run);
        output.run(run, &Part::first(id)).latest = true;
        self.newest = run;
        if id == self.own {
            self.own_slot = run;
        }
        Ok((run, true))
    }

    fn free_slot(&mut self) -> RunId {
        if let Some(slot) = self.slots.iter().position(Option::is_none) {
            return RunId::new(slot);
        }
        self.slots.push(None);
        RunId::new(self.slots.len() - 1)
    }

    /// Changes the id of the normalizer's own run, and the maximum number of open runs.
    pub fn set_own(&mut self, own: &str, open_max: usize) {
        own.clone_into(&mut self.own);
        self.open_max = open_max;
    }

    /// Whether the snapshots of any run are outdated.
    pub fn any_dirty(&self) -> bool {
        self.slots.iter().flatten().any(|run| run.dirty)
    }

    /// Id of the normalizer's own run.
    pub fn own_id(&self) -> &str {
        &self.own
    }

    fn matching<'s>(&'s self, is_wanted: impl Fn(&Run) -> bool + 's) -> impl Iterator<Item = RunId> + 's {
        self.slots
            .iter()
            .enumerate()
            .filter(move |(_, run)| run.as_ref().is_some_and(&is_wanted))
            .map(|(slot, _)| RunId::new(slot))
    }

    pub fn all(&self) -> impl Iterator<Item = &Run> {
        self.slots.iter().flatten()
    }

    /// The runs that are not closed.
    pub fn live(&self) -> impl Iterator<Item = RunId> {
        self.matching(Run::is_live)
    }

    pub fn live_mut(&mut self) -> impl Iterator<Item = &mut Run> {
        self.slots.iter_mut().flatten().filter(|run| run.is_live())
    }

    /// The open driven run, if there is exactly one. If none is open, the run whose end was reported, if there is exactly one:
    /// it still accepts rows.
    pub fn only_driven(&self) -> Option<RunId> {
        // This is called for each span that names no run.
        let (mut open, mut ending) = ((None, 0_usize), (None, 0_usize));
        for (slot, run) in self.slots.iter().enumerate() {
            let found = match run {
                Some(run) if run.driven => match run.phase {
                    Phase::Open => &mut open,
                    Phase::Ending(_) => &mut ending,
                    Phase::Closed(_) => continue,
                },
                _ => continue,
            };
            *found = (Some(RunId::new(slot)), found.1 + 1);
        }
        match (open, ending) {
            ((only, 1), _) | ((None, 0), (only, 1)) => only,
            _ => None,
        }
    }

    /// Runs that have seconds of links that are not written yet.
    pub fn with_seconds(&self) -> Vec<RunId> {
        let has_seconds = |run: &Run| run.links.values().any(|link| !link.seconds.is_empty());
        self.matching(has_seconds).collect()
    }

    /// Opens the runs again that were closed only because the normalizer shut down.
    pub fn resume(&mut self) {
        let suspended = self.slots.iter_mut().flatten().filter(|run| run.is_suspended);
        suspended.for_each(Run::resume);
    }

    /// Whether any run that is not closed was named by a span. Otherwise no row has to wait for the run of its trace.
    pub fn any_explicit(&self) -> bool {
        self.slots
            .iter()
            .flatten()
            .any(|run| run.explicit && run.is_live())
    }

    /// Runs that must be closed now.
    pub fn due_to_close(&self, now: u64, join_window_ns: u64, idle_ns: u64) -> Vec<RunId> {
        let due = |run: &Run| match run.phase {
            Phase::Ending(reported_at) => now >= reported_at.saturating_add(join_window_ns),
            // The normalizer's own run accepts all telemetry without a run, so it ends only with the normalizer.
            Phase::Open => run.id != self.own && now >= run.last_activity.saturating_add(idle_ns),
            Phase::Closed(_) => false,
        };
        self.matching(due).collect()
    }

    /// Runs whose snapshots must be rewritten now.
    pub fn due_for_snapshot(&self, now: u64) -> Vec<RunId> {
        self.matching(|run| run.is_snapshot_due(now)).collect()
    }

    /// Runs whose snapshots are outdated.
    pub fn dirty(&self) -> Vec<RunId> {
        self.matching(|run| run.dirty).collect()
    }

    /// Runs whose current part must be closed now.
    pub fn due_to_roll(&self, now: u64, limits: RollLimits) -> Vec<RunId> {
        self.matching(|run| run.part.is_due(now, limits)).collect()
    }

    /// The part that follows the current one. Numbers are skipped if their folder belongs to another run.
    pub fn next_part(&self, run: RunId) -> Part {
        let mut next = self[run].part.of.next();
        while self.find(next.folder()).is_some() {
            next = next.next();
        }
        next
    }

    /// If there are too many closed runs, forgets those whose last activity is oldest. `resolved_before` is a journal time: a
    /// closed run whose last activity is before it can have no waiting row.
    pub fn forget_old(&mut self, resolved_before: u64) {
        let mut closed: Vec<(u64, RunId)> = self
            .matching(|run| !run.is_live() && run.last_activity < resolved_before)
            .map(|run| (self[run].last_activity, run))
            .collect();
        if closed.len() <= CLOSED_RUNS_MAX {
            return;
        }
        closed.sort_unstable();
        for &(_, run) in &closed[..closed.len() - CLOSED_RUNS_MAX] {
            if let Some(run) = self.slots[run.index()].take() {
                self.by_id.remove(&run.id);
            }
        }
    }

    /// Whether rows may still be written to the part in this folder.
    pub fn writes_to(&self, folder: &str) -> bool {
        let mut runs = self.slots.iter().flatten();
        runs.any(|run| run.part.of.folder() == folder)
    }

    /// Whether the folder for a run with this id is already used for a part of another run.
    fn is_taken_by_a_part(&self, id: &str) -> bool {
        let Some((run_id, number)) = Part::parse(id) else {
            return false;
        };
        let run = self.find(run_id);
        run.is_some_and(|run| number <= self[run].part.of.number())
    }

    /// Whether a run with this id would share its folder with another run on a file system that ignores case.
    pub fn is_taken_in_other_case(&self, id: &str) -> bool {
        let mut runs = self.slots.iter().flatten();
        runs.any(|run| run.id != id && run.id.eq_ignore_ascii_case(id))
    }

    /// Appends a row as a line to a run's file and counts it.
    pub fn write_row<'a, R: Row<'a>>(
        &mut self,
        run: RunId,
        file: File,
        row: &R,
        ts_unix_ns: u64,
        output: &mut Output,
    ) {
        self.rows_written += 1;
        let of = &mut self[run];
        let lines = output.run(run, &of.part.of).lines(file);
        let begin = lines.len();
        row.encode(lines);
        lines.push(b'\n');
        of.part.bytes += (lines.len() - begin) as u64;
        of.part.rows[file as usize] += 1;
        of.dirty = true;
        // The timestamp of a link's row is the start of its second, which can be before the first event in it.
        if file != File::LinkMetrics {
            of.begin_by(ts_unix_ns);
        }
        of.part.last_row_unix_ns = of.part.last_row_unix_ns.max(ts_unix_ns);
    }
}
