//! Switches a file between writes past the page cache (direct writes) and ordinary ones.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

/// Switches direct writes on or off.
///
/// # Errors
/// If the file system has no direct writes, or another error of `fcntl`.
#[cfg(target_os = "linux")]
pub fn set_direct(file: &File, is_direct: bool) -> io::Result<()> {
    // SAFETY: the descriptor is open for as long as `file` lives, and the call touches no memory.
    let flags = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_GETFL) };
    if flags < 0 {
        return Err(io::Error::last_os_error());
    }
    let flags = if is_direct {
        flags | libc::O_DIRECT
    } else {
        flags & !libc::O_DIRECT
    };
    // SAFETY: as above.
    match unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETFL, flags) } {
        0.. => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Only Linux has this switch.
///
/// # Errors
/// If direct writes are to be switched on.
#[cfg(not(target_os = "linux"))]
pub fn set_direct(_file: &File, is_direct: bool) -> io::Result<()> {
    match is_direct {
        true => Err(io::ErrorKind::Unsupported.into()),
        false => Ok(()),
    }
}

/// Whether an error means that the file system has no direct writes.
pub fn is_unsupported(error: &io::Error) -> bool {
    let is_refused = matches!(error.raw_os_error(), Some(libc::EINVAL | libc::EOPNOTSUPP));
    is_refused || error.kind() == io::ErrorKind::Unsupported
}
