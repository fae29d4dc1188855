//! The Collector and a normalizer on ports that stay theirs, so that either can be killed and started again.

use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use e2e::binaries::{bin_dir, command_in};
use e2e::child::wait_for;
use e2e::http;
use e2e::sources::root;

/// What `make collector` builds.
pub const COLLECTOR: &str = "target/tools/bin/otelcol";

/// Ports that were free a moment ago.
pub fn free_ports<const COUNT: usize>() -> [u16; COUNT] {
    let held = [(); COUNT].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    held.map(|listener| listener.local_addr().unwrap().port())
}

/// A process that is killed when dropped.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The Collector with its queue.
pub struct Collector {
    folder: PathBuf,
    receiver: u16,
    variables: Vec<(&'static str, String)>,
    ports: [u16; 4],
    process: Option<Process>,
}

impl Collector {
    /// One that passes on to 127.0.0.1:`receiver`, not started yet.
    pub fn new(folder: &Path, receiver: u16, variables: &[(&'static str, &str)]) -> Self {
        Self {
            folder: folder.to_owned(),
            receiver,
            variables: variables
                .iter()
                .map(|(name, value)| (*name, (*value).to_owned()))
                .collect(),
            ports: free_ports(),
            process: None,
        }
    }

    pub fn start(&mut self) {
        let binary = root().join(COLLECTOR);
        assert!(
            binary.is_file(),
            "{} is not there: run make collector",
            binary.display()
        );
        let [grpc, http, health, metrics] = self.ports;
        let local = |port: u16| format!("127.0.0.1:{port}");
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.folder.join("otelcol.log"))
            .unwrap();
        let mut command = Command::new(binary);
        command
            .arg("--config")
            .arg(root().join("otel-collector.yaml"))
            .envs([
                ("NORMALIZER_ENDPOINT", local(self.receiver)),
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
        self.process = Some(Process(command.spawn().unwrap()));
        let health = local(health).parse().unwrap();
        wait_for("the Collector", || {
            Ok(http::send(health, "GET", "/", &[], b"")
                .ok()
                .filter(|answer| answer.status == 200))
        })
        .unwrap();
    }

    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Where clients send to.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports[0])
    }

    /// The sum of a metric of its own.
    pub fn metric(&self, name: &str) -> f64 {
        let address = format!("127.0.0.1:{}", self.ports[3]).parse().unwrap();
        http::send(address, "GET", "/metrics", &[], b"")
            .unwrap()
            .metric(name, "")
    }
}

/// A normalizer whose ports stay the same over its lives.
pub struct Normalizer {
    out_dir: PathBuf,
    grpc: u16,
    admin: u16,
    flags: Vec<String>,
    process: Option<Process>,
}

impl Normalizer {
    /// One with such flags, not started yet. A row is held for long enough that a Collector's retries make no orphan.
    pub fn new(out_dir: &Path, flags: &[&str]) -> Self {
        let [grpc, admin] = free_ports();
        Self {
            out_dir: out_dir.to_owned(),
            grpc,
            admin,
            flags: flags.iter().map(|flag| (*flag).to_owned()).collect(),
            process: None,
        }
    }

    pub fn start(&mut self) {
        let mut command = command_in(&bin_dir().unwrap(), "cctf-normalizer").unwrap();
        command.arg("--out-dir").arg(&self.out_dir);
        command.args([
            "--run-id",
            "r",
            "--join-window",
            "60s",
            "--http-listen",
            "127.0.0.1:0",
        ]);
        command.args(["--grpc-listen", &format!("127.0.0.1:{}", self.grpc)]);
        command.args(["--admin-listen", &format!("127.0.0.1:{}", self.admin)]);
        command
            .args(&self.flags)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        self.process = Some(Process(command.spawn().unwrap()));
        wait_for("the normalizer", || Ok((self.readiness() != 0).then_some(()))).unwrap();
    }

    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Port of OTLP/gRPC.
    pub fn port(&self) -> u16 {
        self.grpc
    }

    /// Status of /readyz; 0 if nobody answers.
    pub fn readiness(&self) -> u16 {
        let admin = format!("127.0.0.1:{}", self.admin).parse().unwrap();
        http::send(admin, "GET", "/readyz", &[], b"").map_or(0, |answer| answer.status)
    }

    /// The run's folder.
    pub fn run_dir(&self) -> PathBuf {
        self.out_dir.join("r")
    }
}
