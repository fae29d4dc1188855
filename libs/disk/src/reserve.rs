//! Reserves disk space beyond the end of a file that grows, because the kernel then finds room for many writes at once. A
//! reader sees no difference: the length of the file does not change.

use std::fs::File;
use std::os::fd::AsRawFd;

/// Space is reserved only while the disk has this many times as much free space, so that reservations never fill a disk.
const FREE_RATIO: u64 = 128;

/// Reserves `bytes` from offset `from` on. A failure is ignored: a write can find its space itself.
#[cfg(target_os = "linux")]
pub fn reserve(file: &File, from: u64, bytes: u64) {
    let (Ok(from), Ok(len)) = (i64::try_from(from), i64::try_from(bytes)) else {
        return;
    };
    let mut space = std::mem::MaybeUninit::<libc::statvfs>::uninit();
    // SAFETY: the descriptor is open for as long as `file` lives, and the pointer is valid during the call.
    if unsafe { libc::fstatvfs(file.as_raw_fd(), space.as_mut_ptr()) } != 0 {
        return;
    }
    // SAFETY: the call has succeeded, so it has filled the structure.
    let space = unsafe { space.assume_init() };
    if space.f_bavail.saturating_mul(space.f_frsize) / FREE_RATIO >= bytes {
        // SAFETY: the descriptor is open for as long as `file` lives, and the call touches no memory.
        unsafe { libc::fallocate(file.as_raw_fd(), libc::FALLOC_FL_KEEP_SIZE, from, len) };
    }
}

#[cfg(not(target_os = "linux"))]
pub fn reserve(_file: &File, _from: u64, _bytes: u64) {}
