//! `cctf run` as a process, with children that fail in every way that needs no real ones.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the failure")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

/// Runs it with binaries from `bin_dir` into `logs_dir`.
fn run(bin_dir: &Path, logs_dir: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cctf"));
    command
        .env_clear()
        .args(["run", "--run-id", "run-1", "--duration", "100ms"]);
    command
        .arg("--bin-dir")
        .arg(bin_dir)
        .arg("--logs-dir")
        .arg(logs_dir)
        .output()
        .unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn script(bin_dir: &Path, name: &str, body: &str) {
    let path = bin_dir.join(name);
    fs::write(&path, format!("#!/bin/sh\n{body}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn a_binary_that_is_not_there_is_named_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let output = run(folder.path(), &folder.path().join("logs"));
    assert_eq!(output.status.code(), Some(1));
    let told = stderr(&output);
    assert!(
        told.contains("cannot find cctf-normalizer") && told.contains("--bin-dir"),
        "{told}"
    );
}

/// Seen to fail with the variables read as they are: "" is no rate.
#[test]
fn a_variable_that_is_set_to_nothing_counts_as_not_set() {
    let empty = [("CCTF_RATE", ""), ("CCTF_DURATION", ""), ("RUN_ID", "")];
    let output = Command::new(env!("CARGO_BIN_EXE_cctf"))
        .env_clear()
        .envs(empty)
        .args(["run", "--bin-dir", "/nowhere"])
        .output()
        .unwrap();
    let told = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("cannot find cctf-normalizer"), "{told}");
}

/// Seen to fail without the check before the start: nothing is told of sizes before kvget's turn comes.
#[test]
fn sizes_that_one_of_the_endpoints_cannot_have_are_told_before_anything_starts() {
    for (endpoints, size, told) in [
        ("json,kvget", "1000-200000", "kvget sends no body"),
        ("gzip,json", "1-200", "json"),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_cctf"))
            .env_clear()
            .args([
                "run",
                "--bin-dir",
                "/nowhere",
                "--endpoints",
                endpoints,
                "--size",
                size,
            ])
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
        assert!(
            stderr(&output).to_lowercase().contains(told),
            "{}",
            stderr(&output)
        );
    }
}

#[test]
fn a_folder_that_holds_a_run_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let kept = folder.path().join("logs/run-1/cctf");
    fs::create_dir_all(&kept).unwrap();
    let output = run(folder.path(), &folder.path().join("logs"));
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr(&output).contains("choose another --run-id"),
        "{}",
        stderr(&output)
    );
    assert!(kept.is_dir());
}

#[test]
fn a_child_that_dies_at_its_start_is_told_with_its_last_words() {
    let folder = tempfile::tempdir().unwrap();
    script(
        folder.path(),
        "cctf-normalizer",
        "echo 'address in use' >&2; exit 7",
    );
    let output = run(folder.path(), &folder.path().join("logs"));
    assert_eq!(output.status.code(), Some(1));
    let told = stderr(&output);
    assert!(
        told.contains("exit code 7") && told.contains("address in use"),
        "{told}"
    );
}

#[test]
fn a_child_that_talks_nonsense_is_told_and_ended() {
    let folder = tempfile::tempdir().unwrap();
    let pid_file = folder.path().join("pid");
    let body = format!("echo $$ > {}; echo hello; exec sleep 1000", pid_file.display());
    script(folder.path(), "cctf-normalizer", &body);
    let output = run(folder.path(), &folder.path().join("logs"));
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).contains("instead of its ports"),
        "{}",
        stderr(&output)
    );
    let pid = fs::read_to_string(&pid_file).unwrap();
    assert!(
        !Path::new("/proc").join(pid.trim()).exists(),
        "the child is still there"
    );
}

/// Seen to fail with a run id that only its children refused, or nobody: exit code 1, or a run in the link's place.
#[test]
fn a_run_id_that_is_a_name_of_ours_is_refused_before_anything_starts() {
    for command in [
        &["run", "--bin-dir", "/nowhere"][..],
        &["load"],
        &["merge", "/nowhere/out", "/nowhere"],
    ] {
        for run_id in ["latest", "Latest", ".journal", "-x", "soak-0002"] {
            let output = Command::new(env!("CARGO_BIN_EXE_cctf"))
                .env_clear()
                .args(command)
                .arg(format!("--run-id={run_id}"))
                .output()
                .unwrap();
            assert_eq!(output.status.code(), Some(2), "{command:?} {}", stderr(&output));
            let expected = format!("invalid run id {run_id:?}");
            assert!(stderr(&output).contains(&expected), "{}", stderr(&output));
        }
    }
}
