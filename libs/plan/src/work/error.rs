//! [`WorkError`]: a run whose work cannot be read.

use rundir::ReadError;

use super::collect::TooMany;

/// A run whose work cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum WorkError {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(
        "cannot read {run}: it has no invocations in this time; restore invocations.jsonl or choose another time"
    )]
    NoInvocations { run: String },
    #[error("cannot read {run}: it has more than the maximum of {max} {what}; choose a part of it with --from and --to", max = too_many.max, what = too_many.what)]
    TooMany { run: String, too_many: TooMany },
}
