//! Export requests of spans: a thread that waits for each attempt, on the runtime of the telemetry.

use super::span_queue::{Sent, Transport};
use bytes::Bytes;
use otlp_send::{Accepted, Failure, Retry, Sender};
use tokio::runtime::Handle;

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
    fn send(&mut self, batch: Bytes) -> Sent {
        match self.runtime.block_on(self.sender.attempt(batch)) {
            Ok(accepted) => taken(accepted),
            Err(failure) => judge(failure),
        }
    }
}

fn taken(accepted: Accepted) -> Sent {
    let Accepted { rejected, message } = accepted;
    if rejected > 0 || message.is_some() {
        tracing::warn!(
            rejected,
            "the receiver could not use all spans: {}",
            message.unwrap_or_default()
        );
    }
    Sent::Accepted { rejected }
}

fn judge(failure: Failure) -> Sent {
    match failure.retry {
        Retry::Never => Sent::Refused(failure.error),
        Retry::Soon => Sent::Retry(failure.error, None),
        Retry::After(pause) => Sent::Retry(failure.error, Some(pause)),
    }
}
