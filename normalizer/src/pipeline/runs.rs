//! [`Runs`]: which runs there are, which are open, and to which one a row belongs.

use cctf_proto::cctf::{File, Part, Row};
use serde::{Deserialize, Serialize};

use super::output::Output;
use super::rolling::OpenPart;
use super::totals::Totals;
use aggregate::links::LinkStats;
use aggregate::maps::{Map, Set};
use aggregate::modules::ModuleStats;

/// Closed runs that are kept for late rows. Past it the oldest is forgotten, and a row for it is rejected.
const CLOSED_RUNS_MAX: usize = 256;
/// A run's snapshots are made anew at most this often, while anything changes.
const SNAPSHOT_INTERVAL_NS: u64 = 1_000_000_000;
/// But at most so many of their entries a second, since each is written anew whether or not it has changed.
const SNAPSHOT_ENTRIES_A_SECOND: u64 = 1_000;

/// What the driver told of its run.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub struct Told {
    pub rate: Option<f64>,
    pub duration: Option<String>,
    pub scen: Option<String>,
    pub img: Option<String>,
    pub git_sha: Option<String>,
    pub workers: Option<u64>,
    pub endpoint: Option<String>,
    pub target: Option<String>,
    pub payload_bytes: Option<u64>,
    pub replay_of: Option<String>,
    pub seed: Option<u64>,
}

/// Where a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Phase {
    /// Rows are awaited.
    Open,
    /// Its end was told at this journal time; what is under way is still awaited.
    Ending(u64),
    /// Closed at this journal time: rows that come now are late.
    Closed(u64),
}

/// One run.
#[derive(Debug, Serialize, Deserialize)]
pub struct Run {
    /// Its id.
    pub id: String,
    /// Where it stands.
    pub phase: Phase,
    /// Whether it is closed only because the normalizer went down.
    pub is_suspended: bool,
    /// Whether a driver told its start.
    pub driven: bool,
    /// Whether a span named it, as opposed to a resource or nobody.
    pub explicit: bool,
    /// What the driver told.
    pub told: Told,
    /// Start, nanoseconds since the Unix epoch.
    pub started_unix_ns: u64,
    /// End, nanoseconds since the Unix epoch.
    pub ended_unix_ns: Option<u64>,
    /// Journal time of the latest row.
    pub last_activity: u64,
    /// The totals when it was closed.
    pub totals_at_close: Option<Totals>,
    /// The part of it that is being written.
    pub part: OpenPart,
    /// Nodes that its rows name, by number.
    pub nodes: Set<u32>,
    /// Interfaces seen on its nodes.
    pub interfaces: Set<(u32, String)>,
    /// Instances whose start it has.
    pub announced: Set<u32>,
    /// Its modules, by number.
    pub modules: Map<u32, ModuleStats>,
    /// Peers without telemetry of their own: calls by calling module and peer.
    pub external_calls: Map<(u32, u32), u64>,
    /// Modules behind the peers that were reached, so that a call without an answer counts for them, too.
    pub modules_by_peer: Map<u32, u32>,
    /// Its links, by the numbers of caller's and callee's node.
    pub links: Map<(u32, u32), LinkStats>,
    /// Whether the snapshots are behind.
    pub dirty: bool,
    /// Journal time of the last snapshots.
    pub snapshot_at: u64,
}

impl Run {
    fn new(id: &str, explicit: bool, now: u64) -> Self {
        Self {
            id: id.to_owned(),
            phase: Phase::Open,
            is_suspended: false,
            driven: false,
            explicit,
            told: Told::default(),
            started_unix_ns: now,
            ended_unix_ns: None,
            last_activity: now,
            totals_at_close: None,
            part: OpenPart::new(Part::first(id), None, now),
            nodes: Set::default(),
            interfaces: Set::default(),
            announced: Set::default(),
            modules: Map::default(),
            external_calls: Map::default(),
            modules_by_peer: Map::default(),
            links: Map::default(),
            dirty: true,
            snapshot_at: 0,
        }
    }

    /// Stands in for a run that is lent out.
    pub fn placeholder() -> Self {
        Self::new("", false, 0)
    }

    /// Notes that something of the run happened at that time: a run that no driver tells of has begun by then, and so has
    /// a later part.
    pub fn begin_by(&mut self, unix_ns: u64) {
        if let Some(started) = &mut self.part.started_unix_ns {
            *started = unix_ns.min(*started);
        } else if !self.driven {
            self.started_unix_ns = self.started_unix_ns.min(unix_ns);
        }
    }

    /// The normalizer goes down: unless the run's end was told, it goes on when the normalizer does.
    pub fn suspend(&mut self) {
        self.is_suspended = self.phase == Phase::Open;
    }

