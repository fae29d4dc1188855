//! [`Sender::send_until`]: sends a request until the answer is final. [`BlockingSender`]: the same for programs without a runtime.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use tokio::runtime::{Builder, Runtime};
use tokio::time::Instant;

use crate::destination::Destination;
use crate::sender::{Accepted, Sender};
use crate::tls::TlsError;

/// First pause after a failed attempt; it doubles up to the maximum.
const BACKOFF_MIN: Duration = Duration::from_millis(50);
const BACKOFF_MAX: Duration = Duration::from_secs(5);

impl Sender {
    /// Sends a request until the answer is final, or until the deadline. `note` receives every error.
    ///
    /// # Errors
    /// The last error.
    pub async fn send_until(
        &self,
        request: Bytes,
        deadline: Option<Instant>,
        note: impl Fn(&str),
    ) -> Result<Accepted, String> {
        let mut backoff = BACKOFF_MIN;
        loop {
            let failure = match self.attempt(request.clone()).await {
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

/// The reason for which a sender cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error("cannot start a runtime: {0}")]
    Runtime(#[from] io::Error),
}

/// Sends requests one after the other.
pub struct BlockingSender {
    runtime: Runtime,
    sender: Sender,
}

impl BlockingSender {
    /// The first request opens the connection.
    ///
    /// # Errors
    /// Invalid or unreadable certificates, or no runtime.
    pub fn new(destination: &Destination) -> Result<Self, StartError> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let sender = {
            let _inside = runtime.enter();
            Sender::new(destination)?
        };
        Ok(Self { runtime, sender })
    }

    /// Sends a request until the answer is final. No attempt begins later than `patience` from now.
    ///
    /// # Errors
    /// The last error.
    pub fn send(&self, request: Bytes, patience: Duration) -> Result<Accepted, String> {
        self.runtime.block_on(async {
            let deadline = Instant::now() + patience;
            self.sender.send_until(request, Some(deadline), |_| {}).await
        })
    }
}
