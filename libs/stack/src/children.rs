//! One child process: started, watched, stopped by SIGTERM, and never left behind.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::tiers::namespace::NetworkError;
use cctf_load::target::Target;

/// How long a child of ours may take.
const PATIENCE: Patience = Patience {
    start: Duration::from_secs(20),
    stop: Duration::from_secs(30),
};
/// How long a child that is given up may take to end after SIGTERM, before SIGKILL.
const GIVE_UP_TIMEOUT: Duration = Duration::from_secs(3);
/// Pause between two looks at a child.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Limit of one readiness probe.
const PROBE_TIMEOUT: Duration = Duration::from_secs(1);
/// How much of a child's standard error is shown when it fails.
const SHOWN_LINES: usize = 15;
const SHOWN_BYTES: u64 = 64 * 1024;

/// Why a child is of no use.
#[derive(Debug, thiserror::Error)]
pub enum ChildError {
    /// Its binary is not there.
    #[error(
        "cannot find {name} in {folder}: build it with `cargo build --release --workspace`, or name its folder with --bin-dir"
    )]
    Missing {
        /// Name of the binary.
        name: String,
        /// Where it was looked for.
        folder: PathBuf,
    },
    /// The Collector is not there.
    #[error(
        "cannot find the OpenTelemetry Collector at {0}: build it with `make collector`, or name another binary"
    )]
    NoCollector(PathBuf),
    /// toxiproxy could not be started.
    #[error(
        "cannot start toxiproxy as {}: {source}; `make toxiproxy` builds it, --toxiproxy names another",
        program.display()
    )]
    NoToxiproxy {
        /// What was started.
        program: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// There is no network for it.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// It could not be started.
    #[error("cannot start {name}: {source}")]
    Start {
        /// The child.
        name: String,
        /// Why.
        source: io::Error,
    },
    /// It has ended by itself.
    #[error("{name} has ended by itself ({how}){tail}")]
    Ended {
        /// The child.
        name: String,
        /// Exit code or signal.
        how: String,
        /// The end of its standard error, on lines of its own.
        tail: String,
    },
    /// It runs but does not do what it should.
    #[error("{name} {what}{tail}")]
    Unresponsive {
        /// The child.
        name: String,
        /// What it does not do.
        what: String,
        /// The end of its standard error, on lines of its own.
        tail: String,
    },
    /// The user does not want to wait any longer.
    #[error("interrupted")]
    Interrupted,
}

/// How long a child may take to announce its ports and then to be ready, and to end after SIGTERM.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// To announce its ports, and then again to be ready.
    pub start: Duration,
    /// To end.
    pub stop: Duration,
}

/// A running child.
#[derive(Debug)]
pub struct Child {
    name: String,
    patience: Patience,
    process: std::process::Child,
    stderr_path: PathBuf,
    first_line: Receiver<String>,
    ended: Option<ExitStatus>,
}

