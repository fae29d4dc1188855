//! A normalizer that keeps its ports across restarts.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use e2e::binaries::{bin_dir, command_in};
use e2e::child::wait_for;
use e2e::collector::Process;
use e2e::http::{self, Response};
use e2e::ports::free_ports;

pub struct Normalizer {
    out_dir: PathBuf,
    // The log is not in the folder of the files, because the disk of the files may be full.
    log_dir: tempfile::TempDir,
    grpc: u16,
    admin: u16,
    flags: Vec<String>,
    process: Option<Process>,
}

impl Normalizer {
    /// A normalizer with these flags, which does not run yet. Its join window is longer than the time for which the Collector
    /// retries.
    pub fn new(out_dir: &Path, flags: &[&str]) -> Self {
        let [grpc, admin] = free_ports().unwrap();
        Self {
            out_dir: out_dir.to_owned(),
            log_dir: tempfile::tempdir().unwrap(),
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
            .stderr(
                File::options()
                    .create(true)
                    .append(true)
                    .open(self.log_file())
                    .unwrap(),
            );
        self.process = Some(Process(command.spawn().unwrap()));
        wait_for("the normalizer", || Ok((self.readiness() != 0).then_some(()))).unwrap();
    }

    pub fn kill(&mut self) {
        self.process = None;
    }

    pub fn port(&self) -> u16 {
        self.grpc
    }

    /// The status code of /readyz. 0 if there is no answer.
    pub fn readiness(&self) -> u16 {
        self.ask("/readyz").map_or(0, |answer| answer.status)
    }

    /// Requests a path of its admin port.
    pub fn ask(&self, path: &str) -> anyhow::Result<Response> {
        let admin = format!("127.0.0.1:{}", self.admin).parse().unwrap();
        http::send(admin, "GET", path, &[], b"")
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.log_file()).unwrap()
    }

    fn log_file(&self) -> PathBuf {
        self.log_dir.path().join("log")
    }

    pub fn run_dir(&self) -> PathBuf {
        self.out_dir.join("r")
    }
}
