//! [`Progress`]: how far a merge is, told now and then.

/// Progress is told every so many bytes.
const PROGRESS_BYTES: u64 = 4 << 20;

/// How far a merge is.
#[derive(Debug, Clone, Copy)]
pub struct Progress {
    /// What is being done.
    pub phase: &'static str,
    /// Bytes of it done.
    pub done: u64,
    /// Bytes of it in all.
    pub all: u64,
}

/// Progress through one phase.
pub struct Steps<'p> {
    progress: Progress,
    told: u64,
    on_progress: &'p mut dyn FnMut(Progress),
}

impl<'p> Steps<'p> {
    /// Nothing of it done.
    pub fn new(phase: &'static str, all: u64, on_progress: &'p mut dyn FnMut(Progress)) -> Self {
        Self {
            progress: Progress { phase, done: 0, all },
            told: 0,
            on_progress,
        }
    }

    /// So many more bytes are done.
    #[inline]
    pub fn add(&mut self, bytes: u64) {
        let Progress { done, all, .. } = &mut self.progress;
        *done = (*done + bytes).min(*all);
        if *done >= self.told + PROGRESS_BYTES {
            self.told = *done;
            (self.on_progress)(self.progress);
        }
    }
}
