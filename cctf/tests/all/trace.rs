//! `cctf trace`: trees of the golden runs, damaged files, and the errors for ids that do not identify one trace.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Output;

use cctf_proto::cctf::File;
use serde_json::Value;

use crate::folders::{copy_golden, edit, golden_cases, put_named_pipe};
use crate::{cctf, stderr};

const CHAIN: &str = "5b8efff7980381030000000000000001";

fn trace(logs: &Path, args: &[&str]) -> Output {
    cctf(&["trace", "--logs-dir"])
        .arg(logs)
        .args(args)
        .output()
        .unwrap()
}

fn shown(logs: &Path, args: &[&str]) -> String {
    let output = trace(logs, args);
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(stderr(&output), "");
    String::from_utf8(output.stdout).unwrap()
}

/// The tree of a golden case, which follows an empty line. The summary is left out.
fn tree(case: &str, id: &str) -> String {
    let logs = tempfile::tempdir().unwrap();
    copy_golden(case, "run", logs.path());
    let text = shown(logs.path(), &["run", id]);
    format!("\n{}", text.split_once("\n\n").unwrap().1)
}

#[test]
fn a_chain_is_a_tree_with_its_critical_path() {
    let logs = tempfile::tempdir().unwrap();
    copy_golden("driver_chain_of_three", "chain-1", logs.path());
    let expected = "\
trace 5b8efff7980381030000000000000001 of run chain-1
started 2025-10-09 08:53:20.108 UTC, took 46.000 ms
3 invocations, 3 calls, 4 nodes, 0 errors, 1 root

  trace                               start    took  queue  service    cpu  network     own  status
* -> cctf-load@loadgen POST /work     0.000  46.000      -        -      -        -   3.500     200
*   front@ep0 POST /work             ~1.750  42.500  0.000   42.500  2.125    3.500   4.500     200
*     -> POST /work                   3.750  38.000      -        -      -        -  13.000     200
*       mid@edge0 POST /work        ~10.250  25.000  0.500   24.500  4.000   13.000  10.500     200
*         -> POST /work              18.250  14.000      -        -      -        -   4.250     200
*           back@cloud0 POST /work  ~20.375   9.750  0.500    9.250  6.500    4.250   9.250     200
";
    let (_, table) = expected.split_once("\n\n").unwrap();
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md")).unwrap();
    assert!(readme.contains(table), "the README shows this trace");
    for args in [
        &["chain-1", CHAIN][..],
        &["latest", "5b8e"],
        &["chain-1", "5B8EFFF7"],
    ] {
        let link = logs.path().join("latest");
        let _ = std::os::unix::fs::symlink("chain-1", link);
        assert_eq!(shown(logs.path(), args), expected);
    }
    let folder = logs.path().join("chain-1");
    assert_eq!(
        shown(Path::new("/nowhere"), &[folder.to_str().unwrap(), CHAIN]),
        expected
    );
}

#[test]
fn parallel_calls_orphans_and_messages_have_their_marks() {
    let parallel = "
  trace                  start    took  queue  service  cpu  network     own  status
* up@ep0 GET /           0.000  85.000      -   85.000    -        -  23.000     200
    -> GET /a           10.000  60.000      -        -    -        -  20.000     200
      leaf0@n0 GET /a  ~20.000  40.000      -   40.000    -   20.000  40.000     200
    -> GET /a           11.000  60.000      -        -    -        -  20.000     200
      leaf1@n1 GET /a  ~21.000  40.000      -   40.000    -   20.000  40.000     200
*   -> GET /a           12.000  60.000      -        -    -        -  20.000     200
*     leaf2@n2 GET /a  ~22.000  40.000      -   40.000    -   20.000  40.000     200
";
    assert_eq!(tree("fan_out", CHAIN), parallel);
    let orphan = "
  trace                  start    took  queue  service  cpu  network     own  status  notes
* svc@edge0 GET /a       0.000  20.000      -   20.000    -        -  10.000     200  orphan
*   -> GET /x to db0:80  5.000  10.000      -        -    -        -  10.000     200
";
    assert_eq!(tree("orphan_after_the_window", CHAIN), orphan);
    let message = "
  trace                               start     took  queue  service  cpu  network      own  status
* -> shop@edge0 publish orders2       0.000  474.097      -        -    -        -  474.097       -
    mailer@cloud0 process orders2  ~474.097    6.570      -    6.570    -        -    6.570       -
";
    let id = "51e9a7716b6cb08675a4e5bc41f55a0f";
    assert_eq!(tree("recorded_java_kafka_processes", id), message);
}

