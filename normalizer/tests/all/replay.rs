//! The same journal gives the same files byte by byte: also after a kill -9, and for requests in every encoding.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use cctf_normalizer::journal::Signal;
use cctf_normalizer::receiver::protobuf_of_json;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::process::{Process, command, try_http};

const PATIENCE: Duration = Duration::from_secs(180);
const SETTINGS: [&str; 3] = ["--dedup-window=60s", "--roll-bytes=50KiB", "--run-id=mine"];

/// A normalizer that keeps its journal.
fn start(folder: &Path, flags: &[&str]) -> Process {
    let mut command = command();
    command.args(SETTINGS).args(flags);
    command.args(["--keep-raw", "--segment-bytes", "32KiB", "--out-dir"]);
    Process::start(command.arg(folder).stderr(Stdio::null()))
}

/// Sends a request until it is accepted, because the smallest memory limit gives a small queue.
fn send(address: &str, path: &str, body: &Value) {
    let since = Instant::now();
    loop {
        let answer = post(address, path, body);
        if answer.starts_with("HTTP/1.1 200 ") {
            return;
        }
        assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
        assert!(since.elapsed() < PATIENCE, "{answer}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Sends each request in another encoding: JSON, JSON with gzip, protobuf, protobuf with gzip.
fn post(address: &str, path: &str, body: &Value) -> String {
    static SENT: AtomicUsize = AtomicUsize::new(0);
    let (json, number) = (body.to_string(), SENT.fetch_add(1, Ordering::Relaxed));
    let signal = if path == "/v1/traces" {
        Signal::Traces
    } else {
        Signal::Metrics
    };
    let (content_type, plain) = match number % 4 / 2 {
        0 => ("json", json.into_bytes()),
        _ => (
            "x-protobuf",
            protobuf_of_json(signal, json.as_bytes()).unwrap().to_vec(),
        ),
    };
    let (coding, body) = match number % 2 {
        0 => ("identity", plain),
        _ => ("gzip", gzip(&plain)),
    };
    let content_type = format!("{content_type}\r\ncontent-encoding: {coding}");
    try_http(address, &format!("POST {path}"), &content_type, &body).unwrap()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn resource(service: u64) -> Value {
    json!({"attributes": [
        {"key": "service.name", "value": {"stringValue": format!("service{service}")}},
        {"key": "service.instance.id", "value": {"stringValue": format!("instance{service}")}},
        {"key": "host.name", "value": {"stringValue": format!("node{}", service % 3)}},
    ]})
}

/// A trace through five services on three nodes. Every fourth trace names a run, and every fifth has no root.
fn spans(number: u64) -> Value {
    let resource_spans: Vec<Value> = (0..5_u64)
        .map(|service| {
            let id = |at: u64| format!("{:016x}", 100 * number + at + 1);
            let start = 1_700_000_000_000_000_000 + number * 1_000_000_000 + service * 1_000_000;
            let end = 1_700_000_000_100_000_000 + number * 1_000_000_000 - service * 1_000_000;
            let attributes = if number.is_multiple_of(4) {
                json!([{"key": "cctf.run_id", "value": {"stringValue": "named"}}])
            } else {
                json!([{"key": "http.route", "value": {"stringValue": format!("/{service}")}}])
            };
            let span = |at: u64, kind: u8, parent: Option<u64>| {
                json!({
                    "traceId": format!("{:032x}", number + 1), "spanId": id(at), "kind": kind, "name": "x",
                    "parentSpanId": parent.map(id).unwrap_or_default(), "attributes": attributes,
                    "startTimeUnixNano": start.to_string(), "endTimeUnixNano": end.to_string(),
                })
            };
            let parent = (service > 0).then(|| 2 * service - 1);
            let parent = parent.or(number.is_multiple_of(5).then_some(90));
            let spans = [
                span(2 * service, 2, parent),
                span(2 * service + 1, 3, Some(2 * service)),
            ];
            json!({"resource": resource(service), "scopeSpans": [{"spans": spans}]})
        })
        .collect();
    json!({ "resourceSpans": resource_spans })
}

fn points(number: u64) -> Value {
    let time = (1_700_000_000_000_000_000 + number * 1_000_000_000).to_string();
    let metrics: Vec<Value> = [
        "process.cpu.utilization",
        "process.memory.usage",
        "system.cpu.utilization",
    ]
    .iter()
    .map(|name| {
        let points: Vec<Value> = (0..3)
            .map(|at| {
                json!({"timeUnixNano": time, "asDouble": 0.5 + f64::from(at), "attributes": [
                    {"key": "state", "value": {"stringValue": format!("state{at}")}}]})
            })
            .collect();
        json!({"name": name, "gauge": {"dataPoints": points}})
    })
    .collect();
    let resource_metrics: Vec<Value> = (0..3)
        .map(|service| json!({"resource": resource(service), "scopeMetrics": [{"metrics": metrics}]}))
        .collect();
    json!({ "resourceMetrics": resource_metrics })
}

/// The content of all files of all runs.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    for run in fs::read_dir(folder).unwrap() {
        let run = run.unwrap().path();
        let is_run = run.join("cctf").is_dir() && !run.is_symlink();
        for entry in fs::read_dir(run.join("cctf"))
            .into_iter()
            .flatten()
            .filter(|_| is_run)
        {
            let path = entry.unwrap().path();
            let content = fs::read(&path).unwrap();
            files.insert(path.strip_prefix(folder).unwrap().to_owned(), content);
        }
    }
    files
}

fn replay(journal: &Path, out_dir: &Path, flags: &[&str]) -> Output {
    command()
        .arg("replay-journal")
        .arg(journal)
        .args(flags)
        .arg("--out-dir")
        .arg(out_dir)
        .output()
        .unwrap()
}

/// Three starts of a normalizer, each with other settings. The second process is killed.
fn live(folder: &Path) {
    for (life, flags) in (0..).zip([
        ["--join-window=300ms", "--stage-of=node1=edge"],
        ["--join-window=500ms", "--default-stage=cloud"],
        ["--join-window=200ms", "--memory-limit=100KiB"],
    ]) {
        let process = start(folder, &flags);
        for number in 20 * life..20 * (life + 1) {
            send(process.address("http"), "/v1/traces", &spans(number));
            send(process.address("http"), "/v1/metrics", &points(number));
            if number.is_multiple_of(3) {
                send(process.address("http"), "/v1/traces", &spans(number));
            }
        }
        if life == 1 {
            process.kill();
        } else {
            process.stop();
        }
    }
}

#[test]
fn a_kept_journal_makes_the_same_files_again_even_after_a_kill() {
    let folder = TempDir::new().unwrap();
    let live_dir = folder.path().join("live");
    live(&live_dir);
    let journal = live_dir.join(".journal/mine");
    let made = files(&live_dir);
    assert!(made[Path::new("mine/cctf/invocations.jsonl")].len() > 10_000);
    assert!(made.contains_key(Path::new("mine-0002/cctf/run_meta.json")));
    for again in ["again", "and-again"] {
        let out_dir = folder.path().join(again);
        let done = replay(&journal, &out_dir, &[]);
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        let again = files(&out_dir);
        assert!(again.keys().eq(made.keys()));
        for (path, content) in again {
            assert!(
                made[&path] == content,
                "{} differs:\n{}\n{}",
                path.display(),
                String::from_utf8_lossy(&made[&path]),
                String::from_utf8_lossy(&content)
            );
        }
    }
}

#[test]
fn explicit_settings_override_those_of_the_journal() {
    let folder = TempDir::new().unwrap();
    let live_dir = folder.path().join("live");
    live(&live_dir);
    // The journal contains the id of the own run, which need not be the name of the folder.
    let journal = folder.path().join("no run id");
    fs::rename(live_dir.join(".journal/mine"), &journal).unwrap();
    let out_dir = folder.path().join("out");
    let done = replay(
        &journal,
        &out_dir,
        &["--roll-bytes=0", "--default-stage=endpoint"],
    );
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let made = files(&out_dir);
    let rows = String::from_utf8(made[Path::new("mine/cctf/invocations.jsonl")].clone()).unwrap();
    assert!(!made.contains_key(Path::new("mine-0002/cctf/run_meta.json")));
    for stage in ["edge", "endpoint"] {
        assert!(rows.contains(&format!(r#""stage":"{stage}""#)), "{stage}");
    }
    assert!(
        !rows.contains(r#""stage":"cloud""#),
        "the second life's default stage is not asked for"
    );
}

#[test]
fn what_cannot_be_replayed_is_one_sentence() {
    let folder = TempDir::new().unwrap();
    let empty = folder.path().join("empty");
    fs::create_dir(&empty).unwrap();
    let full = folder.path().join("full");
    fs::create_dir(&full).unwrap();
    fs::write(full.join("file"), "").unwrap();
    for (journal, out_dir, cause) in [
        (
            folder.path().join("nowhere"),
            folder.path().join("out"),
            "cannot read ",
        ),
        (
            empty.clone(),
            folder.path().join("out"),
            "it has no journal segments",
        ),
        (empty.clone(), full, "it is not empty"),
    ] {
        let done = replay(&journal, &out_dir, &[]);
        let error = String::from_utf8(done.stderr).unwrap();
        assert!(!done.status.success() && error.contains(cause), "{error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    }
}
