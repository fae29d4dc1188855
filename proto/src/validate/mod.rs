//! Checks the files of one run folder, also by rules that a schema cannot express. The caller reads the files and passes them
//! to a [`Validation`], which does no I/O; `rundir::validate` does this for a folder on disk.

mod drivers;
mod graph;
mod inventory;
mod invocations;
mod known;
mod metrics;
mod placement;
mod references;
mod report;
mod rows;
mod rules;
mod run_meta;
mod unresolved;
mod validation;

pub use references::PendingReferences;
pub use report::{Finding, Report};
pub use rules::{RULES, Rule, Severity};
pub use validation::{READ_ORDER, Validation};
