//! [`SinkError`]: what could not be done to which file, and what to do about it.

use std::io;
use std::path::{Path, PathBuf};

/// A file that could not be written. Nothing is lost yet: the same output can be written again.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// Somebody else writes this run.
    #[error(
        "cannot write run folder {}: another normalizer has it locked, stop that one or choose another --out-dir or --run-id",
        path.display()
    )]
    Locked {
        /// The run's folder.
        path: PathBuf,
    },
    /// Something that is not ours is where one of the run's links belongs.
    #[error("cannot link {}: something else is there, move it away", path.display())]
    InTheWay {
        /// Where the link belongs.
        path: PathBuf,
    },
    /// A file is not what the journal makes of it.
    #[error(
        "{} is not what the journal makes of it at byte {offset}: it was changed by somebody else; \
         move the run's folder away to have it begun anew",
        path.display()
    )]
    Differs {
        /// The file.
        path: PathBuf,
        /// Where in it.
        offset: u64,
    },
    /// The file system said no.
    #[error("cannot {operation} {}: {source}", path.display())]
    Io {
        /// What was tried.
        operation: &'static str,
        /// On which file.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
}

/// The operation that must not be tried again.
pub(super) const SYNC: &str = "sync";

impl SinkError {
    /// Whether it can pass by itself: no room on the disk, or in the user's quota. A failed sync can not: the kernel may
    /// have dropped what it could not write, and a second try that succeeds would prove nothing.
    pub fn is_disk_full(&self) -> bool {
        match self {
            Self::Io {
                operation, source, ..
            } => {
                *operation != SYNC
                    && matches!(
                        source.kind(),
                        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
                    )
            }
            Self::Locked { .. } | Self::InTheWay { .. } | Self::Differs { .. } => false,
        }
    }

    /// Whether we may not look there.
    pub(super) fn is_permission_denied(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::PermissionDenied)
    }

    pub(super) fn io(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io {
            operation,
            path: path.to_owned(),
            source,
        }
    }
}
