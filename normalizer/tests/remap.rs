//! A journal of another version of the mapping: sealed it is gone on with, after a crash it is refused, and by --remap its
//! rows are made anew.
//!
//! Seen to fail without the check of the segments' version (the start then tells of files that differ), and with the files
//! completed instead of cut (the same).
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use cctf_normalizer::mapping::MAPPING_VERSION;
use cctf_proto::validate::{Options, validate};
use serde_json::{Value, json};
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(180);
const SPANS: u64 = 40;

fn command(logs: &Path, flags: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cctf-normalizer"));
    command.env_clear().arg("--out-dir").arg(logs).args(flags);
    command.args(["--run-id", "mine", "--roll-bytes", "4KiB"]);
    for flag in ["--grpc-listen", "--http-listen", "--admin-listen"] {
        command.args([flag, "127.0.0.1:0"]);
    }
    command
}

fn start(logs: &Path, flags: &[&str]) -> (Child, String) {
    let mut child = command(logs, flags).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    let stdout = child.stdout.as_mut().unwrap();
    BufReader::new(stdout).read_line(&mut line).unwrap();
    let addresses: Value = serde_json::from_str(&line).unwrap();
    let address = addresses["http"]
        .as_str()
        .unwrap()
        .strip_prefix("http://")
        .unwrap();
    (child, address.to_owned())
}

/// One SERVER span a request.
fn send(address: &str, spans: std::ops::Range<u64>) {
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
        let mut stream = TcpStream::connect(address).unwrap();
        let len = body.len();
        let head = format!(
            "POST /v1/traces HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {len}\r\n\r\n"
        );
        stream.write_all((head + &body).as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }
}

fn terminate(mut child: Child) {
    let id = child.id().to_string();
    Command::new("kill").args(["-TERM", &id]).status().unwrap();
    assert!(child.wait().unwrap().success());
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

/// Each span has one row, all of this mapping, and each part is valid.
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

/// Makes the journal one that another version has written, which wrote service names in capitals.
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
fn a_sealed_journal_of_another_mapping_is_gone_on_with() {
    let folder = TempDir::new().unwrap();
    let logs = folder.path();
    let (child, address) = start(logs, &["--keep-raw"]);
    send(&address, 0..SPANS);
    terminate(child);
    make_other(logs, false);
    for round in 1..3 {
        let (child, address) = start(logs, &["--keep-raw"]);
        send(&address, round * SPANS..(round + 1) * SPANS);
        terminate(child);
        check(logs, (round + 1) * SPANS);
    }
}

#[test]
fn after_a_crash_a_journal_of_another_mapping_is_refused_and_its_rows_are_made_anew_by_remap() {
    let folder = TempDir::new().unwrap();
    let logs = folder.path();
    let (mut child, address) = start(logs, &[]);
    send(&address, 0..SPANS);
    let since = Instant::now();
    while lines(logs) < SPANS {
        assert!(since.elapsed() < PATIENCE, "rows of {SPANS} spans");
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    make_other(logs, true);
    let before = files(logs);
    assert!(before.len() > 2, "it rolled on");

    let refused = command(logs, &[]).output().unwrap();
    let told = String::from_utf8(refused.stderr).unwrap();
    assert!(!refused.status.success());
    for part in ["--remap", "SIGTERM", "of the mapping"] {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert_eq!(told.lines().count(), 1, "{told}");
    assert_eq!(files(logs), before, "nothing was touched");

    let (mut child, address) = start(logs, &["--remap"]);
    send(&address, SPANS..2 * SPANS);
    child.kill().unwrap();
    child.wait().unwrap();
    // From there on the journal is of this mapping.
    let (child, _) = start(logs, &[]);
    terminate(child);
    check(logs, 2 * SPANS);
}
