//! A closed or full standard output or standard error: each command ends with the exit code that its help documents.

use std::fs;
use std::path::Path;
use std::process::{Output, Stdio};

use crate::folders::copy_golden;
use crate::servers::{Answers, Servers};
use crate::{cctf, stderr};

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

/// The writing end of a pipe whose reading end is closed.
fn closed() -> Stdio {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    writer.into()
}

fn full() -> Stdio {
    fs::File::options().write(true).open("/dev/full").unwrap().into()
}

fn run(args: &[&str], stdout: Stdio, stderr: Stdio) -> Output {
    let child = cctf(args).stdout(stdout).stderr(stderr).spawn();
    child.unwrap().wait_with_output().unwrap()
}

/// A short load without spans.
fn load(target: &str) -> Vec<&str> {
    [
        &["load", "--endpoint", "/x", "--duration", "100ms"][..],
        &["--target", target],
    ]
    .concat()
}

/// Runs `check` with each command that prints, and with the exit code that it must have if standard output is full.
fn with_each_command(check: impl Fn(&[&str], i32)) {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("r");
    write_run(&run);
    let (logs, out) = (folder.path().to_str().unwrap(), folder.path().join("out"));
    let traced = copy_golden("driver_chain_of_three", "chain-1", folder.path());
    let (run, traced) = (run.to_str().unwrap(), traced.to_str().unwrap());
    let servers = Servers::start(Answers::Accept, None);
    let target = format!("http://{}", servers.service);
    for format in ["text", "json"] {
        let format = ["--format", format];
        check(&[&["validate", run][..], &format].concat(), 2);
        check(&[&["ls", logs][..], &format].concat(), 1);
        check(&[&["trace", traced, "5b8e"][..], &format].concat(), 1);
        check(&[&["tail", traced, "--no-follow"][..], &format].concat(), 1);
        check(
            &[&["tail", traced, "--no-follow", "--traces"][..], &format].concat(),
            1,
        );
        check(&[&["merge", out.to_str().unwrap(), run][..], &format].concat(), 1);
        fs::remove_dir_all(&out).unwrap();
        check(&[&load(&target)[..], &format].concat(), 1);
    }
    let page = folder.path().join("page.html");
    check(&["report", traced, "--out", page.to_str().unwrap()], 1);
    for printed in [
        &["schema", "calls"][..],
        &["completions", "bash"],
        &["man"],
        &["--help"],
        &["--version"],
        &["run", "--help"],
        &["help", "load"],
    ] {
        check(printed, 1);
    }
}

/// This test fails with `println!`: the exit code is then 101, and for help 0.
#[test]
fn a_full_standard_output_is_an_error_with_a_sentence() {
    with_each_command(|args, code| {
        let output = run(args, full(), Stdio::piped());
        let stderr = stderr(&output);
        assert_eq!(output.status.code(), Some(code), "{args:?} {stderr}");
        assert!(
            stderr.contains("cannot write to standard output"),
            "{args:?} {stderr}"
        );
        assert_eq!(stderr.matches("No space left").count(), 1, "{args:?} {stderr}");
    });
}

/// This test fails with `println!`: the exit code is then 101.
#[test]
fn a_closed_standard_output_ends_a_command_quietly() {
    with_each_command(|args, _| {
        let output = run(args, closed(), Stdio::piped());
        assert_eq!(
            (output.status.code(), &*stderr(&output)),
            (Some(0), ""),
            "{args:?}"
        );
    });
}

/// This test fails with `eprintln!`: the exit code is then 101.
#[test]
fn a_closed_or_full_standard_error_does_not_change_the_exit_code() {
    let servers = Servers::start(Answers::RefuseSpans, None);
    let [target, collector] = [servers.service, servers.collector].map(|address| format!("http://{address}"));
    for (args, code) in [
        (&["validate", "/nowhere"][..], 2),
        (&["tail", "--no-follow", "/nowhere/r"], 2),
        (&load("http://127.0.0.1:1"), 1),
        (
            &[&load(&target)[..], &["--otlp-endpoint", &collector]].concat(),
            1,
        ),
        (&["schema", "nonsense"], 2),
    ] {
        for stderr in [closed(), full()] {
            let output = run(args, Stdio::null(), stderr);
            assert_eq!(output.status.code(), Some(code), "{args:?}");
        }
    }
}

#[test]
fn a_folder_name_does_not_control_the_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().join("\u{1b}[2J");
    fs::create_dir(&empty).unwrap();
    let (empty, absent) = (empty.to_str().unwrap(), folder.path().join("\u{1b}[3J/r"));
    let absent = absent.to_str().unwrap();
    for args in [
        &["ls", empty][..],
        &["ls", absent],
        &["tail", absent],
        &["tail", empty, "--traces"],
        &["trace", absent, "5b8e"],
        &["stats", absent],
    ] {
        let output = cctf(args).output().unwrap();
        let shown = stderr(&output) + &String::from_utf8_lossy(&output.stdout);
        assert_harmless(args, &shown);
    }
}

fn assert_harmless(args: &[&str], shown: &str) {
    assert!(
        shown.contains(r"\u{1b}[") && !shown.contains('\u{1b}'),
        "{args:?} {shown}"
    );
}

/// This test failed before the fix: the summary of a merge and the findings of a validation contained the unescaped path.
#[test]
fn paths_in_results_do_not_control_the_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("\u{1b}[4J");
    write_run(&run);
    let (run, out) = (run.to_str().unwrap(), folder.path().join("\u{1b}[5J"));
    let merge = ["merge", out.to_str().unwrap(), run];
    let merged = cctf(&merge).output().unwrap();
    assert!(merged.status.success(), "{}", stderr(&merged));
    assert_harmless(&merge, &String::from_utf8_lossy(&merged.stdout));
    fs::write(Path::new(run).join("cctf/calls.jsonl"), "{}\n").unwrap();
    let validate = ["validate", run];
    let broken = cctf(&validate).output().unwrap();
    assert_eq!(broken.status.code(), Some(1), "{}", stderr(&broken));
    assert_harmless(&validate, &String::from_utf8_lossy(&broken.stdout));
}
