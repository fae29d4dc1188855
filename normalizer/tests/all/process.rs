//! The binary from its start to its end: its output, exit codes and files.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::process::{self, Process};

const BINARY: &str = env!("CARGO_BIN_EXE_cctf-normalizer");

fn command(folder: &Path) -> Command {
    let mut command = process::command();
    command
        .arg("--out-dir")
        .arg(folder.join("logs"))
        .stderr(Stdio::piped());
    command
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn one_request() -> String {
    json!({"resourceSpans": [{
        "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]},
        "scopeSpans": [{"spans": [{
            "traceId": "07".repeat(16), "spanId": "01".repeat(8), "name": "GET /", "kind": 2,
            "startTimeUnixNano": "1700000000000000000", "endTimeUnixNano": "1700000000005000000",
        }]}],
    }]})
    .to_string()
}

#[test]
fn acknowledged_rows_are_in_the_files_after_sigterm() {
    let folder = TempDir::new().unwrap();
    let normalizer = Process::start(command(folder.path()).args(["--run-id", "mine"]));
    let answer = normalizer.http("http", "POST /v1/traces", &one_request());
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    let output = normalizer.stop();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(stderr(&output).lines().count(), 1, "{output:?}");

    let lines = fs::read_to_string(folder.path().join("logs/latest/events.jsonl")).unwrap();
    let row: Value = serde_json::from_str(lines.trim_end()).unwrap();
    assert_eq!(
        (row["span_id"].as_str(), row["module_id"].as_str()),
        (Some("0101010101010101"), Some("shop"))
    );
    assert_eq!(
        fs::read_link(folder.path().join("logs/latest")).unwrap(),
        Path::new("mine")
    );
    for file in fs::read_dir(folder.path().join("logs/mine/cctf")).unwrap() {
        let path = file.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        if path.extension().is_some_and(|extension| extension == "json") {
            serde_json::from_str::<Value>(&text).unwrap();
        }
    }
}

#[test]
fn its_own_run_continues_after_a_restart() {
    let folder = TempDir::new().unwrap();
    for round in 2..4 {
        let normalizer = Process::start(&mut command(folder.path()));
        // The process finds a duplicate that arrives after its restart.
        normalizer.http("http", "POST /v1/traces", &one_request());
        let another = one_request().replace(&"01".repeat(8), &format!("0{round}").repeat(8));
        normalizer.http("http", "POST /v1/traces", &another);
        normalizer.signal("-INT");
        assert!(normalizer.ended().status.success());
    }
    let own = fs::read_to_string(folder.path().join("logs/.normalizer-run-id")).unwrap();
    let lines = fs::read_to_string(folder.path().join("logs").join(own.trim()).join("events.jsonl")).unwrap();
    assert_eq!(lines.lines().count(), 3);
}

#[test]
fn the_admin_listener_serves_health_metrics_and_a_page() {
    let folder = TempDir::new().unwrap();
    let normalizer = Process::start(&mut command(folder.path()));
    normalizer.http("http", "POST /v1/traces", &one_request());
    normalizer.http("http", "POST /v1/traces", "not json");
    for (path, status, expected) in [
        ("/livez", "200", "ok"),
        ("/readyz", "200", "ok"),
        (
            "/metrics",
            "200",
            "cctf_received_rows_total{signal=\"traces\"} 1\n",
        ),
        (
            "/metrics",
            "200",
            "cctf_refused_requests_total{reason=\"malformed\"} 1\n",
        ),
        (
            "/",
            "200",
            "traces</th><td class=\"number\" data-col=\"requests\">1</td><td class=\"number\" data-col=\"rows\">1</td>",
        ),
        (
            "/",
            "200",
            "malformed, whole request</th><td class=\"number\" data-col=\"receiver\">1</td>",
        ),
        ("/else", "404", "use /, /events, /livez"),
    ] {
        let answer = normalizer.http("admin", &format!("GET {path}"), "");
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")) && answer.contains(expected),
            "{path}: {answer}"
        );
    }
    let healthcheck = |url: &str| {
        Command::new(BINARY)
            .args(["healthcheck", "--admin", url])
            .output()
            .unwrap()
    };
    let admin = format!("http://{}", normalizer.address("admin"));
    assert!(healthcheck(&admin).status.success());
    normalizer.stop();
    let gone = healthcheck(&admin);
    assert_eq!(gone.status.code(), Some(1));
    assert!(
        stderr(&gone).contains("no answer from http://127.0.0.1:"),
        "{gone:?}"
    );
    assert_eq!(healthcheck("ftp://x").status.code(), Some(1));
}

