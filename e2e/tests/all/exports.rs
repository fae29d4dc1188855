//! `cctf export`: each target, of a recorded run of the chain, in the tool for which it is made.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use e2e::binaries::{Done, cctf, tool};
use e2e::sources::root;
use serde_json::Value;
use tempfile::TempDir;

use crate::chain;

/// An export of the chain's run, and its summary.
struct Exported {
    folder: TempDir,
    summary: Value,
}

impl Exported {
    fn new(target: &str, run: &Path, flags: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("out");
        let run = run.to_string_lossy();
        let args = [
            "export",
            target,
            &run,
            "--format",
            "json",
            "--out",
            &out.to_string_lossy(),
        ];
        let args: Vec<&str> = args.iter().copied().chain(flags.iter().copied()).collect();
        let done = cctf(&args).unwrap();
        assert_eq!(done.code, Some(0), "{}\n{}", done.stdout, done.stderr);
        Self {
            folder,
            summary: done.json().unwrap(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("out").join(name)
    }

    fn count(&self, name: &str) -> u64 {
        self.summary["counts"][name].as_u64().unwrap()
    }
}

/// Runs a script of `e2e/simulators` to its end. Returns the JSON that it prints.
fn python<A: AsRef<OsStr>>(script: &str, args: &[A]) -> Value {
    let python = tool("simulators/bin/python").unwrap();
    let script = root().join("e2e/simulators").join(script);
    let done = Done::from(Command::new(python).arg(script).args(args).output().unwrap());
    assert_eq!(done.code, Some(0), "{}\n{}", done.stdout, done.stderr);
    done.json().unwrap()
}

#[test]
fn perfetto_reads_each_row_as_a_slice_with_its_times_and_arrows() {
    let run = chain::run_folder();
    let exported = Exported::new("perfetto", &run, &[]);
    let found = python(
        "read_perfetto.py",
        &[exported.path("trace.pftrace"), run.join("cctf")],
    );
    for count in ["invocations", "calls", "bytes_in"] {
        assert_eq!(found[count].as_u64(), Some(exported.count(count)), "{count}");
    }
    // Each invocation of the chain was called, the first one by the driver.
    assert_eq!(found["arrows"], found["invocations"]);
    assert!(found["values"].as_u64() > Some(0));
}

#[test]
fn wfcommons_reads_the_graph_and_it_has_the_times_of_the_plan() {
    let run = chain::run_folder();
    let exported = Exported::new("wfformat", &run, &[]);
    let plan = exported.path("plan.jsonl");
    let args = ["plan", &run.to_string_lossy(), "--out", &plan.to_string_lossy()].map(str::to_owned);
    assert_eq!(cctf(&args).unwrap().code, Some(0));
    let found = python("read_wfformat.py", &[exported.path("workflow.json"), plan]);
    for count in ["roots", "invocations", "bytes_in", "bytes_out"] {
        assert_eq!(found[count].as_u64(), Some(exported.count(count)), "{count}");
    }
    // Each request of the chain waits for one call after the other.
    assert_eq!(found["sequential"], found["roots"]);
}

#[test]
fn cloudsim_plus_computes_the_waits_of_first_come_first_served() {
    let run = chain::run_folder();
    let exported = Exported::new("cloudsim", &run, &[]);
    let pom = exported.path("pom.xml");
    let mut maven = Command::new("mvn");
    maven
        .args(["-q", "-B", "-f"])
        .arg(pom)
        .args(["compile", "exec:java"]);
    let done = Done::from(maven.output().unwrap());
    assert_eq!(done.code, Some(0), "{}\n{}", done.stdout, done.stderr);
    let found = python("read_cloudsim.py", &[exported.path(""), run.join("cctf")]);
    assert_eq!(found["jobs"].as_u64(), Some(exported.count("invocations")));
    assert_eq!(found["stations"], 3);
}

#[test]
fn eclypse_places_the_services_as_recorded_and_refuses_a_slow_link() {
    let run = chain::run_folder();
    let exported = Exported::new("eclypse", &run, &[]);
    let found = python("read_eclypse.py", &[exported.path(""), run.join("cctf")]);
    assert_eq!(found["services"], 3);
    assert_eq!(found["interactions"], 2);
}