/// For every trace of every golden case: each row occurs once, and the times of the critical path add up to the duration of the
/// trace's root.
#[test]
fn every_trace_of_the_golden_runs_is_complete() {
    let mut traces = 0;
    for (case, runs) in golden_cases() {
        for run in &runs {
            let logs = tempfile::tempdir().unwrap();
            let folder = copy_golden(&case, run, logs.path());
            for (id, rows) in rows_of(&folder) {
                let args = [run.as_str(), &id, "--format", "json"];
                let found: Value = serde_json::from_str(&shown(logs.path(), &args)).unwrap();
                assert_eq!(found["rows"].as_array().unwrap().len(), rows, "{case} {id}");
                assert_path_adds_up(&found);
                traces += 1;
                // The process is started for only one of four traces, to save time.
                if traces % 4 == 0 {
                    shown(logs.path(), &[run, &id]);
                }
            }
        }
    }
    assert!(traces > 150, "{traces}");
}

/// Number of rows of each trace.
fn rows_of(folder: &Path) -> BTreeMap<String, usize> {
    let mut rows = BTreeMap::new();
    for file in ["cctf/invocations.jsonl", "cctf/calls.jsonl"] {
        for line in fs::read_to_string(folder.join(file)).unwrap().lines() {
            let row: Value = serde_json::from_str(line).unwrap();
            *rows
                .entry(row["trace_id"].as_str().unwrap().to_owned())
                .or_default() += 1;
        }
    }
    rows
}

fn assert_path_adds_up(found: &Value) {
    let rows = found["rows"].as_array().unwrap();
    let mut sums: Vec<f64> = Vec::new();
    for row in rows {
        if row["parent"].is_null() {
            sums.push(-row["duration_ms"].as_f64().unwrap());
        }
        *sums.last_mut().unwrap() += row["critical_ms"].as_f64().unwrap_or(0.0);
    }
    assert!(sums.iter().all(|sum| sum.abs() < 1e-6), "{found}");
}

#[test]
fn a_trace_is_found_in_all_parts_of_a_run() {
    let logs = tempfile::tempdir().unwrap();
    copy_golden("driver_chain_of_three", "chain-1", logs.path());
    let second = logs.path().join("chain-1-0002");
    copy_golden("driver_chain_of_three", "chain-1", &logs.path().join("x"));
    fs::rename(logs.path().join("x/chain-1"), &second).unwrap();
    edit(&second, File::RunMeta, "\"seed\":7", "\"seed\":7,\"part\":2");
    let first = logs.path().join("chain-1");
    fs::write(first.join("cctf/calls.jsonl"), "").unwrap();
    fs::write(second.join("cctf/invocations.jsonl"), "").unwrap();
    for named in ["chain-1", "chain-1-0002"] {
        let text = shown(logs.path(), &[named, CHAIN]);
        assert!(
            text.contains("of run chain-1\n") && text.contains("3 invocations, 3 calls"),
            "{text}"
        );
    }
    // If the first part is missing, only calls remain. Each is a root whose caller is missing.
    fs::remove_dir_all(first).unwrap();
    let text = shown(logs.path(), &["chain-1", CHAIN]);
    assert_eq!(text.matches("row above is missing").count(), 2, "{text}");
}

