//! A short `cctf run` with all five real endpoints: the files of the runbook, all requests, and other programs that read the
//! files.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use e2e::binaries::{Done, bin_dir, cctf, command, short_run, tool};
use e2e::child::wait_for;
use e2e::http::send;
use e2e::rows::{self, number, text};
use e2e::sources::root;
use serde_json::Value;

use crate::stats::compare_stats;

const ENDPOINTS: [&str; 5] = ["json", "gzip", "hash", "kvset", "kvget"];
const REQUESTS_EACH: usize = 80;
/// File names in the runbook, and the files to which the links with these names lead.
const LINKS: [(&str, &str); 8] = [
    ("events.jsonl", "cctf/invocations.jsonl"),
    ("resources.jsonl", "cctf/host_metrics.jsonl"),
    ("links.jsonl", "cctf/link_metrics.jsonl"),
    ("node_meta.json", "cctf/nodes.json"),
    ("placement_events.jsonl", "cctf/placement_events.jsonl"),
    ("system_stats.jsonl", "cctf/system_stats.jsonl"),
    ("run_meta.json", "cctf/run_meta.json"),
    ("module_inventory.json", "cctf/module_inventory.json"),
];

/// The run that all these tests share.
struct Run {
    report: Value,
    folder: PathBuf,
    _logs: tempfile::TempDir,
}

static RUN: LazyLock<Run> = LazyLock::new(|| {
    let logs = tempfile::tempdir().unwrap();
    let report = short_run(logs.path(), &["--endpoints", &ENDPOINTS.join(",")]).unwrap();
    Run {
        report,
        folder: logs.path().join("r"),
        _logs: logs,
    }
});

fn lines(file: &str) -> Vec<Value> {
    rows::lines(&RUN.folder.join("cctf").join(file)).unwrap()
}

#[test]
fn the_folder_has_every_artifact_of_the_runbook() {
    for (link, target) in LINKS {
        let path = RUN.folder.join(link);
        assert_eq!(fs::read_link(&path).unwrap(), Path::new(target));
        assert!(fs::metadata(&path).unwrap().len() > 0, "{link} is empty");
    }
    for file in ["calls.jsonl", "links.json"] {
        assert!(RUN.folder.join("cctf").join(file).is_file(), "{file}");
    }
    assert_eq!(
        rows::lines(&RUN.folder.join("events_client.jsonl"))
            .unwrap()
            .len(),
        ENDPOINTS.len() * REQUESTS_EACH
    );
    assert_eq!(
        fs::read_link(RUN.folder.with_file_name("latest")).unwrap(),
        Path::new("r")
    );
}

#[test]
fn every_request_is_one_invocation_called_by_the_driver() {
    let (invocations, calls) = (lines("invocations.jsonl"), lines("calls.jsonl"));
    assert_eq!(invocations.len(), ENDPOINTS.len() * REQUESTS_EACH);
    let calls: HashMap<&str, &Value> = calls
        .iter()
        .map(|call| (text(call, "span_id").unwrap(), call))
        .collect();
    let inventory = rows::document(&RUN.folder.join("module_inventory.json")).unwrap();
    let sources: Vec<&str> = inventory
        .as_array()
        .unwrap()
        .iter()
        .filter(|module| text(module, "type") == Some("SOURCE"))
        .filter_map(|module| text(module, "module_id"))
        .collect();
    let mut per_path: BTreeMap<&str, usize> = BTreeMap::new();
    for row in &invocations {
        assert_eq!(
            (&row["parent_id"], row.get("flags")),
            (&Value::Null, None),
            "a root, and no orphan: {row}"
        );
        assert_eq!(
            (number(row, "status"), text(row, "node"), text(row, "stage")),
            (Some(200.0), Some("cloud0"), Some("cloud"))
        );
        let caller = calls[text(row, "caller_span_id").unwrap()];
        assert_eq!(
            (text(caller, "kind"), &caller["trace_id"]),
            (Some("client"), &row["trace_id"])
        );
        assert!(sources.contains(&text(caller, "module_id").unwrap()), "{caller}");
        assert!(caller["ancestor_id"].is_null(), "{caller}");
        *per_path.entry(text(row, "path").unwrap()).or_default() += 1;
    }
    let paths = [
        "/blob/gzip",
        "/hash/sha256",
        "/json/validate",
        "/kv/get/k1",
        "/kv/set/k1",
    ];
    assert_eq!(per_path, paths.map(|path| (path, REQUESTS_EACH)).into());
}

#[test]
fn what_an_invocation_took_adds_up() {
    let text = fs::read_to_string(RUN.folder.join("cctf/invocations.jsonl")).unwrap();
    for line in text.lines() {
        let of = |field| rows::nanoseconds(line, field).unwrap();
        assert_eq!(of("queue_time_ms"), of("ts_start") - of("ts_enqueue"), "{line}");
        assert_eq!(of("service_time_ms"), of("ts_end") - of("ts_start"), "{line}");
        assert_eq!(of("rt_ms"), of("ts_end") - of("ts_enqueue"), "{line}");
        assert!(
            of("cpu_time_ms") > 0 && of("cpu_time_ms") <= of("service_time_ms"),
            "{line}"
        );
    }
}

