//! [`in_machine`]: a machine whose network holds nothing but what a test puts there. Needs root.

use std::ffi::CStr;
use std::io;
use std::process::Command;

use anyhow::{Context, anyhow, ensure};

const ROOT: &CStr = c"/";
const SYSFS: &CStr = c"sysfs";
const SYS: &CStr = c"/sys";

/// Runs `work` on a thread in a network namespace of its own, with the /sys that belongs to it. So do all threads and processes that
/// `work` starts. Only loopback is there.
///
/// # Errors
/// If this process is not root, or `work` panics.
pub fn in_machine<T: Send>(work: impl FnOnce() -> anyhow::Result<T> + Send) -> anyhow::Result<T> {
    let inside = || {
        enter().context("cannot make a network namespace (this needs root)")?;
        ip("link set lo up")?;
        work()
    };
    std::thread::scope(|scope| scope.spawn(inside).join())
        .map_err(|_| anyhow!("the thread in the machine panicked"))?
}

/// Moves this thread, which ends with its work.
fn enter() -> io::Result<()> {
    // SAFETY: system calls with constant strings, on this thread's own namespaces.
    unsafe {
        done(libc::unshare(libc::CLONE_NEWNET | libc::CLONE_NEWNS))?;
        // What is mounted here is seen by nobody else.
        let private = libc::MS_REC | libc::MS_SLAVE;
        let nothing = std::ptr::null();
        done(libc::mount(
            nothing,
            ROOT.as_ptr(),
            nothing,
            private,
            nothing.cast(),
        ))?;
        done(libc::mount(
            SYSFS.as_ptr(),
            SYS.as_ptr(),
            SYSFS.as_ptr(),
            0,
            nothing.cast(),
        ))
    }
}

fn done(returned: libc::c_int) -> io::Result<()> {
    match returned {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Runs `ip` where this thread is.
///
/// # Errors
/// With what it says.
pub fn ip(arguments: &str) -> anyhow::Result<()> {
    let done = Command::new("ip")
        .args(arguments.split(' '))
        .output()
        .context("cannot start ip, which iproute2 has")?;
    let told = String::from_utf8_lossy(&done.stderr);
    ensure!(
        done.status.success(),
        "ip {arguments}: {} (this needs root)",
        told.trim()
    );
    Ok(())
}
