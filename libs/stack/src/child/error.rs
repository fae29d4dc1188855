//! The error of a child process.

use std::io;
use std::path::PathBuf;

use crate::namespace::NetworkError;

/// A child process that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ChildError {
    #[error(
        "cannot find {name} in {folder}; build it with `cargo build --release --workspace`, or set its folder with --bin-dir"
    )]
    Missing { name: String, folder: PathBuf },
    #[error(
        "cannot find the OpenTelemetry Collector at {0}; build it with `make collector`, or set another path with --collector"
    )]
    NoCollector(PathBuf),
    #[error(
            "cannot start toxiproxy as {}: {source}; build it with `make toxiproxy`, or set another path with --toxiproxy",
        program.display()
    )]
    NoToxiproxy { program: PathBuf, source: io::Error },
    #[error(transparent)]
    Network(#[from] NetworkError),
    #[error("cannot write {}: {source}", path.display())]
    StandInsFile { path: PathBuf, source: io::Error },
    #[error("cannot start {name}: {source}")]
    Start { name: String, source: io::Error },
    /// The child exited without being stopped.
    #[error("{name} has exited unexpectedly ({how}){tail}")]
    Ended {
        name: String,
        /// Exit code or signal.
        how: String,
        /// The end of its standard error, on separate lines.
        tail: String,
    },
    /// The child runs, but does not do something that it must do.
    #[error("{name} {what}{tail}")]
    Unresponsive {
        name: String,
        /// End of the error's sentence, after the name of the child.
        what: String,
        /// The end of its standard error, on separate lines.
        tail: String,
    },
    #[error("interrupted")]
    Interrupted,
}
