//! [`Accepted`]: the future that resolves when a request is safe. [`AppendError`]: the reason why a request was refused.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::sync::oneshot;

use super::record::Record;

/// The reason why a request was refused. All reasons are temporary, so the client should retry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// The queue is full, because the pipeline is too slow.
    #[error("the queue is full; retry later")]
    Full,
    #[error("the disk is full; retry later")]
    DiskFull,
    #[error("the normalizer is shutting down; retry later")]
    Closed,
}

/// Resolves when a record is as safe as the configured durability requires.
#[derive(Debug)]
pub struct Accepted(Waiting);

/// Sends the result to the waiting client.
pub type Answer = oneshot::Sender<Result<(), AppendError>>;

#[derive(Debug)]
enum Waiting {
    Done,
    ForCommit(oneshot::Receiver<Result<(), AppendError>>),
}

impl Accepted {
    pub(super) fn at_once() -> Self {
        Self(Waiting::Done)
    }

    pub(super) fn once_committed() -> (Answer, Self) {
        let (sender, answer) = oneshot::channel();
        (sender, Self(Waiting::ForCommit(answer)))
    }
}

impl Future for Accepted {
    type Output = Result<(), AppendError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            Waiting::Done => Poll::Ready(Ok(())),
            // Without a committer the record was not committed, so the client must retry.
            Waiting::ForCommit(answer) => Pin::new(answer)
                .poll(context)
                .map(|answer| answer.unwrap_or(Err(AppendError::Closed))),
        }
    }
}

/// A record that is not committed yet, and its waiting client.
#[derive(Debug)]
pub struct Uncommitted {
    pub record: Record,
    pub answer: Option<Answer>,
}
