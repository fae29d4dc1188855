//! Recovery: the pipeline's state on disk, the restart from this state, and the replay of a kept journal.

pub mod checkpoint;
mod feeding;
mod replay;
mod resume;

pub(crate) use feeding::Feeding;
pub use replay::{ReplayError, replay};
pub use resume::{ResumeError, Resumed, resume};
