//! The pipeline's whole state as bytes, for a checkpoint, and back.

use super::memory::MemoryShares;
use super::rolling::RollLimits;
use super::{Pipeline, Settings, ns};
use crate::mapping::StageTable;

/// Version of the bytes; another one can't be read.
pub const STATE_VERSION: u32 = 7;

/// Why a state could not be read back.
#[derive(Debug, thiserror::Error)]
#[error("the pipeline's state can't be read: {0}")]
pub struct RestoreError(#[from] postcard::Error);

impl Pipeline {
    /// The whole state: what is joined, held, remembered and counted, so that what follows is as if it had never ended.
    pub fn save(&self) -> Result<Vec<u8>, RestoreError> {
        Ok(postcard::to_stdvec(self)?)
    }

    /// A pipeline in a state that was saved.
    pub fn restore(bytes: &[u8]) -> Result<Self, RestoreError> {
        Ok(postcard::from_bytes(bytes)?)
    }

    /// Goes on under other settings. What waits already keeps the deadline that it was given.
    pub(super) fn apply(&mut self, settings: Settings) {
        self.window_ns = ns(settings.join_window);
        self.stale_ns = ns(settings.stale_after);
        self.idle_ns = ns(settings.run_idle);
        self.roll = RollLimits::of(&settings);
        self.shares = MemoryShares::of(&settings);
        self.join.set_limits(self.window_ns, self.shares.join_spans);
        self.seen.set_entries_max(self.shares.dedup_spans);
        self.traces.set_max(self.shares.traces);
        self.seen.set_window(ns(settings.dedup_window));
        self.runs.set_own(&settings.run_id, settings.open_runs_max);
        let by_name = settings.stages.clone();
        self.sources.set_stages(StageTable {
            by_name,
            default: settings.default_stage,
        });
        self.settings = settings;
    }

    /// Whether anything waits for time to pass.
    pub fn needs_ticks(&self) -> bool {
        self.runs.live().next().is_some()
            || self.held.len() > 0
            || !self.join.is_empty()
            || self.runs.any_dirty()
    }

    /// Whether rows for the run's part in that folder may still come.
    pub fn writes_to(&self, folder: &str) -> bool {
        self.runs.writes_to(folder)
    }

    /// Stamp of the last record, nanoseconds since the Unix epoch.
    pub fn last_unix_ns(&self) -> u64 {
        self.last_unix_ns
    }
}
