//! `cctf export`: each target is opened in the tool for which it is made, with a recorded run of the chain and one of the shop.
//!
//! [`theory`]: networks whose solution is known, in LINE. [`otlp`]: telemetry, and the run that comes back from it.

mod otlp;
mod theory;

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

    /// Asserts that the tool has found the numbers that the summary states.
    fn assert_counts(&self, found: &Value, names: &[&str]) {
        for name in names {
            assert_eq!(found[*name].as_u64(), Some(self.count(name)), "{name}");
        }
    }

    fn count(&self, name: &str) -> u64 {
        self.summary["counts"][name].as_u64().unwrap()
    }
}

/// Runs a script of `e2e/simulators` until it exits. Returns the JSON that it prints.
fn python<A: AsRef<OsStr>>(script: &str, args: &[A]) -> Value {
    let script = root().join("e2e/simulators").join(script);
    run_python("simulators", &script, args).json().unwrap()
}

/// Runs a script, which must succeed, in one of the virtual environments below `target/tools`.
fn run_python<A: AsRef<OsStr>>(environment: &str, script: &Path, args: &[A]) -> Done {
    let python = tool(&format!("{environment}/bin/python")).unwrap();
    let done = Done::from(Command::new(python).arg(script).args(args).output().unwrap());
    assert_eq!(done.code, Some(0), "{}\n{}", done.stdout, done.stderr);
    done
}

/// Exports a run to Perfetto and reads it there.
fn perfetto(run: &Path) -> Value {
    let exported = Exported::new("perfetto", run, &[]);
    let found = python(
        "read_perfetto.py",
        &[exported.path("trace.pftrace"), run.join("cctf")],
    );
    exported.assert_counts(&found, &["invocations", "calls", "bytes_in"]);
    found
}

/// Exports a run to WfCommons and compares it with the plan.
fn wfformat(run: &Path) -> Value {
    let exported = Exported::new("wfformat", run, &[]);
    let plan = exported.path("plan.jsonl");
    let args = ["plan", &run.to_string_lossy(), "--out", &plan.to_string_lossy()].map(str::to_owned);
    assert_eq!(cctf(&args).unwrap().code, Some(0));
    let found = python("read_wfformat.py", &[exported.path("workflow.json"), plan]);
    exported.assert_counts(&found, &["roots", "invocations", "bytes_in", "bytes_out"]);
    found
}

/// Exports a run to CloudSim Plus, simulates it there, and compares the waiting times.
fn cloudsim(run: &Path) -> Value {
    let exported = Exported::new("cloudsim", run, &[]);
    let mut maven = Command::new("mvn");
    maven.args(["-q", "-B", "-f"]).arg(exported.path("pom.xml"));
    let done = Done::from(maven.args(["compile", "exec:java"]).output().unwrap());
    assert_eq!(done.code, Some(0), "{}\n{}", done.stdout, done.stderr);
    let found = python("read_cloudsim.py", &[exported.path(""), run.join("cctf")]);
    assert_eq!(found["jobs"].as_u64(), Some(exported.count("invocations")));
    found
}

/// Exports a run to ECLYPSE and computes a placement there.
fn eclypse(run: &Path) -> Value {
    let exported = Exported::new("eclypse", run, &[]);
    python("read_eclypse.py", &[exported.path(""), run.join("cctf")])
}

/// Exports a run to LINE, which solves its network, and compares the solution with the rows.
fn lqn(run: &Path) -> Value {
    let exported = Exported::new("lqn", run, &[]);
    run_python("line", &exported.path("solve.py"), &[] as &[&str]);
    let found = python("read_lqn.py", &[exported.path(""), run.join("cctf")]);
    exported.assert_counts(&found, &["roots", "invocations"]);
    found
}

/// Exports a run to OpenDC and reads its files with PyArrow.
fn opendc(run: &Path) -> Value {
    let exported = Exported::new("opendc", run, &[]);
    let found = python("read_opendc.py", &[exported.path(""), run.join("cctf")]);
    exported.assert_counts(&found, &["invocations"]);
    found
}

/// Checks each target with a run of an application that has no slots, but messages, retries and failures.
pub fn check_shop(run: &Path) {
    for target in [perfetto, wfformat, cloudsim, eclypse, lqn, opendc] {
        target(run);
    }
    otlp::check(run);
}

#[test]
fn perfetto_reads_each_row_as_a_slice_with_its_times_and_arrows() {
    let found = perfetto(&chain::run_folder());
    // Each invocation of the chain was called, the first one by the driver.
    assert_eq!(found["arrows"], found["invocations"]);
    assert!(found["values"].as_u64() > Some(0));
}

#[test]
fn wfcommons_reads_the_graph_and_it_has_the_times_of_the_plan() {
    let found = wfformat(&chain::run_folder());
    // Each request of the chain makes its calls one after the other.
    assert_eq!(found["sequential"], found["roots"]);
}

#[test]
fn cloudsim_plus_computes_the_waits_of_first_come_first_served() {
    assert_eq!(cloudsim(&chain::run_folder())["stations"], 3);
}

#[test]
fn eclypse_places_the_services_as_recorded_and_refuses_a_slow_link() {
    let found = eclypse(&chain::run_folder());
    assert_eq!(
        (&found["services"], &found["interactions"]),
        (&3.into(), &2.into())
    );
}

#[test]
fn line_solves_the_chain_with_the_rates_and_utilisations_of_its_rows() {
    assert_eq!(lqn(&chain::run_folder())["stations"], 3);
}

#[test]
fn opendc_has_the_columns_of_its_pinned_version_and_the_work_of_the_rows() {
    let found = opendc(&chain::run_folder());
    assert!(found["cpu_ms"].as_f64() > Some(0.0), "{found}");
}
