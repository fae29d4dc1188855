//! Standard output and standard error, with which all binaries print. A closed pipe or a full disk never causes a panic.

use std::fmt;
use std::io::{self, ErrorKind, Write};

/// Logs a line to standard error, like `eprintln!`. If the line cannot be written, it is lost, and nothing else happens.
#[macro_export]
macro_rules! log_line {
    ($($text:tt)*) => {
        $crate::stdio::log(format_args!($($text)*))
    };
}

/// The error for a result that could not be written to standard output.
#[derive(Debug, thiserror::Error)]
#[error("cannot write to standard output: {0}; free space or redirect the output")]
pub struct PrintError(io::Error);

/// Logs a line: see [`log_line!`](crate::log_line).
pub fn log(line: fmt::Arguments<'_>) {
    // A single write, so that lines of several threads and processes do not mix.
    let _ = io::stderr().lock().write_all(format!("{line}\n").as_bytes());
}

/// Writes `text` to standard output. A closed pipe is not an error: its reader has seen enough.
///
/// # Errors
/// If standard output cannot be written, for example because the disk is full.
pub fn print(text: &str) -> Result<(), PrintError> {
    printed(io::stdout().lock().write_all(text.as_bytes()))
}

/// Writes `line` and a newline to standard output.
///
/// # Errors
/// The same errors as [`print`].
pub fn print_line(line: &str) -> Result<(), PrintError> {
    print(&format!("{line}\n"))
}

/// Flushes standard output after a write by other code, and returns the result of both.
///
/// # Errors
/// The same errors as [`print`].
pub fn printed(written: io::Result<()>) -> Result<(), PrintError> {
    match written.and_then(|()| io::stdout().flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(PrintError(error)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closed_pipe_is_not_an_error_but_a_full_disk_is() {
        assert!(printed(Err(ErrorKind::BrokenPipe.into())).is_ok());
        let full = printed(Err(ErrorKind::StorageFull.into()))
            .unwrap_err()
            .to_string();
        assert!(full.starts_with("cannot write to standard output: "), "{full}");
        assert!(printed(Ok(())).is_ok());
    }
}
