//! [`Crossings`]: which run a row went to, while rows of more than one run are on their way.
//!
//! The spans of a trace can name different runs. A reference from one run's folder into another's would dangle, so it is
//! left out. A merge of both folders, which has both rows, resolves it.

use aggregate::ids::RunId;
use aggregate::maps::Map;
use serde::{Deserialize, Serialize};

/// Minimum number of join windows for which a row is remembered. A span stays in the join for three windows at most, and one
/// that arrives late refers to the ancestor of its parent. With four windows, a call and its answer that were both late referred
/// to a forgotten row.
const WINDOWS_REMEMBERED: u64 = 8;
/// One join window in the time of [`Crossings`].
const WINDOW: u64 = 1 << 32;

/// Run of a row, as far as it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum RowRun {
    Known(RunId),
    /// It waits for its trace's run.
    Awaited,
    /// No run takes it.
    Refused,
}

impl RowRun {
    pub fn new(run: Option<RunId>) -> Self {
        run.map_or(Self::Awaited, Self::Known)
    }
}

/// Runs of the rows that arrived since rows of a second run began to arrive.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Crossings {
    /// The run of the latest row.
    latest: Option<RowRun>,
    /// The run of all rows before the oldest that is remembered; [`RowRun::Awaited`] if they waited for their traces' runs.
    /// Each of those that has been decided since is remembered.
    before: Option<RowRun>,
    /// Time in which records came, in [`WINDOW`]ths of a join window, whose length may change. A silence counts as one window,
    /// since waiting rows are examined only when a record comes.
    passed: u64,
    /// Journal time up to which `passed` is counted.
    counted_to: u64,
    /// Until when rows are remembered, in the time of `passed`; 0: they are not.
    until: u64,
    young: Map<u64, RowRun>,
    old: Map<u64, RowRun>,
    /// When the older generation is forgotten next, in the time of `passed`.
    rotate_at: u64,
    /// Whether rows have been forgotten. A row that is not remembered then counts as one of the referring run: far more
    /// references stay within their run than leave it.
    has_forgotten: bool,
}

impl Crossings {
    /// Whether rows of more than one run are on their way.
    #[inline]
    pub fn are_possible(&self) -> bool {
        self.until > 0
    }

    /// Number of rows remembered.
    pub fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }

    /// Notes the run of a row; true if the row is to be remembered with it.
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

    /// Remembers a row by its fingerprint. `max`: maximum number of rows of a generation. `is_ambiguous`: whether an earlier
    /// row, which may not be remembered, has the same id.
    pub fn remember(&mut self, row: u64, run: RowRun, max: usize, is_ambiguous: impl FnOnce() -> bool) {
        if self.young.len() >= max {
            self.rotate_generations();
        }
        let known = self.young.get(&row).or_else(|| self.old.get(&row)).copied();
        // An id that is used twice refers to no row with certainty.
        let is_certain = match known {
            Some(known) => known == run,
            None => self.before == Some(run) || !is_ambiguous(),
        };
        self.young
            .insert(row, if is_certain { run } else { RowRun::Refused });
    }

    /// Remembers the run of a row that may be remembered as one that waits for its trace's run.
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

    /// The run of a row by its fingerprint.
    pub fn run_of(&self, row: u64) -> Option<RowRun> {
        let known = self.young.get(&row).or_else(|| self.old.get(&row));
        known.copied().or(self.before.filter(|_| !self.has_forgotten))
    }

    /// Forgets old rows, and all rows once only rows of a single run have come for long enough.
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
