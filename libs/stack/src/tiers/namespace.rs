//! [`Namespace`]: a network namespace without a name. It lives as long as somebody holds it, so whatever ends a process, nothing of
//! it is left behind, and two of them cannot meet.

use std::ffi::CStr;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::sync::Arc;

/// The namespace of the thread that opens it.
const OF_THIS_THREAD: &str = "/proc/thread-self/ns/net";
const ROOT: &CStr = c"/";
const SYSFS: &CStr = c"sysfs";
const SYS: &CStr = c"/sys";
const CGROUP: &CStr = c"/sys/fs/cgroup";
const EMPTY: &CStr = c"";
/// `OPEN_TREE_CLONE` and `MOVE_MOUNT_F_EMPTY_PATH` of linux/mount.h.
const OPEN_TREE_CLONE: libc::c_int = 1;
const MOVE_MOUNT_F_EMPTY_PATH: libc::c_int = 4;

/// Why a network is not there.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// Only root may.
    #[error(
        "network namespaces take root: run it as root, such as `sudo make real-chain NETNS=1`, or leave them out"
    )]
    NotRoot,
    /// The kernel does not want to.
    #[error("cannot {0} a network namespace: {1}")]
    Namespace(&'static str, io::Error),
    /// A tool is not there.
    #[error("cannot start {0}: {1}; it comes with iproute2 (apt-get install iproute2)")]
    NoTool(&'static str, io::Error),
    /// A tool does not do it.
    #[error("{0} failed: {1}")]
    Tool(String, String),
}

/// A network namespace.
#[derive(Debug, Clone)]
pub struct Namespace {
    file: Arc<File>,
}

impl Namespace {
    /// A new one with a loopback interface that is up.
    ///
    /// # Errors
    /// If this process is not root, or the kernel has no namespaces.
    pub fn new() -> Result<Self, NetworkError> {
        // SAFETY: plain system call.
        if unsafe { libc::geteuid() } != 0 {
            return Err(NetworkError::NotRoot);
        }
        // Made by a thread of its own, which ends, so that nobody else is moved.
        let made = std::thread::spawn(|| {
            // SAFETY: plain system call on this thread's own namespaces.
            match unsafe { libc::unshare(libc::CLONE_NEWNET) } {
                0 => File::open(OF_THIS_THREAD),
                _ => Err(io::Error::last_os_error()),
            }
        });
        let file = made
            .join()
            .unwrap_or_else(|_| Err(io::Error::other("its thread panicked")))
            .map_err(|error| NetworkError::Namespace("make", error))?;
        let namespace = Self { file: Arc::new(file) };
        namespace.ip("link set lo up")?;
        Ok(namespace)
    }

    /// Where other processes find it as long as this one holds it.
    pub fn path(&self) -> String {
        format!("/proc/{}/fd/{}", std::process::id(), self.file.as_raw_fd())
    }

    /// Moves the calling thread, and the threads and processes that it starts from now on.
    ///
    /// # Errors
    /// If the kernel refuses.
    pub fn enter(&self) -> Result<(), NetworkError> {
        set(&self.file).map_err(|error| NetworkError::Namespace("enter", error))
    }

    /// Has `command` run in it and see its interfaces in /sys, too, from which their counters are read.
    pub fn host(&self, command: &mut Command) {
        let file = Arc::clone(&self.file);
        // SAFETY: between fork and exec only system calls are made.
        unsafe {
            command.pre_exec(move || {
                set(&file)?;
                show_in_sys()
            });
        }
    }

    /// Runs lines of `ip`.
    ///
    /// # Errors
    /// With what `ip` says.
    pub fn ip(&self, lines: &str) -> Result<(), NetworkError> {
        self.run("ip", &["-batch", "-"], lines)
    }

    /// Runs `tc` with such words.
    ///
    /// # Errors
    /// With what `tc` says.
    pub fn tc(&self, words: &str) -> Result<(), NetworkError> {
        self.run("tc", &words.split(' ').collect::<Vec<_>>(), "")
    }

    fn run(&self, tool: &'static str, args: &[&str], input: &str) -> Result<(), NetworkError> {
        let missing = |error| NetworkError::NoTool(tool, error);
        let mut command = Command::new(tool);
        command
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let file = Arc::clone(&self.file);
        // SAFETY: between fork and exec only a system call is made.
        unsafe { command.pre_exec(move || set(&file)) };
        let mut child = command.spawn().map_err(missing)?;
        if let Some(mut stdin) = child.stdin.take() {
            // One that does not read what it is told says why itself.
            let _ = stdin.write_all(input.as_bytes());
        }
        let output = child.wait_with_output().map_err(missing)?;
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        let told = if input.is_empty() {
            args.join(" ")
        } else {
            input.trim().to_owned()
        };
        Err(NetworkError::Tool(format!("{tool} {told}"), said))
    }
}

/// Moves the calling thread.
fn set(file: &File) -> io::Result<()> {
    // SAFETY: the descriptor is open.
    done(unsafe { libc::setns(file.as_raw_fd(), libc::CLONE_NEWNET) })
}

/// A view of /sys of its own for this process, whose interfaces are those of its namespace. Its control groups, which tell the
/// limits of a container, stay where they are.
fn show_in_sys() -> io::Result<()> {
    // SAFETY: system calls with constant strings, and descriptors that were just opened.
    unsafe {
        done(libc::unshare(libc::CLONE_NEWNS))?;
        // What is mounted here is seen by nobody else.
        let private = libc::MS_REC | libc::MS_SLAVE;
        done(libc::mount(
            EMPTY.as_ptr(),
            ROOT.as_ptr(),
            std::ptr::null(),
            private,
            std::ptr::null(),
        ))?;
        let groups = libc::syscall(
            libc::SYS_open_tree,
            libc::AT_FDCWD,
            CGROUP.as_ptr(),
            OPEN_TREE_CLONE | libc::AT_RECURSIVE | libc::O_CLOEXEC,
        );
        done(libc::mount(
            SYSFS.as_ptr(),
            SYS.as_ptr(),
            SYSFS.as_ptr(),
            0,
            std::ptr::null(),
        ))?;
        // A machine without control groups has none to keep.
        if groups >= 0 {
            libc::syscall(
                libc::SYS_move_mount,
                groups,
                EMPTY.as_ptr(),
                libc::AT_FDCWD,
                CGROUP.as_ptr(),
                MOVE_MOUNT_F_EMPTY_PATH,
            );
        }
    }
    Ok(())
}

fn done(returned: libc::c_int) -> io::Result<()> {
    match returned {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
