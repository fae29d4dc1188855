//! A normalizer and a service for one check, and the rows of their run.

use std::fs;
use std::path::Path;

use anyhow::{Context, ensure};
use e2e::binaries::{Done, command_in};
use e2e::child::Child;
use e2e::rows;
use serde_json::Value;
use tempfile::TempDir;

/// A running normalizer and a running service, with a folder for their files.
pub struct Stack {
    pub service: Child,
    normalizer: Child,
    logs: TempDir,
}

/// The times of an invocation in nanoseconds, and its status.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    pub enqueue: i128,
    pub start: i128,
    pub end: i128,
    pub cpu: i128,
    /// Time for which the thread was ready to run, but had no CPU.
    pub cpu_wait: i128,
    /// Part of the queue time in which the slot was free.
    pub wakeup: i128,
    pub status: i64,
}

impl Row {
    pub fn service_ms(&self) -> f64 {
        (self.end - self.start) as f64 / 1e6
    }

    pub fn queue_ms(&self) -> f64 {
        (self.start - self.enqueue) as f64 / 1e6
    }

    /// Part of the queue time in which the slot was free.
    pub fn wakeup_ms(&self) -> f64 {
        self.wakeup as f64 / 1e6
    }
}

impl Stack {
    /// Starts the normalizer and the service. `variables` are environment variables of the service.
    pub fn start(bin_dir: &Path, variables: &[(&str, &str)]) -> anyhow::Result<Self> {
        let logs = tempfile::tempdir()?;
        let normalizer = Child::normalizer(bin_dir, logs.path(), &["--run-id", "r", "--join-window", "1s"])?;
        let otlp = normalizer.url("grpc")?;
        let own = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", otlp.as_str()),
            ("NODE_ID", "n1"),
            ("STAGE", "edge"),
        ];
        let service = Child::service(bin_dir, &[&own, variables].concat())?;
        Ok(Self {
            service,
            normalizer,
            logs,
        })
    }

    /// Drives the service with `cctf load` and returns its report.
    pub fn load(&self, bin_dir: &Path, args: &[&str]) -> anyhow::Result<Value> {
        let mut command = command_in(bin_dir, "cctf")?;
        command.args([
            "load",
            "--run-id",
            "r",
            "--format",
            "json",
            "--target",
            &self.service.url("listening")?,
        ]);
        command
            .args(["--otlp-endpoint", &self.normalizer.url("grpc")?])
            .args(args);
        Done::success("load", &mut command)?.json()
    }

    /// Drives one endpoint with Poisson arrivals at a mean rate per second.
    pub fn load_poisson(
        &self,
        bin_dir: &Path,
        endpoint: &str,
        rate: f64,
        duration: &str,
        seed: &str,
    ) -> anyhow::Result<Value> {
        let rate = format!("{rate:.3}");
        let load = ["--endpoint", endpoint, "--rate", &rate, "--duration", duration];
        let arrivals = ["--arrivals", "poisson", "--seed", seed];
        self.load(bin_dir, &[load.as_slice(), &arrivals].concat())
    }

    /// The normalizer's OTLP port.
    pub fn otlp_port(&self) -> anyhow::Result<u16> {
        Ok(self.normalizer.address("grpc")?.port())
    }

    /// Stops both. The run is in the folder `r/cctf`.
    pub fn stop(self) -> anyhow::Result<TempDir> {
        let ended = self.service.stop()?;
        ensure!(
            ended.status.success(),
            "the service ended with {}: {}",
            ended.status,
            ended.stderr
        );
        let ended = self.normalizer.stop()?;
        ensure!(
            ended.status.success(),
            "the normalizer ended with {}: {}",
            ended.status,
            ended.stderr
        );
        Ok(self.logs)
    }

    /// Stops both and reads the rows of one path, in the order of their arrival.
    pub fn finish(self, path: &str) -> anyhow::Result<Vec<Row>> {
        let logs = self.stop()?;
        let text = fs::read_to_string(logs.path().join("r/cctf/invocations.jsonl"))?;
        let wanted = format!("\"path\":\"{path}\"");
        let lines = text.lines().filter(|line| line.contains(&wanted));
        let mut found = lines.map(row).collect::<anyhow::Result<Vec<Row>>>()?;
        found.sort_by_key(|row| (row.enqueue, row.start));
        Ok(found)
    }
}

fn row(line: &str) -> anyhow::Result<Row> {
    let value: Value = serde_json::from_str(line)?;
    // A request that never got a slot has none of these values.
    let measured = |field| match value.get(field) {
        None | Some(Value::Null) => Ok(0),
        Some(_) => rows::nanoseconds(line, field),
    };
    Ok(Row {
        enqueue: rows::nanoseconds(line, "ts_enqueue")?,
        start: rows::nanoseconds(line, "ts_start")?,
        end: rows::nanoseconds(line, "ts_end")?,
        cpu: measured("cpu_time_ms")?,
        cpu_wait: measured("cpu_wait_ms")?,
        wakeup: measured("wakeup_ms")?,
        status: value["status"].as_i64().context("no status")?,
    })
}
