//! [`StandInError`]: the error for a body that is not a valid plan, and for an invalid file of stand-ins.

use std::path::PathBuf;

use crate::bounds::WORK_BYTES_MAX;
use crate::request::{PLAN_HEADER, PLAN_VERSION};

/// The reason why a planned request or a file of stand-ins is refused.
#[derive(Debug, thiserror::Error)]
pub enum StandInError {
    #[error("the body has no plan: it does not start with `CCSI`")]
    Magic,
    #[error(
        "the plan has version {0}: this program executes version {PLAN_VERSION}; use programs of the same release"
    )]
    Version(u8),
    #[error(
        "the header {PLAN_HEADER} is {0:?}: this program executes version {PLAN_VERSION}; use programs of the same release"
    )]
    HeaderVersion(String),
    #[error("the plan is longer than {max} bytes", max = WORK_BYTES_MAX)]
    TooLong,
    #[error("the plan is damaged")]
    Damaged,
    #[error("the plan is above its bounds: {0}")]
    Bound(&'static str),
    #[error("the plan cannot be executed: {0}")]
    Impossible(&'static str),
    #[error("cannot read the stand-ins file {}: {cause}", path.display())]
    File { path: PathBuf, cause: String },
}
