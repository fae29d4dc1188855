//! [`RootsError`]: failures to read roots; [`SelectionError`]: a selection that cannot be applied to a run.

use std::time::Duration;

use cctf_sort::scratch::DAMAGED;
use rundir::ReadError;

use super::factor::Factor;

/// Roots that cannot be read or sorted.
#[derive(Debug, thiserror::Error)]
pub enum RootsError {
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A temporary file failed, for example because the disk is full.
    #[error("{0:#}; free space in the folder for temporary files, or set TMPDIR to another one")]
    Temporary(anyhow::Error),
    #[error("{DAMAGED}; repeat the command")]
    Damaged,
}

impl From<anyhow::Error> for RootsError {
    fn from(error: anyhow::Error) -> Self {
        // The sorter returns errors of its callback unchanged, so they can be recovered by type.
        error.downcast().unwrap_or_else(Self::Temporary)
    }
}

/// A selection that is impossible.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SelectionError {
    #[error(
        "cannot thin by {0}: thinning keeps a share of the requests; use a factor up to 1, or overlap or squeeze"
    )]
    ThinAboveOne(Factor),
    #[error("cannot overlap by {0}: an overlap adds copies of the run; use a factor from 1, or thin")]
    OverlapBelowOne(Factor),
    #[error(
        "cannot overlap by {factor}: at most {max} copies can be read at once; squeeze the run, or use a smaller factor"
    )]
    TooManyCopies { factor: Factor, max: u64 },
    #[error("cannot select from {from:?} to {to:?}: the range is empty; choose a later end")]
    EmptyWindow { from: Duration, to: Duration },
    #[error(
        "cannot select from {from:?}: the run's last request starts {last:?} after its first one; choose an earlier start"
    )]
    BeyondEnd { from: Duration, last: Duration },
}