    fn snapshot_interval_ns(&self) -> u64 {
        let entries = self.modules.len() + self.nodes.len() + self.links.len();
        let nanos_each = SNAPSHOT_INTERVAL_NS / SNAPSHOT_ENTRIES_A_SECOND;
        SNAPSHOT_INTERVAL_NS.max(entries as u64 * nanos_each)
    }

    /// Whether it has not been closed.
    pub fn is_live(&self) -> bool {
        !matches!(self.phase, Phase::Closed(_))
    }

    /// Counts a line of `file` that is done at `ends_unix_ns`; true if it is late.
    pub fn count_row(&mut self, file: File, ends_unix_ns: u64, now: u64) -> bool {
        self.part.rows[file as usize] += 1;
        self.dirty = true;
        self.last_activity = now;
        self.part.last_row_unix_ns = self.part.last_row_unix_ns.max(ends_unix_ns);
        if self.is_live() {
            return false;
        }
        self.part.late += 1;
        self.ended_unix_ns = Some(self.ended_unix_ns.unwrap_or(0).max(ends_unix_ns));
        true
    }
}

/// All runs.
#[derive(Debug, Serialize, Deserialize)]
pub struct Runs {
    pub(super) slots: Vec<Option<Run>>,
    by_id: Map<String, usize>,
    own: String,
    open_max: usize,
    /// Where the normalizer's own run was opened last.
    own_slot: usize,
    /// The run that was opened last.
    pub newest: usize,
}

impl Runs {
    /// No run yet; `own` is the id of the normalizer's own.
    pub fn new(own: &str, open_max: usize) -> Self {
        Self {
            slots: Vec::new(),
            by_id: Map::default(),
            own: own.to_owned(),
            open_max,
            own_slot: 0,
            newest: 0,
        }
    }

    /// The run of that id, if it is known.
    pub fn find(&self, id: &str) -> Option<usize> {
        self.by_id.get(id).copied()
    }

    /// The normalizer's own run, if it is known. Asked for each span without a run, so the slot where it was goes first.
    pub fn find_own(&self) -> Option<usize> {
        let is_own = |run: &Run| run.id == self.own;
        match self.slots.get(self.own_slot) {
            Some(Some(run)) if is_own(run) => Some(self.own_slot),
            _ => self.find(&self.own),
        }
    }

    /// Whether no run is known.
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// The run in a slot.
    ///
    /// # Panics
    /// When the slot is empty. It holds because a slot is emptied only when its run has been closed for so long that no
    /// row can wait for it.
    pub fn at(&mut self, slot: usize) -> &mut Run {
        #[allow(clippy::expect_used, reason = "see Panics")]
        self.slots[slot].as_mut().expect("a run in use is not forgotten")
    }

