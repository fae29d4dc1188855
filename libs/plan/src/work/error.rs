//! [`WorkError`]: a run whose work cannot be read.

use rundir::ReadError;

use super::collect::TooMany;

/// A run whose work cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum WorkError {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error("cannot read {run}: it has no invocations{}", .cause.text())]
    NoInvocations { run: String, cause: NoInvocations },
    #[error("cannot read {run}: it has more than the maximum of {max} {what}; choose a part of it with --from and --to", max = too_many.max, what = too_many.what)]
    TooMany { run: String, too_many: TooMany },
}

/// The reason why a run has no invocations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoInvocations {
    /// Files are missing; one sentence for each. No line is damaged.
    Missing(Vec<String>),
    /// All lines are damaged; their number.
    Damaged(u64),
    /// Only a part of the run was read.
    Window,
    Empty,
}

impl NoInvocations {
    fn text(&self) -> String {
        match self {
            Self::Missing(files) => format!(": {}; restore the files", files.join(", ")),
            Self::Damaged(1) => {
                ": its only line is damaged; cctf validate shows what is wrong with it".to_owned()
            }
            Self::Damaged(lines) => {
                format!(": {lines} lines are damaged; cctf validate shows what is wrong with them")
            }
            Self::Window => " in this time; choose another time".to_owned(),
            Self::Empty => "; choose a run in which services processed requests".to_owned(),
        }
    }
}
