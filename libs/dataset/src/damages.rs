//! [`Damages`]: lines that are not rows. They are left out and counted, and the first ones are listed.

use std::path::PathBuf;

/// Maximum number of damaged lines that are listed. All are counted.
const SHOWN_MAX: usize = 20;

/// The reason why a line is not a row of its file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    #[error("not one JSON object in UTF-8")]
    NotAnObject,
    #[error("longer than the maximum of a line")]
    TooLong,
    #[error("{0} is missing")]
    Missing(&'static str),
    #[error("{0} occurs twice")]
    Twice(&'static str),
    #[error("{0} has a value of another type")]
    WrongType(&'static str),
}

/// A line that is not a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    pub path: PathBuf,
    /// Number of the line, from 1. In a `.json` file, the number of the row.
    pub line: u64,
    pub reason: Reason,
}

/// The damaged lines of some files.
#[derive(Debug, Default)]
pub struct Damages {
    pub count: u64,
    pub shown: Vec<Damage>,
}

impl Damages {
    pub fn add(&mut self, path: impl FnOnce() -> PathBuf, line: u64, reason: Reason) {
        self.count += 1;
        if self.shown.len() < SHOWN_MAX {
            let path = path();
            self.shown.push(Damage { path, line, reason });
        }
    }
}
