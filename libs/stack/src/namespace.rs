//! A network namespace without a name. It exists as long as a process uses it. So a crash leaves nothing behind, and two runs
//! never use the same namespace.

use std::ffi::CStr;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::sync::Arc;

/// The namespace of the thread that opens this file.
const THREAD_NAMESPACE: &str = "/proc/thread-self/ns/net";
const ROOT: &CStr = c"/";
const SYSFS: &CStr = c"sysfs";
const SYS: &CStr = c"/sys";
const CGROUP: &CStr = c"/sys/fs/cgroup";
const EMPTY: &CStr = c"";
/// `OPEN_TREE_CLONE` and `MOVE_MOUNT_F_EMPTY_PATH` of linux/mount.h.
const OPEN_TREE_CLONE: libc::c_int = 1;
const MOVE_MOUNT_F_EMPTY_PATH: libc::c_int = 4;

/// A network that cannot be created.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    #[error(
        "cannot create network namespaces: only root may; run as root, such as `sudo make real-chain NETNS=1`, or omit --netns"
    )]
    NotRoot,
    #[error("cannot {0} a network namespace: {1}")]
    Namespace(&'static str, io::Error),
    #[error("cannot start {0}: {1}; it comes with iproute2 (apt-get install iproute2)")]
    NoTool(&'static str, io::Error),
    #[error("{0} failed: {1}")]
    Tool(String, String),
}

#[derive(Debug, Clone)]
pub struct Namespace {
    file: Arc<File>,
}

impl Namespace {
    /// Creates a namespace whose loopback interface is up.
    ///
    /// # Errors
    /// If this process is not root, or if the kernel does not support namespaces.
    pub fn new() -> Result<Self, NetworkError> {
        // SAFETY: plain system call.
        if unsafe { libc::geteuid() } != 0 {
            return Err(NetworkError::NotRoot);
        }
        // unshare affects the calling thread. So a separate thread calls it, and then ends.
        let thread = std::thread::spawn(|| {
            // SAFETY: plain system call on this thread's own namespaces.
            match unsafe { libc::unshare(libc::CLONE_NEWNET) } {
                0 => File::open(THREAD_NAMESPACE),
                _ => Err(io::Error::last_os_error()),
            }
        });
        let file = thread
            .join()
            .unwrap_or_else(|_| Err(io::Error::other("its thread panicked")))
            .map_err(|error| NetworkError::Namespace("create", error))?;
        let namespace = Self { file: Arc::new(file) };
        namespace.ip("link set lo up")?;
        Ok(namespace)
    }

    /// Path by which other processes can open the namespace while this process holds it open.
    pub fn path(&self) -> String {
        format!("/proc/{}/fd/{}", std::process::id(), self.file.as_raw_fd())
    }

    /// Moves the calling thread into this namespace. Threads and processes that it starts later are in the namespace, too.
    ///
    /// # Errors
    /// If the kernel refuses.
    pub fn enter(&self) -> Result<(), NetworkError> {
        set(&self.file).map_err(|error| NetworkError::Namespace("enter", error))
    }

    /// Makes `command` run in this namespace. The command's /sys shows the interfaces of this namespace, because programs read
    /// the interfaces' counters there.
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

    /// Runs a batch of `ip` commands.
    ///
    /// # Errors
    /// If `ip` fails. The error contains its message.
    pub fn ip(&self, lines: &str) -> Result<(), NetworkError> {
        self.run("ip", &["-batch", "-"], lines)
    }

    /// Runs `tc` with arguments separated by spaces.
    ///
    /// # Errors
    /// If `tc` fails. The error contains its message.
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
            // If the tool does not read its input, its own error message follows.
            let _ = stdin.write_all(input.as_bytes());
        }
        let output = child.wait_with_output().map_err(missing)?;
        if output.status.success() {
            return Ok(());
        }
        let message = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        let arguments = if input.is_empty() {
            args.join(" ")
        } else {
            input.trim().to_owned()
        };
        Err(NetworkError::Tool(format!("{tool} {arguments}"), message))
    }
}

/// Moves the calling thread into a namespace.
fn set(file: &File) -> io::Result<()> {
    // SAFETY: the descriptor is open.
    check(unsafe { libc::setns(file.as_raw_fd(), libc::CLONE_NEWNET) })
}

/// Mounts a private /sys that shows the interfaces of this process's namespace. The control groups below it, which hold a
/// container's limits, remain visible.
fn show_in_sys() -> io::Result<()> {
    // SAFETY: system calls with constant strings, and descriptors that were just opened.
    unsafe {
        check(libc::unshare(libc::CLONE_NEWNS))?;
        // Other processes do not see these mounts.
        let private = libc::MS_REC | libc::MS_SLAVE;
        check(libc::mount(
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
        check(libc::mount(
            SYSFS.as_ptr(),
            SYS.as_ptr(),
            SYSFS.as_ptr(),
            0,
            std::ptr::null(),
        ))?;
        // Some machines have no control groups.
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

fn check(returned: libc::c_int) -> io::Result<()> {
    match returned {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
