//! Ctrl-C and SIGTERM as a flag. The first signal requests a clean stop; the second one kills the process.

use std::sync::atomic::{AtomicBool, Ordering};

static STOP: AtomicBool = AtomicBool::new(false);

extern "C" fn on_signal(_signal: libc::c_int) {
    // Storing to an atomic is one of the few operations that are safe in a signal handler.
    STOP.store(true, Ordering::Relaxed);
}

/// Makes the next SIGINT or SIGTERM set the returned flag. Later signals have their default effect.
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
