//! [`StartError`] and [`RunError`]: the reasons why the normalizer cannot start, or had to stop.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use crate::connections::CredentialsError;
use crate::journal::StoreError;
use crate::recovery::ResumeError;
use crate::run_id::RunIdError;
use crate::worker::WorkerError;

/// The reason why the normalizer cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A port is in use, or the process may not bind it.
    #[error(
        "cannot listen on {address} for {purpose}: {source}; stop the process that listens there or choose another {flag}"
    )]
    Listen {
        purpose: &'static str,
        address: SocketAddr,
        /// The flag that sets the address.
        flag: &'static str,
        source: io::Error,
    },
    #[error("cannot write to {}: {source}; make it writable or choose another --out-dir", path.display())]
    OutDir { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    #[error(transparent)]
    RunId(#[from] RunIdError),
    #[error(transparent)]
    Resume(#[from] ResumeError),
}

/// The reason why the normalizer had to stop.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error("cannot start a thread: {0}")]
    Thread(io::Error),
    #[error(transparent)]
    Worker(#[from] WorkerError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("internal error: a thread panicked; rows that it had not written are lost")]
    Panicked,
}
