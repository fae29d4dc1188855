//! `cctf export parquet`: its summary, its exit codes, and a disk that is too small.

use std::fs;
use std::path::Path;
use std::process::Output;

use serde_json::Value;
use tempfile::TempDir;

use crate::disk::Disk;
use crate::{cctf, recorded, stderr};

const INVOCATIONS: u64 = 3000;
/// Size of a disk that is too small for the data set of the run.
const DISK: &str = "size=128k";

/// The run `bench`, and a folder for data sets.
struct Runs(TempDir);

impl Runs {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        recorded::write(&folder.path().join("logs/bench"), INVOCATIONS, recorded::RATE).unwrap();
        Self(folder)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn export(&self, args: &[&str]) -> Output {
        let mut command = cctf(&["export", "parquet"]);
        command.args(args).current_dir(self.path()).output().unwrap()
    }
}

#[test]
fn the_summary_counts_rows_and_names_the_next_command() {
    let runs = Runs::new();
    let done = runs.export(&["bench", "--out", "x/data"]);
    assert_eq!(done.status.code(), Some(0), "{}", stderr(&done));
    let text = String::from_utf8_lossy(&done.stdout);
    let first = text
        .lines()
        .next()
        .unwrap()
        .split_whitespace()
        .collect::<Vec<_>>();
    assert_eq!(first, ["run", "table", "rows", "files", "MB"]);
    let calls = text.lines().find(|line| line.contains(" calls ")).unwrap();
    let written = fs::read_to_string(runs.path().join("logs/bench/cctf/calls.jsonl")).unwrap();
    let expected = ["bench", "calls", &written.lines().count().to_string(), "1"].map(str::to_owned);
    assert_eq!(calls.split_whitespace().take(4).collect::<Vec<_>>(), expected);
    for wanted in [
        "x/data: 1 run, 1 in all, 1 bucket; ",
        "to query it: cd ",
        "x/data && duckdb -init duckdb.sql",
    ] {
        assert!(text.contains(wanted), "{text}");
    }
    let mut inside: Vec<_> = fs::read_dir(runs.path().join("x/data"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.contains('.'))
        .collect();
    inside.sort();
    assert_eq!(inside, ["duckdb.sql", "index.json", "spark.sql"]);
}

#[test]
fn damaged_lines_are_named_and_change_the_exit_code() {
    let runs = Runs::new();
    let path = runs.path().join("logs/bench/cctf/invocations.jsonl");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, format!("{{\"trace_id\":1}}\n{text}")).unwrap();
    let done = runs.export(&["bench", "--out", "data", "--format", "json"]);
    assert_eq!(done.status.code(), Some(1));
    let summary: Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!(summary["runs"][0]["damaged_lines"], 1);
    assert_eq!(
        summary["runs"][0]["tables"]["invocations"]["rows"],
        text.lines().count()
    );
    let errors = stderr(&done);
    for wanted in [
        "invocations.jsonl:1: trace_id has a value of another type",
        "1 damaged line is left out",
    ] {
        assert!(errors.contains(wanted), "{errors}");
    }
}

#[test]
fn a_missing_run_and_an_existing_data_set_are_invalid_usage() {
    let runs = Runs::new();
    for (args, wanted) in [
        (vec!["none", "--out", "data"], "cannot find run logs/none"),
        (vec!["bench", "--out", "data", "--append"], "is not a data set"),
        (vec!["bench", "--out", "logs"], "already exists"),
        (
            vec!["bench", "--out", "data", "--buckets", "12"],
            "choose a power of two",
        ),
    ] {
        let done = runs.export(&args);
        assert_eq!(done.status.code(), Some(2), "{args:?}");
        let errors = stderr(&done);
        assert!(errors.contains(wanted) && errors.lines().count() == 1, "{errors}");
        assert!(!runs.path().join("data").exists());
    }
}

#[test]
fn a_full_disk_is_one_sentence_and_leaves_nothing() {
    let (runs, disk) = (Runs::new(), Disk::new(DISK));
    let out = disk.path().join("data");
    let done = runs.export(&["bench", "--out", &out.to_string_lossy()]);
    assert_eq!(done.status.code(), Some(1), "{}", stderr(&done));
    let errors = stderr(&done);
    assert!(
        errors.contains("No space left") && errors.lines().count() == 1,
        "{errors}"
    );
    assert_eq!(fs::read_dir(disk.path()).unwrap().count(), 0);
}
