//! Runs with a folder or file that cannot be read: the result is an error with its path. The run does not count as absent, and
//! the command does not wait forever.
//!
//! The test replaces the file by a link to itself. Not even root can read this, whereas root could read a file without
//! permissions.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Output};

use crate::folders::copy_golden;
use crate::stderr;

/// Maximum time of a command, seconds. After this time, `timeout` ends with code 124.
const TIMEOUT_S: &str = "180";

fn cctf(args: &[&str], run: &Path) -> Output {
    let (name, rest) = args.split_first().unwrap();
    Command::new("timeout")
        .args([TIMEOUT_S, env!("CARGO_BIN_EXE_cctf"), name])
        .arg(run)
        .args(rest)
        .output()
        .unwrap()
}

/// Replaces a file or folder by a link to itself.
fn put_loop(path: &Path) {
    if path.is_dir() {
        fs::remove_dir_all(path).unwrap();
    } else {
        fs::remove_file(path).unwrap();
    }
    symlink(path, path).unwrap();
}

fn assert_named(args: &[&str], run: &Path, path: &Path) {
    let output = cctf(args, run);
    let text = stderr(&output);
    let expected = format!(
        "cannot read {}: ",
        path.canonicalize().unwrap_or(path.to_owned()).display()
    );
    assert!(
        text.contains(&expected) && matches!(output.status.code(), Some(1 | 2)),
        "{args:?}: {text}"
    );
}

const COMMANDS: [&[&str]; 4] = [
    &["stats"],
    &["trace", "5b8e"],
    &["tail"],
    &["tail", "--no-follow"],
];

#[test]
fn a_folder_that_cannot_be_read_is_named() {
    let logs = tempfile::tempdir().unwrap();
    let run = copy_golden("driver_chain_of_three", "chain-1", logs.path());
    put_loop(&run.join("cctf"));
    for args in COMMANDS.into_iter().chain([&["validate"][..]]) {
        assert_named(args, &run, &run.join("cctf"));
    }
}

/// This test failed before the fix: `cctf tail` considered the run to be in progress, and waited.
#[test]
fn a_run_meta_that_cannot_be_read_is_named() {
    let logs = tempfile::tempdir().unwrap();
    let run = copy_golden("driver_chain_of_three", "chain-1", logs.path());
    let meta = run.join("cctf/run_meta.json");
    put_loop(&meta);
    for args in COMMANDS {
        assert_named(args, &run, &meta);
    }
}

#[test]
fn a_later_part_that_cannot_be_read_is_named() {
    let logs = tempfile::tempdir().unwrap();
    let run = copy_golden("rolled_by_size", "own", logs.path());
    let part = copy_golden("rolled_by_size", "own-0002", logs.path());
    let meta = part.join("cctf/run_meta.json");
    put_loop(&meta);
    for args in COMMANDS {
        assert_named(args, &run, &meta);
    }
    put_loop(&part.join("cctf"));
    assert_named(&["stats"], &run, &meta);
}

/// The list has the reason why a part cannot be validated.
#[test]
fn ls_says_why_a_part_cannot_be_validated() {
    let logs = tempfile::tempdir().unwrap();
    let run = copy_golden("driver_chain_of_three", "chain-1", logs.path());
    put_loop(&run.join("cctf/calls.jsonl"));
    let output = cctf(&["ls", "--validate", "--format", "json"], logs.path());
    let text = String::from_utf8_lossy(&output.stdout);
    let path = run.join("cctf/calls.jsonl");
    assert!(
        text.contains(&format!("cannot read {}: ", path.display())),
        "{text}"
    );
}