impl Child {
    /// Starts `command` under `name`; its standard error goes to a file in `scratch`, which is also its working directory.
    ///
    /// It gets a process group of its own, so that a Ctrl-C of the terminal reaches only this process, and a SIGTERM
    /// from the kernel should this process die. That one is tied to the calling thread, which must live on.
    pub fn start(name: &str, mut command: Command, scratch: &Path) -> Result<Self, ChildError> {
        let failed = |source| ChildError::Start {
            name: name.to_owned(),
            source,
        };
        let stderr_path = scratch.join(format!("{name}.stderr"));
        let stderr = File::create(&stderr_path).map_err(failed)?;
        command
            .current_dir(scratch)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(stderr)
            .process_group(0);
        let parent = std::process::id();
        // SAFETY: between fork and exec only async-signal-safe calls are made: prctl, getppid.
        unsafe {
            command.pre_exec(move || {
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM);
                match u32::try_from(libc::getppid()) {
                    Ok(now) if now == parent => Ok(()),
                    _ => Err(io::Error::other("the parent has died")),
                }
            });
        }
        let mut process = command.spawn().map_err(failed)?;
        let stdout = process.stdout.take();
        let (to_us, first_line) = channel();
        std::thread::spawn(move || {
            for line in stdout
                .into_iter()
                .flat_map(|stdout| BufReader::new(stdout).lines())
                .map_while(Result::ok)
            {
                // Only the first line is waited for; the others are read so that the child never blocks.
                let _ = to_us.send(line);
            }
        });
        Ok(Self {
            name: name.to_owned(),
            patience: PATIENCE,
            process,
            stderr_path,
            first_line,
            ended: None,
        })
    }

    /// The child, with another patience.
    pub fn with_patience(mut self, patience: Patience) -> Self {
        self.patience = patience;
        self
    }

    /// Waits for the line of JSON in which the child tells its ports.
    pub fn announcement(&mut self, stop: &AtomicBool) -> Result<Value, ChildError> {
        let deadline = Instant::now() + self.patience.start;
        loop {
            match self.first_line.recv_timeout(LOOK_EVERY) {
                Ok(line) => {
                    let parsed = serde_json::from_str(&line);
                    return parsed
                        .map_err(|_| self.unresponsive(format!("announced {line:?} instead of its ports")));
                }
                Err(RecvTimeoutError::Timeout) if Instant::now() < deadline => self.check(stop)?,
                Err(RecvTimeoutError::Timeout) => {
                    return Err(self.unresponsive("did not tell its ports in time"));
                }
                Err(RecvTimeoutError::Disconnected) => {
                    self.wait_at_most(PROBE_TIMEOUT);
                    self.check(stop)?;
                    return Err(self.unresponsive("closed its standard output without telling its ports"));
                }
            }
        }
    }

    /// Waits until the child answers `path` with 200.
    pub fn ready(&mut self, admin: &Target, path: &str, stop: &AtomicBool) -> Result<(), ChildError> {
        let deadline = Instant::now() + self.patience.start;
        loop {
            let answer = http_once::get(&admin.host, admin.port, path, PROBE_TIMEOUT);
            if answer.as_ref().is_ok_and(|answer| answer.status == 200) {
                return Ok(());
            }
            self.check(stop)?;
            if Instant::now() >= deadline {
                let last = answer.map_or_else(|error| error.to_string(), |answer| answer.status.to_string());
                return Err(self.unresponsive(format!("is not ready in time: {admin}{path}: {last}")));
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// An error if the child has ended, or if the user has interrupted.
    pub fn check(&mut self, stop: &AtomicBool) -> Result<(), ChildError> {
        self.check_alive()?;
        if stop.load(Ordering::Relaxed) {
            Err(ChildError::Interrupted)
        } else {
            Ok(())
        }
    }

    /// An error if the child has ended.
    pub fn check_alive(&mut self) -> Result<(), ChildError> {
        match self.poll_end() {
            None => Ok(()),
            Some(status) => Err(self.ended(status)),
        }
    }

    /// Asks the child to end and waits for it. Anything but exit code 0 is an error.
    pub fn stop(&mut self) -> Result<(), ChildError> {
        self.check_alive()?;
        self.signal(libc::SIGTERM);
        match self.wait_at_most(self.patience.stop) {
            Some(status) if status.success() => Ok(()),
            Some(status) => Err(self.ended(status)),
            None => Err(self.unresponsive(format!(
                "did not end within {} s of SIGTERM",
                self.patience.stop.as_secs()
            ))),
        }
    }

    /// An error that tells what the child does not do, with the end of its standard error.
    pub fn unresponsive(&self, what: impl Into<String>) -> ChildError {
        ChildError::Unresponsive {
            name: self.name.clone(),
            what: what.into(),
            tail: self.stderr_tail(),
        }
    }

    fn ended(&self, status: ExitStatus) -> ChildError {
        let how = match (status.code(), status.signal()) {
            (Some(code), _) => format!("exit code {code}"),
            (None, signal) => format!("signal {}", signal.unwrap_or(0)),
        };
        ChildError::Ended {
            name: self.name.clone(),
            how,
            tail: self.stderr_tail(),
        }
    }

    fn poll_end(&mut self) -> Option<ExitStatus> {
        if self.ended.is_none() {
            // An error means that there is no such child any more, which cannot be while we have not waited for it.
            self.ended = self.process.try_wait().ok().flatten();
        }
        self.ended
    }

    fn wait_at_most(&mut self, timeout: Duration) -> Option<ExitStatus> {
        let deadline = Instant::now() + timeout;
        while self.poll_end().is_none() && Instant::now() < deadline {
            std::thread::sleep(LOOK_EVERY);
        }
        self.ended
    }

    fn signal(&self, signal: libc::c_int) {
        if let Ok(pid) = libc::pid_t::try_from(self.process.id()) {
            // SAFETY: plain system call; the process is ours and not waited for yet, so the id is still its own.
            unsafe { libc::kill(pid, signal) };
        }
    }

    /// Ends the child and all that it has started.
    fn kill_group(&self) {
        if let Ok(pid) = libc::pid_t::try_from(self.process.id()) {
            // SAFETY: plain system call; the group is the child's own since its start, and the child is not waited for yet.
            unsafe { libc::kill(-pid, libc::SIGKILL) };
        }
    }

    fn stderr_tail(&self) -> String {
        let text = read_end(&self.stderr_path).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        if lines.is_empty() {
            return String::new();
        }
        let shown = lines[lines.len().saturating_sub(SHOWN_LINES)..].join("\n  ");
        format!("; its last words:\n  {shown}")
    }
}

fn read_end(path: &Path) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    let len_bytes = file.metadata()?.len();
    file.seek(SeekFrom::Start(len_bytes.saturating_sub(SHOWN_BYTES)))?;
    let mut text = Vec::new();
    file.take(SHOWN_BYTES).read_to_end(&mut text)?;
    Ok(text)
}

impl Drop for Child {
    fn drop(&mut self) {
        if self.poll_end().is_some() {
            return;
        }
        self.signal(libc::SIGTERM);
        if self.wait_at_most(GIVE_UP_TIMEOUT).is_none() {
            self.kill_group();
            // After SIGKILL the wait is short.
            let _ = self.process.wait();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static GO_ON: AtomicBool = AtomicBool::new(false);

    fn shell(script: &str, scratch: &Path) -> Child {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        Child::start("child", command, scratch).unwrap()
    }

    #[test]
    fn a_child_tells_its_ports_and_stops_when_asked() {
        let scratch = tempfile::tempdir().unwrap();
        let script =
            r#"trap 'exit 0' TERM; echo '{"admin":"http://127.0.0.1:1"}'; while :; do sleep 0.01; done"#;
        let mut child = shell(script, scratch.path());
        assert_eq!(child.announcement(&GO_ON).unwrap()["admin"], "http://127.0.0.1:1");
        child.stop().unwrap();
    }

    #[test]
    fn a_child_that_dies_is_told_with_its_last_words() {
        let scratch = tempfile::tempdir().unwrap();
        let mut child = shell("echo 'port 4317 is in use' >&2; exit 3", scratch.path());
        let error = child.announcement(&GO_ON).unwrap_err().to_string();
        assert!(
            error.contains("exit code 3") && error.contains("port 4317 is in use"),
            "{error}"
        );
    }

    #[test]
    fn a_dropped_child_is_gone() {
        let scratch = tempfile::tempdir().unwrap();
        let child = shell("exec sleep 1000", scratch.path());
        let pid = child.process.id();
        drop(child);
        assert!(!Path::new(&format!("/proc/{pid}")).exists());
    }

    /// Seen to fail with the child alone killed.
    #[test]
    fn a_dropped_child_that_does_not_end_takes_along_what_it_started() {
        let scratch = tempfile::tempdir().unwrap();
        let mut child = shell("trap '' TERM; sleep 1000 & echo $!; wait", scratch.path());
        let started = child.announcement(&GO_ON).unwrap();
        drop(child);
        // Until somebody waits for it, one that is dead has still a line there.
        let is_dead = || {
            let stat = std::fs::read_to_string(format!("/proc/{started}/stat")).unwrap_or_default();
            stat.is_empty() || stat.contains(") Z ") || stat.contains(") X ")
        };
        let deadline = Instant::now() + Duration::from_secs(180);
        while !is_dead() {
            assert!(Instant::now() < deadline, "{started} goes on");
            std::thread::sleep(LOOK_EVERY);
        }
    }

    #[test]
    fn an_interrupt_ends_the_wait_for_a_silent_child() {
        let scratch = tempfile::tempdir().unwrap();
        let mut child = shell("exec sleep 1000", scratch.path());
        assert!(matches!(
            child.announcement(&AtomicBool::new(true)),
            Err(ChildError::Interrupted)
        ));
    }
}
