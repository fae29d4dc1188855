//! The error of a file or folder that cannot be read.

use std::io;
use std::path::{Path, PathBuf};

/// A file or folder of a run that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The system refuses.
    #[error("cannot read {}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A file that is read whole exceeds its bound.
    #[error("cannot read {}: it has more than {limit} bytes", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The bound, bytes.
        limit: usize,
    },
    /// The path leads to something else than a run.
    #[error("{} is not a run: it has no folder cctf; name a run's folder such as logs/latest", path.display())]
    NotARun {
        /// The path.
        path: PathBuf,
    },
}

impl ReadError {
    /// Adds the path to an I/O error.
    pub fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        |source| Self::Io { path, source }
    }
}
