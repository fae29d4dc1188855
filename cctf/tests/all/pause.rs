//! `cctf load`, stopped for a while as if by a debugger, or by a machine that pauses.

use std::process::Stdio;
use std::time::{Duration, Instant};

use cctf_proto::keys;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use serde_json::Value as Json;

use crate::cctf;
use crate::servers::{Answers, Servers};

const PAUSE: Duration = Duration::from_millis(600);

#[test]
fn a_pause_of_the_driver_shows_in_summary_lines_and_spans() {
    let servers = Servers::start(Answers::Accept, None);
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("events_client.jsonl");
    let child = cctf(&["load", "--endpoint", "hash", "--rate", "100", "--duration", "3s"])
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
    let stopped = Instant::now();
    std::thread::sleep(PAUSE);
    assert!(stopped.elapsed() >= PAUSE);
    signal(&child, "-CONT");
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));

    let summary: Json = serde_json::from_slice(&output.stdout).unwrap();
    // The first request in the pause was due at most 10 ms after its start.
    assert!(
        summary["lateness_ms"]["max"].as_f64().unwrap() >= 580.0,
        "{summary}"
    );
    // At least 57 of 300 requests were due more than 10 ms before the end of the pause.
    assert!(summary["late_ratio"].as_f64().unwrap() >= 0.19, "{summary}");
    assert_eq!(summary["requests"], 300);
    let lines = std::fs::read_to_string(&out).unwrap();
    let late = lines.lines().filter(|line| {
        let line: Json = serde_json::from_str(line).unwrap();
        line["lateness_ns"].as_u64().unwrap() >= 100_000_000
    });
    assert!(late.count() >= 48, "{lines}");
    let spans = servers.spans();
    let late = spans.iter().filter(|(_, span)| {
        let mut found = span.attributes.iter();
        let lateness = found.find(|attribute| attribute.key == keys::LATENESS_NS);
        let value = lateness.and_then(|attribute| attribute.value.as_ref()?.value.as_ref());
        matches!(value, Some(Value::IntValue(ns)) if *ns >= 100_000_000)
    });
    assert!(late.count() >= 48);
}

fn signal(child: &std::process::Child, signal: &str) {
    let sent = std::process::Command::new("kill")
        .args([signal, &child.id().to_string()])
        .status();
    assert!(sent.unwrap().success());
}
