//! The rules that a schema cannot say, over a whole run's folder: [`validate`] reads it and reports what is broken.
//!
//! The rules are pure functions of rows; only `folder` reads files.

mod folder;
mod graph;
mod inventory;
mod invocations;
mod known;
mod metrics;
mod placement;
mod report;
mod rows;
mod rules;
mod run_meta;
mod session;

use std::io;
use std::path::{Path, PathBuf};

use crate::cctf::{LINE_BYTES_MAX, WHOLE_BYTES_MAX};

pub use report::{Finding, Report};
pub use rules::{RULES, Rule, Severity};

/// Enough to see a pattern, few enough to read.
pub const FINDINGS_KEPT_PER_RULE: usize = 20;

/// What can be set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// How many findings of each rule the report keeps; all are counted.
    pub findings_kept_per_rule: usize,
    /// The longest line, in bytes.
    pub line_bytes_max: usize,
    /// The longest file that is replaced whole, in bytes.
    pub whole_bytes_max: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            findings_kept_per_rule: FINDINGS_KEPT_PER_RULE,
            line_bytes_max: LINE_BYTES_MAX,
            whole_bytes_max: WHOLE_BYTES_MAX,
        }
    }
}

/// Why a folder could not be validated at all.
#[derive(Debug, thiserror::Error)]
pub enum ValidateError {
    /// A file or folder could not be read.
    #[error("read {}", path.display())]
    Read {
        /// What could not be read.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// There is nothing to validate.
    #[error("{} is no run: it has neither a folder cctf nor a file of the contract", path.display())]
    NotARun {
        /// The folder.
        path: PathBuf,
    },
}

/// Checks all rules on the run in `dir`: a run's folder, which has a folder `cctf`, or that folder itself.
///
/// # Errors
/// Only when the folder cannot be read; whatever is wrong in the files is in the report.
pub fn validate(dir: &Path, options: Options) -> Result<Report, ValidateError> {
    let folder = folder::Folder::find(dir)?;
    session::Session::new(&folder, options).run()
}
