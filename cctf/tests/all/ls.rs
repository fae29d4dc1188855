//! `cctf ls`: runs, their parts and states, damaged folders, and the validation with --validate.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::{Duration, SystemTime};

use cctf_proto::cctf::File;
use serde_json::{Value, json};

use crate::folders::{copy_golden, edit, golden_cases, put_named_pipe};
use crate::{cctf, stderr};

fn ls(args: &[&str], logs: &Path) -> (Option<i32>, String) {
    let output = cctf(&["ls"]).args(args).arg(logs).output().unwrap();
    assert_eq!(stderr(&output), "");
    (output.status.code(), String::from_utf8(output.stdout).unwrap())
}

fn listed(logs: &Path) -> Vec<Value> {
    let (code, text) = ls(&["--format", "json"], logs);
    assert_eq!(code, Some(0));
    serde_json::from_str(&text).unwrap()
}

fn values<'a>(runs: &'a [Value], field: &str) -> Vec<&'a Value> {
    runs.iter().map(|run| &run[field]).collect()
}

/// Sets the time of the last change of all files. The run then looks as if nothing was written since.
fn set_age(run: &Path, age: Duration) {
    for entry in fs::read_dir(run.join("cctf")).unwrap() {
        let file = fs::File::options()
            .write(true)
            .open(entry.unwrap().path())
            .unwrap();
        file.set_modified(SystemTime::now() - age).unwrap();
    }
}

#[test]
fn runs_are_listed_newest_first_and_parts_are_one_line() {
    let logs = tempfile::tempdir().unwrap();
    for part in ["own", "own-0002", "own-0003", "own-0004", "own-0005"] {
        copy_golden("rolled_by_size", part, logs.path());
    }
    copy_golden("driver_chain_of_three", "chain-1", logs.path());
    symlink("chain-1", logs.path().join("latest")).unwrap();
    // Neither of the two folders is a run.
    fs::create_dir_all(logs.path().join("journal")).unwrap();
    fs::create_dir_all(logs.path().join(".all.partial/cctf")).unwrap();
    fs::write(logs.path().join("notes.txt"), "x").unwrap();
    let (code, text) = ls(&[], logs.path());
    let lines: Vec<Vec<&str>> = text
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(code, Some(0), "{text}");
    assert_eq!(
        lines[0],
        [
            "run",
            "started",
            "ended",
            "length",
            "invocations",
            "calls",
            "size",
            "parts",
            "nodes",
            "merged",
            "check"
        ]
    );
    let chain = "chain-1 2025-10-09 08:53:20 2025-10-09 08:53:22 2.0s 3 3";
    let own = "own 2025-10-09 08:53:20 2025-10-09 08:53:42 22.0s 13 6";
    for (line, start, end) in [(1, chain, "1 4 no ok"), (2, own, "5 2 no ok")] {
        let line = lines[line].join(" ");
        assert!(line.starts_with(start) && line.ends_with(end), "{text}");
    }
    assert_eq!(lines.len(), 3, "{text}");

    let runs = listed(logs.path());
    let own = &runs[1];
    // The output must have every digit of the text. A parsed number would not show that.
    let text = ls(&["--format", "json"], logs.path()).1;
    for exact in [
        r#""started_ts":1760000000000.000000,"ended_ts":1760000022000.000000,"length_ms":22000.000000,"#,
        r#""started_ts":1760000000090.000000,"ended_ts":1760000002090.000000,"length_ms":2000.000000,"#,
    ] {
        assert!(text.contains(exact), "{text}");
    }
    assert_eq!(own["state"], "ended");
    assert_eq!(
        own["parts"],
        json!(["own", "own-0002", "own-0003", "own-0004", "own-0005"])
    );
    let size = |part: &str| -> u64 {
        let folder = logs.path().join(part).join("cctf");
        let entries = fs::read_dir(folder).unwrap();
        entries
            .map(|entry| entry.unwrap().metadata().unwrap().len())
            .sum()
    };
    let sizes: u64 = (2..=5).map(|part| size(&format!("own-000{part}"))).sum();
    assert_eq!(own["bytes"], size("own") + sizes);
}

#[test]
fn a_run_without_an_end_is_running_until_it_is_silent() {
    let logs = tempfile::tempdir().unwrap();
    let open = copy_golden("driver_chain_of_three", "chain-1", logs.path());
    edit(
        &open,
        File::RunMeta,
        "\"ended_ts\":1760000002090.000000",
        "\"ended_ts\":null",
    );
    // The last line is incomplete.
    let calls = fs::read_to_string(open.join("cctf/calls.jsonl")).unwrap();
    fs::write(open.join("cctf/calls.jsonl"), calls + "{\"trace").unwrap();
    let run = &listed(logs.path())[0];
    assert_eq!(
        (&run["state"], &run["ended_ts"], &run["problems"]),
        (&json!("running"), &Value::Null, &json!([]))
    );
    assert!(ls(&[], logs.path()).1.contains("  running  "));
    set_age(&open, Duration::from_secs(360));
    assert_eq!(listed(logs.path())[0]["state"], "interrupted");
    assert!(ls(&[], logs.path()).1.contains("  interrupted  "));
}

