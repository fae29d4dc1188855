//! [`Progress`]: the completed part of a phase, which is reported at intervals; and the check for an interrupt.

use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::ensure;

/// Number of bytes between two reports.
const REPORT_BYTES: u64 = 4 << 20;

#[derive(Debug, Clone, Copy)]
pub struct Progress {
    /// Name of the current phase.
    pub phase: &'static str,
    /// Number of bytes of the phase that are completed.
    pub done: u64,
    /// Number of bytes of the whole phase.
    pub total: u64,
}

/// Counts the bytes of one phase and reports them.
pub struct Steps<'p> {
    progress: Progress,
    reported: u64,
    stop: Option<&'static AtomicBool>,
    on_progress: &'p mut dyn FnMut(Progress),
}

impl<'p> Steps<'p> {
    pub fn new(
        phase: &'static str,
        total: u64,
        stop: Option<&'static AtomicBool>,
        on_progress: &'p mut dyn FnMut(Progress),
    ) -> Self {
        Self {
            progress: Progress {
                phase,
                done: 0,
                total,
            },
            reported: 0,
            stop,
            on_progress,
        }
    }

    /// Adds bytes.
    ///
    /// # Errors
    /// If the user has interrupted.
    #[inline]
    pub fn add(&mut self, bytes: u64) -> anyhow::Result<()> {
        let Progress { done, total, .. } = &mut self.progress;
        *done = (*done + bytes).min(*total);
        if *done >= self.reported + REPORT_BYTES {
            self.reported = *done;
            let is_stopped = self.stop.is_some_and(|stop| stop.load(Ordering::Relaxed));
            ensure!(!is_stopped, "interrupted; nothing was written");
            (self.on_progress)(self.progress);
        }
        Ok(())
    }
}
