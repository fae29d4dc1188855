//! Exports recorded runs in the formats of simulators and viewers.
//!
//! - [`source`]: the input: the plan of a run, its nodes and links. [`counts`]: counts the contents of an export.
//! - [`assumptions`]: what an export assumes or loses, with a count and a sentence for each.
//! - [`job`]: an export in progress: its folder, assumptions and progress.
//! - [`export`](mod@export): the steps that all targets share. [`targets`]: the targets, one file or folder each. [`xml`]: texts
//!   in their files.

pub mod assumptions;
pub mod counts;
pub mod export;
pub mod job;
pub mod source;
pub mod targets;
pub mod xml;

pub use assumptions::{Assumption, Assumptions, Refused};
pub use counts::Counts;
pub use export::{Options, Summary, Target, run};
pub use job::{Job, OnProgress};
pub use source::{LinkFacts, NodeFacts, Source};
