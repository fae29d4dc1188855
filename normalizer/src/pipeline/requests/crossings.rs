//! [`Crossings`]: the run of each recent row, while rows of more than one run are arriving.
//!
//! The spans of a trace can belong to different runs. A reference from one run's folder to a row in another would lead nowhere,
//! so it is left out. A merge of both folders has both rows and restores the reference.

use aggregate::ids::RunId;
use aggregate::maps::Map;
use serde::{Deserialize, Serialize};

/// Minimum number of join windows for which a row is remembered. A span stays in the join for at most three windows, and a late
/// span refers to the ancestor of its parent. Four windows were not enough: if a call and its answer were both late, the row to
/// which they refer was already forgotten.
const WINDOWS_REMEMBERED: u64 = 8;
/// One join window, in the units of `Crossings::passed`.
const WINDOW: u64 = 1 << 32;

/// The run of a row, as far as it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum RowRun {
    Known(RunId),
    /// The row waits until the run of its trace is known.
    Awaited,
    /// No run accepts the row.
    Refused,
}

impl RowRun {
    pub fn new(run: Option<RunId>) -> Self {
        run.map_or(Self::Awaited, Self::Known)
    }
}

/// The runs of recent rows. They are recorded from the arrival of the first row of a second run on.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Crossings {
    /// The run of the latest row.
    latest: Option<RowRun>,
    /// The run of all rows that are older than the oldest remembered row; [`RowRun::Awaited`] if they waited for the runs of
    /// their traces. Rows whose run was decided since then are remembered individually.
    before: Option<RowRun>,
    /// Time during which records arrived. Its unit is a [`WINDOW`]th of a join window, because the length of a join window may
    /// change. A silence counts as one window at most, because waiting rows are examined only when a record arrives.
    passed: u64,
    /// Journal time up to which `passed` has been counted.
    counted_to: u64,
    /// Time until which rows are remembered, in the units of `passed`; 0 if they are not.
    until: u64,
    /// Rows of the current generation, by fingerprint. `old` has the rows of the previous generation.
    young: Map<u64, RowRun>,
    old: Map<u64, RowRun>,
    /// Time at which the older generation will be forgotten, in the units of `passed`.
    rotate_at: u64,
    /// Whether rows have been forgotten. A row that is not remembered then counts as belonging to the referring run, because
    /// most references stay within a run.
    has_forgotten: bool,
}

impl Crossings {
    /// Whether rows of more than one run are arriving.
    #[inline]
    pub fn are_possible(&self) -> bool {
        self.until > 0
    }

    /// Number of rows remembered.
    pub fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }

    /// Records the run of a row. Returns true if the row must be remembered with its run.
    #[inline]
    pub fn note(&mut self, run: RowRun) -> bool {
        if self.latest != Some(run) {
            self.change(run);
        }
        self.until > 0
    }

    #[cold]
    fn change(&mut self, run: RowRun) {
        if let Some(latest) = self.latest {
            if self.until == 0 {
                self.before = Some(latest);
                self.rotate_at = self.passed + WINDOWS_REMEMBERED * WINDOW;
            }
            self.until = self.passed + 2 * WINDOWS_REMEMBERED * WINDOW;
        }
        self.latest = Some(run);
    }

    /// Remembers a row by its fingerprint. `max` is the maximum number of rows in a generation. `is_ambiguous` returns whether
    /// an earlier row has the same id, also if that row is not remembered here.
    pub fn remember(&mut self, row: u64, run: RowRun, max: usize, is_ambiguous: impl FnOnce() -> bool) {
        if self.young.len() >= max {
            self.rotate_generations();
        }
        let known = self.young.get(&row).or_else(|| self.old.get(&row)).copied();
        // If an id is used twice, it does not identify a row.
        let is_certain = match known {
            Some(known) => known == run,
            None => self.before == Some(run) || !is_ambiguous(),
        };
        self.young
            .insert(row, if is_certain { run } else { RowRun::Refused });
    }

    /// Records the run of a row that was waiting for the run of its trace.
    pub fn decide(&mut self, row: u64, run: RowRun, max: usize, is_ambiguous: impl FnOnce() -> bool) {
        let known = self.young.get_mut(&row).into_iter();
        let mut is_remembered = false;
        for known in known.chain(self.old.get_mut(&row)) {
            is_remembered = true;
            if *known == RowRun::Awaited {
                *known = run;
            } else if *known != run {
                *known = RowRun::Refused;
            }
        }
        if !is_remembered {
            self.remember(row, run, max, is_ambiguous);
        }
    }

    fn rotate_generations(&mut self) {
        self.has_forgotten |= !self.old.is_empty();
        self.old = std::mem::take(&mut self.young);
    }

    /// The run of a row, by its fingerprint.
    pub fn run_of(&self, row: u64) -> Option<RowRun> {
        let known = self.young.get(&row).or_else(|| self.old.get(&row));
        known.copied().or(self.before.filter(|_| !self.has_forgotten))
    }

    /// Forgets old rows. If only rows of a single run have arrived for long enough, forgets all rows.
    pub fn expire(&mut self, now: u64, window_ns: u64) {
        let elapsed = now.saturating_sub(self.counted_to);
        self.counted_to = now;
        let window = u128::from(window_ns.max(1));
        self.passed += (u128::from(elapsed).min(window) * u128::from(WINDOW) / window) as u64;
        if self.until == 0 {
            return;
        }
        if self.passed >= self.until {
            *self = Self {
                latest: self.latest,
                passed: self.passed,
                counted_to: self.counted_to,
                ..Self::default()
            };
        } else if self.passed >= self.rotate_at {
            self.rotate_at = self.passed + WINDOWS_REMEMBERED * WINDOW;
            self.rotate_generations();
        }
    }
}
