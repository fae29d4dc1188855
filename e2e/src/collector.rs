//! [`Collector`]: the real Collector with the repository's configuration. It keeps its ports and its queue across restarts.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, ensure};

use crate::child::wait_for;
use crate::http;
use crate::ports::free_ports;
use crate::sources::root;

/// Path of the Collector that `make collector` builds.
pub const COLLECTOR: &str = "target/tools/bin/otelcol";

/// A process. Dropping it kills it.
pub struct Process(pub Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A Collector, and the folder with its queue.
pub struct Collector {
    folder: PathBuf,
    receiver: u16,
    variables: Vec<(&'static str, String)>,
    configuration: &'static str,
    binary: PathBuf,
    ports: [u16; 4],
    process: Option<Process>,
}

impl Collector {
    /// A Collector that forwards to 127.0.0.1:`receiver`. It does not run yet.
    pub fn new(folder: &Path, receiver: u16, variables: &[(&'static str, &str)]) -> anyhow::Result<Self> {
        Ok(Self {
            folder: folder.to_owned(),
            receiver,
            variables: variables
                .iter()
                .map(|(name, value)| (*name, (*value).to_owned()))
                .collect(),
            configuration: "otel-collector.yaml",
            binary: root().join(COLLECTOR),
            ports: free_ports()?,
            process: None,
        })
    }

    /// Uses another configuration of the repository.
    #[must_use]
    pub fn with_configuration(mut self, configuration: &'static str) -> Self {
        self.configuration = configuration;
        self
    }

    #[must_use]
    pub fn with_binary(mut self, binary: &Path) -> Self {
        binary.clone_into(&mut self.binary);
        self
    }

    /// Starts the Collector and waits until it is healthy.
    pub fn start(&mut self) -> anyhow::Result<()> {
        ensure!(
            self.binary.is_file(),
            "cannot find {}; run `make collector`",
            self.binary.display()
        );
        let [grpc, http, health, metrics] = self.ports;
        let local = |port: u16| format!("127.0.0.1:{port}");
        let log = File::options().create(true).append(true).open(self.log_file())?;
        let mut command = Command::new(&self.binary);
        command
            .arg("--config")
            .arg(root().join(self.configuration))
            .envs([
                ("NORMALIZER_ENDPOINT", local(self.receiver)),
                ("NORMALIZER_ENDPOINT_1", local(self.receiver)),
                ("OTELCOL_GRPC_LISTEN", local(grpc)),
                ("OTELCOL_HTTP_LISTEN", local(http)),
                ("OTELCOL_HEALTH_LISTEN", local(health)),
                ("OTELCOL_METRICS_PORT", metrics.to_string()),
                (
                    "OTELCOL_QUEUE_DIR",
                    self.folder.join("queue").display().to_string(),
                ),
            ])
            .envs(self.variables.iter().cloned())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        self.process = Some(Process(command.spawn().context("cannot start the Collector")?));
        wait_for("the Collector", || Ok((self.health() == 200).then_some(())))
    }

    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Stops it gracefully, so that it writes what it holds.
    pub fn stop(&mut self) -> anyhow::Result<()> {
        if let Some(mut process) = self.process.take() {
            let id = libc::pid_t::try_from(process.0.id())?;
            // SAFETY: the child has not been waited for, so the id is its own.
            unsafe { libc::kill(id, libc::SIGTERM) };
            let status = process.0.wait()?;
            ensure!(status.success(), "the Collector failed: {status}");
        }
        Ok(())
    }

    pub fn id(&self) -> Option<u32> {
        self.process.as_ref().map(|process| process.0.id())
    }

    pub fn grpc(&self) -> SocketAddr {
        self.address(0)
    }

    /// The OTLP endpoint for clients.
    pub fn url(&self) -> String {
        format!("http://{}", self.grpc())
    }

    /// The OTLP endpoint for clients over HTTP.
    pub fn http_url(&self) -> String {
        format!("http://{}", self.address(1))
    }

    /// The status code of its health port. 0 if there is no answer.
    pub fn health(&self) -> u16 {
        http::send(self.address(2), "GET", "/", &[], b"").map_or(0, |answer| answer.status)
    }

    /// The sum of all samples of one of its own metrics.
    pub fn metric(&self, name: &str) -> anyhow::Result<f64> {
        self.metric_of(name, "")
    }

    /// The sum of the samples of a metric whose labels contain `label`.
    pub fn metric_of(&self, name: &str, label: &str) -> anyhow::Result<f64> {
        Ok(http::send(self.address(3), "GET", "/metrics", &[], b"")?.metric(name, label))
    }

    pub fn log(&self) -> anyhow::Result<String> {
        fs::read_to_string(self.log_file()).context("cannot read the Collector's log")
    }

    fn log_file(&self) -> PathBuf {
        self.folder.join("otelcol.log")
    }

    fn address(&self, place: usize) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.ports[place]))
    }
}
