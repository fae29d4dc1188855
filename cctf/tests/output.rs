//! Standard output and standard error that nobody reads any more, or that lead to a full disk: each command ends with the
//! exit code that its help promises.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the failure")]

mod servers;

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use servers::{Answers, Servers};

const RUN_META: &str = r#"{"run_id":"r","rate":null,"duration":null,"scen":null,"img":null,"git_sha":null,"workers":null,"cctf_version":"1","normalizer_version":"0.1.0","started_ts":1760000000000.000000,"ended_ts":1760000001000.000000,"time_base":"unix_utc","counts":{"spans":0,"points":0,"logs":0,"rows":{},"duplicates":0,"orphans":0,"late":0,"unknown_node":0,"rejected":{}}}"#;

/// A run without rows.
fn write_run(folder: &Path) {
    let cctf = folder.join("cctf");
    fs::create_dir_all(&cctf).unwrap();
    for file in cctf_proto::cctf::File::ALL {
        let text = match file.shape() {
            cctf_proto::cctf::Shape::Lines => "",
            cctf_proto::cctf::Shape::Array => "[]\n",
            cctf_proto::cctf::Shape::Object => RUN_META,
        };
        fs::write(cctf.join(file.name()), text).unwrap();
    }
}

/// The end of a pipe whose other end is closed.
fn closed() -> Stdio {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    writer.into()
}

fn full() -> Stdio {
    fs::File::options().write(true).open("/dev/full").unwrap().into()
}

fn cctf(args: &[&str], stdout: Stdio, stderr: Stdio) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cctf"));
    let child = command
        .env_clear()
        .args(args)
        .stdout(stdout)
        .stderr(stderr)
        .spawn();
    child.unwrap().wait_with_output().unwrap()
}

/// Each command that prints, and its exit code when standard output is full.
fn with_each_command(check: impl Fn(&[&str], i32)) {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("r");
    write_run(&run);
    let (run, out) = (run.to_str().unwrap(), folder.path().join("out"));
    let merge = ["merge", out.to_str().unwrap(), run];
    let servers = Servers::start(Answers::Accept, None);
    let target = format!("http://{}", servers.service);
    let load = [
        "load",
        "--target",
        &target,
        "--endpoint",
        "/x",
        "--duration",
        "100ms",
    ];
    check(&["validate", run], 2);
    check(&["validate", run, "--format", "json"], 2);
    check(&["schema", "calls"], 1);
    check(&merge, 1);
    fs::remove_dir_all(&out).unwrap();
    check(&[&merge[..], &["--format", "json"]].concat(), 1);
    fs::remove_dir_all(&out).unwrap();
    check(&load, 1);
    check(&[&load[..], &["--format", "json"]].concat(), 1);
    for help in [
        &["--help"][..],
        &["--version"],
        &["run", "--help"],
        &["help", "load"],
    ] {
        check(help, 1);
    }
}

/// Seen to fail with `println!`: exit code 101, and for help 0.
#[test]
fn a_full_standard_output_is_an_error_with_a_sentence() {
    with_each_command(|args, code| {
        let output = cctf(args, full(), Stdio::piped());
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{args:?} {stderr}");
        assert!(
            stderr.contains("cannot write to standard output"),
            "{args:?} {stderr}"
        );
        assert_eq!(stderr.matches("No space left").count(), 1, "{args:?} {stderr}");
    });
}

/// Seen to fail with `println!`: exit code 101.
#[test]
fn a_closed_standard_output_ends_a_command_quietly() {
    with_each_command(|args, _| {
        let output = cctf(args, closed(), Stdio::piped());
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), &*stderr), (Some(0), ""), "{args:?}");
    });
}

/// Seen to fail with `eprintln!`: exit code 101.
#[test]
fn a_sentence_that_nobody_reads_does_not_change_the_exit_code() {
    let silent = Servers::start(Answers::RefuseSpans, None);
    let [target, collector] = [silent.service, silent.collector].map(|at| format!("http://{at}"));
    let lossy = [
        "load",
        "--target",
        &target,
        "--endpoint",
        "/x",
        "--duration",
        "100ms",
    ];
    for (args, code) in [
        (&["validate", "/nowhere"][..], 2),
        (&["tail", "--no-follow", "/nowhere/r"], 2),
        (&["load", "--target", "http://127.0.0.1:1"], 1),
        (&[&lossy[..], &["--otlp-endpoint", &collector]].concat(), 1),
        (&["schema", "nonsense"], 2),
    ] {
        for stderr in [closed(), full()] {
            let output = cctf(args, Stdio::null(), stderr);
            assert_eq!(output.status.code(), Some(code), "{args:?}");
        }
    }
}
