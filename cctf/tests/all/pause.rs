//! `cctf load`, stopped for a while as if by a debugger, or by a machine that pauses.

use std::process::Stdio;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cctf_proto::keys;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use serde_json::Value as Json;

use crate::cctf;
use crate::servers::{Answers, Servers};

const PAUSE: Duration = Duration::from_millis(600);
/// Number of requests that are due within the pause.
const DUE: usize = 60;
const LATE_NS: u64 = 100_000_000;

/// A load of 100 requests per second that was stopped for a while.
struct Paused {
    /// A time at which the load was stopped.
    stopped_ns: u64,
    summary: Json,
    lines: Vec<Json>,
    spans: Vec<Span>,
}

impl Paused {
    fn run(seconds: usize) -> Self {
        let servers = Servers::start(Answers::Accept, None);
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("events_client.jsonl");
        let duration = format!("{seconds}s");
        let child = cctf(&[
            "load",
            "--endpoint",
            "hash",
            "--rate",
            "100",
            "--duration",
            &duration,
        ])
        .args(["--target", &format!("http://{}", servers.service)])
        .args(["--otlp-endpoint", &format!("http://{}", servers.collector)])
        .args(["--format", "json", "--out"])
        .arg(&out)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
        while servers.seen().is_empty() {
            std::thread::sleep(Duration::from_millis(1));
        }
        signal(&child, "-STOP");
        std::thread::sleep(PAUSE);
        let stopped_ns = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos();
        signal(&child, "-CONT");
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0));
        let lines = std::fs::read_to_string(&out).unwrap();
        let spans = servers.spans().into_iter();
        Self {
            stopped_ns: u64::try_from(stopped_ns).unwrap(),
            summary: serde_json::from_slice(&output.stdout).unwrap(),
            lines: lines
                .lines()
                .map(|line| serde_json::from_str(line).unwrap())
                .collect(),
            spans: spans
                .filter(|(scope, _)| scope != keys::CONTROL_SCOPE)
                .map(|(_, span)| span)
                .collect(),
        }
    }

    /// Number of requests that were sent after the pause.
    fn sent_afterwards(&self) -> usize {
        let starts = self.spans.iter().map(|span| span.start_time_unix_nano);
        starts.filter(|start_ns| *start_ns >= self.stopped_ns).count()
    }
}

fn lateness_ns(span: &Span) -> Option<u64> {
    let lateness = span.attributes.iter().find(|of| of.key == keys::LATENESS_NS)?;
    match lateness.value.as_ref()?.value.as_ref()? {
        Value::IntValue(ns) => u64::try_from(*ns).ok(),
        _ => None,
    }
}

#[test]
fn a_pause_of_the_driver_shows_in_summary_lines_and_spans() {
    // On a slow machine, a short load is over before it is stopped.
    let mut loads = [3, 6, 12, 24, 48].map(|seconds| 100 * seconds).into_iter();
    let (requests, paused) = loads
        .by_ref()
        .map(|requests| (requests, Paused::run(requests / 100)))
        .find(|(_, paused)| paused.sent_afterwards() >= DUE)
        .expect("a load that is stopped before its end");
    let summary = &paused.summary;
    // The first request in the pause was due at most 10 ms after its start.
    assert!(
        summary["lateness_ms"]["max"].as_f64().unwrap() >= 580.0,
        "{summary}"
    );
    // At least 57 requests were due more than 10 ms before the end of the pause.
    assert!(
        summary["late_ratio"].as_f64().unwrap() >= 57.0 / requests as f64,
        "{summary}"
    );
    assert_eq!(summary["requests"], requests);
    let lines = paused.lines.iter().map(|line| line["lateness_ns"].as_u64());
    let spans = paused.spans.iter().map(lateness_ns);
    for late in [
        lines.filter(|ns| *ns >= Some(LATE_NS)).count(),
        spans.filter(|ns| *ns >= Some(LATE_NS)).count(),
    ] {
        assert!(late >= 48, "{late} requests are late: {summary}");
    }
}

fn signal(child: &std::process::Child, signal: &str) {
    let sent = std::process::Command::new("kill")
        .args([signal, &child.id().to_string()])
        .status();
    assert!(sent.unwrap().success());
}
