//! The journal: records in order, with the time at which each came. Everything the pipeline knows comes through here.

mod record;

pub use record::{Content, Record, Signal};
