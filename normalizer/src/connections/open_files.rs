//! The process's limit on open files. Connections must leave enough open files for the sink.

/// Raises the soft limit to the hard limit and returns the limit in force.
pub fn raise_open_files_limit() -> u64 {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: both calls get a valid pointer to a limit that lives longer than the call, and they do not store it.
    unsafe {
        if libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) != 0 {
            return 0;
        }
        let raised = libc::rlimit {
            rlim_cur: limit.rlim_max,
            ..limit
        };
        if libc::setrlimit(libc::RLIMIT_NOFILE, &raised) == 0 {
            limit = raised;
        }
    }
    limit.rlim_cur
}

/// Maximum number of connections per listener: at most `wanted`, so few that `reserved` open files are left, and at least one.
pub fn connections_within(limit: u64, listeners: u64, reserved: u64, wanted: usize) -> usize {
    let room = limit.saturating_sub(reserved) / listeners;
    usize::try_from(room).unwrap_or(usize::MAX).clamp(1, wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_room_for_files() {
        assert!(raise_open_files_limit() > 0);
        assert_eq!(connections_within(1_000_000, 3, 1_000, 16_384), 16_384);
        assert_eq!(connections_within(4_000, 3, 1_000, 16_384), 1_000);
        assert_eq!(connections_within(100, 3, 1_000, 16_384), 1);
    }
}
