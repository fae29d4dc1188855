//! [`Summary`]: the result of an anonymisation: rows, replaced and dropped values, and rare endpoints.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;

use crate::rare::RareEndpoints;
use crate::replacer::Replaced;

/// Maximum number of unknown fields whose names are kept.
const UNKNOWN_MAX: usize = 64;
/// Maximum length of the name of an unknown field that is kept, bytes.
const UNKNOWN_NAME_BYTES_MAX: usize = 128;

/// Values of fields that the contract does not have. They are left out.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize)]
pub struct Unknown {
    /// Number of values by field, for the first 64 fields.
    pub by_field: BTreeMap<String, u64>,
    /// Number of all values.
    pub values: u64,
}

impl Unknown {
    pub fn add(&mut self, name: &str) {
        self.values += 1;
        if let Some(count) = self.by_field.get_mut(name) {
            *count += 1;
        } else if self.by_field.len() < UNKNOWN_MAX && name.len() <= UNKNOWN_NAME_BYTES_MAX {
            self.by_field.insert(name.to_owned(), 1);
        }
    }
}

/// Counts of the rows of one file in all folders.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct FileRows {
    pub written: u64,
    /// Lines and entries that could not be read, and were left out.
    pub damaged: u64,
}

/// The result of an anonymisation.
#[derive(Debug, Serialize)]
pub struct Summary {
    /// The new folder.
    pub out: PathBuf,
    /// The run folders in `out`. If only the first part of the run was written, this is `out` itself.
    pub folders: Vec<PathBuf>,
    /// Size of the `.jsonl` files that were read, bytes.
    pub bytes_read: u64,
    /// Rows by file.
    pub files: BTreeMap<String, FileRows>,
    pub replaced: Replaced,
    pub unknown_fields: Unknown,
    pub rare_endpoints: RareEndpoints,
    /// Number of folders whose `run_meta.json` is missing, invalid, or states no end of the run.
    pub open: u64,
}

impl Summary {
    /// Lines and entries that could not be read.
    pub fn damaged(&self) -> u64 {
        self.files.values().map(|rows| rows.damaged).sum()
    }
}
