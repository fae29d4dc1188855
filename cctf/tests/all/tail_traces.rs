//! `cctf tail --traces`: prints the same trees as `cctf trace`, for finished traces of recorded and of growing runs.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Output, Stdio};

use cctf_proto::cctf::File;
use serde_json::Value;

use crate::folders::{copy_golden, edit, golden_cases};
use crate::{cctf, stderr};

const CHAIN: &str = "5b8efff7980381030000000000000001";
/// Maximum number of rows in memory.
const ROWS_PER_TRACE_MAX: usize = 100_000;

fn tail(logs: &Path, args: &[&str]) -> Output {
    cctf(&["tail", "--traces", "--logs-dir"])
        .arg(logs)
        .args(args)
        .output()
        .unwrap()
}

fn objects(text: &[u8]) -> Vec<Value> {
    let values = serde_json::Deserializer::from_slice(text).into_iter();
    values.collect::<Result<_, _>>().unwrap()
}

fn trace(logs: &Path, args: &[&str]) -> Vec<u8> {
    let output = cctf(&["trace", "--logs-dir"])
        .arg(logs)
        .args(args)
        .output()
        .unwrap();
    output.stdout
}

#[test]
fn the_text_is_that_of_each_trace() {
    let logs = tempfile::tempdir().unwrap();
    let run = copy_golden("driver_chain_of_three", "chain-1", logs.path());
    let expected = trace(logs.path(), &["chain-1", CHAIN]);
    for args in [
        &["chain-1", "--format", "text"][..],
        &["chain-1", "--format", "text", "--no-follow", "--from-start"],
    ] {
        let output = tail(logs.path(), args);
        assert!(output.status.success(), "{}", stderr(&output));
        assert_eq!(
            String::from_utf8(output.stdout).unwrap(),
            String::from_utf8(expected.clone()).unwrap()
        );
    }
    // An empty line separates the second trace from the first one.
    for file in [File::Invocations, File::Calls] {
        let path = run.join("cctf").join(file.name());
        let rows = fs::read_to_string(&path).unwrap();
        let other = rows.replace(CHAIN, &CHAIN.replace("5b8e", "6b8e"));
        fs::write(&path, rows + &other).unwrap();
    }
    let output = tail(logs.path(), &["chain-1", "--format", "text"]);
    let text = String::from_utf8(output.stdout).unwrap();
    let trees: Vec<&str> = text.split("\n\ntrace ").collect();
    assert_eq!(trees.len(), 2, "{text}");
    assert!(
        trees[1].starts_with("6b8e") && !text.contains("incomplete"),
        "{text}"
    );
    // The output has only the last rows: their ancestors are missing.
    let output = tail(
        logs.path(),
        &["chain-1", "--format", "json", "--lines", "1", "--no-follow"],
    );
    let found = objects(&output.stdout);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0]["rows"].as_array().unwrap().len(), 2);
}

/// Long runs with several parts are included.
#[test]
fn the_traces_of_the_golden_runs_are_those_of_cctf_trace() {
    let (mut traces, mut parts) = (0, 0);
    for (case, runs) in golden_cases() {
        let logs = tempfile::tempdir().unwrap();
        for run in &runs {
            copy_golden(&case, run, logs.path());
        }
        for run in &runs {
            let output = tail(logs.path(), &[run, "--no-follow", "--format", "json"]);
            assert!(output.status.success(), "{case} {run}: {}", stderr(&output));
            parts += stderr(&output).matches("continues in").count();
            for mut found in objects(&output.stdout) {
                let is_incomplete = found.as_object_mut().unwrap().remove("incomplete");
                assert!(is_incomplete.is_some());
                traces += 1;
                // `cctf trace` runs for only one of four traces, to save time. A later part has its own turn of this loop.
                if traces % 4 == 0 && found["run"] == **run {
                    let id = found["trace_id"].as_str().unwrap();
                    let expected = trace(logs.path(), &[run, id, "--format", "json"]);
                    assert_eq!(found, objects(&expected)[0], "{case} {run}");
                }
            }
        }
    }
    assert!(traces > 150 && parts >= 4, "{traces} {parts}");
}

/// Follows a run to which rows are added. Returns the printed traces.
fn traces_of_a_growing_run(idle_seconds: u32) -> Vec<Value> {
    let logs = tempfile::tempdir().unwrap();
    let run = copy_golden("driver_chain_of_three", "chain-1", logs.path());
    let ended = fs::read_to_string(run.join("cctf/run_meta.json")).unwrap();
    let mut meta: Value = serde_json::from_str(&ended).unwrap();
    meta["ended_ts"] = Value::Null;
    fs::write(run.join("cctf/run_meta.json"), meta.to_string()).unwrap();
    let calls = run.join("cctf/calls.jsonl");
    let rows = fs::read_to_string(&calls).unwrap();
    let lines: Vec<&str> = rows.split_inclusive('\n').collect();
    fs::write(&calls, lines[0]).unwrap();
    let idle = format!("{idle_seconds}s");
    let mut child = cctf(&[
        "tail",
        "chain-1",
        "--traces",
        "--format",
        "json",
        "--trace-idle",
        &idle,
    ])
    .arg("--logs-dir")
    .arg(logs.path())
    .stdout(Stdio::piped())
    .spawn()
    .unwrap();
    let mut file = fs::File::options().append(true).open(&calls).unwrap();
    // The rest of the same trace arrives in two pieces, which divide a line.
    let (before, after) = rows[lines[0].len()..].split_at(100);
    file.write_all(before.as_bytes()).unwrap();
    file.write_all(after.as_bytes()).unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut first = String::new();
    output.read_line(&mut first).unwrap();
    // Rows that arrive later form a separate tree. It is complete at the end of the run.
    file.write_all(lines[1].as_bytes()).unwrap();
    fs::write(run.join("x"), ended).unwrap();
    fs::rename(run.join("x"), run.join("cctf/run_meta.json")).unwrap();
    output.read_to_string(&mut first).unwrap();
    assert!(child.wait().unwrap().success());
    objects(first.as_bytes())
}

