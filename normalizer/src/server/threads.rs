//! The threads behind the receiver, and how they end.

use std::io;

use tokio::sync::oneshot;

use super::RunError;

/// How a thread ended. A panic drops the sender, which the receiver sees.
pub(super) type Ended = oneshot::Receiver<Result<(), RunError>>;

pub(super) fn spawn(
    name: &str,
    work: impl FnOnce() -> Result<(), RunError> + Send + 'static,
) -> io::Result<Ended> {
    let (tell, ended) = oneshot::channel();
    std::thread::Builder::new().name(name.to_owned()).spawn(move || {
        // Nobody waits any more: then nobody needs to know.
        let _ = tell.send(work());
    })?;
    Ok(ended)
}

/// Resolves when both threads have ended in order, or when one has not: the other may wait for it for ever.
pub(super) async fn ended(pipeline: Ended, committer: Option<Ended>) -> Result<(), RunError> {
    let pipeline = async { pipeline.await.unwrap_or(Err(RunError::PipelinePanicked)) };
    let committer = async {
        match committer {
            Some(committer) => committer.await.unwrap_or(Err(RunError::PipelinePanicked)),
            None => Ok(()),
        }
    };
    tokio::try_join!(pipeline, committer).map(drop)
}
