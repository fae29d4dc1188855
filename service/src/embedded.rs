//! The normalizer as a child process, so that the service writes CCTF files even if no OTLP receiver is configured.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader};
use std::os::fd::AsRawFd as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow};
use serde_json::Value;

use crate::settings::Settings;

/// Name of the binary, expected beside the service's own.
const NAME: &str = "cctf-normalizer";
/// Maximum time for the normalizer to print its ports. Before it prints them, it replays its journal.
const START_TIMEOUT: Duration = Duration::from_secs(60);
/// Maximum time for the normalizer to write its waiting rows. `docker stop` allows 10 s in total, of which
/// DRAIN_TIMEOUT_MS and FLUSH_TIMEOUT_MS use 6 by default.
const STOP_TIMEOUT: Duration = Duration::from_millis(3500);
/// Pause before a restart, which doubles with each failed start.
const RESTART_PAUSE: Duration = Duration::from_millis(100);
const RESTART_PAUSE_MAX: Duration = Duration::from_secs(5);
/// Interval of checks for the exit of a stopping child.
const POLL_INTERVAL: Duration = Duration::from_millis(10);
/// Variables that would make the normalizer refuse plain connections from its parent.
const NOT_INHERITED: [&str; 4] = ["TLS_CERT", "TLS_KEY", "TLS_CLIENT_CA", "TOKEN_FILE"];

/// The normalizer's binary, opened before root is dropped.
pub struct Program {
    file: File,
    path: PathBuf,
}

/// A normalizer that is restarted when it exits, until [`Embedded::stop`].
pub struct Embedded {
    shared: Arc<Shared>,
    supervisor: JoinHandle<()>,
    endpoint: String,
}

struct Shared {
    program: Program,
    out_dir: PathBuf,
    run_id: Option<String>,
    child: Mutex<Option<Child>>,
    stopping: AtomicBool,
}

impl Program {
    /// Finds the normalizer if it is needed: a folder for its files is set, but no OTLP receiver.
    ///
    /// # Errors
    /// The normalizer is needed but its binary cannot be opened.
    pub fn find(settings: &Settings) -> anyhow::Result<Option<Self>> {
        let otel = &settings.otel;
        let has_receiver = otel.traces.is_some() || otel.metrics.is_some();
        if settings.log_path.is_none() || otel.is_disabled || has_receiver {
            return Ok(None);
        }
        let path = match &settings.normalizer {
            Some(path) => path.clone(),
            None => std::env::current_exe()
                .context("cannot determine the path of this binary")?
                .with_file_name(NAME),
        };
        let file = File::open(&path).map_err(|error| {
            anyhow!(
                "cannot open {}, which writes the files of LOG_PATH: {error}; set NORMALIZER to its path, or \
                 OTEL_EXPORTER_OTLP_ENDPOINT to another receiver",
                path.display()
            )
        })?;
        Ok(Some(Self { file, path }))
    }

    /// Starts the normalizer with its files in `out_dir`, and waits until it listens.
    ///
    /// # Errors
    /// The normalizer does not start.
    pub fn start(self, out_dir: &Path, settings: &Settings) -> anyhow::Result<Embedded> {
        let path = self.path.clone();
        let shared = Arc::new(Shared {
            program: self,
            out_dir: out_dir.to_owned(),
            run_id: settings.identity.run_id.clone(),
            child: Mutex::new(None),
            stopping: AtomicBool::new(false),
        });
        let (started, start) = channel();
        let supervisor = std::thread::Builder::new()
            .name("supervisor".to_owned())
            .spawn({
                let shared = Arc::clone(&shared);
                move || shared.supervise(&started)
            })
            .context("cannot start the thread that supervises the normalizer")?;
        let endpoint = first_endpoint(&start).with_context(|| format!("cannot start {}", path.display()));
        match endpoint {
            Ok(endpoint) => Ok(Embedded {
                shared,
                supervisor,
                endpoint,
            }),
            Err(error) => {
                shared.stopping.store(true, Ordering::Relaxed);
                shared.signal(libc::SIGKILL);
                Err(error)
            }
        }
    }
}

impl Embedded {
    /// OTLP/gRPC endpoint of the embedded normalizer. It stays the same after a restart.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Stops the normalizer, which first writes all waiting rows. Blocks.
    pub fn stop(self) {
        self.shared.stopping.store(true, Ordering::Relaxed);
        self.shared.signal(libc::SIGTERM);
        let deadline = Instant::now() + STOP_TIMEOUT;
        while !self.supervisor.is_finished() {
            if Instant::now() > deadline {
                tracing::warn!(
                    "the normalizer did not stop in time; rows that are not in the files remain in its journal"
                );
                self.shared.signal(libc::SIGKILL);
                return;
            }
            std::thread::sleep(POLL_INTERVAL);
        }
    }
}

