//! `cctf plan`: the file and its summary, and all invalid runs, windows and paths.

use std::fs;
use std::process::Output;

use serde_json::Value;

use crate::stats::{Logs, row};
use crate::{cctf, stderr};

/// Runs `cctf plan r` in the folder of all runs.
fn plan(logs: &Logs, args: &[&str]) -> Output {
    cctf(&["plan", "--logs-dir", "."])
        .args(args)
        .current_dir(logs.path())
        .output()
        .unwrap()
}

fn rows() -> String {
    (0..10).map(|second| row(second, "front", 200)).collect()
}

fn lines(logs: &Logs, file: &str) -> Vec<Value> {
    let text = fs::read_to_string(logs.path().join(file)).unwrap();
    assert!(text.ends_with('\n'));
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn a_run_becomes_a_header_and_a_line_for_each_root() {
    let logs = Logs::with(&rows());
    let done = plan(&logs, &["r", "--out", "plan.jsonl"]);
    assert_eq!(done.status.code(), Some(0), "{}", stderr(&done));
    let text = String::from_utf8_lossy(&done.stdout).into_owned();
    let arithmetic =
        "with recorded waits and network times put back, 10 of 10 responses come out within 1 us";
    assert!(
        text.contains(arithmetic) && text.contains("/plan.jsonl: 11 lines, "),
        "{text}"
    );
    let lines = lines(&logs, "plan.jsonl");
    assert_eq!((lines.len(), &lines[0]["type"]), (11, &"plan".into()));
    let root = &lines[10];
    assert_eq!((&root["type"], &root["at_ms"]), (&"root".into(), &9_000.0.into()));
    let invocation = &root["invocations"][0];
    assert_eq!(
        (&invocation["other_ms"], &invocation["recorded"]["queue_ms"]),
        (&3.5.into(), &1.0.into())
    );
}

#[test]
fn the_json_summary_is_the_first_line_with_path_and_size() {
    let logs = Logs::with(&rows());
    let done = plan(
        &logs,
        &[
            "r",
            "--out",
            "plan.jsonl",
            "--format",
            "json",
            "--from",
            "2s",
            "--to",
            "5s",
        ],
    );
    let mut summary: Value = serde_json::from_slice(&done.stdout).unwrap();
    let lines = lines(&logs, "plan.jsonl");
    assert_eq!((lines.len(), &lines[1]["at_ms"]), (4, &2_000.0.into()));
    let size = fs::metadata(logs.path().join("plan.jsonl")).unwrap().len();
    let object = summary.as_object_mut().unwrap();
    assert_eq!(object.remove("bytes"), Some(size.into()));
    assert_eq!(object.remove("out"), Some("plan.jsonl".into()));
    assert_eq!(summary, lines[0]);
    assert_eq!(summary["counts"]["roots"], 3);
}

#[test]
fn a_module_whose_waits_do_not_follow_is_named_in_a_warning() {
    // There are ten requests, one a second, of 3.5 ms each. Nothing explains why each waited for 1 ms.
    let inventory = r#"[{"app_id":null,"module_id":"front","name":"front","type":"MODULE","resources":null,"instances":[{"instance_id":"i","node_id":"n","workers":1,"slot_policy":"held","slots_src":"told"}]}]"#;
    let logs = Logs::with(&rows());
    logs.write("r", "module_inventory.json", inventory);
    let done = plan(&logs, &["r", "--out", "plan.jsonl"]);
    assert_eq!(done.status.code(), Some(0));
    let warning = "simulated waits of front differ from the recorded ones by -100% (mean)";
    assert!(stderr(&done).contains(warning), "{}", stderr(&done));
    let stations = &lines(&logs, "plan.jsonl")[0]["self_check"]["stations"];
    assert_eq!(stations[0]["is_good"], false);
}

#[test]
fn damaged_lines_an_open_run_and_a_missing_file_are_said() {
    let logs = Logs::with(&(rows() + "no json\n"));
    logs.write("r", "run_meta.json", r#"{"run_id":"r","ended_ts":null}"#);
    fs::remove_file(logs.path().join("r/cctf/calls.jsonl")).unwrap();
    let done = plan(&logs, &["r", "--out", "plan.jsonl"]);
    assert_eq!(done.status.code(), Some(1));
    assert!(
        stderr(&done).contains("1 damaged line is left out"),
        "{}",
        stderr(&done)
    );
    let text = String::from_utf8_lossy(&done.stdout).into_owned();
    for note in ["the run has not ended", "r has no calls.jsonl"] {
        assert!(text.contains(note), "{text}");
    }
    assert_eq!(lines(&logs, "plan.jsonl").len(), 11);
}

#[test]
fn invalid_windows_runs_and_paths_are_refused_before_anything_is_read() {
    let logs = Logs::with(&rows());
    fs::write(logs.path().join("mine.txt"), "the only copy").unwrap();
    for (args, cause) in [
        (
            &["r", "--out", "p", "--from", "5s", "--to", "5s"][..],
            "--to is not after",
        ),
        (&["r", "--out", "r"], "cannot write r: it is a folder"),
        (&["r", "--out", "none/p"], "its folder does not exist"),
        (
            &["r", "--out", "mine.txt"],
            "cannot write mine.txt: it exists and is not a plan",
        ),
        (&["s", "--out", "p"], "cannot find run"),
        (&["r"], "--out <FILE>"),
    ] {
        let done = plan(&logs, args);
        assert_eq!(done.status.code(), Some(2), "{args:?}");
        assert!(stderr(&done).contains(cause), "{}", stderr(&done));
    }
    assert_eq!(
        fs::read_to_string(logs.path().join("mine.txt")).unwrap(),
        "the only copy"
    );
}

#[test]
fn an_earlier_plan_is_replaced_and_stays_if_the_new_one_fails() {
    let logs = Logs::with(&rows());
    assert!(plan(&logs, &["r", "--out", "p"]).status.success());
    assert!(plan(&logs, &["r", "--out", "p", "--to", "3s"]).status.success());
    assert_eq!(lines(&logs, "p").len(), 4);
    let done = plan(&logs, &["r", "--out", "p", "--from", "1h"]);
    assert_eq!(done.status.code(), Some(1));
    assert!(
        stderr(&done).contains("it has no invocations in this time"),
        "{}",
        stderr(&done)
    );
    assert_eq!(lines(&logs, "p").len(), 4);
    let names = fs::read_dir(logs.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name());
    assert_eq!(names.count(), 2);
}
