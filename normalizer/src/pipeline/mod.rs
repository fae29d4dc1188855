//! The pipeline: a synchronous state machine that is fed journal records and emits rows. It has no clock and does no I/O.

mod output;
mod settings;

pub use output::{Output, RunOutput};
pub use settings::Settings;