#[test]
fn a_trace_of_a_growing_run_is_printed_when_no_more_rows_come() {
    // On a slow machine, the rest of the rows can come after a short time without rows.
    let traces = [1, 2, 4, 8, 16, 32, 64].map(|seconds| move || traces_of_a_growing_run(seconds));
    let mut traces = traces.into_iter().map(|traces| traces());
    let traces = traces
        .find(|traces| traces[0]["calls"] == 3)
        .expect("a whole trace");
    let shown: Vec<_> = traces
        .iter()
        .map(|of| (&of["invocations"], &of["calls"], &of["incomplete"]))
        .collect();
    let [three, none, one] = [3, 0, 1].map(Value::from);
    let complete = Value::from(false);
    assert_eq!(shown, [(&three, &three, &complete), (&none, &one, &complete)]);
}

#[test]
fn a_trace_in_progress_is_marked_if_the_command_does_not_wait() {
    let logs = tempfile::tempdir().unwrap();
    let run = copy_golden("driver_chain_of_three", "chain-1", logs.path());
    let ended = fs::read_to_string(run.join("cctf/run_meta.json")).unwrap();
    let mut meta: Value = serde_json::from_str(&ended).unwrap();
    meta["ended_ts"] = Value::Null;
    fs::write(run.join("cctf/run_meta.json"), meta.to_string()).unwrap();
    let output = tail(logs.path(), &["chain-1", "--no-follow", "--format", "text"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.ends_with("\nincomplete: printed before more rows could come\n"),
        "{text}"
    );
    let output = tail(logs.path(), &["chain-1", "--no-follow"]);
    assert_eq!(objects(&output.stdout)[0]["incomplete"], true);
}

#[test]
fn a_trace_with_more_rows_than_fit_is_printed_early() {
    let logs = tempfile::tempdir().unwrap();
    let run = copy_golden("driver_chain_of_three", "chain-1", logs.path());
    fs::write(run.join("cctf/invocations.jsonl"), "").unwrap();
    let calls = run.join("cctf/calls.jsonl");
    let row = fs::read_to_string(&calls).unwrap();
    let row = row.lines().next().unwrap().to_owned() + "\n";
    fs::write(&calls, row.repeat(ROWS_PER_TRACE_MAX + 1)).unwrap();
    let output = tail(logs.path(), &["chain-1", "--format", "text"]);
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    let error = stderr(&output);
    assert!(output.status.success(), "{error}");
    assert!(
        error.contains("more than 100000 rows of one trace")
            && error.contains("\ncctf: 1 trace: printed early"),
        "{error}"
    );
    let counts: Vec<&str> = text
        .lines()
        .filter(|line| line.contains(" calls, 1 node") || line.contains(" 1 call,"))
        .collect();
    assert_eq!(counts.len(), 2, "{counts:?}");
    assert!(counts[0].contains("0 invocations, 100000 calls"), "{counts:?}");
    assert_eq!(text.matches("\nincomplete: ").count(), 1);
}

#[test]
fn damaged_rows_are_counted_beside_the_traces() {
    let logs = tempfile::tempdir().unwrap();
    let run = copy_golden("driver_chain_of_three", "chain-1", logs.path());
    edit(&run, File::Calls, "\"kind\":\"client\"", "\"kind\":\"clint\"");
    let path = run.join("cctf/invocations.jsonl");
    let rows = fs::read_to_string(&path).unwrap();
    fs::write(&path, format!("\0\u{1b}[2J\n{rows}[1]\n{{}}\n")).unwrap();
    let output = tail(logs.path(), &["chain-1", "--format", "json"]);
    let error = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{error}");
    for expected in ["3 invalid rows: left out", "3 lines: left out"] {
        assert!(error.contains(expected), "{error}");
    }
    let found: BTreeMap<String, Value> = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (&found["invocations"], &found["calls"], &found["invalid_rows"]),
        (&3.into(), &0.into(), &3.into())
    );
    assert!(!output.stdout.contains(&0x1b) && !error.contains('\u{1b}'));
}

#[test]
fn flags_that_contradict_each_other_are_errors() {
    let logs = tempfile::tempdir().unwrap();
    for (args, why) in [
        (
            &["--traces", "--file", "calls"][..],
            "'--traces' cannot be used with '--file <FILE>'",
        ),
        (&["--trace-idle", "1s"], "--traces"),
        (&["--traces", "--trace-idle", "x"], "invalid duration"),
        (
            &["--traces", "--no-follow", "--stay"],
            "cannot be used with '--stay'",
        ),
        (&["--traces", "--no-follow", "absent"], "it does not exist"),
    ] {
        let output = cctf(&["tail", "--logs-dir"])
            .arg(logs.path())
            .args(args)
            .output()
            .unwrap();
        let error = stderr(&output);
        assert!(
            output.status.code() == Some(2) && error.contains(why),
            "{args:?}: {error}"
        );
    }
}
