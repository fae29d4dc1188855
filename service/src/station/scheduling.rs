//! How the kernel schedules a slot's thread.

/// CPU time that a slot asks the kernel for at a time, nanoseconds; the shortest that it grants. A thread that asks for little
/// gets a CPU soon after it wakes, also beside threads that always want one, and its share of the CPU stays the same.
const SLICE_NS: u64 = 100_000;

/// Asks for short turns on the CPU for the calling thread, so that a request that finds its slot free starts soon. Since Linux 6.12;
/// an older kernel ignores the request. A policy that the operator has chosen stays.
pub fn ask_for_short_turns() {
    #[cfg(target_os = "linux")]
    if let Some(mut attributes) = linux::attributes()
        && attributes.sched_policy == libc::SCHED_OTHER as u32
    {
        attributes.sched_runtime = SLICE_NS;
        linux::set(&attributes);
    }
}

#[cfg(target_os = "linux")]
mod linux {
    const THIS_THREAD: libc::c_long = 0;
    const NO_FLAGS: libc::c_long = 0;

    /// The attributes of the calling thread.
    pub fn attributes() -> Option<libc::sched_attr> {
        // SAFETY: all fields are integers, of which zero is a value.
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

    /// Sets them. Without the kernel's consent all stays as it is.
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
        fn a_slot_keeps_class_and_share_and_asks_for_short_turns() {
            let before = attributes().unwrap();
            ask_for_short_turns();
            let after = attributes().unwrap();
            assert_eq!(after.sched_policy, libc::SCHED_OTHER as u32);
            assert_eq!(after.sched_nice, before.sched_nice);
            // A kernel that knows no turns says zero before and after.
            let expected = if before.sched_runtime == 0 { 0 } else { SLICE_NS };
            assert_eq!(after.sched_runtime, expected);
        }

        #[test]
        fn a_policy_that_somebody_chose_stays() {
            let parameters = libc::sched_param { sched_priority: 0 };
            // SAFETY: zero is the calling thread, and the parameters are of this frame.
            unsafe { libc::sched_setscheduler(0, libc::SCHED_BATCH, &raw const parameters) };
            ask_for_short_turns();
            assert_eq!(attributes().unwrap().sched_policy, libc::SCHED_BATCH as u32);
        }
    }
}
