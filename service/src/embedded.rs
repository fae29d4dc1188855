//! The normalizer as a child of the service: where nobody else takes the telemetry, the service leaves CCTF files by itself.

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

/// The binary, looked for beside the service's own.
const NAME: &str = "cctf-normalizer";
/// How long the normalizer may take to tell its ports: it reads its journal again before.
const START_TIMEOUT: Duration = Duration::from_secs(60);
/// How long it may take to write what it holds. A container's stop waits for 10 s in all, of which DRAIN_TIMEOUT_MS and
/// FLUSH_TIMEOUT_MS take 6 unless told otherwise.
const STOP_TIMEOUT: Duration = Duration::from_millis(3500);
/// Pause before one that has ended by itself is started again, and what a row of ends makes of it.
const RESTART_PAUSE: Duration = Duration::from_millis(100);
const RESTART_PAUSE_MAX: Duration = Duration::from_secs(5);
/// Pause between two looks at a child that is to end.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// What would keep a normalizer on the loopback from hearing its parent.
const NOT_INHERITED: [&str; 4] = ["TLS_CERT", "TLS_KEY", "TLS_CLIENT_CA", "TOKEN_FILE"];

/// The normalizer's binary, opened while this process still may.
pub struct Program {
    file: File,
    path: PathBuf,
}

