//! The memory limit while many rows wait: for a caller that never arrives, or for a run that no span names.
//!
//! These tests fail if the pipeline evicts no rows: the process exceeds its limit, and no row leaves.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use rundir::validate::{Options, validate};
use serde_json::Value;
use tempfile::TempDir;

use crate::support::process::{Process, command};

const MIB: u64 = 1024 * 1024;
const LIMIT: u64 = 32 * MIB;
/// Memory above the limit that docs/journal.md allows: for the program, and for requests and lines in progress.
const MARGIN: u64 = 64 * MIB;
const REQUESTS: u64 = 80;
const SPANS_A_REQUEST: u64 = 1000;
/// A path of this length makes a row of one KiB. All rows together need more than twice the allowed memory.
const PATH_LEN: usize = 600;
const PATIENCE: Duration = Duration::from_secs(180);

fn start(logs: &Path) -> Process {
    let mut command = command();
    command.arg("--out-dir").arg(logs);
    // No window ends during the test.
    command.args(["--run-id", "mine", "--join-window", "1h", "--run-idle", "1h"]);
    command.args(["--durability", "flush", "--segment-bytes", "4MiB"]);
    Process::start(command.arg(format!("--memory-limit={LIMIT}")))
}

/// SERVER spans. Every second one has a caller that never arrives. If `run` is given, the spans name this run.
fn request(number: u64, spans: u64, run: Option<&str>) -> String {
    let mut text = String::from(
        r#"{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"shop"}},{"key":"host.name","value":{"stringValue":"n1"}}]},"scopeSpans":[{"spans":["#,
    );
    let path = "p".repeat(PATH_LEN);
    let run = run.map(|run| format!(r#",{{"key":"cctf.run_id","value":{{"stringValue":"{run}"}}}}"#));
    for at in 0..spans {
        let id = number * SPANS_A_REQUEST + at + 1;
        let parent = if at % 2 == 1 {
            r#","parentSpanId":"ffffffffffffffff""#
        } else {
            ""
        };
        let comma = if at > 0 { "," } else { "" };
        write!(
            text,
            r#"{comma}{{"traceId":"{id:032x}","spanId":"{id:016x}"{parent},"name":"x","kind":2,"startTimeUnixNano":"1700000000000000000","endTimeUnixNano":"1700000000005000000","attributes":[{{"key":"http.request.method","value":{{"stringValue":"GET"}}}},{{"key":"url.path","value":{{"stringValue":"/{path}"}}}}{}]}}"#,
            run.as_deref().unwrap_or_default()
        )
        .unwrap();
    }
    text.push_str("]}]}]}");
    text
}

/// The value of a metric, or the sum of its values.
fn metric(page: &str, name: &str) -> u64 {
    let values = page
        .lines()
        .filter(|line| line.split(['{', ' ']).next() == Some(name))
        .map(|line| line.rsplit_once(' ').unwrap().1.parse::<u64>().unwrap());
    values.sum()
}

fn peak_bytes(process: &Process) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", process.child.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

#[test]
fn at_the_limit_the_oldest_rows_leave_flagged_and_counted() {
    let folder = TempDir::new().unwrap();
    let logs = folder.path();
    let process = start(logs);
    let send = |body: &str| {
        let since = Instant::now();
        loop {
            let answer = process.http("http", "POST /v1/traces", body);
            if answer.starts_with("HTTP/1.1 200 ") {
                return;
            }
            // The queue may use a part of the limit.
            assert!(
                answer.starts_with("HTTP/1.1 503 ") || answer.starts_with("HTTP/1.1 429 "),
                "{answer}"
            );
            assert!(since.elapsed() < PATIENCE);
            std::thread::sleep(Duration::from_millis(10));
        }
    };
    // While a run that spans name is open, spans that name no run wait.
    send(&request(REQUESTS, 1, Some("named")));
    for number in 0..REQUESTS {
        send(&request(number, SPANS_A_REQUEST, None));
    }
    let since = Instant::now();
    let sent = REQUESTS * SPANS_A_REQUEST + 1;
    let metrics = loop {
        let page = process.http("admin", "GET /metrics", "");
        let (held, evicted) = (
            metric(&page, "cctf_rows_held"),
            metric(&page, "cctf_evicted_rows_total"),
        );
        if held + evicted + 1 == sent {
            break page;
        }
        assert!(
            since.elapsed() < PATIENCE,
            "{held} held, {evicted} gone of {sent}"
        );
        std::thread::sleep(Duration::from_millis(20));
    };
    let evicted = metric(&metrics, "cctf_evicted_rows_total");
    let accounted = metric(&metrics, "cctf_memory_bytes");
    assert!(evicted > sent / 2, "{evicted} of {sent} rows have left");
    assert_eq!(metric(&metrics, "cctf_memory_limit_bytes"), LIMIT);
    assert!(accounted <= LIMIT, "{accounted} bytes reported");
    let peak = peak_bytes(&process);
    println!(
        "{evicted} of {sent} rows left early; peak {} MiB, reported {} MiB",
        peak / MIB,
        accounted / MIB
    );
    assert!(peak <= LIMIT + MARGIN, "{} MiB at most", peak / MIB);

    process.stop();
    let cctf = logs.join("mine/cctf");
    let rows = fs::read_to_string(cctf.join("invocations.jsonl")).unwrap();
    assert_eq!(rows.lines().count() as u64 + 1, sent);
    let orphans = rows
        .lines()
        .filter(|row| row.contains(r#""flags":["orphan"]"#))
        .count() as u64;
    assert_eq!(orphans, sent / 2);
    let meta: Value = serde_json::from_slice(&fs::read(cctf.join("run_meta.json")).unwrap()).unwrap();
    assert_eq!(meta["counts"]["evicted"], evicted);
    assert_eq!(meta["counts"]["orphans"], orphans);
    let report = validate(&logs.join("mine"), Options::default()).unwrap();
    assert!(report.is_valid(), "{:#?}", report.broken);
}
