//! The error of a file or folder that cannot be read.

use std::io;
use std::path::{Path, PathBuf};

/// A file or folder of a run that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// An I/O error.
    #[error("cannot read {}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A file that must be read as a whole exceeds the limit.
    #[error("cannot read {}: it has more than the maximum of {limit} bytes", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The bound, bytes.
        limit: usize,
    },
    /// The path is a part of a merge in buckets.
    #[error("cannot use {} as a run: it is {what}; cctf merge OUT IN... --rests BUCKET... --rows makes a run of all buckets", path.display())]
    PartOfMerge {
        /// The path.
        path: PathBuf,
        /// Description of the part.
        what: &'static str,
    },
    /// The path exists but is not a run folder.
    #[error("cannot read {}: it is not a run folder, because it has no folder cctf; pass a run folder such as logs/latest", path.display())]
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
