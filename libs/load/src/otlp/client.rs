//! One OTLP destination: sends encoded requests, and retries until the answer is final.

use bytes::Bytes;
use otlp_send::{Accepted, Destination, Sender, TlsError};
use tokio::time::Instant;

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
        self.sender.send_until(request, deadline, note).await
    }
}
