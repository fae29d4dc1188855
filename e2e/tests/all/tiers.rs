//! `cctf run --chain --netns`: links.json must have the delay and rate that were set, even if the clock of one node is wrong. A
//! killed run must leave no process and no network. The tests need root; without it they fail.

use std::collections::BTreeSet;
use std::fs;
use std::process::{Command, Stdio};

use e2e::binaries::{bin_dir, command};
use e2e::child::{is_running, wait_for};
use e2e::collector::Process;
use e2e::exclusive;
use e2e::sources::root;
use e2e::tiers::{Run, SKEW_MS, TOXIPROXY};

/// Bounds of the measured value divided by its setting. On a busy machine, links look slower; `make fidelity` checks narrow
/// bounds.
const DELAY_PART_MIN: f64 = 0.7;
const RATE_PART_MAX: f64 = 1.3;
/// Maximum error of a clock offset. With a larger error, an offset of 3 s could not be recognised.
const CLOCK_ERROR_MS_MAX: f64 = 1_000.0;

/// This test fails without toxiproxy's delay: a delay of 0.5 ms and no rate are then found. It fails if the rate of tbf is a
/// hundred times higher: 1.2 Gbit/s are then found. It also fails with a relay that does not shift the ends of spans: no link
/// is then found, because all durations are wrong.
#[test]
fn links_match_their_settings_despite_a_wrong_clock() {
    let _machine = exclusive::machine();
    let run = Run::drive(&bin_dir().unwrap(), "20s").unwrap();
    let links = run.links().unwrap();
    assert_eq!(links.len(), 2);
    for link in &links {
        let part = |(set, found): (f64, f64)| found / set;
        assert!(
            part(link.delay_s) >= DELAY_PART_MIN && part(link.rate_bps) <= RATE_PART_MAX,
            "{link:?}"
        );
    }
    let (rows, differences) = run.differences().unwrap();
    assert_eq!(rows, 3 * 200);
    assert!(differences.is_empty(), "{}", differences.join("\n\n"));
    for clock in run.offsets().unwrap() {
        assert!(
            (clock.offset_ms - SKEW_MS as f64).abs() <= clock.error_ms && clock.error_ms < CLOCK_ERROR_MS_MAX,
            "{clock:?}"
        );
    }
}

/// This test times out if children do not ask the kernel for a signal when their parent dies.
#[test]
fn a_killed_run_leaves_no_process_and_no_network() {
    let _machine = exclusive::machine();
    let network = || -> BTreeSet<_> {
        let names = |folder: &str| {
            fs::read_dir(folder)
                .into_iter()
                .flatten()
                .map(|entry| entry.unwrap().path())
                .collect::<Vec<_>>()
        };
        [names("/sys/class/net"), names("/run/netns")]
            .concat()
            .into_iter()
            .collect()
    };
    // Other tests create and remove interfaces, too. Those of a run have these names.
    let ours = |all: BTreeSet<std::path::PathBuf>| -> Vec<_> {
        all.into_iter()
            .filter(|path| {
                let name = path
                    .file_name()
                    .unwrap_or_default()
                    .to_string_lossy()
                    .into_owned();
                ["control", "router", "to-", "link", "node"]
                    .iter()
                    .any(|begin| name.starts_with(begin))
            })
            .collect()
    };
    let logs = tempfile::tempdir().unwrap();
    let mut command: Command = command("cctf").unwrap();
    command
        .args(["run", "--chain", "--netns", "--endpoints", "json", "--rate", "10"])
        .args(["--duration", "30m", "--run-id", "r", "--logs-dir"])
        .arg(logs.path())
        .arg("--toxiproxy")
        .arg(root().join(TOXIPROXY))
        .stdout(Stdio::null())
        .stderr(Stdio::inherit());
    let mut run = Process(command.spawn().unwrap());
    let pid = run.0.id();
    let rows = logs.path().join("r/cctf/invocations.jsonl");
    wait_for("rows of a run in namespaces", || {
        anyhow::ensure!(
            run.0.try_wait()?.is_none(),
            "cctf run --netns has ended; it needs root"
        );
        Ok(fs::metadata(&rows).is_ok_and(|rows| rows.len() > 0).then_some(()))
    })
    .unwrap();
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
    let children: Vec<&str> = children.split_whitespace().collect();
    assert_eq!(children.len(), 5, "normalizer, toxiproxy and three services");
    assert!(
        ours(network()).is_empty(),
        "visible from outside: {:?}",
        ours(network())
    );
    drop(run);
    wait_for("the end of a killed run's children", || {
        let are_gone = children.iter().all(|child| !is_running(child.parse().unwrap()));
        Ok(are_gone.then_some(()))
    })
    .unwrap();
    assert!(ours(network()).is_empty());
}