/// A normalizer that is kept running until [`Embedded::stop`].
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
    /// Finds the normalizer, if these settings want one: a folder for its files, and nobody else to take the telemetry.
    ///
    /// # Errors
    /// It is wanted and not there.
    pub fn find(settings: &Settings) -> anyhow::Result<Option<Self>> {
        let otel = &settings.otel;
        let is_told_elsewhere = otel.traces.is_some() || otel.metrics.is_some();
        if settings.log_path.is_none() || otel.is_disabled || is_told_elsewhere {
            return Ok(None);
        }
        let path = match &settings.normalizer {
            Some(path) => path.clone(),
            None => std::env::current_exe()
                .context("cannot find out where this binary is")?
                .with_file_name(NAME),
        };
        let file = File::open(&path).with_context(|| {
            format!(
                "cannot open {}, which writes the files of LOG_PATH: name it by NORMALIZER, or say by \
                 OTEL_EXPORTER_OTLP_ENDPOINT who takes the telemetry",
                path.display()
            )
        })?;
        Ok(Some(Self { file, path }))
    }

    /// Starts the normalizer with files in `out_dir`, and waits until it listens.
    ///
    /// # Errors
    /// It does not start.
    pub fn start(self, out_dir: &Path, settings: &Settings) -> anyhow::Result<Embedded> {
        let path = self.path.clone();
        let shared = Arc::new(Shared {
            program: self,
            out_dir: out_dir.to_owned(),
            run_id: settings.identity.run_id.clone(),
            child: Mutex::new(None),
            stopping: AtomicBool::new(false),
        });
        let (tell, told) = channel();
        let supervisor = std::thread::Builder::new()
            .name("supervisor".to_owned())
            .spawn({
                let shared = Arc::clone(&shared);
                move || shared.supervise(&tell)
            })
            .context("cannot start the thread that looks after the normalizer")?;
        let endpoint = first_endpoint(&told).with_context(|| format!("{} does not start", path.display()));
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
    /// Where it takes OTLP/gRPC; a normalizer that is started again takes it there, too.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Ends the normalizer, which writes all it holds. Blocks.
    pub fn stop(self) {
        self.shared.stopping.store(true, Ordering::Relaxed);
        self.shared.signal(libc::SIGTERM);
        let deadline = Instant::now() + STOP_TIMEOUT;
        while !self.supervisor.is_finished() {
            if Instant::now() > deadline {
                tracing::warn!(
                    "the normalizer did not end in time; its journal has what is not in the files"
                );
                self.shared.signal(libc::SIGKILL);
                return;
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }
}

/// What the first child tells, or why it tells nothing.
fn first_endpoint(told: &Receiver<anyhow::Result<String>>) -> anyhow::Result<String> {
    match told.recv_timeout(START_TIMEOUT) {
        Ok(endpoint) => endpoint,
        Err(RecvTimeoutError::Timeout) => Err(anyhow!("it told no port in {} s", START_TIMEOUT.as_secs())),
        Err(RecvTimeoutError::Disconnected) => Err(anyhow!("nobody looks after it")),
    }
}

impl Shared {
    /// Starts a child after the other until it is told to stop. Tells the first one's endpoint, or its failure, which is the end.
    fn supervise(&self, tell: &Sender<anyhow::Result<String>>) {
        let mut endpoint = None;
        let mut pause = RESTART_PAUSE;
        while !self.stopping.load(Ordering::Relaxed) {
            let told = self.run_once(endpoint.as_deref(), |now| {
                if endpoint.is_none() {
                    // Whoever waited for it is there as long as nothing has been told.
                    let _ = tell.send(Ok(now.to_owned()));
                }
            });
            match told {
                Ok(now) => {
                    endpoint.get_or_insert(now);
                    pause = RESTART_PAUSE;
                }
                Err(error) if endpoint.is_none() => {
                    let _ = tell.send(Err(error));
                    return;
                }
                Err(error) => {
                    tracing::warn!("the normalizer: {error:#}");
                    pause = RESTART_PAUSE_MAX.min(2 * pause);
                }
            }
            if !self.stopping.load(Ordering::Relaxed) {
                tracing::warn!(
                    "the normalizer has ended by itself and is started again; spans wait meanwhile"
                );
                std::thread::sleep(pause);
            }
        }
    }

    /// Runs one child from its start to its end. Returns where it listened.
    fn run_once(&self, endpoint: Option<&str>, listens: impl FnOnce(&str)) -> anyhow::Result<String> {
        let stdout = self.spawn(endpoint)?;
        let mut stdout = BufReader::new(stdout);
        let mut line = String::new();
        let read = stdout.read_line(&mut line);
        let told = read.map_err(Into::into).and_then(|_| parse_endpoint(&line));
        if let Ok(endpoint) = &told {
            listens(endpoint);
        }
        // It prints nothing else, so this waits for its end.
        let _ = io::copy(&mut stdout, &mut io::sink());
        if let Some(mut child) = self.lock().take() {
            // Closes its standard input, so that it ends in any case.
            let status = child.wait().context("cannot wait for it")?;
            told.with_context(|| format!("it ended with {status}"))
        } else {
            told
        }
    }

    fn spawn(&self, endpoint: Option<&str>) -> anyhow::Result<ChildStdout> {
        let grpc_listen = endpoint
            .and_then(|endpoint| endpoint.strip_prefix("http://"))
            .unwrap_or("127.0.0.1:0");
        // By descriptor: the folder of the binary may be closed to whom this process has become.
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
        // A group of its own: what a terminal sends to all is the service's to pass on, once its last spans have left.
        command
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = command
            .spawn()
            .with_context(|| format!("cannot start {}", self.program.path.display()))?;
        let stdout = child.stdout.take().context("it has no standard output")?;
        *self.lock() = Some(child);
        // The stop may have looked for a child before there was this one.
        if self.stopping.load(Ordering::Relaxed) {
            self.signal(libc::SIGTERM);
        }
        Ok(stdout)
    }

    fn signal(&self, signal: libc::c_int) {
        if let Some(child) = &*self.lock()
            && let Ok(pid) = libc::pid_t::try_from(child.id())
        {
            // SAFETY: plain system call; the child has not been waited for, so the id is still its own.
            unsafe { libc::kill(pid, signal) };
        }
    }

    /// No code panics while it holds the lock.
    fn lock(&self) -> MutexGuard<'_, Option<Child>> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn parse_endpoint(line: &str) -> anyhow::Result<String> {
    let told: Value = serde_json::from_str(line).context("it did not tell its ports; it says above why")?;
    let grpc = told["grpc"].as_str().context("it told no port for OTLP/gRPC")?;
    Ok(grpc.to_owned())
}
