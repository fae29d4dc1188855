//! How the kernel schedules the threads of slots.

/// Time slice that a slot requests, nanoseconds; the shortest that the kernel grants. A thread with a short slice gets a CPU
/// soon after it wakes, even next to threads that are always runnable. Its share of the CPU does not change.
const SLICE_NS: u64 = 100_000;

/// Requests short time slices for the calling thread, so that a request whose slot is idle starts soon. Requires Linux 6.12;
/// older kernels ignore it. A scheduling policy set by the operator is kept.
pub fn request_short_slices() {
    #[cfg(target_os = "linux")]
    if let Some(mut attributes) = linux::attributes()
        && attributes.sched_policy == libc::SCHED_OTHER as u32
    {
        attributes.sched_runtime = SLICE_NS;
        linux::set(&attributes);
    }
}

/// Requests the shortest timer slack for the calling thread, so that it wakes at the end of a sleep, not up to 50 us later.
pub fn request_exact_wakeups() {
    const SLACK_NS: libc::c_ulong = 1;
    #[cfg(target_os = "linux")]
    // SAFETY: PR_SET_TIMERSLACK takes one number, and changes this thread only.
    unsafe {
        libc::prctl(libc::PR_SET_TIMERSLACK, SLACK_NS)
    };
}

#[cfg(target_os = "linux")]
mod linux {
    const THIS_THREAD: libc::c_long = 0;
    const NO_FLAGS: libc::c_long = 0;

    pub fn attributes() -> Option<libc::sched_attr> {
        // SAFETY: all fields are integers, and zero is a valid integer.
        let mut attributes: libc::sched_attr = unsafe { std::mem::zeroed() };
        let size = size_of::<libc::sched_attr>();
        // SAFETY: zero is the calling thread; the kernel writes at most `size` bytes, which the attributes have.
        let result = unsafe {
            libc::syscall(
                libc::SYS_sched_getattr,
                THIS_THREAD,
                &raw mut attributes,
                size,
                NO_FLAGS,
            )
        };
        (result == 0).then_some(attributes)
    }

    /// Sets the attributes. If the kernel refuses, nothing changes.
    pub fn set(attributes: &libc::sched_attr) {
        // SAFETY: zero is the calling thread; the kernel reads the bytes that the attributes' own size says.
        unsafe {
            libc::syscall(
                libc::SYS_sched_setattr,
                THIS_THREAD,
                std::ptr::from_ref(attributes),
                NO_FLAGS,
            )
        };
    }

    #[cfg(test)]
    mod tests {
        use super::super::*;
        use super::*;

        /// Fails if a slot is of a class that waits for the next tick (SCHED_BATCH), or gets another share of the CPU.
        #[test]
        fn a_slot_keeps_class_and_share_and_requests_short_slices() {
            let before = attributes().unwrap();
            request_short_slices();
            let after = attributes().unwrap();
            assert_eq!(after.sched_policy, libc::SCHED_OTHER as u32);
            assert_eq!(after.sched_nice, before.sched_nice);
            // A kernel without custom slices reports 0 before and after.
            let expected = if before.sched_runtime == 0 { 0 } else { SLICE_NS };
            assert_eq!(after.sched_runtime, expected);
        }

        #[test]
        fn a_policy_of_the_operator_is_kept() {
            let parameters = libc::sched_param { sched_priority: 0 };
            // SAFETY: zero is the calling thread, and the parameters are on this stack frame.
            unsafe { libc::sched_setscheduler(0, libc::SCHED_BATCH, &raw const parameters) };
            request_short_slices();
            assert_eq!(attributes().unwrap().sched_policy, libc::SCHED_BATCH as u32);
        }
    }
}
