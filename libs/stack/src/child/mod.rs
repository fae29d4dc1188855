//! One child process: started, monitored, stopped by SIGTERM, and never left behind.

mod error;

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use cctf_load::plan::target::Target;
use serde_json::Value;

pub use error::ChildError;

/// The timeouts of this project's own programs.
const TIMEOUTS: Timeouts = Timeouts {
    start: Duration::from_secs(20),
    stop: Duration::from_secs(30),
};
/// Time between SIGTERM and SIGKILL for a child that is dropped while it runs.
const DROP_TIMEOUT: Duration = Duration::from_secs(3);
/// Interval between two checks of a child.
const CHECK_INTERVAL: Duration = Duration::from_millis(20);
/// Timeout of one readiness probe.
const PROBE_TIMEOUT: Duration = Duration::from_secs(1);
/// Maximum part of a failed child's standard error that an error message contains.
const SHOWN_LINES: usize = 15;
const SHOWN_BYTES: u64 = 64 * 1024;
/// Maximum length of a child's name in the name of its file. File systems accept 255 bytes.
const FILE_NAME_CHARACTERS_MAX: usize = 100;

/// Timeouts of one child.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// Maximum time for the child to announce its ports. The same time applies again until the child is ready.
    pub start: Duration,
    /// Maximum time between SIGTERM and the child's exit.
    pub stop: Duration,
}

#[derive(Debug)]
pub struct Child {
    name: String,
    timeouts: Timeouts,
    process: std::process::Child,
    stderr_path: PathBuf,
    first_line: Receiver<String>,
    ended: Option<ExitStatus>,
}

impl Child {
    /// Starts `command` in `scratch`, with its standard error in a file there.
    ///
    /// The child has its own process group, so a Ctrl-C in the terminal reaches only this process. If the calling thread
    /// ends, the kernel sends the child SIGTERM.
    pub fn start(name: &str, mut command: Command, scratch: &Path) -> Result<Self, ChildError> {
        let failed = |source| ChildError::Start {
            name: name.to_owned(),
            source,
        };
        let stderr_path = scratch.join(format!("{}.stderr", file_name(name)));
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
                    _ => Err(io::Error::other("the parent process has died")),
                }
            });
        }
        let mut process = command.spawn().map_err(failed)?;
        let stdout = process.stdout.take();
        let (sender, first_line) = channel();
        std::thread::spawn(move || {
            for line in stdout
                .into_iter()
                .flat_map(|stdout| BufReader::new(stdout).lines())
                .map_while(Result::ok)
            {
                // Only the first line is used. The others are read, too, so that the child never blocks on a full pipe.
                let _ = sender.send(line);
            }
        });
        Ok(Self {
            name: name.to_owned(),
            timeouts: TIMEOUTS,
            process,
            stderr_path,
            first_line,
            ended: None,
        })
    }

    pub fn with_timeouts(mut self, timeouts: Timeouts) -> Self {
        self.timeouts = timeouts;
        self
    }

    /// Waits for the line of JSON in which the child announces its ports.
    pub fn announcement(&mut self, stop: &AtomicBool) -> Result<Value, ChildError> {
        let deadline = Instant::now() + self.timeouts.start;
        loop {
            match self.first_line.recv_timeout(CHECK_INTERVAL) {
                Ok(line) => {
                    let parsed = serde_json::from_str(&line);
                    return parsed
                        .map_err(|_| self.unresponsive(format!("announced {line:?} instead of its ports")));
                }
                Err(RecvTimeoutError::Timeout) if Instant::now() < deadline => self.check(stop)?,
                Err(RecvTimeoutError::Timeout) => {
                    return Err(self.unresponsive("did not announce its ports in time"));
                }
                Err(RecvTimeoutError::Disconnected) => {
                    self.wait_at_most(PROBE_TIMEOUT);
                    self.check(stop)?;
                    return Err(self.unresponsive("closed its standard output without announcing its ports"));
                }
            }
        }
    }

    /// The URL in a field of the announcement.
    pub fn announced_url(&self, announcement: &Value, field: &str) -> Result<Target, ChildError> {
        let url = announcement.get(field).and_then(Value::as_str);
        url.and_then(|url| Target::parse(url).ok())
            .ok_or_else(|| self.unresponsive(format!("announced {announcement} without a valid {field:?}")))
    }

    /// Waits until the child answers `path` with status 200.
    pub fn ready(&mut self, admin: &Target, path: &str, stop: &AtomicBool) -> Result<(), ChildError> {
        let deadline = Instant::now() + self.timeouts.start;
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
            std::thread::sleep(CHECK_INTERVAL);
        }
    }

    /// Fails if the child has exited, or if the user has interrupted.
    pub fn check(&mut self, stop: &AtomicBool) -> Result<(), ChildError> {
        self.check_alive()?;
        if stop.load(Ordering::Relaxed) {
            Err(ChildError::Interrupted)
        } else {
            Ok(())
        }
    }

    /// Fails if the child has exited.
    pub fn check_alive(&mut self) -> Result<(), ChildError> {
        match self.poll_end() {
            None => Ok(()),
            Some(status) => Err(self.ended(status)),
        }
    }

    /// Stops the child by SIGTERM. Any exit code but 0 is an error.
    pub fn stop(&mut self) -> Result<(), ChildError> {
        self.check_alive()?;
        self.signal(libc::SIGTERM);
        match self.wait_at_most(self.timeouts.stop) {
            Some(status) if status.success() => Ok(()),
            Some(status) => Err(self.ended(status)),
            None => Err(self.unresponsive(format!(
                "did not exit within {} s after SIGTERM",
                self.timeouts.stop.as_secs()
            ))),
        }
    }

    /// An error that states what the child fails to do, with the end of its standard error.
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
            // An error is impossible, because the child exists until this process waits for it.
            self.ended = self.process.try_wait().ok().flatten();
        }
        self.ended
    }

    fn wait_at_most(&mut self, timeout: Duration) -> Option<ExitStatus> {
        let deadline = Instant::now() + timeout;
        while self.poll_end().is_none() && Instant::now() < deadline {
            std::thread::sleep(CHECK_INTERVAL);
        }
        self.ended
    }

    fn signal(&self, signal: libc::c_int) {
        if let Ok(pid) = libc::pid_t::try_from(self.process.id()) {
            // SAFETY: plain system call; the process is a child that nobody has waited for, so the id is still its own.
            unsafe { libc::kill(pid, signal) };
        }
    }

    /// Kills the child and everything that it has started.
    fn kill_group(&self) {
        if let Ok(pid) = libc::pid_t::try_from(self.process.id()) {
            // SAFETY: plain system call; the child has been the leader of its own group since its start, and nobody has waited
            // for it.
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
        format!("; the end of its standard error:\n  {shown}")
    }
}

/// A name that is valid as the beginning of a file name. Names of recorded modules can contain any characters.
fn file_name(name: &str) -> String {
    let is_plain = |character: char| character.is_ascii_alphanumeric() || "-_.".contains(character);
    let replaced = |character| if is_plain(character) { character } else { '_' };
    name.chars()
        .take(FILE_NAME_CHARACTERS_MAX)
        .map(replaced)
        .collect()
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
        if self.wait_at_most(DROP_TIMEOUT).is_none() {
            self.kill_group();
            // SIGKILL cannot be handled, so this wait is short.
            let _ = self.process.wait();
        }
    }
}

#[cfg(test)]
mod tests;
