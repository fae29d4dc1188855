//! The lock of tests that need the machine to themselves: the tests of a binary run side by side.
//!
//! A test takes it for one of these reasons:
//! - Its bounds hold only if no other test takes the CPU. Above all, a row waits for its caller for one second in a short run, and a
//!   slower machine makes it an orphan.
//! - It changes what others see of the machine: containers, network interfaces, fixed ports.

use std::sync::{Mutex, MutexGuard, PoisonError};

static MACHINE: Mutex<()> = Mutex::new(());

/// Waits for the machine. A test that failed with it does not take it along.
///
/// [`crate::binaries::short_run`] takes the lock itself, so its callers must not hold it.
pub fn machine() -> MutexGuard<'static, ()> {
    MACHINE.lock().unwrap_or_else(PoisonError::into_inner)
}
