//! The real binary on a disk that becomes full and is emptied later. The disk is a small tmpfs, so these tests need root.
//!
//! All three tests fail if `DiskGuard::check` does not update the journal's flag.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_client::LogsServiceClient;
use opentelemetry_proto::tonic::logs::v1::ResourceLogs;
use serde_json::{Value, json};
use tempfile::TempDir;
use tonic::Code;

use crate::support::process::{Process, command};

const MIB: u64 = 1024 * 1024;
const DISK_BYTES: u64 = 24 * MIB;
const FREE_MIN: &str = "8MiB";
const FREE_MIN_BYTES: u64 = 8 * MIB;
/// Free space above the minimum while the ballast file exists. Requests can use it.
const ROOM_BYTES: u64 = MIB;
const PATIENCE: Duration = Duration::from_secs(180);

/// A small disk. It is unmounted when this is dropped.
struct Disk(TempDir);

impl Disk {
    fn new() -> Self {
        let disk = Self(TempDir::new().unwrap());
        let size = format!("size={DISK_BYTES}");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &size, "tmpfs"])
            .arg(disk.path())
            .status()
            .unwrap();
        assert!(mounted.success(), "cannot mount a tmpfs, run this test as root");
        disk
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn ballast(&self) -> PathBuf {
        self.path().join("ballast")
    }

    fn fill(&self, left_bytes: u64) {
        let bytes = self.free() - left_bytes;
        fs::write(self.ballast(), vec![0; usize::try_from(bytes).unwrap()]).unwrap();
    }

    fn free(&self) -> u64 {
        let output = Command::new("stat")
            .args(["--file-system", "--format=%a %S"])
            .arg(self.path())
            .output()
            .unwrap();
        let log = String::from_utf8(output.stdout).unwrap();
        let (blocks, size) = log.trim().split_once(' ').unwrap();
        blocks.parse::<u64>().unwrap() * size.parse::<u64>().unwrap()
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.path()).status();
    }
}

/// The binary, and the spans that it acknowledged.
struct Normalizer {
    process: Process,
    sent: u64,
    acknowledged: BTreeSet<String>,
}

impl Normalizer {
    fn start(out_dir: &Path, flags: &[&str]) -> Self {
        let mut command = command();
        command.arg("--out-dir").arg(out_dir).stderr(Stdio::piped());
        command.args(["--run-id", "mine", "--segment-bytes", "1MiB"]);
        Self {
            process: Process::start(command.args(flags)),
            sent: 0,
            acknowledged: BTreeSet::new(),
        }
    }

    /// Sends another span. If the span was acknowledged, stores its id.
    fn send(&mut self) -> String {
        self.sent += 1;
        let span_id = format!("{:016x}", self.sent);
        let request = json!({"resourceSpans": [{
            "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]},
            "scopeSpans": [{"spans": [{
                "traceId": "07".repeat(16), "spanId": span_id, "name": "GET /", "kind": 2,
                "startTimeUnixNano": "1700000000000000000", "endTimeUnixNano": "1700000000005000000",
            }]}],
        }]});
        let answer = self.process.http("http", "POST /v1/traces", &request.to_string());
        if answer.starts_with("HTTP/1.1 200 ") {
            self.acknowledged.insert(span_id);
        } else {
            assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
            assert!(
                answer.to_lowercase().contains("\r\nretry-after: 1\r\n"),
                "{answer}"
            );
            assert!(answer.contains("the disk is full; retry later"), "{answer}");
        }
        answer
    }

    /// Sends spans until the answer to one has this status.
    fn send_until(&mut self, status: &str) {
        let deadline = Instant::now() + PATIENCE;
        while !self.send().starts_with(&format!("HTTP/1.1 {status} ")) {
            assert!(Instant::now() < deadline, "never answered {status}");
        }
    }

    async fn grpc(&self) -> Result<(), tonic::Status> {
        let url = self.process.addresses["grpc"].as_str().unwrap().to_owned();
        let request = ExportLogsServiceRequest {
            resource_logs: vec![ResourceLogs::default()],
        };
        let mut client = LogsServiceClient::connect(url).await.unwrap();
        client.export(request).await.map(drop)
    }

    /// Shuts the process down. Returns its log and the ids of acknowledged spans.
    fn stop(self) -> (String, BTreeSet<String>) {
        let log = String::from_utf8(self.process.stop().stderr).unwrap();
        (log, self.acknowledged)
    }
}

/// Span ids of all rows. Each must occur only once.
fn written(out_dir: &Path) -> BTreeSet<String> {
    let lines = fs::read_to_string(out_dir.join("mine/cctf/invocations.jsonl")).unwrap();
    let rows = lines
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let ids: Vec<String> = rows
        .map(|row| row["span_id"].as_str().unwrap().to_owned())
        .collect();
    let once: BTreeSet<String> = ids.iter().cloned().collect();
    assert_eq!(once.len(), ids.len(), "a row is there twice");
    once
}

/// Sends requests until the full disk makes the normalizer refuse them. Then empties the disk, and checks that requests are
/// accepted. With `--disk-free-min 0` this fails: no guard refuses requests, so they are accepted until no space is free.
async fn fill_and_empty(disk: &Disk, out_dir: &Path, flags: &[&str]) {
    let mut normalizer = Normalizer::start(out_dir, &[flags, &["--disk-free-min", FREE_MIN]].concat());
    for _ in 0..2 {
        normalizer.send_until("200");
        normalizer.grpc().await.unwrap();
        disk.fill(FREE_MIN_BYTES + ROOM_BYTES);
        normalizer.send_until("503");
        let free = disk.free();
        assert!(
            free > FREE_MIN_BYTES / 2,
            "refused when only {free} bytes were free"
        );
        let refused = normalizer.grpc().await.unwrap_err();
        assert_eq!(refused.code(), Code::Unavailable);
        assert!(String::from_utf8_lossy(refused.details()).contains("google.rpc.RetryInfo"));
        let ready = normalizer.process.http("admin", "GET /readyz", "");
        assert!(
            ready.starts_with("HTTP/1.1 503 ") && ready.contains("the disk is full"),
            "{ready}"
        );
        fs::remove_file(disk.ballast()).unwrap();
    }
    normalizer.send_until("200");
    let (log, acknowledged) = normalizer.stop();
    assert_eq!(
        log.matches("less than --disk-free-min (8388608)").count(),
        2,
        "{log}"
    );
    assert_eq!(log.matches("has enough free space again").count(), 2, "{log}");
    assert_eq!(written(out_dir), acknowledged);
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_refused_while_the_disk_is_almost_full() {
    let disk = Disk::new();
    fill_and_empty(&disk, &disk.path().join("logs"), &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_journals_disk_is_guarded_too() {
    let (disk, folder) = (Disk::new(), TempDir::new().unwrap());
    let journal = disk.path().join("journal").display().to_string();
    fill_and_empty(&disk, folder.path(), &["--journal-dir", &journal]).await;
}

#[test]
fn a_start_on_a_full_disk_refuses_from_the_first_request() {
    let disk = Disk::new();
    let out_dir = disk.path().join("logs");
    disk.fill(FREE_MIN_BYTES / 2);
    let mut normalizer = Normalizer::start(&out_dir, &["--disk-free-min", FREE_MIN]);
    assert!(normalizer.send().starts_with("HTTP/1.1 503 "));
    fs::remove_file(disk.ballast()).unwrap();
    normalizer.send_until("200");
    let (_, acknowledged) = normalizer.stop();
    assert_eq!(written(&out_dir), acknowledged);
}
