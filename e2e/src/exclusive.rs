//! The lock for tests that must not run at the same time as others. Without it, the tests of a binary run in parallel.
//!
//! A test takes the lock for one of these reasons:
//! - Its bounds hold only if no other test uses the CPU. The main case is a run of which each row waits only some seconds for
//!   its caller: on a slow machine, it becomes an orphan.
//! - It changes the machine for others: containers, network interfaces, fixed ports.

use std::sync::{Mutex, MutexGuard, PoisonError};

static MACHINE: Mutex<()> = Mutex::new(());

/// Waits for the lock. A test that fails while it has the lock does not prevent others from taking it.
///
/// [`crate::binaries::short_run`] takes the lock itself. A caller that already has it would wait forever.
pub fn machine() -> MutexGuard<'static, ()> {
    MACHINE.lock().unwrap_or_else(PoisonError::into_inner)
}
