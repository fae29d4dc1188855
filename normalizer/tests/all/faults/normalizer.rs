//! The binary as a process that is started several times in the same folder.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::Value;

/// Maximum time for an expected event.
pub const PATIENCE: Duration = Duration::from_secs(180);
/// Maximum time for a shutdown, which writes all acknowledged rows.
const PATIENCE_AT_THE_END: Duration = Duration::from_secs(300);
/// Id of the normalizer's own run in all tests.
pub const RUN: &str = "mine";

/// The settings of a start.
#[derive(Clone)]
pub struct Launch {
    pub folder: PathBuf,
    flags: Vec<[String; 2]>,
    variables: Vec<(String, String)>,
}

/// A running normalizer. It is killed when this is dropped.
pub struct Normalizer {
    child: Child,
    addresses: Value,
    log: Option<JoinHandle<String>>,
}

/// The result of a process that has ended.
#[derive(Debug)]
pub struct Ended {
    pub status: ExitStatus,
    /// All text of its standard error.
    pub log: String,
}

impl Ended {
    /// Whether a signal of the test ended the process. False if the process ended by itself.
    pub fn was_told_to_end(&self) -> bool {
        self.status.success() || self.status.signal() == Some(libc::SIGKILL)
    }
}

impl Launch {
    /// Settings with a short join window, small segments and free ports. Duplicates are found during the whole test.
    pub fn in_folder(folder: &Path) -> Self {
        let launch = Self {
            folder: folder.to_owned(),
            flags: Vec::new(),
            variables: Vec::new(),
        };
        launch
            .flag("--out-dir", &folder.display().to_string())
            .flag("--run-id", RUN)
            .flag("--join-window", "300ms")
            .flag("--dedup-window", "1h")
            .flag("--segment-bytes", "64KiB")
            .flag("--grpc-listen", "127.0.0.1:0")
            .flag("--http-listen", "127.0.0.1:0")
            .flag("--admin-listen", "127.0.0.1:0")
    }

    /// Sets a flag, or replaces its value.
    #[must_use]
    pub fn flag(mut self, name: &str, value: &str) -> Self {
        self.flags.retain(|[known, _]| known != name);
        self.flags.push([name.to_owned(), value.to_owned()]);
        self
    }

    #[must_use]
    pub fn variables(mut self, variables: Vec<(String, String)>) -> Self {
        self.variables.extend(variables);
        self
    }

    /// Starts the process and waits for its addresses. Returns `Err` if the process ends before.
    pub fn start(&self) -> Result<Normalizer, Ended> {
        self.start_with_stderr(Stdio::piped())
    }

    /// Like [`Launch::start`], with another standard error. It is read only if it is a pipe.
    pub fn start_with_stderr(&self, stderr: Stdio) -> Result<Normalizer, Ended> {
        let mut child = Command::new(env!("CARGO_BIN_EXE_cctf-normalizer"))
            .env_clear()
            .envs(self.variables.iter().cloned())
            .args(self.flags.as_flattened())
            .stdout(Stdio::piped())
            .stderr(stderr)
            .spawn()
            .unwrap();
        let stderr = child.stderr.take();
        let log = thread::spawn(move || {
            let mut log = String::new();
            if let Some(mut stderr) = stderr {
                let _ = stderr.read_to_string(&mut log);
            }
            log
        });
        let mut line = String::new();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        stdout.read_line(&mut line).unwrap();
        let addresses = serde_json::from_str(&line).unwrap_or(Value::Null);
        let normalizer = Normalizer {
            child,
            addresses,
            log: Some(log),
        };
        match normalizer.addresses {
            Value::Null => Err(normalizer.ended()),
            _ => Ok(normalizer),
        }
    }
}

impl Normalizer {
    pub fn address(&self, of: &str) -> SocketAddr {
        let url = self.addresses[of].as_str().unwrap();
        url.strip_prefix("http://").unwrap().parse().unwrap()
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn signal(&self, signal: libc::c_int) {
        let id = libc::pid_t::try_from(self.id()).unwrap();
        // SAFETY: kill only sends a signal to a child that has not been waited for.
        assert_eq!(unsafe { libc::kill(id, signal) }, 0);
    }

    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Sends a signal and waits for the end.
    pub fn end(self, signal: libc::c_int) -> Ended {
        self.signal(signal);
        self.ended()
    }

    /// Shuts it down gracefully.
    pub fn stop(self) -> Ended {
        let ended = self.end(libc::SIGTERM);
        assert!(ended.status.success(), "{ended:?}");
        ended
    }

    /// Waits for its end.
    pub fn ended(mut self) -> Ended {
        let deadline = Instant::now() + PATIENCE_AT_THE_END;
        while self.is_running() {
            assert!(Instant::now() < deadline, "it does not end");
            thread::sleep(Duration::from_millis(2));
        }
        Ended {
            status: self.child.wait().unwrap(),
            log: self.log.take().unwrap().join().unwrap(),
        }
    }

    /// Peak memory, bytes.
    pub fn memory_peak(&self) -> u64 {
        self.status_number("VmHWM:") * 1024
    }

    fn status_number(&self, name: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    /// Number of open files and sockets.
    pub fn open_files(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.id())).unwrap().count()
    }
}

impl Drop for Normalizer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Number of detected duplicates.
pub fn duplicates(folder: &Path) -> u64 {
    let text = fs::read_to_string(folder.join(RUN).join("cctf/run_meta.json")).unwrap();
    let run_meta: Value = serde_json::from_str(&text).unwrap();
    let counts = &run_meta["counts"];
    // A duplicate of a point that is older than the remembered times of its series counts as out of order.
    let too_late = counts["rejected"]["out_of_order"].as_u64().unwrap_or(0);
    counts["duplicates"].as_u64().unwrap() + too_late
}

/// Calls `is_so` until it returns true.
pub fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        thread::sleep(Duration::from_millis(5));
    }
}
