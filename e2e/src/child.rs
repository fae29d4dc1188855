//! [`Child`]: a normalizer or a service as a child process. It listens on free ports, and is killed at the end of the test if
//! it still runs.

use std::io::{BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail, ensure};
use serde_json::Value;

use crate::binaries::command_in;
use crate::http;

/// Maximum time for a child to announce its ports, or to exit after SIGTERM.
const PATIENCE: Duration = Duration::from_secs(180);
/// Pause between two polls.
const POLL_EVERY: Duration = Duration::from_millis(5);

/// A running child process. Dropping it kills the process.
#[derive(Debug)]
pub struct Child {
    name: String,
    process: std::process::Child,
    announced: Value,
    stderr: Receiver<String>,
}

/// Exit status and log of a child that has ended.
#[derive(Debug)]
pub struct Ended {
    pub status: ExitStatus,
    pub stderr: String,
}

impl Child {
    /// Starts a child, and waits for the line of JSON that announces its ports. An error contains the child's standard error.
    pub fn start(name: &str, mut command: Command) -> anyhow::Result<Self> {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut process = command.spawn().with_context(|| format!("cannot start {name}"))?;
        let stderr = all_of(process.stderr.take());
        let first_line = first_line_of(process.stdout.take());
        let mut child = Self {
            name: name.to_owned(),
            process,
            announced: Value::Null,
            stderr,
        };
        let line = first_line.recv_timeout(PATIENCE).unwrap_or_default();
        child.announced = match serde_json::from_str(&line) {
            Ok(announced) => announced,
            Err(_) => {
                let _ = child.process.kill();
                let stderr = child.stderr.recv_timeout(PATIENCE).unwrap_or_default();
                bail!(
                    "{name} did not announce its ports: its first line was {line:?}, its standard error {stderr:?}"
                );
            }
        };
        Ok(child)
    }

    /// Starts a child that announces no ports, and waits until `address` accepts connections. An error contains the child's
    /// standard error.
    pub fn listening(name: &str, mut command: Command, address: SocketAddr) -> anyhow::Result<Self> {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut process = command.spawn().with_context(|| format!("cannot start {name}"))?;
        let stderr = all_of(process.stderr.take());
        let mut child = Self {
            name: name.to_owned(),
            process,
            announced: Value::Null,
            stderr,
        };
        let listens = wait_for(&format!("{name} at {address}"), || {
            let listens = TcpStream::connect(address).is_ok();
            ensure!(listens || child.is_running(), "{name} has exited");
            Ok(listens.then_some(()))
        });
        if let Err(error) = listens {
            let _ = child.process.kill();
            let stderr = child.stderr.recv_timeout(PATIENCE).unwrap_or_default();
            return Err(error.context(stderr));
        }
        Ok(child)
    }

    /// Starts a normalizer that writes its runs into `out_dir`.
    pub fn normalizer(bin_dir: &Path, out_dir: &Path, args: &[&str]) -> anyhow::Result<Self> {
        let mut command = command_in(bin_dir, "cctf-normalizer")?;
        command.arg("--out-dir").arg(out_dir);
        for listener in ["--grpc-listen", "--http-listen", "--admin-listen"] {
            command.args([listener, "127.0.0.1:0"]);
        }
        Self::start("cctf-normalizer", {
            command.args(args);
            command
        })
    }

    /// Starts a service with these environment variables.
    pub fn service(bin_dir: &Path, variables: &[(&str, &str)]) -> anyhow::Result<Self> {
        let mut command = command_in(bin_dir, "tunable-svc")?;
        command.args(["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"]);
        Self::start("tunable-svc", {
            command.envs(variables.iter().copied());
            command
        })
    }

    /// The URL that the child announced under `field`.
    pub fn url(&self, field: &str) -> anyhow::Result<String> {
        let url = self.announced.get(field).and_then(Value::as_str);
        url.map(str::to_owned)
            .with_context(|| format!("{} announced no {field}: {}", self.name, self.announced))
    }

    /// The address in the URL that the child announced under `field`.
    pub fn address(&self, field: &str) -> anyhow::Result<SocketAddr> {
        let url = self.url(field)?;
        let address = url.strip_prefix("http://").unwrap_or(&url);
        address
            .parse()
            .with_context(|| format!("{} announced {url}", self.name))
    }

    /// The value of a metric on the child's /metrics page: the sum of the samples whose labels contain `label`.
    pub fn metric(&self, name: &str, label: &str) -> anyhow::Result<f64> {
        let page = http::send(self.address("admin")?, "GET", "/metrics", &[], b"")?;
        Ok(page.metric(name, label))
    }

    pub fn is_running(&mut self) -> bool {
        matches!(self.process.try_wait(), Ok(None))
    }

    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Sends SIGTERM and waits for the process to exit.
    pub fn stop(mut self) -> anyhow::Result<Ended> {
        let id = libc::pid_t::try_from(self.process.id())?;
        // SAFETY: kill only sends a signal, to the child that this process started and has not waited for.
        if unsafe { libc::kill(id, libc::SIGTERM) } != 0 {
            bail!("cannot stop {}: {}", self.name, std::io::Error::last_os_error());
        }
        let status = wait_for(&format!("exit of {}", self.name), || {
            Ok(self.process.try_wait()?)
        })?;
        let stderr = self.stderr.recv_timeout(PATIENCE).unwrap_or_default();
        Ok(Ended { status, stderr })
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Whether a process runs. A zombie counts as ended.
pub fn is_running(id: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    stat.rsplit(')').next().is_some_and(|rest| {
        let state = rest.trim_start();
        !state.is_empty() && !state.starts_with('Z')
    })
}

/// Calls `look` until it returns a value, for at most three minutes. `what` describes the value in the error message.
pub fn wait_for<T>(what: &str, mut look: impl FnMut() -> anyhow::Result<Option<T>>) -> anyhow::Result<T> {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        if let Some(found) = look()? {
            return Ok(found);
        }
        std::thread::sleep(POLL_EVERY);
    }
    Err(anyhow!("timed out after {} s: {what}", PATIENCE.as_secs()))
}

/// The first line of a stream. The rest is read and dropped, so that the writer never blocks.
fn first_line_of(stream: Option<impl Read + Send + 'static>) -> Receiver<String> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        let Some(stream) = stream else { return };
        let mut stream = BufReader::new(stream);
        let mut line = String::new();
        // If the stream ends before its first line, the line is empty.
        let _ = stream.read_line(&mut line);
        let _ = sender.send(line);
        let _ = std::io::copy(&mut stream, &mut std::io::sink());
    });
    receiver
}

/// The whole text of a stream, once the stream has ended.
fn all_of(stream: Option<impl Read + Send + 'static>) -> Receiver<String> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        let mut text = String::new();
        if let Some(mut stream) = stream {
            let _ = stream.read_to_string(&mut text);
        }
        let _ = sender.send(text);
    });
    receiver
}
