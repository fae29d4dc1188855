//! A merge in buckets, by hand and by Spark, equals one merge to the byte; and what is left when a worker is killed.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use e2e::binaries::{Done, bin_dir, cctf, tool};
use e2e::sources::root;
use serde_json::Value;

use crate::chain;

/// Numbers of buckets that are tried.
const BUCKETS: [usize; 4] = [1, 2, 4, 16];

/// Executes cctf in a folder.
fn in_folder(folder: &Path, args: &[&str]) -> Done {
    let mut command = Command::new(bin_dir().unwrap().join("cctf"));
    Done::from(command.args(args).current_dir(folder).output().unwrap())
}

fn succeeds(folder: &Path, args: &[&str]) -> Done {
    let done = in_folder(folder, args);
    assert_eq!(done.code, Some(0), "{args:?}\n{}\n{}", done.stdout, done.stderr);
    done
}

/// Fails unless two folders have the same files and links, to the byte.
fn assert_same(one: &Path, other: &Path) {
    let compared = Command::new("diff")
        .args(["-r", "--no-dereference"])
        .args([one, other])
        .output();
    let done = Done::from(compared.unwrap());
    assert_eq!(done.code, Some(0), "{}\n{}", done.stdout, done.stderr);
}

/// Merges a run in any number of buckets, also with aligned clocks.
pub fn check_buckets(run: &Path) {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    std::os::unix::fs::symlink(run, at.join("r")).unwrap();
    succeeds(at, &["merge", "one", "r"]);
    succeeds(at, &["merge", "one-aligned", "r", "--align-clocks"]);
    for of in BUCKETS {
        let bucket = |index: usize| format!("{of}-{index}");
        let aligned = |index: usize| format!("{of}-aligned-{index}");
        let part = |index: usize| format!("{index}/{of}");
        let (rests, whole, again) = (format!("{of}-rests"), format!("{of}-all"), format!("{of}-again"));
        for index in 0..of {
            succeeds(at, &["merge", &bucket(index), "r", "--bucket", &part(index)]);
        }
        let names: Vec<String> = (0..of).map(bucket).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        succeeds(at, &[&["merge", &rests, "r", "--rests"], &names[..]].concat());
        succeeds(
            at,
            &[&["merge", &whole, "r", "--rows", "--rests"], &names[..]].concat(),
        );
        assert_same(&at.join("one"), &at.join(&whole));
        for index in 0..of {
            let (out, from, part) = (aligned(index), bucket(index), part(index));
            succeeds(
                at,
                &["merge", &out, &rests, &from, "--bucket", &part, "--align-clocks"],
            );
        }
        let names: Vec<String> = (0..of).map(aligned).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let flags = ["merge", &again, &rests, "--align-clocks", "--rows", "--rests"];
        succeeds(at, &[&flags, &names[..]].concat());
        assert_same(&at.join("one-aligned"), &at.join(&again));
    }
}

/// A job of Spark in local mode, with two tasks at a time.
fn spark(folder: &Path, args: &[&str]) -> Done {
    let mut submit = Command::new(tool("readers/bin/spark-submit").unwrap());
    submit.args(["--master", "local[2]", "--conf", "spark.ui.enabled=false"]);
    submit.arg(root().join("deploy/spark/merge.py")).args(args);
    submit.env("PYSPARK_PYTHON", tool("readers/bin/python").unwrap());
    Done::from(submit.current_dir(folder).output().unwrap())
}

/// Compares the tables of two data sets in DuckDB, and their indices.
fn assert_same_rows(one: &Path, other: &Path) {
    let script = root().join("e2e/readers/compare_datasets.py");
    let mut python = Command::new(tool("readers/bin/python").unwrap());
    let done = Done::from(python.arg(script).args([one, other]).output().unwrap());
    assert_eq!(done.code, Some(0), "{}\n{}", done.stdout, done.stderr);
}

