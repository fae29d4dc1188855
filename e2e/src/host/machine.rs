//! [`in_machine`]: a network that has only the interfaces of a test. Needs root.

use std::ffi::CStr;
use std::io;
use std::process::Command;

use anyhow::{Context, anyhow, ensure};

const ROOT: &CStr = c"/";
const SYSFS: &CStr = c"sysfs";
const SYS: &CStr = c"/sys";

/// Runs `work` on a thread that has its own network namespace, and the /sys of this namespace. Threads and processes that
/// `work` starts are in it, too. Its only interface is loopback.
pub fn in_machine<T: Send>(work: impl FnOnce() -> anyhow::Result<T> + Send) -> anyhow::Result<T> {
    let inside = || {
        enter().context("cannot make a network namespace (this needs root)")?;
        ip("link set lo up")?;
        work()
    };
    std::thread::scope(|scope| scope.spawn(inside).join())
        .map_err(|_| anyhow!("the thread in the machine panicked"))?
}

/// Moves this thread into a new namespace. The thread ends after its work, so it need not return.
fn enter() -> io::Result<()> {
    // SAFETY: system calls with constant strings, on this thread's own namespaces.
    unsafe {
        done(libc::unshare(libc::CLONE_NEWNET | libc::CLONE_NEWNS))?;
        // Other processes do not see these mounts.
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

/// Runs `ip` in this thread's network namespace.
pub fn ip(arguments: &str) -> anyhow::Result<()> {
    let done = Command::new("ip")
        .args(arguments.split(' '))
        .output()
        .context("cannot start ip; install iproute2")?;
    let message = String::from_utf8_lossy(&done.stderr);
    ensure!(
        done.status.success(),
        "ip {arguments}: {} (this needs root)",
        message.trim()
    );
    Ok(())
}
