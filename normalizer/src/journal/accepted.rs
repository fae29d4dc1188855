//! [`Accepted`]: what a client waits for, and why a request was not taken.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::sync::oneshot;

use super::record::Record;

/// Why a request was not taken. All of these pass: the client is to try again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// The pipeline does not keep up.
    #[error("the queue in front of the pipeline is full, try again later")]
    Full,
    /// Files cannot grow.
    #[error("the disk is full, try again later")]
    DiskFull,
    /// The normalizer goes down.
    #[error("the normalizer is shutting down, try again later")]
    Closed,
}

/// Resolves when a record is as safe as the durability in force demands.
#[derive(Debug)]
pub struct Accepted(Waiting);

/// Tells whether a request has been accepted.
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
        let (tell, answer) = oneshot::channel();
        (tell, Self(Waiting::ForCommit(answer)))
    }
}

impl Future for Accepted {
    type Output = Result<(), AppendError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            Waiting::Done => Poll::Ready(Ok(())),
            // A committer that is gone has committed nothing: the client is to try again.
            Waiting::ForCommit(answer) => Pin::new(answer)
                .poll(context)
                .map(|answer| answer.unwrap_or(Err(AppendError::Closed))),
        }
    }
}

/// A record that waits to be committed, and who waits for that.
#[derive(Debug)]
pub struct Uncommitted {
    /// The record.
    pub record: Record,
    /// Whom to tell.
    pub answer: Option<Answer>,
}
