//! [`open`]: opens a regular file. [`look`], [`is_folder`]: check a path.

use std::fs::{self, File, Metadata};
use std::io::{self, ErrorKind};
use std::path::Path;

use crate::ReadError;

/// Opens a regular file. Other kinds are refused: opening a named pipe, for example, would wait for a writer.
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

/// Metadata of the file or folder at a path; `None` if there is none. (`Path::exists` also returns false if a permission is
/// missing.)
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

/// Whether the path is a folder.
///
/// # Errors
/// If the path cannot be read.
pub fn is_folder(path: &Path) -> Result<bool, ReadError> {
    Ok(look(path)?.is_some_and(|data| data.is_dir()))
}

/// Whether the error means that a path does not exist, because the last name or a folder before it is missing.
pub fn is_missing(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}
