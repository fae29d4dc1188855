//! [`QueueLimits`]: how much the queue may hold, and [`Held`]: how much it does.

/// Most that is held between receiver and pipeline, the batch in the pipeline's hands included.
#[derive(Debug, Clone, Copy)]
pub struct QueueLimits {
    /// Requests.
    pub requests_max: usize,
    /// Bytes of requests. A single request that is larger is taken when nothing else is held.
    pub bytes_max: usize,
}

/// What is held right now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Held {
    /// Requests, those in the pipeline's hands included.
    pub requests: usize,
    /// Their bytes.
    pub bytes: usize,
}

impl QueueLimits {
    pub(super) fn have_room(&self, held: Held, bytes: usize) -> bool {
        let fits = held.bytes.saturating_add(bytes) <= self.bytes_max || held.requests == 0;
        fits && held.requests < self.requests_max
    }
}

impl Held {
    pub(super) fn add(&mut self, bytes: usize) {
        self.requests += 1;
        self.bytes += bytes;
    }

    pub(super) fn subtract(&mut self, other: Held) {
        self.requests -= other.requests;
        self.bytes -= other.bytes;
    }
}
