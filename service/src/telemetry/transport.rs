//! Export requests of spans: a thread that waits for each attempt, on the runtime of the telemetry.

use bytes::Bytes;
use otlp_send::{Accepted, Failure, Sender};
use tokio::runtime::Handle;

use super::span_queue::Transport;

/// A sender that blocks.
pub struct SpanSender {
    sender: Sender,
    runtime: Handle,
}

impl SpanSender {
    /// Sends on `runtime`.
    pub fn new(sender: Sender, runtime: Handle) -> Self {
        Self { sender, runtime }
    }
}

impl Transport for SpanSender {
    fn send(&mut self, request: Bytes) -> Result<Accepted, Failure> {
        self.runtime.block_on(self.sender.attempt(request))
    }
}
