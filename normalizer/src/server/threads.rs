//! The threads downstream of the receiver, and how they end.

use std::io;

use tokio::sync::oneshot;

use super::error::RunError;

/// Receives the result of a thread. If the thread panics, the sender is dropped, and the receiver gets an error.
pub(super) type Ended = oneshot::Receiver<Result<(), RunError>>;

pub(super) fn spawn(
    name: &str,
    work: impl FnOnce() -> Result<(), RunError> + Send + 'static,
) -> io::Result<Ended> {
    let (sender, ended) = oneshot::channel();
    std::thread::Builder::new().name(name.to_owned()).spawn(move || {
        // If the receiver is gone, nobody needs the result.
        let _ = sender.send(work());
    })?;
    Ok(ended)
}

/// Resolves when both threads have ended, or as soon as one has failed. It does not wait longer, because the other thread may
/// wait for the failed one forever.
pub(super) async fn ended(pipeline: Ended, committer: Option<Ended>) -> Result<(), RunError> {
    let pipeline = async { pipeline.await.unwrap_or(Err(RunError::Panicked)) };
    let committer = async {
        match committer {
            Some(committer) => committer.await.unwrap_or(Err(RunError::Panicked)),
            None => Ok(()),
        }
    };
    tokio::try_join!(pipeline, committer).map(drop)
}
