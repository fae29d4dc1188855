//! `cctf export`: what each target does with a run that lacks something, with an existing path, and with a full disk.

use std::fs;
use std::path::Path;
use std::process::Output;

use crate::disk::Disk;
use crate::stats::{Logs, row};
use crate::{cctf, stderr};

/// The targets that export the plan of a run.
const TARGETS: [&str; 7] = [
    "cloudsim", "eclypse", "lqn", "opendc", "perfetto", "simgrid", "wfformat",
];
/// Less than the smallest export: one page.
const DISK: &str = "size=4k";

fn export(logs: &Logs, target: &str, out: &Path, flags: &[&str]) -> Output {
    cctf(&["export", target, "r", "--logs-dir", "."])
        .arg("--out")
        .arg(out)
        .args(flags)
        .current_dir(logs.path())
        .output()
        .unwrap()
}

fn logs() -> Logs {
    Logs::with(&(row(0, "front", 200) + &row(1, "front", 200)))
}

/// The export warns with these words. With `--strict`, it is refused in one sentence with them, and nothing is left.
fn check_warning(logs: &Logs, target: &str, words: &str) {
    let out = logs.path().join(format!("{target}-out"));
    let strict = export(logs, target, &out, &["--strict"]);
    let text = stderr(&strict);
    assert_eq!(strict.status.code(), Some(1), "{target}: {text}");
    let begin = "cctf: cannot export r with --strict: ";
    assert!(
        text.starts_with(begin) && text.contains(words) && text.lines().count() == 1,
        "{target}: {text}"
    );
    assert_eq!(fs::read_dir(logs.path()).unwrap().count(), 1, "{target}");
    let done = export(logs, target, &out, &[]);
    assert_eq!(done.status.code(), Some(0), "{target}: {}", stderr(&done));
    let text = String::from_utf8_lossy(&done.stdout);
    let warns = |line: &str| line.starts_with("  warning ") && line.contains(words);
    assert!(text.lines().any(warns), "{target}: {text}");
    fs::remove_dir_all(&out).unwrap();
}

#[test]
fn a_run_without_calls_is_a_warning_of_each_target() {
    let logs = logs();
    fs::remove_file(logs.path().join("r/cctf/calls.jsonl")).unwrap();
    for target in TARGETS {
        check_warning(&logs, target, "r has no calls.jsonl");
    }
}

#[test]
fn a_run_without_nodes_is_a_warning_of_each_target_that_needs_them() {
    let logs = logs();
    for (target, words) in [
        ("eclypse", "node has no CPU count or memory size"),
        ("lqn", "node has no number of CPUs"),
        ("opendc", "node has no CPU frequency"),
        ("simgrid", "node has no speed"),
    ] {
        check_warning(&logs, target, words);
    }
    for target in ["cloudsim", "perfetto", "wfformat"] {
        let done = export(&logs, target, &logs.path().join(target), &[]);
        assert_eq!(done.status.code(), Some(0), "{target}: {}", stderr(&done));
        assert!(
            !String::from_utf8_lossy(&done.stdout).contains("node has"),
            "{target}"
        );
    }
}

#[test]
fn orphans_are_a_warning_of_each_target_that_simulates_arrivals() {
    let of = |second| row(second, "front", 200);
    let orphan = of(1).replace(
        r#""parent_span_id":null"#,
        r#""parent_span_id":"00000000000000aa","flags":["orphan"]"#,
    );
    assert_ne!(orphan, of(1));
    let logs = Logs::with(&(of(0) + &orphan));
    for target in ["cloudsim", "lqn", "opendc", "simgrid", "wfformat"] {
        check_warning(&logs, target, "1 root is an invocation whose caller is missing");
    }
    for target in ["eclypse", "perfetto"] {
        let done = export(&logs, target, &logs.path().join(target), &[]);
        assert_eq!(done.status.code(), Some(0), "{target}: {}", stderr(&done));
    }
}

#[test]
fn an_existing_path_is_refused_by_each_target_and_stays() {
    let logs = logs();
    let out = logs.path().join("mine");
    fs::write(&out, "mine").unwrap();
    for target in TARGETS.into_iter().chain(["parquet"]) {
        let done = export(&logs, target, &out, &[]);
        let text = stderr(&done);
        assert_eq!(done.status.code(), Some(2), "{target}: {text}");
        assert!(
            text.contains("already exists; choose another path") && text.lines().count() == 1,
            "{target}: {text}"
        );
        assert_eq!(fs::read(&out).unwrap(), b"mine", "{target}");
        assert_eq!(fs::read_dir(logs.path()).unwrap().count(), 2, "{target}");
    }
}

#[test]
fn a_full_disk_is_one_sentence_of_each_target_and_leaves_nothing() {
    let (logs, disk) = (logs(), Disk::new(DISK));
    for target in TARGETS {
        let done = export(&logs, target, &disk.path().join("out"), &[]);
        let text = stderr(&done);
        assert_eq!(done.status.code(), Some(1), "{target}: {text}");
        assert!(
            text.starts_with("cctf: cannot write ")
                && text.contains("No space left on device")
                && text.lines().count() == 1,
            "{target}: {text}"
        );
        assert_eq!(fs::read_dir(disk.path()).unwrap().count(), 0, "{target}");
    }
}