    /// Opens the run of that id, if it is not known. `Err` says why it can't be.
    pub fn open(
        &mut self,
        id: &str,
        explicit: bool,
        now: u64,
        output: &mut Output,
    ) -> Result<(usize, bool), &'static str> {
        if let Some(slot) = self.find(id) {
            self.at(slot).explicit |= explicit;
            return Ok((slot, false));
        }
        if self.is_taken_by_a_part(id) {
            return Err("run_id_of_a_part");
        }
        if self.live().count() >= self.open_max {
            return Err("too_many_runs");
        }
        let slot = self.free_slot();
        self.slots[slot] = Some(Run::new(id, explicit, now));
        self.by_id.insert(id.to_owned(), slot);
        output.run(slot, &Part::first(id)).latest = true;
        self.newest = slot;
        if id == self.own {
            self.own_slot = slot;
        }
        Ok((slot, true))
    }

    fn free_slot(&mut self) -> usize {
        if let Some(slot) = self.slots.iter().position(Option::is_none) {
            return slot;
        }
        self.slots.push(None);
        self.slots.len() - 1
    }

    /// Changes the normalizer's own run and the bound on open ones.
    pub fn set_own(&mut self, own: &str, open_max: usize) {
        own.clone_into(&mut self.own);
        self.open_max = open_max;
    }

    /// Whether any run's snapshots are behind.
    pub fn any_dirty(&self) -> bool {
        self.slots.iter().flatten().any(|run| run.dirty)
    }

    /// The normalizer's own run id.
    pub fn own_id(&self) -> &str {
        &self.own
    }

    /// Slots of the runs that are not closed.
    pub fn live(&self) -> impl Iterator<Item = usize> {
        self.slots
            .iter()
            .enumerate()
            .filter(|(_, run)| run.as_ref().is_some_and(Run::is_live))
            .map(|(slot, _)| slot)
    }

    /// The one driven run that is open, if it is the only one. One whose end was told still takes what was under way,
    /// unless another has begun.
    pub fn only_driven(&self) -> Option<usize> {
        let driven = |is_wanted: fn(Phase) -> bool| {
            let mut found = self
                .slots
                .iter()
                .enumerate()
                .filter(|(_, run)| run.as_ref().is_some_and(|run| run.driven && is_wanted(run.phase)));
            (found.next().map(|(slot, _)| slot), found.next().is_some())
        };
        match driven(|phase| phase == Phase::Open) {
            (Some(slot), false) => Some(slot),
            (Some(_), true) => None,
            (None, _) => match driven(|phase| matches!(phase, Phase::Ending(_))) {
                (Some(slot), false) => Some(slot),
                _ => None,
            },
        }
    }

    /// Runs with seconds of their links that are not written yet.
    pub fn with_seconds(&self) -> Vec<usize> {
        let has_seconds = |run: &Run| run.links.values().any(|link| !link.seconds.is_empty());
        (0..self.slots.len())
            .filter(|&slot| self.slots[slot].as_ref().is_some_and(has_seconds))
            .collect()
    }

    /// Opens the runs again that only the normalizer's going down had closed.
    pub fn resume(&mut self) {
        for run in self.slots.iter_mut().flatten().filter(|run| run.is_suspended) {
            run.is_suspended = false;
            run.phase = Phase::Open;
            run.ended_unix_ns = None;
            run.totals_at_close = None;
            run.dirty = true;
        }
    }

    /// Whether any live run was named by a span: while there is none, no row need wait for its trace's run.
    pub fn any_explicit(&self) -> bool {
        self.slots
            .iter()
            .flatten()
            .any(|run| run.explicit && run.is_live())
    }

    /// Live runs whose time has come to be closed.
    pub fn due_to_close(&self, now: u64, join_window_ns: u64, idle_ns: u64) -> Vec<usize> {
        let due = |run: &Run| match run.phase {
            Phase::Ending(told_at) => now >= told_at.saturating_add(join_window_ns),
            // The normalizer's own run is what everything falls back to: it ends with the normalizer.
            Phase::Open => run.id != self.own && now >= run.last_activity.saturating_add(idle_ns),
            Phase::Closed(_) => false,
        };
        (0..self.slots.len())
            .filter(|&slot| self.slots[slot].as_ref().is_some_and(&due))
            .collect()
    }

    /// Runs whose snapshots are behind and may be made again.
    pub fn due_for_snapshot(&self, now: u64) -> Vec<usize> {
        self.with_snapshots_behind(|run| now >= run.snapshot_at.saturating_add(run.snapshot_interval_ns()))
    }

    /// Runs whose snapshots are behind.
    pub fn with_snapshots_behind(&self, is_due: impl Fn(&Run) -> bool) -> Vec<usize> {
        let is_due = |run: &Run| run.dirty && is_due(run);
        (0..self.slots.len())
            .filter(|&slot| self.slots[slot].as_ref().is_some_and(is_due))
            .collect()
    }

    /// Forgets the runs that were closed first, past the bound; `settled_before` is the journal time before which a
    /// closed run can have no row waiting.
    pub fn forget_old(&mut self, settled_before: u64) {
        let mut closed: Vec<(u64, usize)> = (0..self.slots.len())
            .filter_map(|slot| {
                let run = self.slots[slot].as_ref()?;
                (!run.is_live() && run.last_activity < settled_before).then_some((run.last_activity, slot))
            })
            .collect();
        if closed.len() <= CLOSED_RUNS_MAX {
            return;
        }
        closed.sort_unstable();
        for &(_, slot) in &closed[..closed.len() - CLOSED_RUNS_MAX] {
            if let Some(run) = self.slots[slot].take() {
                self.by_id.remove(&run.id);
            }
        }
    }
}

/// Appends a row as a line to a run's file and counts it.
pub fn write_row<'a, R: Row<'a>>(
    run: &mut Run,
    output: &mut Output,
    slot: usize,
    file: File,
    row: &R,
    ts_unix_ns: u64,
) {
    let lines = output.run(slot, &run.part.of).lines(file);
    let begin = lines.len();
    row.encode(lines);
    lines.push(b'\n');
    run.part.bytes += (lines.len() - begin) as u64;
    run.part.rows[file as usize] += 1;
    run.dirty = true;
    // A link's row has the begin of its second, which may be before anything happened in it.
    if file != File::LinkMetrics {
        run.begin_by(ts_unix_ns);
    }
    run.part.last_row_unix_ns = run.part.last_row_unix_ns.max(ts_unix_ns);
}