#[test]
fn what_prevents_the_start_is_one_sentence() {
    let folder = TempDir::new().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    fs::write(folder.path().join("file"), "").unwrap();
    for (arguments, code, sentence) in [
        (["--join-window", "soon"], 2, "invalid duration \"soon\""),
        (["--run-id", "../up"], 2, "invalid run id"),
        (
            ["--grpc-listen", &address],
            1,
            "stop the process that listens there or choose another --grpc-listen\n",
        ),
        (
            ["--out-dir", "file/logs"],
            1,
            "make it writable or choose another --out-dir\n",
        ),
    ] {
        let mut command = process::command();
        let output = command
            .current_dir(folder.path())
            .args(arguments)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(code), "{output:?}");
        let error = stderr(&output);
        assert!(error.contains(sentence) && error.lines().count() == 1, "{error}");
    }
}

#[test]
fn a_second_normalizer_on_the_same_journal_or_run_ends_with_the_reason() {
    let folder = TempDir::new().unwrap();
    let first = Process::start(command(folder.path()).args(["--run-id", "mine"]));
    let second = command(folder.path())
        .args(["--run-id", "mine"])
        .output()
        .unwrap();
    assert_eq!(second.status.code(), Some(1));
    assert!(
        stderr(&second).contains("another running normalizer uses it"),
        "{second:?}"
    );

    first.http("http", "POST /v1/traces", &one_request());
    while !folder.path().join("logs/mine/run_meta.json").exists() {
        std::thread::yield_now();
    }
    let apart = ["--run-id", "mine", "--durability", "none"];
    let third = Process::start(command(folder.path()).args(apart));
    third.http("http", "POST /v1/traces", &one_request());
    let ended = third.ended();
    assert_eq!(ended.status.code(), Some(1));
    assert!(
        stderr(&ended).contains("another normalizer has locked it"),
        "{ended:?}"
    );
    first.stop();
}

#[test]
fn a_listener_that_others_can_reach_warns() {
    let folder = TempDir::new().unwrap();
    let normalizer = Process::start(command(folder.path()).args(["--http-listen", "0.0.0.0:0"]));
    let output = normalizer.stop();
    let warnings: Vec<String> = stderr(&output)
        .lines()
        .filter(|line| line.starts_with("warning: "))
        .map(str::to_owned)
        .collect();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(
        warnings[0].contains("OTLP/HTTP listens on 0.0.0.0:") && warnings[0].contains("without TLS"),
        "{warnings:?}"
    );
}

/// This test failed before such ids were rejected. The error was `cannot replace .../latest`, at every start.
#[test]
fn a_run_named_like_the_link_stops_neither_the_process_nor_a_restart() {
    let folder = TempDir::new().unwrap();
    let logs = folder.path().join("logs");
    let named = json!({"key": "cctf.run_id", "value": {"stringValue": "latest"}});
    let mut request: Value = serde_json::from_str(&one_request()).unwrap();
    let attributes = &mut request["resourceSpans"][0]["resource"]["attributes"];
    attributes.as_array_mut().unwrap().push(named);
    let normalizer = Process::start(command(folder.path()).args(["--run-id", "mine"]));
    let answer = normalizer.http("http", "POST /v1/traces", &request.to_string());
    assert!(
        answer.starts_with("HTTP/1.1 200 ") && answer.contains("invalid_run_id 1"),
        "{answer}"
    );
    normalizer.http("http", "POST /v1/traces", &one_request());
    normalizer.kill();
    // Older versions accepted such a run. They left its folder with the name of the link, and the request in the journal. If
    // the row was acknowledged but not written yet, there is no link.
    let _ = fs::remove_file(logs.join("latest"));
    fs::create_dir_all(logs.join("latest/cctf")).unwrap();
    fs::write(logs.join("latest/cctf/invocations.jsonl"), "kept\n").unwrap();
    for _ in 0..2 {
        Process::start(command(folder.path()).args(["--run-id", "mine"])).stop();
        assert_eq!(fs::read_link(logs.join("latest")).unwrap(), Path::new("mine"));
    }
    let moved = fs::read_to_string(logs.join("was-latest/cctf/invocations.jsonl"));
    assert_eq!(moved.unwrap(), "kept\n");
    let rows = fs::read_to_string(logs.join("mine/cctf/invocations.jsonl")).unwrap();
    assert_eq!(rows.lines().count(), 1, "{rows}");
}