#[test]
fn the_checker_finds_no_broken_rule() {
    let report = cctf(&["validate", &RUN.folder.to_string_lossy(), "--format", "json"]).unwrap();
    assert_eq!(report.code, Some(0), "{report:?}");
    let meta = rows::document(&RUN.folder.join("run_meta.json")).unwrap();
    assert_eq!(
        meta["counts"]["rows"]["invocations.jsonl"],
        ENDPOINTS.len() * REQUESTS_EACH
    );
    assert_eq!(
        (&meta["counts"]["orphans"], &meta["counts"]["late"]),
        (&0.into(), &0.into())
    );
    assert_eq!((&meta["rate"], &meta["duration"]), (&40.0.into(), &"2s".into()));
    assert!(meta["ended_ts"].is_number());
}

#[test]
fn a_run_under_the_same_name_is_refused() {
    let logs = RUN.folder.parent().unwrap();
    let again = cctf(&[
        "run",
        "--duration",
        "1s",
        "--run-id",
        "r",
        "--logs-dir",
        &logs.to_string_lossy(),
    ])
    .unwrap();
    assert_eq!(again.code, Some(2), "{again:?}");
    assert_eq!(again.stderr.lines().count(), 1, "one sentence: {}", again.stderr);
}

#[test]
fn the_live_page_can_be_opened_while_a_run_goes_on() {
    let logs = tempfile::tempdir().unwrap();
    let mut run = command("cctf").unwrap();
    run.args([
        "run",
        "--endpoints",
        "json",
        "--rate",
        "5",
        "--duration",
        "60s",
        "--run-id",
        "seen",
        "--logs-dir",
    ]);
    run.arg(logs.path()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut run = run.spawn().unwrap();
    let mut lines = BufReader::new(run.stderr.take().unwrap()).lines();
    let address = lines
        .find_map(|line| Some(line.unwrap().strip_prefix("live page: http://")?.to_owned()))
        .unwrap();
    let address = address.strip_suffix('/').unwrap().parse().unwrap();
    let page = wait_for("the run on the live page", || {
        let page = send(address, "GET", "/", &[], b"")?;
        Ok(page.text().contains("data-col=\"run\">seen").then_some(page))
    })
    .unwrap();
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    let command = format!(
        "cctf report {} --out report.html",
        logs.path().join("seen").display()
    );
    assert!(page.text().contains(&command), "{}", page.text());
    let id = libc::pid_t::try_from(run.id()).unwrap();
    // SAFETY: kill only sends a signal, to the child that this process started and has not waited for.
    assert_eq!(unsafe { libc::kill(id, libc::SIGINT) }, 0);
    lines.for_each(drop);
    assert_eq!(run.wait().unwrap().code(), Some(1), "it was interrupted");
}

#[test]
fn vegeta_reads_the_drivers_events() {
    let vegeta = tool("bin/vegeta").unwrap();
    let events = fs::File::open(RUN.folder.join("events_client.jsonl")).unwrap();
    let output = Command::new(vegeta)
        .args(["report", "-type", "json"])
        .stdin(Stdio::from(events))
        .output()
        .unwrap();
    let done = Done::from(output);
    assert_eq!(done.code, Some(0), "{done:?}");
    let theirs = done.json().unwrap();
    let drives = RUN.report["drives"].as_array().unwrap();
    let total = |field: &str| {
        drives
            .iter()
            .map(|drive| drive[field].as_u64().unwrap())
            .sum::<u64>()
    };
    assert_eq!(theirs["requests"], total("requests"));
    assert_eq!(theirs["bytes_in"]["total"], total("bytes_in"));
    assert_eq!(theirs["bytes_out"]["total"], total("bytes_out"));
    assert_eq!(
        theirs["status_codes"],
        serde_json::json!({ "200": total("requests") })
    );
    assert_eq!(theirs["success"], 1.0);
    let ours = drives
        .iter()
        .map(|drive| drive["latency_ms"]["max"].as_f64().unwrap())
        .fold(0.0, f64::max);
    // vegeta has nanoseconds, but the report has milliseconds. They agree except for the last digits.
    assert!(
        (theirs["latencies"]["max"].as_f64().unwrap() / 1e6 - ours).abs() < 1e-3,
        "{theirs} {ours}"
    );
}

#[test]
fn duckdb_pandas_and_arrow_read_it_with_the_types_that_cctf_prints() {
    let python = tool("readers/bin/python").unwrap();
    let binary = bin_dir().unwrap().join("cctf");
    let script = root().join("e2e/readers/read_run.py");
    let output = Command::new(python)
        .arg(script)
        .arg(binary)
        .arg(RUN.folder.join("cctf"))
        .output()
        .unwrap();
    let done = Done::from(output);
    assert_eq!(done.code, Some(0), "{}\n{}", done.stdout, done.stderr);
    let expected = format!("invocations.jsonl {}", ENDPOINTS.len() * REQUESTS_EACH);
    assert!(
        done.stdout.lines().any(|line| line == expected),
        "{}",
        done.stdout
    );
}

#[test]
fn the_figures_of_stats_are_those_of_its_sql_in_duckdb() {
    for window in [&[][..], &["--from", "1s", "--to", "5s500ms"]] {
        compare_stats(&RUN.folder, window);
    }
}
