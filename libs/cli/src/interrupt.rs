//! Ctrl-C and SIGTERM as a flag: the first asks for a clean stop, the second ends the process at once.

use std::sync::atomic::{AtomicBool, Ordering};

static STOP: AtomicBool = AtomicBool::new(false);

extern "C" fn on_signal(_signal: libc::c_int) {
    // Storing to an atomic is all that a signal handler may safely do here.
    STOP.store(true, Ordering::Relaxed);
}

/// Turns the next SIGINT or SIGTERM into the flag that is returned. After it, the signal has its ordinary effect again.
pub fn stop_flag() -> &'static AtomicBool {
    for signal in [libc::SIGINT, libc::SIGTERM] {
        // SAFETY: the action is zeroed, which is valid, then filled; the handler only stores to an atomic.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = on_signal as *const () as libc::sighandler_t;
            action.sa_flags = libc::SA_RESETHAND;
            libc::sigaction(signal, &action, std::ptr::null_mut());
        }
    }
    &STOP
}
