//! `cctf run --stand-in`: stand-ins repeat a recorded chain with the same calls, rows and sizes, with and without links. No
//! process remains afterwards.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::process::Command;

use e2e::binaries::{Done, LONG_WINDOW, bin_dir, cctf, command};
use e2e::exclusive;
use e2e::rows::{self, number, text};
use e2e::sources::{read, root};
use e2e::tiers::TOXIPROXY;
use serde_json::Value;
use tempfile::TempDir;

use crate::chain;

/// One-way delays of both links in the test with links, milliseconds.
const DELAYS_MS: [u64; 2] = [3, 20];
/// Minimum of the measured delay divided by its setting. On a busy machine, measured delays are longer; `make fidelity` checks
/// narrow bounds.
const DELAY_PART_MIN: f64 = 0.7;

/// A command by which stand-ins repeat a run (run id, or path to its folder), as the run `again` in `logs`. It prints JSON.
pub fn again(run: &Path, logs: &Path) -> Command {
    let mut command = command("cctf").unwrap();
    command
        .args([
            "run",
            "--run-id",
            "again",
            "--join-window",
            LONG_WINDOW,
            "--format",
            "json",
        ])
        .args(["--stand-in".as_ref(), run.as_os_str()])
        .args(["--logs-dir".as_ref(), logs.as_os_str()]);
    command
}

/// A run in which stand-ins repeat the recorded chain, and its report.
struct Again {
    logs: TempDir,
    report: Value,
}

impl Again {
    fn run(args: &[&str]) -> Self {
        let recorded = chain::run_folder();
        let _machine = exclusive::machine();
        let logs = tempfile::tempdir().unwrap();
        let mut command = again(&recorded, logs.path());
        command.args(args).env("TMPDIR", logs.path());
        let done = Done::success("run --stand-in", &mut command).unwrap();
        assert_eq!(running_in(logs.path()), Vec::<String>::new(), "they still run");
        Self {
            report: done.json().unwrap(),
            logs,
        }
    }

    fn folder(&self) -> std::path::PathBuf {
        self.logs.path().join("again")
    }

    /// Asserts that call graph, endpoints, statuses and sizes are the recorded ones.
    fn assert_same_calls(&self) {
        let recorded = chain::run_folder();
        assert_eq!(shapes(&self.folder()), shapes(&recorded));
        let args = ["compare", "--format", "json"].map(std::ffi::OsString::from);
        let folders = [recorded.into_os_string(), self.folder().into_os_string()];
        let compared = cctf(&[&args[..], &folders[..]].concat()).unwrap().json().unwrap();
        assert_eq!(compared["graph"], Value::Array(Vec::new()), "{compared}");
    }
}

/// Number of invocations for each combination of node, instance, endpoint, status, sizes and caller's node.
fn shapes(folder: &Path) -> BTreeMap<String, usize> {
    let invocations = rows::lines(&folder.join("cctf/invocations.jsonl")).unwrap();
    let nodes: BTreeMap<&str, &Value> = invocations
        .iter()
        .map(|row| (text(row, "span_id").unwrap(), &row["node"]))
        .collect();
    let mut shapes = BTreeMap::new();
    for row in &invocations {
        let caller = text(row, "parent_id").map(|parent| nodes[parent]);
        let fields = [
            "module_id",
            "instance_id",
            "node",
            "stage",
            "method",
            "route",
            "status",
            "bytes_in",
            "bytes_out",
        ];
        let fields = fields.map(|field| row[field].to_string()).join(" ");
        *shapes.entry(format!("{caller:?} {fields}")).or_default() += 1;
    }
    shapes
}

/// Commands of the processes that have a folder's path in their environment.
fn running_in(folder: &Path) -> Vec<String> {
    let name = folder.as_os_str().as_bytes();
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        // A process may end before its environment is read.
        let environment = fs::read(entry.path().join("environ")).unwrap_or_default();
        if environment.windows(name.len()).any(|part| part == name) {
            let command = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            found.push(String::from_utf8_lossy(&command).replace('\0', " "));
        }
    }
    found
}

#[test]
fn a_chain_by_stand_ins_has_the_recorded_calls_and_sizes() {
    let again = Again::run(&[]);
    again.assert_same_calls();
    let meta = rows::document(&again.folder().join("cctf/run_meta.json")).unwrap();
    assert_eq!(meta["replay_of"], "r");
    assert!(
        again.report["stand_ins"].as_array().unwrap().len() == 3,
        "{}",
        again.report
    );
    let notes = again.report["notes"].to_string();
    assert!(notes.contains("--netns"), "{notes}");
}

