//! One OTLP destination: sends encoded requests, and retries until the answer is final.

use std::time::Duration;

use bytes::Bytes;
use otlp_send::{Accepted, Destination, Sender, TlsError};
use tokio::time::Instant;

/// First pause after a failed attempt; it doubles up to the maximum.
const BACKOFF_MIN: Duration = Duration::from_millis(50);
const BACKOFF_MAX: Duration = Duration::from_secs(5);

/// A destination. Clones share the connection.
#[derive(Clone)]
pub struct OtlpClient {
    sender: Sender,
}

impl OtlpClient {
    /// Connects for the first request. Must be called inside a runtime.
    pub fn new(destination: &Destination) -> Result<Self, TlsError> {
        let sender = Sender::new(destination)?;
        Ok(Self { sender })
    }

    /// Sends a request until the answer is final, or until the deadline. `note` receives every error.
    pub async fn send_until(
        &self,
        request: Bytes,
        deadline: Option<Instant>,
        note: impl Fn(&str),
    ) -> Result<Accepted, String> {
        let mut backoff = BACKOFF_MIN;
        loop {
            let failure = match self.sender.attempt(request.clone()).await {
                Ok(accepted) => return Ok(accepted),
                Err(failure) => failure,
            };
            note(&failure.error);
            let pause = match failure.pause(backoff) {
                Some(pause) if deadline.is_none_or(|deadline| Instant::now() + pause < deadline) => pause,
                _ => return Err(failure.error),
            };
            tokio::time::sleep(pause).await;
            backoff = (backoff * 2).min(BACKOFF_MAX);
        }
    }
}