/// The endpoint of the first child, or why it did not start.
fn first_endpoint(start: &Receiver<anyhow::Result<String>>) -> anyhow::Result<String> {
    match start.recv_timeout(START_TIMEOUT) {
        Ok(endpoint) => endpoint,
        Err(RecvTimeoutError::Timeout) => Err(anyhow!(
            "it did not report its ports within {} s",
            START_TIMEOUT.as_secs()
        )),
        Err(RecvTimeoutError::Disconnected) => Err(anyhow!("its supervisor has stopped")),
    }
}

impl Shared {
    /// Restarts the child whenever it exits, until the stop. Sends the endpoint of the first child through `started`. If the
    /// first child fails, sends its error instead, and gives up.
    fn supervise(&self, started: &Sender<anyhow::Result<String>>) {
        let mut endpoint = None;
        let mut pause = RESTART_PAUSE;
        while !self.stopping.load(Ordering::Relaxed) {
            let result = self.run_once(endpoint.as_deref(), |new| {
                if endpoint.is_none() {
                    // Fails only if `first_endpoint` has timed out. Nobody needs the endpoint then.
                    let _ = started.send(Ok(new.to_owned()));
                }
            });
            match result {
                Ok(new) => {
                    endpoint.get_or_insert(new);
                    pause = RESTART_PAUSE;
                }
                Err(error) if endpoint.is_none() => {
                    let _ = started.send(Err(error));
                    return;
                }
                Err(error) => {
                    tracing::warn!("the normalizer failed: {error:#}");
                    pause = RESTART_PAUSE_MAX.min(2 * pause);
                }
            }
            if !self.stopping.load(Ordering::Relaxed) {
                tracing::warn!(
                    "the normalizer exited unexpectedly; restarting it, and keeping spans until then"
                );
                std::thread::sleep(pause);
            }
        }
    }

    /// Runs one child until it exits, and returns its endpoint. Calls `listens` with the endpoint as soon as the child has
    /// reported it.
    fn run_once(&self, endpoint: Option<&str>, listens: impl FnOnce(&str)) -> anyhow::Result<String> {
        let stdout = self.spawn(endpoint)?;
        let mut stdout = BufReader::new(stdout);
        let mut line = String::new();
        let read = stdout.read_line(&mut line);
        let reported = read.map_err(Into::into).and_then(|_| parse_endpoint(&line));
        if let Ok(endpoint) = &reported {
            listens(endpoint);
        }
        // The child prints nothing else, so this waits until the child exits.
        let _ = io::copy(&mut stdout, &mut io::sink());
        if let Some(mut child) = self.lock().take() {
            // `wait` also closes the child's stdin. A child that closed only its stdout stops then (--stop-with-stdin).
            let status = child.wait().context("cannot wait for its exit")?;
            reported.with_context(|| format!("it exited ({status})"))
        } else {
            reported
        }
    }

    fn spawn(&self, endpoint: Option<&str>) -> anyhow::Result<ChildStdout> {
        let grpc_listen = endpoint
            .and_then(|endpoint| endpoint.strip_prefix("http://"))
            .unwrap_or("127.0.0.1:0");
        // Runs the binary through its open descriptor, because the current user may have no access to the folder of the binary.
        let mut command = Command::new(format!("/proc/self/fd/{}", self.program.file.as_raw_fd()));
        command.arg0(NAME).arg("--out-dir").arg(&self.out_dir);
        command.args(["--grpc-listen", grpc_listen, "--stop-with-stdin"]);
        command.args(["--http-listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"]);
        if let Some(run_id) = &self.run_id {
            command.args(["--run-id", run_id]);
        }
        for variable in NOT_INHERITED {
            command.env_remove(variable);
        }
        // A separate process group: Ctrl-C reaches only the service, which stops the normalizer after sending its last spans.
        command
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = command
            .spawn()
            .with_context(|| format!("cannot start {}", self.program.path.display()))?;
        let stdout = child.stdout.take().context("it has no stdout")?;
        *self.lock() = Some(child);
        // The stop may have come before this child was registered.
        if self.stopping.load(Ordering::Relaxed) {
            self.signal(libc::SIGTERM);
        }
        Ok(stdout)
    }

    fn signal(&self, signal: libc::c_int) {
        if let Some(child) = &*self.lock()
            && let Ok(pid) = libc::pid_t::try_from(child.id())
        {
            // SAFETY: plain system call; the child has not been waited for, so its id is still valid.
            unsafe { libc::kill(pid, signal) };
        }
    }

    /// No code panics while holding the lock, so poisoning is ignored.
    fn lock(&self) -> MutexGuard<'_, Option<Child>> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn parse_endpoint(line: &str) -> anyhow::Result<String> {
    let ports: Value =
        serde_json::from_str(line).context("it did not report its ports; its log above has the reason")?;
    let grpc = ports["grpc"].as_str().context("it reported no OTLP/gRPC port")?;
    Ok(grpc.to_owned())
}