#[test]
fn damaged_lines_are_left_out_and_counted() {
    let logs = tempfile::tempdir().unwrap();
    let run = copy_golden("driver_chain_of_three", "chain-1", logs.path());
    let calls = run.join("cctf/calls.jsonl");
    let text = fs::read_to_string(&calls).unwrap();
    // An incomplete last line does not count as damaged.
    fs::write(&calls, text.clone() + "{\"trace_id\":\"5b8efff798").unwrap();
    assert!(shown(logs.path(), &["chain-1", CHAIN]).contains("3 calls"));
    fs::write(&calls, format!("not json\n{text}[1]\n")).unwrap();
    let output = trace(logs.path(), &["chain-1", CHAIN]);
    assert!(
        output.status.success() && stderr(&output).contains("left out 2 lines"),
        "{}",
        stderr(&output)
    );
    fs::write(&calls, &text).unwrap();
    edit(&run, File::Calls, "\"kind\":\"client\"", "\"kind\":\"clint\"");
    let output = trace(logs.path(), &["chain-1", CHAIN, "--format", "json"]);
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (output.status.code(), &found["invalid_rows"]),
        (Some(1), &3.into())
    );
    assert!(
        stderr(&output).contains("left out 3 invalid rows"),
        "{}",
        stderr(&output)
    );
    fs::remove_file(&calls).unwrap();
    assert!(shown(logs.path(), &["chain-1", CHAIN]).contains("3 invocations, 0 calls"));
}

#[test]
fn text_from_telemetry_does_not_control_the_terminal() {
    let logs = tempfile::tempdir().unwrap();
    let run = copy_golden("driver_chain_of_three", "chain-1", logs.path());
    edit(
        &run,
        File::Invocations,
        "\"module_id\":\"mid\"",
        r#""module_id":"\u001b[2Jmid""#,
    );
    edit(
        &run,
        File::Invocations,
        "\"kind\":\"server\"",
        r#""error_type":"\u001b[31mE","kind":"server""#,
    );
    let text = shown(logs.path(), &["chain-1", CHAIN]);
    assert!(
        text.contains(r"\u{1b}[2Jmid@edge0") && text.contains(r"error \u{1b}[31mE"),
        "{text}"
    );
    assert!(!text.contains('\u{1b}'), "{text}");
}

/// This test once waited forever.
#[test]
fn a_named_pipe_in_place_of_a_file_is_an_error() {
    let logs = tempfile::tempdir().unwrap();
    let run = copy_golden("driver_chain_of_three", "chain-1", logs.path());
    put_named_pipe(&run.join("cctf/calls.jsonl"));
    let run = run.to_str().unwrap();
    for args in [
        &["trace", run, "5b8e"][..],
        &["stats", run, "--by", "link"],
        &["tail", run, "--file", "calls"],
        &["validate", run],
    ] {
        let mut command = cctf(args);
        let output = command.output().unwrap();
        let error = stderr(&output);
        assert!(
            !output.status.success() && error.contains("calls.jsonl: it is not a regular file"),
            "{args:?}: {error}"
        );
    }
}

#[test]
fn an_id_that_does_not_name_one_trace_is_an_error_with_a_remedy() {
    let logs = tempfile::tempdir().unwrap();
    let run = copy_golden("late_rows", "early", logs.path());
    let ids: Vec<String> = rows_of(&run).into_keys().collect();
    let prefix = &ids[0][..8];
    assert!(ids[1].starts_with(prefix), "{ids:?}");
    for (args, why) in [
        (&["early", prefix][..], ids.join(", ")),
        (
            &["early", "ffffffff"],
            "no trace id in the run starts with these digits".to_owned(),
        ),
        (&["early", "5b8"], "at least the first 4".to_owned()),
        (&["early", "xyzw"], "invalid trace id".to_owned()),
        (&["nowhere", "5b8e"], "cannot find run".to_owned()),
        (&["/", "5b8e"], "not a run folder".to_owned()),
    ] {
        let output = trace(logs.path(), args);
        let error = stderr(&output);
        assert!(
            output.status.code() == Some(2) && error.contains(&why),
            "{args:?}: {error}"
        );
        assert!(output.stdout.is_empty());
    }
    // There are more matching ids than the error lists.
    let line = fs::read_to_string(run.join("cctf/calls.jsonl")).unwrap();
    let many: String = (10..30)
        .map(|number| line.replace(&ids[1], &format!("{}{number}", &ids[1][..30])))
        .collect();
    fs::write(run.join("cctf/calls.jsonl"), many).unwrap();
    let error = stderr(&trace(logs.path(), &["early", prefix]));
    assert!(error.contains(" and more; use more digits"), "{error}");
}
