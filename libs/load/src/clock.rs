//! The clocks of the pacing thread, and its waits: a sleep until an absolute time, then a short spin (busy waiting).

use std::io;
use std::time::{SystemTime, UNIX_EPOCH};

/// Maximum sleep between two checks of the stop flag.
const STOP_CHECK_NS: u64 = 100_000_000;
/// Maximum length of the spin before a deadline. It compensates for sleeps that end 20 to 60 us late on typical machines.
const SPIN_MAX_NS: u64 = 70_000;
/// The spin is at most the mean time between requests divided by this number. At high rates, a longer spin would take CPU time
/// from the work.
const SPIN_GAP_DIVISOR: u64 = 8;

pub fn monotonic_ns() -> u64 {
    let mut now = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `now` is a valid timespec for the call to fill; CLOCK_MONOTONIC always exists on Linux.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut now) };
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

pub fn unix_ns() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_nanos() as u64)
}

/// CPU time of all threads of this process, user and system, nanoseconds.
pub fn process_cpu_ns() -> u64 {
    let mut used = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `used` is a valid timespec for the call to fill.
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut used) };
    used.tv_sec as u64 * 1_000_000_000 + used.tv_nsec as u64
}

/// Makes sleeps of the calling thread end as close to their time as the kernel allows.
pub fn set_finest_timer_slack() {
    // SAFETY: PR_SET_TIMERSLACK takes one integer and touches only the calling thread.
    unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 1 as libc::c_ulong) };
}

/// Prevents the calling thread from interrupting another thread when it wakes up. Its share of CPU time does not change.
pub fn set_batch_policy() {
    // The kernel reads one integer, the priority, which is 0 for this policy.
    let priority: libc::c_int = 0;
    // SAFETY: `priority` lives as long as the call, and 0 stands for the calling thread. Failure leaves the policy as it is. The
    // C library's function is not used, because that of musl does nothing.
    unsafe {
        libc::syscall(
            libc::SYS_sched_setscheduler,
            0,
            libc::SCHED_BATCH,
            &raw const priority,
        )
    };
}

/// Duration of the spin before deadlines that are `gap_ns` apart on average.
pub fn spin_ns(gap_ns: u64) -> u64 {
    (gap_ns / SPIN_GAP_DIVISOR).min(SPIN_MAX_NS)
}

/// Waits until `deadline_ns` of the monotonic clock: sleeps, then spins for the last `spin_ns`.
/// Returns false as soon as `stop` returns true.
pub fn wait_until(deadline_ns: u64, spin_ns: u64, stop: impl Fn() -> bool) -> bool {
    loop {
        if stop() {
            return false;
        }
        let now = monotonic_ns();
        let Some(left) = deadline_ns.checked_sub(now).filter(|left| *left > 0) else {
            return true;
        };
        if left <= spin_ns {
            std::hint::spin_loop();
        } else {
            sleep_until((deadline_ns - spin_ns).min(now + STOP_CHECK_NS));
        }
    }
}

fn sleep_until(monotonic_ns: u64) {
    let until = libc::timespec {
        tv_sec: (monotonic_ns / 1_000_000_000) as libc::time_t,
        tv_nsec: (monotonic_ns % 1_000_000_000) as libc::c_long,
    };
    // SAFETY: `until` is a valid timespec, and an absolute time needs no remainder.
    // A signal ends the sleep early; the caller reads the clock again.
    unsafe {
        libc::clock_nanosleep(
            libc::CLOCK_MONOTONIC,
            libc::TIMER_ABSTIME,
            &until,
            std::ptr::null_mut(),
        )
    };
}

/// Raises the limit of open files to the system's maximum, for more connections.
pub fn raise_file_limit() -> io::Result<u64> {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: `limit` is a valid rlimit for the calls to fill and read.
    unsafe {
        if libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) != 0 {
            return Err(io::Error::last_os_error());
        }
        limit.rlim_cur = limit.rlim_max;
        if libc::setrlimit(libc::RLIMIT_NOFILE, &limit) != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(limit.rlim_cur)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_never_ends_before_its_deadline() {
        for spin in [0, 50_000] {
            let deadline = monotonic_ns() + 2_000_000;
            assert!(wait_until(deadline, spin, || false));
            assert!(monotonic_ns() >= deadline);
        }
    }

    #[test]
    fn a_stop_ends_the_wait_without_its_deadline() {
        assert!(!wait_until(u64::MAX - STOP_CHECK_NS, 0, || true));
    }

    #[test]
    fn a_batch_thread_is_one_for_the_kernel_and_alone() {
        // SAFETY: the call takes no pointer; 0 stands for the calling thread.
        let policy = || unsafe { libc::syscall(libc::SYS_sched_getscheduler, 0) };
        let before = policy();
        let set = std::thread::spawn(move || {
            set_batch_policy();
            policy()
        });
        assert_eq!(set.join().unwrap(), libc::c_long::from(libc::SCHED_BATCH));
        assert_eq!(policy(), before);
    }

    #[test]
    fn the_spin_is_bounded_by_the_gap() {
        assert_eq!(spin_ns(25_000_000), SPIN_MAX_NS);
        assert_eq!(spin_ns(50_000), 6_250);
    }
}