#[test]
fn a_merge_is_a_run_that_no_normalizer_has_written() {
    let logs = tempfile::tempdir().unwrap();
    let run = copy_golden("driver_chain_of_three", "chain-1", logs.path());
    let merged = cctf(&["merge"])
        .arg(logs.path().join("merged"))
        .arg(&run)
        .output()
        .unwrap();
    assert!(merged.status.success(), "{}", stderr(&merged));
    let runs = listed(logs.path());
    assert_eq!(values(&runs, "name"), ["chain-1", "merged"]);
    assert_eq!(values(&runs, "run_id"), ["chain-1", "chain-1"]);
    assert_eq!(values(&runs, "merged"), [false, true]);
    assert_eq!(values(&runs, "problems"), [&json!([]), &json!([])]);
}

/// Each run has one damage, and the list must have a sentence about it.
/// Damages a run folder.
type Damage = fn(&Path);

#[test]
fn damaged_folders_are_listed_with_what_is_wrong() {
    let damages: [(&str, Damage, &str); 11] = [
        (
            "no meta",
            |run| fs::remove_file(run.join("cctf/run_meta.json")).unwrap(),
            "run_meta.json is missing",
        ),
        (
            "cut meta",
            |run| fs::write(run.join("cctf/run_meta.json"), "{\"run_id\":\"x\"").unwrap(),
            "run_meta.json is invalid: EOF",
        ),
        (
            "large meta",
            |run| fs::write(run.join("cctf/run_meta.json"), " ".repeat((1 << 20) + 1)).unwrap(),
            "run_meta.json has more than the maximum of 1048576 bytes",
        ),
        (
            "no calls",
            |run| fs::remove_file(run.join("cctf/calls.jsonl")).unwrap(),
            "calls.jsonl is missing",
        ),
        (
            "empty calls",
            |run| fs::write(run.join("cctf/calls.jsonl"), "").unwrap(),
            "calls.jsonl has 0 bytes, too few for the 3 rows in run_meta.json",
        ),
        (
            "uncounted",
            |run| fs::write(run.join("cctf/host_metrics.jsonl"), "{}\n").unwrap(),
            "host_metrics.jsonl has 3 bytes, but run_meta.json counts no rows",
        ),
        (
            "cut line",
            |run| {
                let calls = fs::read_to_string(run.join("cctf/calls.jsonl")).unwrap();
                fs::write(run.join("cctf/calls.jsonl"), calls.trim_end()).unwrap();
            },
            "calls.jsonl ends with an incomplete line",
        ),
        (
            "nodes",
            |run| fs::write(run.join("cctf/nodes.json"), "[{}").unwrap(),
            "nodes.json is not an array: EOF",
        ),
        (
            "named pipe for meta",
            |run| put_named_pipe(&run.join("cctf/run_meta.json")),
            "run_meta.json cannot be read: it is not a regular file",
        ),
        (
            "named pipe for nodes",
            |run| put_named_pipe(&run.join("cctf/nodes.json")),
            "nodes.json cannot be read: it is not a regular file",
        ),
        (
            "named pipe for calls",
            |run| put_named_pipe(&run.join("cctf/calls.jsonl")),
            "calls.jsonl has 0 bytes, too few for the 3 rows in run_meta.json (and 1 more)",
        ),
    ];
    for (name, damage, problem) in damages {
        let logs = tempfile::tempdir().unwrap();
        let run = copy_golden("driver_chain_of_three", "chain-1", logs.path());
        copy_golden("rolled_by_size", "own", logs.path());
        damage(&run);
        let (code, text) = ls(&[], logs.path());
        let line = text.lines().find(|line| line.starts_with("chain-1")).unwrap();
        assert_eq!(code, Some(0), "{text}");
        assert!(
            line.contains("chain-1/cctf/") && line.contains(problem),
            "{name}: {text}"
        );
        let other = text.lines().find(|line| line.starts_with("own ")).unwrap();
        assert!(other.ends_with(" ok"), "{name}: {text}");
    }
}

