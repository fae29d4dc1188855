//! A journal of another mapping version. The next start continues if the journal is sealed (closed in order), and refuses it after a
//! crash. With --remap, the start recomputes the journal's rows.
//!
//! These tests fail without the check of the segments' version, and if the files are completed instead of truncated. In both cases
//! the start reports that files differ.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use cctf_normalizer::mapping::MAPPING_VERSION;
use rundir::validate::{Options, validate};
use serde_json::json;
use tempfile::TempDir;

use crate::support::process::{self, Process};

const PATIENCE: Duration = Duration::from_secs(180);
const SPANS: u64 = 40;

fn command(logs: &Path, flags: &[&str]) -> Command {
    let mut command = process::command();
    command.arg("--out-dir").arg(logs).args(flags);
    command.args(["--run-id", "mine", "--roll-bytes", "4KiB"]);
    command
}

fn start(logs: &Path, flags: &[&str]) -> Process {
    Process::start(&mut command(logs, flags))
}

/// One SERVER span per request.
fn send(process: &Process, spans: std::ops::Range<u64>) {
    for number in spans {
        let body = json!({"resourceSpans": [{
            "resource": {"attributes": [
                {"key": "service.name", "value": {"stringValue": "shop"}},
                {"key": "host.name", "value": {"stringValue": "n1"}},
            ]},
            "scopeSpans": [{"spans": [{
                "traceId": format!("{:032x}", number + 1), "spanId": format!("{:016x}", number + 1), "name": "x", "kind": 2,
                "startTimeUnixNano": "1700000000000000000", "endTimeUnixNano": "1700000000005000000",
            }]}],
        }]})
        .to_string();
        let answer = process.http("http", "POST /v1/traces", &body);
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }
}

/// The lines of all parts.
fn files(logs: &Path) -> BTreeMap<PathBuf, String> {
    let mut files = BTreeMap::new();
    for run in fs::read_dir(logs).unwrap().map(|entry| entry.unwrap().path()) {
        let path = run.join("cctf/invocations.jsonl");
        if let (false, Ok(text)) = (run.is_symlink(), fs::read_to_string(&path)) {
            files.insert(path, text);
        }
    }
    files
}

fn lines(logs: &Path) -> u64 {
    files(logs).values().map(|text| text.lines().count() as u64).sum()
}

/// Checks that each span has one row, that all rows have this mapping version, and that each part is valid.
fn check(logs: &Path, spans: u64) {
    let files = files(logs);
    let text: String = files.values().map(String::as_str).collect();
    for number in 0..spans {
        let id = format!("\"span_id\":\"{:016x}\"", number + 1);
        assert_eq!(text.matches(&id).count(), 1, "{id}");
    }
    assert!(!text.contains("\"SHOP\""), "the other mapping's rows are gone");
    for part in files.keys() {
        let report = validate(part.parent().unwrap(), Options::default()).unwrap();
        assert!(report.is_valid(), "{}: {:#?}", part.display(), report.broken);
    }
}

/// Changes the journal and the files as if another version had written them, with service names in capitals.
fn make_other(logs: &Path, are_rows_other: bool) {
    for entry in fs::read_dir(logs.join(".journal/mine")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|ending| ending == "segment") {
            let mut bytes = fs::read(&path).unwrap();
            bytes[12..16].copy_from_slice(&(MAPPING_VERSION + 1).to_le_bytes());
            let checksum = crc32c::crc32c(&bytes[..24]);
            bytes[24..28].copy_from_slice(&checksum.to_le_bytes());
            fs::write(&path, bytes).unwrap();
        }
    }
    for (path, text) in files(logs).into_iter().filter(|_| are_rows_other) {
        fs::write(path, text.replace("\"shop\"", "\"SHOP\"")).unwrap();
    }
}

#[test]
fn a_sealed_journal_of_another_mapping_is_continued() {
    let folder = TempDir::new().unwrap();
    let logs = folder.path();
    let process = start(logs, &["--keep-raw"]);
    send(&process, 0..SPANS);
    process.stop();
    make_other(logs, false);
    for round in 1..3 {
        let process = start(logs, &["--keep-raw"]);
        send(&process, round * SPANS..(round + 1) * SPANS);
        process.stop();
        check(logs, (round + 1) * SPANS);
    }
}

#[test]
fn after_a_crash_another_mapping_is_refused_and_remap_recomputes_rows() {
    let folder = TempDir::new().unwrap();
    let logs = folder.path();
    let process = start(logs, &[]);
    send(&process, 0..SPANS);
    let since = Instant::now();
    while lines(logs) < SPANS {
        assert!(since.elapsed() < PATIENCE, "rows of {SPANS} spans");
        std::thread::sleep(Duration::from_millis(5));
    }
    process.kill();
    make_other(logs, true);
    let before = files(logs);
    assert!(before.len() > 2, "it rolled on");

    let refused = command(logs, &[]).output().unwrap();
    let error = String::from_utf8(refused.stderr).unwrap();
    assert!(!refused.status.success());
    for part in ["--remap", "SIGTERM", "mapping version"] {
        assert!(error.contains(part), "{part}: {error}");
    }
    assert_eq!(error.lines().count(), 1, "{error}");
    assert_eq!(files(logs), before, "nothing was touched");

    let process = start(logs, &["--remap"]);
    send(&process, SPANS..2 * SPANS);
    process.kill();
    // Later records have the mapping version of this build.
    start(logs, &[]).stop();
    check(logs, 2 * SPANS);
}
