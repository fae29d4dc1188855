//! `cctf run` with child processes that fail. The tests need no real child processes.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use crate::replay::{ENDED, meta};
use crate::stats::{Logs, row};
use crate::{cctf, stderr};

/// Runs the command with binaries from `bin_dir`. The runs are in `logs_dir`.
fn run(bin_dir: &Path, logs_dir: &Path) -> Output {
    cctf(&["run", "--run-id", "run-1", "--duration", "100ms"])
        .arg("--bin-dir")
        .arg(bin_dir)
        .arg("--logs-dir")
        .arg(logs_dir)
        .output()
        .unwrap()
}

fn script(bin_dir: &Path, name: &str, body: &str) {
    let path = bin_dir.join(name);
    fs::write(&path, format!("#!/bin/sh\n{body}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn a_missing_binary_is_named_with_the_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let output = run(folder.path(), &folder.path().join("logs"));
    assert_eq!(output.status.code(), Some(1));
    let text = stderr(&output);
    assert!(
        text.contains("cannot find cctf-normalizer") && text.contains("--bin-dir"),
        "{text}"
    );
}

/// This test failed when empty variables were read: "" is an invalid rate.
#[test]
fn only_flags_of_stand_ins_are_under_their_heading() {
    let output = cctf(&["run", "--help"]).output().unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    let (_, section) = help.split_once("\nStand-ins:\n").unwrap();
    let flags: Vec<&str> = section
        .lines()
        .take_while(|line| line.is_empty() || line.starts_with(' '))
        .filter_map(|line| line.strip_prefix("      --")?.split(' ').next())
        .collect();
    let of_stand_ins = [
        "stand-in",
        "placement",
        "keep",
        "speed",
        "from",
        "to",
        "limit",
        "scale",
        "by",
        "orphans",
    ];
    assert_eq!(flags, of_stand_ins);
}

#[test]
fn an_empty_variable_counts_as_unset() {
    let empty = [("CCTF_RATE", ""), ("CCTF_DURATION", ""), ("RUN_ID", "")];
    let output = cctf(&["run", "--bin-dir", "/nowhere"])
        .envs(empty)
        .output()
        .unwrap();
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("cannot find cctf-normalizer"), "{text}");
}

/// This test fails without the check before the start: the error then comes only when kvget is loaded.
#[test]
fn a_size_that_an_endpoint_cannot_have_is_refused_before_the_start() {
    for (endpoints, size, expected) in [
        ("json,kvget", "1000-200000", "kvget sends no body"),
        ("gzip,json", "1-200", "json"),
    ] {
        let sizes = ["--endpoints", endpoints, "--size", size];
        let output = cctf(&["run", "--bin-dir", "/nowhere"])
            .args(sizes)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
        assert!(
            stderr(&output).to_lowercase().contains(expected),
            "{}",
            stderr(&output)
        );
    }
}

/// This test failed before the fix: the flags were ignored, because child processes export without them.
#[test]
fn flags_of_an_export_that_does_not_happen_are_refused() {
    for (flag, value) in [
        ("--otlp-headers", "a=b"),
        ("--otlp-certificate", "ca.pem"),
        ("--otlp-timeout-ms", "1"),
    ] {
        let output = cctf(&["run", "--bin-dir", "/nowhere", flag, value])
            .output()
            .unwrap();
        let text = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{text}");
        assert!(
            text.contains(&format!("cannot use {flag} without --target")),
            "{text}"
        );
    }
}

/// A recorded run of the module `front` with one instance on node n.
fn recorded() -> Logs {
    let logs = Logs::with(&row(0, "front", 200));
    let inventory = r#"[{"app_id":null,"module_id":"front","name":"front","type":"MODULE","resources":null,"endpoints":[],"instances":[{"instance_id":"i","node_id":"n","workers":2,"slot_policy":"held","slots_src":"told"}]}]"#;
    logs.write("r", "module_inventory.json", inventory);
    logs.write("r", "run_meta.json", &meta("r", ENDED));
    logs
}

#[test]
fn an_impossible_placement_is_refused_before_anything_starts() {
    let logs = recorded();
    let placement = logs.path().join("placement.json");
    for (text, sentence) in [
        (
            r#"{"modules": {"back": {}}}"#,
            r#"invalid placement: r has no module "back"; its modules are "front""#,
        ),
        (
            r#"{"modules": {"front": {"node": "moon"}}}"#,
            r#"invalid placement: module "front" is on the unknown node "moon""#,
        ),
        (
            r#"{"nodes": {"moon": {"stage": "cloud"}}}"#,
            r#"invalid placement: node "moon" is not in the recording"#,
        ),
        (
            r#"{"modules": {"front": {"slots": 0}}}"#,
            "placement.json: modules.front.slots must be a whole number from 1 to 1024",
        ),
        ("[]", "placement.json: it must be an object such as"),
        ("[", "placement.json: it is not valid JSON: EOF while parsing"),
    ] {
        fs::write(&placement, text).unwrap();
        let output = stand_ins(logs.path(), &placement).output().unwrap();
        let text = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{text}");
        assert!(text.contains(sentence) && text.lines().count() == 1, "{text}");
        assert!(!logs.path().join("new").exists());
    }
}

/// The command that would repeat the run `r` as the run `new` if the binaries existed.
fn stand_ins(logs: &Path, placement: &Path) -> Command {
    let mut command = cctf(&[
        "run",
        "--stand-in",
        "r",
        "--bin-dir",
        "/nowhere",
        "--run-id",
        "new",
    ]);
    command.args(["--logs-dir".as_ref(), logs, "--placement".as_ref(), placement]);
    command
}

/// This test failed before the fix: all processes were started, and an empty run remained.
#[test]
fn what_no_stand_in_can_do_is_refused_before_anything_starts() {
    let logs = recorded();
    let placement = logs.path().join("placement.json");
    let refused = |flags: &[&str]| {
        let output = stand_ins(logs.path(), &placement).args(flags).output().unwrap();
        assert!(!logs.path().join("new").exists());
        let text = stderr(&output);
        // The self-check of these rows has a warning.
        let error = text.lines().last().unwrap_or_default().to_owned();
        (output.status.code(), error)
    };
    let elsewhere = r#"{"modules": {"front": {"node": "fog0"}}, "nodes": {"fog0": {}}}"#;
    fs::write(&placement, elsewhere).unwrap();
    let (code, error) = refused(&["--keep", "work"]);
    assert_eq!(code, Some(2), "{error}");
    assert!(
        error.ends_with(r#"the recording has no mips_per_core of its node "n"; use --keep time"#),
        "{error}"
    );
    let nodes = r#"[{"node_id":"n","stage":"edge","cpu_cores":2,"mem_mb":1,"mips_per_core":1000.0}]"#;
    logs.write("r", "nodes.json", nodes);
    let (code, error) = refused(&["--keep", "work"]);
    assert_eq!(code, Some(2), "{error}");
    assert!(
        error.ends_with(
            r#"its node "fog0" has no speed; set "mips_per_core" of the node in "nodes" of a placement, or use --keep time"#
        ),
        "{error}"
    );
    logs.write("r", "nodes.json", "[{");
    let (code, error) = refused(&["--keep", "work"]);
    assert_eq!(code, Some(1), "{error}");
    assert!(
        error.contains("r/cctf/nodes.json") && error.contains("cctf validate shows its faults"),
        "{error}"
    );
}

#[test]
fn a_name_that_is_empty_chooses_no_run() {
    let logs = recorded();
    for args in [
        &["run", "--bin-dir", "/nowhere", "--stand-in", ""][..],
        &["replay", "", "--dry-run"],
        &["plan", "", "--out", "p"],
        &["compare", "r", ""],
        &["stats", ""],
    ] {
        let output = cctf(args)
            .args(["--logs-dir".as_ref(), logs.path()])
            .output()
            .unwrap();
        let text = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {text}");
        assert!(text.contains("the name of the run is empty"), "{args:?}: {text}");
    }
    for args in [
        &["run", "--stand-in", "r", "--placement", ""][..],
        &["replay", "r", "--stand-in", ""],
        &["replay", "r", "--target", "http://h:1", "--bodies", ""],
        &["compare", "r", "r", "--margins", ""],
        &["plan", "r", "--out", ""],
        &["run", "--logs-dir", ""],
    ] {
        let output = cctf(args).output().unwrap();
        let text = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {text}");
        assert!(text.contains("value is required for"), "{args:?}: {text}");
    }
}

/// Notes are printed before the start.
#[test]
fn parts_of_a_placement_without_effect_are_notes() {
    let logs = recorded();
    let placement = logs.path().join("placement.json");
    for (text, note) in [
        ("{}", "note: the placement changes nothing"),
        (
            r#"{"links": [{"u": "n", "v": "m", "delay_ms": 1}], "modules": {"front": {"node": "m"}}, "nodes": {"m": {}}}"#,
            "note: the links of the placement have no effect: add --netns",
        ),
    ] {
        fs::write(&placement, text).unwrap();
        let output = cctf(&["run", "--stand-in", "r", "--bin-dir", "/nowhere"])
            .args([
                "--logs-dir".as_ref(),
                logs.path(),
                "--placement".as_ref(),
                &*placement,
            ])
            .output()
            .unwrap();
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(printed.contains(note), "{printed}{}", stderr(&output));
        let lacks = "note: r has no valid nodes.json: stages and speeds of its nodes are unknown";
        assert!(printed.contains(lacks), "{printed}");
    }
}

#[test]
fn flags_that_stand_ins_take_from_the_recording_are_refused() {
    let logs = recorded();
    for flags in [
        &["--stand-in", "r", "--rate", "40"][..],
        &["--stand-in", "r", "--workers", "2"],
        &["--stand-in", "r", "--chain"],
        &["--stand-in", "r", "--application", "x"],
        &["--stand-in", "none"],
        &["--placement", "p.json"],
        &["--chain", "--placement", "p.json"],
        &["--netns"],
    ] {
        let output = cctf(&["run", "--bin-dir", "/nowhere", "--logs-dir"])
            .arg(logs.path())
            .args(flags)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(2), "{flags:?} {}", stderr(&output));
    }
}

#[test]
fn a_run_without_an_inventory_has_no_stand_ins() {
    let logs = recorded();
    logs.write("r", "module_inventory.json", "[{");
    let output = cctf(&["run", "--bin-dir", "/nowhere", "--stand-in", "r", "--logs-dir"])
        .arg(logs.path())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let text = stderr(&output);
    assert!(
        text.contains("cannot start stand-ins for r: it has no valid module_inventory.json"),
        "{text}"
    );
}

#[test]
fn an_existing_run_is_never_overwritten() {
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
fn a_child_that_dies_at_its_start_is_reported_with_its_errors() {
    let folder = tempfile::tempdir().unwrap();
    script(
        folder.path(),
        "cctf-normalizer",
        "echo 'address in use' >&2; exit 7",
    );
    let output = run(folder.path(), &folder.path().join("logs"));
    assert_eq!(output.status.code(), Some(1));
    let text = stderr(&output);
    assert!(
        text.contains("exit code 7") && text.contains("address in use"),
        "{text}"
    );
}

#[test]
fn a_child_with_an_invalid_announcement_is_reported_and_stopped() {
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

/// This test failed when only the child processes refused such an id (exit code 1), or none did (the run replaced the link).
#[test]
fn a_reserved_name_is_refused_as_a_run_id_before_the_start() {
    for command in [
        &["run", "--bin-dir", "/nowhere"][..],
        &["load"],
        &["merge", "/nowhere/out", "/nowhere"],
    ] {
        for run_id in ["latest", "Latest", ".journal", "-x", "soak-0002"] {
            let output = cctf(command).arg(format!("--run-id={run_id}")).output().unwrap();
            assert_eq!(output.status.code(), Some(2), "{command:?} {}", stderr(&output));
            let expected = format!("invalid run id {run_id:?}");
            assert!(stderr(&output).contains(&expected), "{}", stderr(&output));
        }
    }
}