/// A later part without a valid `run_meta.json` belongs to its run. A renamed folder is a separate run.
#[test]
fn damaged_parts_and_renamed_folders_find_their_line() {
    let logs = tempfile::tempdir().unwrap();
    copy_golden("rolled_by_size", "own", logs.path());
    let part = copy_golden("rolled_by_size", "own-0002", logs.path());
    fs::write(part.join("cctf/run_meta.json"), "").unwrap();
    fs::rename(
        copy_golden("driver_chain_of_three", "chain-1", logs.path()),
        logs.path().join("copy-0002"),
    )
    .unwrap();
    let runs = listed(logs.path());
    assert_eq!(values(&runs, "name"), ["copy-0002", "own"]);
    assert_eq!(values(&runs, "run_id"), ["chain-1", "own"]);
    assert_eq!(values(&runs, "state"), ["ended", "unknown"]);
    assert_eq!(runs[1]["parts"], json!(["own", "own-0002"]));
    assert_eq!(runs[1]["invocations"], 3);
}

#[test]
fn validate_runs_the_rules_and_its_findings_set_the_exit_code() {
    let logs = tempfile::tempdir().unwrap();
    let run = copy_golden("driver_chain_of_three", "chain-1", logs.path());
    let (code, text) = ls(&["--validate"], logs.path());
    assert!(code == Some(0) && text.ends_with(" valid\n"), "{text}");
    edit(
        &run,
        File::Invocations,
        "\"kind\":\"server\"",
        "\"kind\":\"sever\"",
    );
    assert!(ls(&[], logs.path()).1.ends_with(" ok\n"));
    let (code, text) = ls(&["--validate"], logs.path());
    assert!(code == Some(1) && text.contains(" errors"), "{text}");
    let (code, text) = ls(&["--validate", "--format", "json"], logs.path());
    let runs: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(code, Some(1));
    assert!(runs[0]["validation"]["errors"].as_u64().unwrap() > 0, "{text}");
}

#[test]
fn an_empty_folder_has_no_runs_and_a_wrong_one_is_an_error() {
    let logs = tempfile::tempdir().unwrap();
    let path = logs.path().display();
    assert_eq!(ls(&[], logs.path()), (Some(0), format!("no runs in {path}\n")));
    assert_eq!(
        ls(&["--format", "json"], logs.path()),
        (Some(0), "[]\n".to_owned())
    );
    let run = copy_golden("driver_chain_of_three", "chain-1", logs.path());
    for (folder, why) in [
        (run.as_path(), "it is the folder of one run"),
        (
            Path::new("/nowhere/at/all"),
            "pass the folder that contains all runs",
        ),
    ] {
        let output = cctf(&["ls"]).arg(folder).output().unwrap();
        assert!(
            output.status.code() == Some(2) && stderr(&output).contains(why),
            "{}",
            stderr(&output)
        );
    }
}

#[test]
fn no_expected_run_of_the_normalizer_has_a_problem() {
    for (case, runs) in golden_cases() {
        let logs = tempfile::tempdir().unwrap();
        for run in &runs {
            copy_golden(&case, run, logs.path());
        }
        let listed = listed(logs.path());
        let parts = listed.iter().map(|run| run["parts"].as_array().unwrap().len());
        assert_eq!(parts.sum::<usize>(), runs.len(), "{case}");
        for run in &listed {
            assert_eq!(
                (&run["problems"], &run["merged"]),
                (&json!([]), &json!(false)),
                "{case}"
            );
        }
    }
}

#[test]
fn rests_of_a_merge_are_named_as_such_and_not_as_a_broken_run() {
    let logs = tempfile::tempdir().unwrap();
    copy_golden("driver_chain_of_three", "chain-1", logs.path());
    let run = logs.path().join("chain-1").display().to_string();
    let bucket = logs.path().join("bucket").display().to_string();
    let rests = logs.path().join("rests").display().to_string();
    for args in [
        &["merge", &bucket, &run, "--bucket", "0/1"][..],
        &["merge", &rests, &run, "--rests", &bucket],
    ] {
        let output = cctf(args).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    }
    for flags in [&[][..], &["--validate"]] {
        let (code, text) = ls(flags, logs.path());
        assert_eq!(code, Some(0), "{text}");
        let line = text.lines().find(|line| line.starts_with("rests ")).unwrap();
        assert!(line.ends_with("output of merge --rests"), "{text}");
        assert_eq!(text.lines().count(), 3, "{text}");
    }
    let runs = listed(logs.path());
    let of_rests: Vec<bool> = runs.iter().map(|run| run["rests"] == true).collect();
    assert_eq!(
        of_rests.iter().filter(|is_rests| **is_rests).count(),
        1,
        "{runs:?}"
    );
    for run in &runs {
        assert_eq!(run["problems"], json!([]), "{run}");
    }
    // The file is there, but cannot be read: it is a symbolic link to itself.
    std::os::unix::fs::symlink("calls.jsonl", Path::new(&rests).join("cctf/calls.jsonl")).unwrap();
    let runs = listed(logs.path());
    let found = runs.iter().find(|run| run["rests"] == true).unwrap();
    let problem = found["problems"][0].as_str().unwrap_or_default();
    assert!(problem.contains("calls.jsonl cannot be read: "), "{found}");
}
