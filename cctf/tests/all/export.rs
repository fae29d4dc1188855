//! `cctf export`: the folder and its summary, and everything that can be wrong with run, window, path or assumptions.

use std::fs;
use std::process::Output;

use serde_json::Value;

use crate::stats::{Logs, row};
use crate::{cctf, stderr};

/// `cctf export TARGET r` in the folder of all runs.
fn export(logs: &Logs, target: &str, args: &[&str]) -> Output {
    cctf(&["export", target, "r", "--logs-dir", "."])
        .args(args)
        .current_dir(logs.path())
        .output()
        .unwrap()
}

fn logs() -> Logs {
    Logs::with(
        &(0..10)
            .map(|second| row(second, "front", 200))
            .collect::<String>(),
    )
}

/// The names in the folder of all runs, without a run of the tests.
fn left(logs: &Logs) -> Vec<String> {
    let entries = fs::read_dir(logs.path()).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter(|name| name != "r").collect();
    names.sort();
    names
}

#[test]
fn an_export_is_a_folder_with_its_assumptions() {
    let logs = logs();
    let done = export(
        &logs,
        "perfetto",
        &[
            "--out",
            "x/timeline",
            "--from",
            "2s",
            "--to",
            "6s",
            "--limit",
            "3",
        ],
    );
    assert_eq!(done.status.code(), Some(0), "{}", stderr(&done));
    let text = String::from_utf8_lossy(&done.stdout);
    for expected in [
        "perfetto of r\n  roots       3\n  invocations 3\n  calls       0\n  bytes       30 received, 0 sent\n",
        "1 root is left out because of --limit",
        "x/timeline: 2 files, 0.0 MB\nopen x/timeline/trace.pftrace at https://ui.perfetto.dev\n",
    ] {
        assert!(text.contains(expected), "{text}");
    }
    let folder = logs.path().join("x/timeline");
    let file: Value = serde_json::from_slice(&fs::read(folder.join("assumptions.json")).unwrap()).unwrap();
    assert_eq!(
        (&file["target"], &file["run_id"]),
        (&"perfetto".into(), &"r".into())
    );
    assert_eq!(file["counts"]["bytes_in"], 30);
    let limit = file["assumptions"]
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["id"] == "limit")
        .unwrap();
    assert_eq!((&limit["count"], &limit["matters"]), (&1.into(), &false.into()));
    assert_eq!(left(&logs), ["x"]);
}

#[test]
fn the_json_summary_has_counts_files_and_assumptions() {
    let logs = logs();
    let done = export(&logs, "perfetto", &["--out", "t", "--format", "json"]);
    let summary: Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!(summary["counts"]["invocations"], 10);
    let files = summary["files"].as_array().unwrap();
    let names: Vec<&Value> = files.iter().map(|file| &file["name"]).collect();
    assert_eq!(names, ["assumptions.json", "trace.pftrace"]);
    for file in files {
        let path = logs.path().join("t").join(file["name"].as_str().unwrap());
        assert_eq!(file["bytes"], fs::metadata(path).unwrap().len());
    }
}

#[test]
fn an_existing_path_is_refused_and_stays() {
    let logs = logs();
    fs::write(logs.path().join("file"), "mine").unwrap();
    fs::create_dir(logs.path().join("folder")).unwrap();
    for out in ["file", "folder"] {
        let done = export(&logs, "perfetto", &["--out", out]);
        let expected =
            format!("cctf: cannot create {out}: it already exists; choose another path with --out\n");
        assert_eq!((done.status.code(), stderr(&done)), (Some(2), expected));
    }
    assert_eq!(fs::read(logs.path().join("file")).unwrap(), b"mine");
    assert_eq!(left(&logs), ["file", "folder"]);
}

#[test]
fn strict_refuses_what_matters_and_leaves_nothing() {
    let logs = logs();
    fs::remove_file(logs.path().join("r/cctf/calls.jsonl")).unwrap();
    let done = export(&logs, "perfetto", &["--out", "t", "--strict"]);
    let expected =
        "cctf: cannot export r with --strict: r has no calls.jsonl; omit --strict to accept this\n";
    assert_eq!((done.status.code(), stderr(&done).as_str()), (Some(1), expected));
    assert!(left(&logs).is_empty(), "{:?}", left(&logs));
    let done = export(&logs, "perfetto", &["--out", "t"]);
    assert_eq!(done.status.code(), Some(0), "{}", stderr(&done));
    assert!(String::from_utf8_lossy(&done.stdout).contains("warning     r has no calls.jsonl\n"));
}

#[test]
fn a_missing_run_and_an_empty_window_are_refused() {
    let logs = logs();
    let window = export(&logs, "perfetto", &["--out", "t", "--from", "1m"]);
    let text = stderr(&window);
    assert!(
        window.status.code() != Some(0) && text.starts_with("cctf: ") && text.lines().count() == 1,
        "{text}"
    );
    let inverted = export(&logs, "perfetto", &["--out", "t", "--from", "5s", "--to", "2s"]);
    assert_eq!(inverted.status.code(), Some(2));
    fs::remove_dir_all(logs.path().join("r")).unwrap();
    let missing = export(&logs, "perfetto", &["--out", "t"]);
    assert_eq!(missing.status.code(), Some(2));
    assert!(
        stderr(&missing).contains("cannot find run"),
        "{}",
        stderr(&missing)
    );
    assert!(left(&logs).is_empty(), "{:?}", left(&logs));
}

#[test]
fn damaged_lines_are_counted_and_change_the_exit_code() {
    let logs = Logs::with(&(row(0, "front", 200) + "{\"trace_id\":1}\n"));
    let done = export(&logs, "perfetto", &["--out", "t"]);
    assert_eq!(done.status.code(), Some(1));
    let text = String::from_utf8_lossy(&done.stdout);
    assert!(
        text.contains("warning     1 line is damaged and is left out"),
        "{text}"
    );
    assert!(
        stderr(&done).contains("1 damaged line is left out"),
        "{}",
        stderr(&done)
    );
}
