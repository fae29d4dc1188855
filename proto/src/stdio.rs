//! Standard output and standard error, by which the binaries print. Neither can end a process: its reader may have gone,
//! and a file that it leads to may be on a full disk.

use std::fmt;
use std::io::{self, ErrorKind, Write};

/// Logs a line to standard error, as `eprintln!` does. A line that cannot be written is lost, and nothing else is.
#[macro_export]
macro_rules! log_line {
    ($($text:tt)*) => {
        $crate::stdio::log(format_args!($($text)*))
    };
}

/// Standard output cannot take what a command has to say.
#[derive(Debug, thiserror::Error)]
#[error("cannot write to standard output: {0}; make room or send it elsewhere")]
pub struct PrintError(io::Error);

/// Logs a line: see [`log_line!`](crate::log_line).
pub fn log(line: fmt::Arguments<'_>) {
    // One write, so that lines of several threads and processes do not mix.
    let _ = io::stderr().lock().write_all(format!("{line}\n").as_bytes());
}

/// Writes all of `text` to standard output. A reader that has gone wants no more, which is no error.
///
/// # Errors
/// Standard output cannot be written, for example because the disk is full.
pub fn print(text: &str) -> Result<(), PrintError> {
    printed(io::stdout().lock().write_all(text.as_bytes()))
}

/// [`print`] with a line end.
///
/// # Errors
/// As for [`print`].
pub fn print_line(line: &str) -> Result<(), PrintError> {
    print(&format!("{line}\n"))
}

/// The outcome of what somebody else has written to standard output, once the rest of it has left.
///
/// # Errors
/// As for [`print`].
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
    fn a_reader_that_has_gone_is_no_error_and_a_full_disk_is_one() {
        assert!(printed(Err(ErrorKind::BrokenPipe.into())).is_ok());
        let full = printed(Err(ErrorKind::StorageFull.into()))
            .unwrap_err()
            .to_string();
        assert!(full.starts_with("cannot write to standard output: "), "{full}");
        assert!(printed(Ok(())).is_ok());
    }
}
