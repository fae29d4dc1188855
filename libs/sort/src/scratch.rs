//! Temporary files without a name.

use std::fs::File;
use std::path::Path;

use anyhow::Context;

/// Contexts of errors on such a file.
pub const CANNOT_READ: &str = "cannot read a temporary file";
pub const CANNOT_WRITE: &str = "cannot write a temporary file";
/// Error text. No other process can write to a file without a name, so the cause is a faulty disk or a defect of this program.
pub const DAMAGED: &str = "cannot read a temporary file: its content has changed";

/// Creates a file without a name. The kernel deletes it when the process ends for any reason.
pub fn unnamed_file(folder: &Path) -> anyhow::Result<File> {
    tempfile::tempfile_in(folder)
        .with_context(|| format!("cannot create a temporary file in {}", folder.display()))
}
