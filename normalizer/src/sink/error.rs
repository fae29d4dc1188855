//! [`SinkError`]: a failed operation on a run's files, and its remedy.

use std::io;
use std::path::{Path, PathBuf};

/// The reason why a run cannot be written. Nothing is lost yet, because the same output can be written again.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    #[error(
        "cannot write to run folder {}: another normalizer has locked it; stop that one or choose another --out-dir or --run-id",
        path.display()
    )]
    Locked { path: PathBuf },
    #[error("cannot create the link {}: a file or folder with this name exists; move it away", path.display())]
    InTheWay { path: PathBuf },
    #[error(
        "cannot continue {}: it differs at byte {offset} from what the journal gives, so another program changed it; \
         move the run's folder away to have it created again",
        path.display()
    )]
    Differs { path: PathBuf, offset: u64 },
    #[error("cannot {operation} {}: {source}", path.display())]
    Io {
        operation: &'static str,
        path: PathBuf,
        source: io::Error,
    },
}

/// The name of the operation that must not be retried.
pub(super) const SYNC: &str = "sync";

impl SinkError {
    /// Whether the disk or the user's quota is full, so that a later attempt can succeed. A sync is excluded: the kernel may
    /// have dropped the bytes, so a successful second attempt would prove nothing.
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