#[test]
fn stand_ins_call_each_other_over_links_of_set_delays() {
    let folder = tempfile::tempdir().unwrap();
    let placement = folder.path().join("placement.json");
    let [near, far] = DELAYS_MS;
    let links = format!(
        r#"{{"links": [{{"u": "ep0", "v": "edge0", "delay_ms": {near}}}, {{"u": "edge0", "v": "cloud0", "delay_ms": {far}}}]}}"#
    );
    fs::write(&placement, links).unwrap();
    let toxiproxy = root().join(TOXIPROXY);
    let again = Again::run(&[
        "--netns",
        "--toxiproxy",
        &toxiproxy.to_string_lossy(),
        "--placement",
        &placement.to_string_lossy(),
    ]);
    again.assert_same_calls();
    let links = again.report["links"].as_array().unwrap();
    let found: Vec<(&str, f64)> = links
        .iter()
        .map(|link| {
            let set = number(link, "delay_ms").unwrap();
            let found_ms = number(&link["found"], "PR_s").unwrap() * 1e3;
            (text(link, "u").unwrap(), found_ms / set)
        })
        .collect();
    assert_eq!(found.len(), 2, "{links:?}");
    assert!(found.iter().all(|(_, part)| *part >= DELAY_PART_MIN), "{found:?}");
}

#[test]
fn a_module_on_another_node_is_recorded_there() {
    let folder = tempfile::tempdir().unwrap();
    let placement = folder.path().join("placement.json");
    let moved =
        r#"{"modules": {"tunable-svc": {"node": "fog0", "slots": 3}}, "nodes": {"fog0": {"stage": "edge"}}}"#;
    fs::write(&placement, moved).unwrap();
    let again = Again::run(&["--placement", &placement.to_string_lossy()]);
    let invocations = rows::lines(&again.folder().join("cctf/invocations.jsonl")).unwrap();
    assert!(!invocations.is_empty());
    assert!(
        invocations
            .iter()
            .all(|row| row["node"] == "fog0" && row["stage"] == "edge")
    );
    let modules = rows::document(&again.folder().join("cctf/module_inventory.json")).unwrap();
    let module = modules.as_array().unwrap().iter();
    let mut module = module.filter(|module| module["module_id"] == "tunable-svc");
    let instances = module.next().unwrap()["instances"].as_array().unwrap();
    assert!(
        instances.len() == 3 && instances.iter().all(|instance| instance["workers"] == 3),
        "{instances:?}"
    );
}

/// The commands of a section of a page: its code blocks that name no language.
fn commands(page: &str, section: &str) -> String {
    let (_, rest) = page.split_once(&format!("\n## {section}\n")).unwrap();
    let section = rest.split("\n## ").next().unwrap();
    let blocks = section.split("\n```").skip(1).step_by(2);
    let commands = blocks.filter_map(|block| block.strip_prefix('\n'));
    commands.collect::<Vec<_>>().join("\n")
}

#[test]
fn the_commands_of_the_page_lead_from_recording_to_verdict() {
    let _machine = exclusive::machine();
    let logs = tempfile::tempdir().unwrap();
    let page = read("docs/stand-ins.md").unwrap();
    let script = format!(
        "set -euo pipefail\n{}",
        commands(&page, "From recording to verdict")
    );
    let mut command = Command::new("timeout");
    command.args(["--kill-after=20", "300", "bash", "-c", &script]);
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("BIN", bin_dir().unwrap())
        .env("LOGS", logs.path())
        .env("TMPDIR", logs.path());
    let done = Done::from(command.output().unwrap());
    assert_eq!(done.code, Some(0), "{}\n{}", done.stdout, done.stderr);
    let code = done
        .stdout
        .lines()
        .find_map(|line| line.strip_prefix("exit code "));
    // A busy machine may change 200 requests, so any verdict is accepted. But the comparison must give a verdict.
    assert!(
        ["0", "3", "4"].contains(&code.unwrap()),
        "{}\n{}",
        done.stdout,
        done.stderr
    );
    let of_node = |run: &str, node: &str| {
        let invocations = rows::lines(&logs.path().join(run).join("cctf/invocations.jsonl")).unwrap();
        invocations.iter().filter(|row| row["node"] == node).count()
    };
    assert_eq!(of_node("recorded", "cloud0"), of_node("again", "cloud0"));
    assert_eq!(of_node("moved", "fog0"), 3 * of_node("recorded", "cloud0"));
}
