//! `cctf report`: input that is damaged, missing, empty or still being written, and a page that cannot be written.

use std::fs;
use std::process::{Command, Output};

use crate::stats::{Logs, row};
use crate::{cctf, stderr};

/// An earlier page.
const OLDER: &str = "<!doctype html>\nolder";

/// Runs `cctf report` in the folder of all runs.
fn report(logs: &Logs, args: &[&str]) -> Output {
    cctf(&["report", "--logs-dir", "."])
        .args(args)
        .current_dir(logs.path())
        .output()
        .unwrap()
}

fn page(logs: &Logs) -> String {
    fs::read_to_string(logs.path().join("report.html")).unwrap()
}

/// Files in the folder of all runs.
fn files(logs: &Logs) -> Vec<String> {
    let entries = fs::read_dir(logs.path()).unwrap().map(Result::unwrap);
    let files = entries.filter(|entry| entry.file_type().unwrap().is_file());
    files
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect()
}

fn rows(module: &str) -> String {
    (0..10).map(|second| row(second, module, 200)).collect()
}

#[test]
fn a_run_becomes_one_file_and_the_last_line_says_where_it_is() {
    let logs = Logs::with(&rows("front"));
    let done = report(&logs, &["r"]);
    assert!(done.status.success(), "{}", stderr(&done));
    let line = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(
        line.contains("/report.html: 1 run, ") && line.contains(" KB; open it in a browser"),
        "{line}"
    );
    assert_eq!(files(&logs), ["report.html"]);
    let page = page(&logs);
    assert!(page.len() <= 500_000 && page.ends_with("</html>\n"));
    assert!(page.contains("The run has 10 invocations in 9.00 s.") && page.contains("/a,&quot;b&quot;"));
}

#[test]
fn damaged_lines_are_named_and_the_page_is_written() {
    let logs = Logs::with(&(rows("front") + "{\"trace_id\":1}\nno json\n"));
    let done = report(&logs, &["r"]);
    assert_eq!(done.status.code(), Some(1));
    assert!(
        stderr(&done).contains("2 damaged lines are left out of the figures"),
        "{}",
        stderr(&done)
    );
    assert!(page(&logs).contains("2 damaged lines are left out of the figures."));
}

#[test]
fn missing_files_are_named_on_the_page() {
    let logs = Logs::with(&rows("front"));
    for file in ["calls.jsonl", "run_meta.json", "module_inventory.json"] {
        fs::remove_file(logs.path().join("r/cctf").join(file)).unwrap();
    }
    let done = report(&logs, &["r"]);
    assert!(done.status.success(), "{}", stderr(&done));
    let page = page(&logs);
    for name in [
        "calls.jsonl",
        "run_meta.json",
        "module_inventory.json",
        "host_metrics.jsonl",
    ] {
        assert!(page.contains(name), "{name}");
    }
}

#[test]
fn an_empty_run_and_a_run_in_progress_have_a_page() {
    let logs = Logs::with("");
    let done = report(&logs, &["r"]);
    assert!(done.status.success(), "{}", stderr(&done));
    assert!(page(&logs).contains("The run has no invocation, so there are no figures."));

    let logs = Logs::with(&rows("front"));
    logs.write("r", "run_meta.json", r#"{"run_id":"r","ended_ts":null}"#);
    let done = report(&logs, &["r"]);
    assert!(done.status.success(), "{}", stderr(&done));
    assert!(page(&logs).contains("The run has not ended: the page shows the rows written so far."));
}

#[test]
fn a_run_that_cannot_be_read_leaves_no_page() {
    let logs = Logs::with(&rows("front"));
    let done = report(&logs, &["other"]);
    assert_eq!(done.status.code(), Some(2));
    assert!(
        stderr(&done).starts_with("cctf: cannot find run "),
        "{}",
        stderr(&done)
    );
    fs::remove_file(logs.path().join("r/cctf/invocations.jsonl")).unwrap();
    let done = report(&logs, &["r"]);
    assert_eq!(done.status.code(), Some(1));
    assert!(
        stderr(&done).contains("it has no invocations.jsonl"),
        "{}",
        stderr(&done)
    );
    assert!(files(&logs).is_empty());
}

#[test]
fn unrelated_runs_are_compared_with_one_sentence_and_no_failure() {
    let logs = Logs::with(&rows("front"));
    logs.write("s", "invocations.jsonl", &rows("warehouse"));
    logs.write("s", "run_meta.json", r#"{"run_id":"s","ended_ts":1.000000}"#);
    let done = report(&logs, &["r", "--against", "s"]);
    assert!(done.status.success(), "{}", stderr(&done));
    let sentence = "the runs r and s have no module in common, so there is nothing to compare";
    assert!(stderr(&done).contains(sentence), "{}", stderr(&done));
    assert!(page(&logs).contains(&sentence.replacen("the", "The", 1)));
}

#[test]
fn a_path_that_is_no_file_is_refused_before_a_run_is_read() {
    let logs = Logs::with(&rows("front"));
    for out in ["r", "none/page.html", "/dev/null"] {
        let done = report(&logs, &["other", "--out", out]);
        assert_eq!(done.status.code(), Some(2));
        let error = stderr(&done);
        assert!(
            error.starts_with(&format!("cctf: cannot write {out}: ")),
            "{error}"
        );
    }
}

#[test]
fn a_page_replaces_no_file_of_a_run() {
    let logs = Logs::with(&rows("front"));
    for file in ["invocations.jsonl", "run_meta.json"] {
        let path = logs.path().join("r/cctf").join(file);
        if !path.exists() {
            fs::write(&path, "{}").unwrap();
        }
        let before = fs::read(&path).unwrap();
        let done = report(&logs, &["r", "--out", &format!("r/cctf/{file}")]);
        assert_eq!(done.status.code(), Some(2), "{}", stderr(&done));
        assert!(
            stderr(&done).contains("it exists and is not an HTML page; choose another path with --out"),
            "{}",
            stderr(&done)
        );
        assert_eq!(fs::read(&path).unwrap(), before);
    }
}

#[test]
fn a_full_disk_leaves_the_older_page_and_no_other_file() {
    let logs = Logs::with(&rows("front"));
    fs::write(logs.path().join("report.html"), OLDER).unwrap();
    // A maximum file size of one block simulates a full disk.
    let script = format!(
        "trap '' XFSZ; ulimit -f 1; exec '{}' report r --logs-dir .",
        env!("CARGO_BIN_EXE_cctf")
    );
    let done = Command::new("sh")
        .args(["-c", &script])
        .current_dir(logs.path())
        .output()
        .unwrap();
    assert_eq!(done.status.code(), Some(1));
    assert!(
        stderr(&done).starts_with("cctf: cannot write "),
        "{}",
        stderr(&done)
    );
    assert_eq!(
        (page(&logs).as_str(), files(&logs)),
        (OLDER, vec!["report.html".to_owned()])
    );
}

#[test]
fn too_many_runs_are_refused() {
    let logs = Logs::with(&rows("front"));
    for args in [&["r"; 9][..], &["r", "r", "--against", "r"]] {
        let done = report(&logs, args);
        assert_eq!(done.status.code(), Some(2), "{}", stderr(&done));
    }
    assert!(report(&logs, &["r"; 8]).status.success());
}
