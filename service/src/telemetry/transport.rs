//! Sends export requests of spans: the calling thread waits for each attempt, which runs on the telemetry runtime.

use bytes::Bytes;
use otlp_send::{Accepted, Failure, Sender};
use tokio::runtime::Handle;

use super::span_queue::Transport;

/// A blocking sender.
pub struct SpanSender {
    sender: Sender,
    runtime: Handle,
}

impl SpanSender {
    pub fn new(sender: Sender, runtime: Handle) -> Self {
        Self { sender, runtime }
    }
}

impl Transport for SpanSender {
    fn send(&mut self, request: Bytes) -> Result<Accepted, Failure> {
        self.runtime.block_on(self.sender.attempt(request))
    }
}
