//! [`run`]: one run of a program: its input, its output, and bounds on both.

use std::io::{self, Read, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use super::error::StrategyError;

/// Maximum number of bytes that a strategy may write: 64 placements of 256 modules take a tenth of it.
pub const OUTPUT_BYTES_MAX: u64 = 1 << 20;
/// Maximum number of bytes of standard error that are kept. The last line of them is shown.
const STDERR_BYTES_MAX: u64 = 64 << 10;
/// Maximum number of characters of that line.
const LAST_WORDS_MAX: usize = 200;
/// Time between two checks of the program.
const POLL: Duration = Duration::from_millis(20);

/// Bounds on a program.
pub struct Limits<'a> {
    pub time: Duration,
    /// Whether the user has interrupted the command.
    pub is_stopped: &'a dyn Fn() -> bool,
}

/// Runs a program with this input and returns what it writes. Whatever the program started is killed at the end.
///
/// # Errors
/// If it cannot be started, fails, takes too long, or writes too much.
pub fn run(program: &Path, input: &[u8], limits: &Limits<'_>) -> Result<Vec<u8>, StrategyError> {
    let name = program.display().to_string();
    // The program gets a process group of its own, so that everything that it starts can be killed with it.
    let child = Command::new(program)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .map_err(|source| StrategyError::Start {
            program: name.clone(),
            source,
        })?;
    let mut group = Group(child);
    let failed = |source| StrategyError::Io {
        program: name.clone(),
        source,
    };
    let stdin = group.0.stdin.take();
    let input = input.to_vec();
    // A program may ignore its input, so a broken pipe is no error. The thread ends with the pipe, at the latest when the group
    // is killed.
    thread::spawn(move || stdin.map(|mut stdin| stdin.write_all(&input)));
    let stdout = read(group.0.stdout.take(), OUTPUT_BYTES_MAX + 1);
    let stderr = read(group.0.stderr.take(), STDERR_BYTES_MAX);
    let deadline = Instant::now() + limits.time;
    let wait = |receiver: &Receiver<io::Result<Vec<u8>>>| -> Result<Vec<u8>, StrategyError> {
        loop {
            check(&name, limits, deadline)?;
            match receiver.recv_timeout(POLL) {
                Ok(read) => return read.map_err(failed),
                Err(RecvTimeoutError::Timeout) => {}
                // The thread panicked.
                Err(RecvTimeoutError::Disconnected) => return Ok(Vec::new()),
            }
        }
    };
    let output = wait(&stdout)?;
    if output.len() as u64 > OUTPUT_BYTES_MAX {
        return Err(StrategyError::TooMuch {
            program: name,
            limit: OUTPUT_BYTES_MAX,
        });
    }
    let status = loop {
        if let Some(status) = group.0.try_wait().map_err(failed)? {
            break status;
        }
        check(&name, limits, deadline)?;
        thread::sleep(POLL);
    };
    if status.success() {
        return Ok(output);
    }
    Err(StrategyError::Failed {
        status: shown(status),
        stderr: last_words(&wait(&stderr).unwrap_or_default()),
        program: name,
    })
}

fn check(name: &str, limits: &Limits<'_>, deadline: Instant) -> Result<(), StrategyError> {
    if (limits.is_stopped)() {
        return Err(StrategyError::Interrupted);
    }
    match Instant::now() >= deadline {
        true => Err(StrategyError::Endless {
            program: name.to_owned(),
            limit: limits.time,
        }),
        false => Ok(()),
    }
}

/// Reads a limited number of bytes on a thread of its own.
fn read(from: Option<impl Read + Send + 'static>, bytes_max: u64) -> Receiver<io::Result<Vec<u8>>> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let read = from.map_or(Ok(0), |from| from.take(bytes_max).read_to_end(&mut bytes));
        // This fails if nobody waits for the result any more, which does not matter.
        let _ = sender.send(read.map(|_| bytes));
    });
    receiver
}

/// A child process, and everything that it started.
struct Group(Child);

impl Drop for Group {
    fn drop(&mut self) {
        if let Ok(group) = i32::try_from(self.0.id()) {
            // SAFETY: a call without pointers. The child has not been waited for, or its group has only processes that it
            // started.
            unsafe {
                libc::kill(-group, libc::SIGKILL);
            }
        }
        // Removes the process from the table; it has been killed.
        let _ = self.0.wait();
    }
}

fn shown(status: ExitStatus) -> String {
    match status.code() {
        Some(code) => format!("exit code {code}"),
        None => status.to_string(),
    }
}

/// The last line that is not empty.
fn last_words(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let line = text.lines().rev().find(|line| !line.trim().is_empty());
    line.map_or_else(String::new, |line| {
        let line: String = line.trim().chars().take(LAST_WORDS_MAX).collect();
        format!(": {line}")
    })
}
