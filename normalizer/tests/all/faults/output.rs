//! Standard output and standard error whose reader has closed them, or whose disk is full.

use std::fs::File;
use std::io::Read as _;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

use super::normalizer::{Launch, Normalizer};
use crate::support::process::try_http;

/// More free space than any disk has.
const ALL_THERE_IS: &str = "1000000GiB";

/// A normalizer whose standard error is a pipe that nobody reads.
fn unheard(launch: &Launch) -> Normalizer {
    launch.start_with_stderr(Stdio::from(closed_pipe())).unwrap()
}

/// One end of a pipe. The other end is closed.
fn closed_pipe() -> std::io::PipeWriter {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    writer
}

fn post(normalizer: &Normalizer, body: &[u8]) -> String {
    let address = normalizer.address("http").to_string();
    try_http(&address, "POST /v1/traces", "x-protobuf", body).unwrap()
}

fn normalizer(args: &[&str], stdout: Stdio) -> Output {
    Command::new(env!("CARGO_BIN_EXE_cctf-normalizer"))
        .env_clear()
        .args(args)
        .stdout(stdout)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
        .wait_with_output()
        .unwrap()
}

fn full() -> Stdio {
    File::options().write(true).open("/dev/full").unwrap().into()
}

/// This test fails with `eprintln!`: the first refusal is not answered, and SIGTERM ends in exit code 101.
#[test]
fn a_refusal_is_answered_even_if_logging_fails() {
    let folder = TempDir::new().unwrap();
    let normalizer = unheard(&Launch::in_folder(folder.path()));
    for _ in 0..2 {
        let answer = post(&normalizer, b"\xff");
        assert!(answer.starts_with("HTTP/1.1 400"), "{answer:?}");
    }
    normalizer.stop();
}

/// This test fails with `eprintln!`: the process does not even start.
#[test]
fn a_full_disk_refuses_requests_even_if_logging_fails() {
    let folder = TempDir::new().unwrap();
    let launch = Launch::in_folder(folder.path()).flag("--disk-free-min", ALL_THERE_IS);
    let normalizer = unheard(&launch);
    // A request with one span, in protobuf.
    let answer = post(&normalizer, b"\x0a\x04\x12\x02\x12\x00");
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer:?}");
    normalizer.stop();
}

/// This test fails with `println!`: the exit code is then 101 with a full disk, and 0 for the help.
#[test]
fn help_to_a_full_disk_is_an_error_and_to_a_closed_pipe_is_not() {
    for args in [&["--help"][..], &["--version"], &["replay-journal", "--help"]] {
        let refused = normalizer(args, full());
        let stderr = String::from_utf8(refused.stderr).unwrap();
        assert_eq!(refused.status.code(), Some(1), "{args:?} {stderr}");
        assert!(stderr.contains("cannot write to standard output"), "{stderr}");
        let unread = normalizer(args, Stdio::from(closed_pipe()));
        assert_eq!(
            (unread.status.code(), unread.stderr),
            (Some(0), Vec::new()),
            "{args:?}"
        );
    }
}

/// This test fails with `println!`: the process exits with code 101 before it listens.
#[test]
fn ports_that_cannot_be_printed_do_not_prevent_listening() {
    let folder = TempDir::new().unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_cctf-normalizer"))
        .env_clear()
        .arg("--out-dir")
        .arg(folder.path())
        .args(["--run-id", "mine", "--stop-with-stdin"])
        .args(["--grpc-listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0"])
        .args(["--admin-listen", "127.0.0.1:0"])
        .stdin(Stdio::piped())
        .stdout(full())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdin.take());
    let mut stderr = String::new();
    child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0), "{stderr}");
    assert!(stderr.contains("cannot write to standard output"), "{stderr}");
    assert!(stderr.contains("shut down gracefully"), "{stderr}");
}
