//! [`raise_limit`]: raises the number of files that this process may open.

/// Raises the limit to the maximum that the system allows. Each slot has an open file, and each call in progress has a
/// connection at both ends. So the usual limit of 1,024 is too low for unlimited slots.
pub fn raise_limit() {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: both calls take a pointer to a live rlimit on this stack frame.
    unsafe {
        if libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) == 0 {
            limit.rlim_cur = limit.rlim_max;
            // If the system refuses, the old limit stays.
            libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit);
        }
    }
}
