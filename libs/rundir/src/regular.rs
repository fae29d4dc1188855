//! [`open`]: opens a file of a run. [`look`], [`is_folder`]: what is at a path.

use std::fs::{self, File, Metadata};
use std::io::{self, ErrorKind};
use std::path::Path;

use crate::ReadError;

/// Opens a regular file. Opening a named pipe in its place would wait for a writer.
///
/// # Errors
/// An I/O error, or if it is not a regular file.
pub fn open(path: &Path) -> io::Result<File> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::new(
            ErrorKind::InvalidInput,
            "it is not a regular file",
        ));
    }
    File::open(path)
}

/// Metadata of the file or folder at a path; `None` if there is none. `Path::exists` also says no to a missing permission.
///
/// # Errors
/// If the path cannot be read.
pub fn look(path: &Path) -> Result<Option<Metadata>, ReadError> {
    match fs::metadata(path) {
        Ok(data) => Ok(Some(data)),
        Err(error) if is_missing(&error) => Ok(None),
        Err(error) => Err(ReadError::io(path)(error)),
    }
}

/// Whether a folder is at a path.
///
/// # Errors
/// If the path cannot be read.
pub fn is_folder(path: &Path) -> Result<bool, ReadError> {
    Ok(look(path)?.is_some_and(|data| data.is_dir()))
}

/// Whether nothing is at a path, because the last name or a folder before it does not exist.
pub fn is_missing(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}