/// Merges a run by Spark. `places` are the run and the results as Spark gets them.
fn check_spark_at(run: &str, out: &str, folder: &Path, flags: &[&str]) {
    let cctf = bin_dir().unwrap().join("cctf");
    let cctf = cctf.to_string_lossy();
    let args = ["--cctf", &cctf, "--buckets", "4", "--out", out, "--run", run];
    let done = spark(folder, &[&args, flags].concat());
    assert_eq!(done.code, Some(0), "{}\n{}", done.stdout, done.stderr);
    let made = folder.join("out");
    let merge = ["merge", "one", run.strip_prefix("file://").unwrap_or(run)];
    succeeds(folder, &[&merge, flags].concat());
    for file in fs::read_dir(folder.join("one/cctf")).unwrap() {
        let name = file.unwrap().file_name();
        let [ours, theirs] = ["one", "out/run"].map(|of| folder.join(of).join("cctf").join(&name));
        assert_same(&ours, &theirs);
    }
    succeeds(
        folder,
        &["export", "parquet", "one", "--out", "data", "--buckets", "4"],
    );
    assert_same_rows(&folder.join("data"), &made.join("data"));
    let stats = fs::read_to_string(made.join("stats.json")).unwrap();
    let stats: Vec<Value> = stats
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let ours = succeeds(folder, &["stats", "one", "--format", "json"])
        .json()
        .unwrap();
    let groups = ours["groups"].as_array().unwrap();
    assert_eq!(groups.len(), stats.len());
    for group in groups {
        let row = stats
            .iter()
            .find(|row| row["module_id"] == group["module_id"])
            .unwrap();
        for name in ["calls", "bytes_in_sum", "bytes_out_sum"] {
            assert_eq!(
                group[name].as_u64().unwrap_or(0),
                row[name].as_u64().unwrap(),
                "{row}"
            );
        }
    }
}

/// Merges a run by Spark.
pub fn check_spark(run: &Path) {
    let folder = tempfile::tempdir().unwrap();
    check_spark_at(&run.to_string_lossy(), "out", folder.path(), &[]);
}

#[test]
fn buckets_of_the_chain_equal_one_merge_to_the_byte() {
    check_buckets(&chain::run_folder());
}

#[test]
fn spark_merges_the_chain_as_one_merge_does() {
    check_spark(&chain::run_folder());
}

/// URIs are copied to each machine and back.
#[test]
fn spark_merges_from_uris_and_aligns_clocks_in_two_rounds() {
    let folder = tempfile::tempdir().unwrap();
    let run = format!("file://{}", chain::run_folder().display());
    let out = format!("file://{}", folder.path().join("out").display());
    check_spark_at(&run, &out, folder.path(), &["--align-clocks"]);
}

/// A cctf that is killed at its first merge of bucket 1, after it has written rows.
fn killed_once(folder: &Path) -> PathBuf {
    let (path, marker) = (folder.join("killed-once"), folder.join("killed"));
    let cctf = bin_dir().unwrap().join("cctf");
    let text = format!(
        "#!/bin/sh\ncase \"$*\" in *'--bucket 1/4'*)\n  if [ ! -e {marker} ]; then\n    touch {marker}\n    \
         mkdir -p \"$(dirname \"$2\")/.$(basename \"$2\").partial/run\"\n    \
         head -c 1000 {rows} > \"$(dirname \"$2\")/.$(basename \"$2\").partial/run/invocations.jsonl\"\n    kill -9 $$\n  fi;;\nesac\n\
         exec {cctf} \"$@\"\n",
        marker = marker.display(),
        rows = chain::run_folder().join("cctf/invocations.jsonl").display(),
        cctf = cctf.display(),
    );
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

#[test]
fn a_killed_worker_leaves_nothing_valid_and_the_job_continues() {
    let folder = tempfile::tempdir().unwrap();
    let (run, binary) = (chain::run_folder(), killed_once(folder.path()));
    let (binary, place) = (binary.to_string_lossy(), run.to_string_lossy());
    let args = [
        "--cctf",
        &binary,
        "--buckets",
        "4",
        "--no-data",
        "--run",
        "--out",
        "out",
        &place,
    ];
    let done = spark(folder.path(), &args);
    assert_ne!(done.code, Some(0));
    assert!(
        done.stderr.contains("cctf merge") && done.stderr.contains("ended with -9"),
        "{}",
        done.stderr
    );
    let buckets = folder.path().join("out/buckets");
    let left = buckets.join(".bucket=001.partial/run");
    assert!(left.join("invocations.jsonl").exists() && !buckets.join("bucket=001").exists());
    assert!(!folder.path().join("out/run").exists() && !folder.path().join("out/rests").exists());
    for path in fs::read_dir(&buckets)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .chain([left])
    {
        let valid = cctf(&["validate", &path.to_string_lossy()]).unwrap();
        assert_ne!(valid.code, Some(0), "{}: {}", path.display(), valid.stdout);
    }
    let done = spark(folder.path(), &args);
    assert_eq!(done.code, Some(0), "{}\n{}", done.stdout, done.stderr);
    succeeds(folder.path(), &["merge", "one", &run.to_string_lossy()]);
    assert_same(&folder.path().join("one"), &folder.path().join("out/run"));
}
