//! [`QueueLimits`]: the bounds of the queue, and [`QueueUsage`]: its current content.

/// Bounds of the queue between receiver and pipeline. They include the pipeline's current batch.
#[derive(Debug, Clone, Copy)]
pub struct QueueLimits {
    pub requests_max: usize,
    /// Bytes of requests. A larger request is accepted only when the queue is empty.
    pub bytes_max: usize,
}

/// Current content of the queue.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct QueueUsage {
    /// Number of requests, including the pipeline's current batch.
    pub requests: usize,
    pub bytes: usize,
}

impl QueueLimits {
    pub(super) fn have_room(&self, held: QueueUsage, bytes: usize) -> bool {
        let fits = held.bytes.saturating_add(bytes) <= self.bytes_max || held.requests == 0;
        fits && held.requests < self.requests_max
    }
}

impl QueueUsage {
    pub(super) fn add(&mut self, bytes: usize) {
        self.requests += 1;
        self.bytes += bytes;
    }

    pub(super) fn subtract(&mut self, other: QueueUsage) {
        self.requests -= other.requests;
        self.bytes -= other.bytes;
    }
}
