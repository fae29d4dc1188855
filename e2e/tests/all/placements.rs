//! `cctf place` and `cctf whatif` on a recorded run: a predicted placement is run by stand-ins, strategies are evaluated, and bad input
//! gets one sentence.

#[path = "../../../libs/place/tests/support/shop.rs"]
mod shop;

use std::fs;
use std::path::{Path, PathBuf};

use e2e::binaries::{Done, cctf, command};
use e2e::exclusive;
use e2e::rows::{self, text};
use e2e::sources::root;
use serde_json::Value;
use tempfile::TempDir;

use crate::stand_ins::again;
use shop::Shop;

const TIERS: &str = r#"{
  "nodes": {
    "ep0": {"cores": 8}, "edge0": {"cores": 8},
    "cloud0": {"cores": 8, "mips_per_core": 4000, "stage": "cloud", "price_per_hour": 0.5}
  },
  "links": [{"u": "ep0", "v": "cloud0", "delay_ms": 20}, {"u": "edge0", "v": "cloud0", "delay_ms": 15}],
  "modules": {"front": {"on": ["ep0"]}}
}"#;

/// A recorded run `shop` with its tiers, in a folder of its own.
pub struct Given {
    pub logs: TempDir,
}

impl Given {
    /// Requests 200 ms apart, none of which waits.
    pub fn new(count: usize) -> Self {
        let logs = tempfile::tempdir().unwrap();
        Shop::idle(count).write(logs.path());
        fs::write(logs.path().join("tiers.json"), TIERS).unwrap();
        Self { logs }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.logs.path().join(name)
    }

    fn run(&self, subcommand: &str, args: &[&str]) -> Done {
        let mut command = command("cctf").unwrap();
        command.current_dir(self.logs.path());
        let named = [&[subcommand, "shop", "--logs-dir", "."], args].concat();
        command.args(named).output().unwrap().into()
    }

    pub fn place(&self, args: &[&str]) -> Done {
        self.run("place", &[&["--tiers", "tiers.json"], args].concat())
    }

    /// The ranking, with placement files in the folder `placements`.
    pub fn ranking(&self, args: &[&str]) -> Value {
        let done = self.place(&[args, &["--out", "placements", "--format", "json"]].concat());
        assert_eq!(done.code, Some(0), "{done:?}");
        done.json().unwrap()
    }

    /// Asserts that a command is refused in one sentence, which contains `cause`.
    fn refused(done: &Done, code: i32, cause: &str) {
        assert_eq!(done.code, Some(code), "{done:?}");
        let last = done.stderr.lines().last().unwrap_or_default();
        assert!(last.starts_with("cctf: ") && last.contains(cause), "{done:?}");
        assert_eq!(done.stdout, "", "{done:?}");
    }
}

#[test]
fn a_predicted_placement_is_run_by_stand_ins() {
    let given = Given::new(15);
    // Both together are best; the second one has the back in the cloud, because edge0 is excluded.
    let report = given.ranking(&["--exclude", "back=edge0"]);
    let second = &report["placements"][1];
    assert_eq!(
        (&second["rank"], &second["file"]),
        (&Value::from(2), &Value::from("2.json"))
    );
    assert_eq!(
        second["modules"],
        serde_json::json!({"back": "cloud0", "front": "ep0"})
    );
    let written: Value =
        serde_json::from_slice(&fs::read(given.path("placements/ranking.json")).unwrap()).unwrap();
    assert_eq!(written, report);
    let _machine = exclusive::machine();
    let again = given.run_stand_ins(&given.path("placements/2.json"));
    let rows = rows::lines(&again.join("cctf/invocations.jsonl")).unwrap();
    let mut nodes: Vec<(&str, &str)> = rows
        .iter()
        .map(|row| (text(row, "module_id").unwrap(), text(row, "node").unwrap()))
        .collect();
    nodes.sort_unstable();
    nodes.dedup();
    assert_eq!(nodes, [("back", "cloud0"), ("front", "ep0")]);
}

impl Given {
    pub fn run_stand_ins(&self, placement: &Path) -> PathBuf {
        let mut command = again(&self.path("shop"), self.logs.path());
        command.arg("--placement").arg(placement);
        Done::success("run --stand-in", &mut command).unwrap();
        self.path("again")
    }
}

#[test]
fn the_shipped_strategies_are_evaluated_beside_the_ranking() {
    let given = Given::new(40);
    let strategies = ["all_in_the_cloud", "greedy", "least_loaded"];
    let programs = strategies.map(|name| root().join(format!("examples/strategies/{name}.py")));
    let mut args = vec!["--format", "json"];
    for program in &programs {
        args.extend(["--strategy", program.to_str().unwrap()]);
    }
    let done = given.place(&args);
    assert_eq!(done.code, Some(0), "{done:?}");
    let report = done.json().unwrap();
    let found: Vec<(&str, &str, bool)> = report["strategies"]
        .as_array()
        .unwrap()
        .iter()
        .map(|strategy| {
            let placed = &report["placements"][strategy["placement"].as_u64().unwrap() as usize];
            let is_best = strategy["regret"].as_f64() == Some(0.0);
            (
                text(strategy, "name").unwrap(),
                text(&placed["modules"], "back").unwrap(),
                is_best,
            )
        })
        .collect();
    // The front may only run on ep0. Beside it, the back needs no network.
    let expected = [
        ("all in the cloud", "cloud0", false),
        ("greedy by latency", "ep0", true),
        ("least loaded", "cloud0", false),
    ];
    assert_eq!(found, expected, "{report}");
}

#[test]
fn the_table_has_ranks_intervals_and_reasons() {
    let given = Given::new(40);
    let done = given.place(&["--scale", "50", "--pin", "back=edge0"]);
    assert_eq!(done.code, Some(0), "{done:?}");
    let done = given.place(&["--seed", "7"]);
    assert_eq!(done.code, Some(0), "{done:?}");
    let lines: Vec<&str> = done.stdout.lines().collect();
    assert_eq!(
        lines[0], "placements of shop by p95, from 40 requests in 8.0 s",
        "{}",
        done.stdout
    );
    assert!(
        lines[1]
            .starts_with("  calibration: recorded / simulated ms: mean 15.500 / 15.500 (+0.0%), p50 15.500"),
        "{}",
        lines[1]
    );
    assert_eq!(lines[2], "  search: all 3 assignments simulated, 0 not predicted");
    let first = lines[4].split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        first.starts_with("1 back=ep0 5.50 (5.50..5.50) 5.50 (5.50..5.50) 5.50 (5.50..5.50)"),
        "{first}"
    );
    let second = lines[5].split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(second.starts_with("2 as recorded 15.5 (15.5..15.5)"), "{second}");
    assert!(
        done.stdout
            .contains("the best of the listed predictions with a probability of at least 1.00"),
        "{}",
        done.stdout
    );
}

#[test]
fn a_what_if_states_the_change_beside_the_calibration() {
    let given = Given::new(40);
    let moved = given.run("whatif", &["--move", "back=ep0", "--format", "json"]);
    assert_eq!(moved.code, Some(0), "{moved:?}");
    let difference = moved.json().unwrap()["difference_ms"]["p95"]["value"]
        .as_f64()
        .unwrap();
    assert!((difference + 10.0).abs() < 1e-6, "{difference}");
    let slower = given.run(
        "whatif",
        &[
            "--link",
            "ep0->edge0=15ms",
            "--speed",
            "edge0=0.5",
            "--workers",
            "back=50",
        ],
    );
    assert_eq!(slower.code, Some(0), "{slower:?}");
    let title = "shop, with edge0 0.5 times as fast, back with 50 slots, the link ep0->edge0 of 15 ms, from 40 requests in 8.0 s\n";
    assert!(slower.stdout.starts_with(title), "{}", slower.stdout);
    // Twice 10 ms more, and twice 0.4 ms of CPU time. The recorded link has a rate, and so a transfer time of 0.096 ms.
    let row = slower
        .stdout
        .lines()
        .find(|line| line.trim_start().starts_with("p95"))
        .unwrap();
    let row = row.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        row.starts_with("p95 15.500 15.5 (15.5..15.5) 36.0 (36.0..36.0) +20.50"),
        "{row}"
    );
    let busy = given.run("whatif", &["--scale", "100", "--workers", "back=1"]);
    assert_eq!(busy.code, Some(4), "{busy:?}");
    assert!(
        busy.stdout
            .contains("not predicted: the slots of back (back-1) are busy for"),
        "{busy:?}"
    );
}

#[test]
fn bad_input_is_refused_in_one_sentence() {
    let given = Given::new(3);
    let write = |text: &str| fs::write(given.path("bad.json"), text).unwrap();
    let with_bad = |args: &[&str]| given.run("place", &[&["--tiers", "bad.json"], args].concat());
    write("{");
    Given::refused(
        &with_bad(&[]),
        2,
        "cannot read tiers bad.json: it is not valid JSON",
    );
    write(r#"{"nodes": {"ep0": {}}}"#);
    Given::refused(
        &with_bad(&[]),
        2,
        "node \"edge0\", on which the run has back, is not named",
    );
    Given::refused(
        &given.run("place", &["--tiers", "none.json"]),
        2,
        "cannot read tiers none.json: No such file",
    );
    Given::refused(&given.place(&["--pin", "back=moon"]), 2, "unknown node \"moon\"");
    let nowhere = ["--pin", "back=ep0", "--exclude", "back=ep0"];
    Given::refused(&given.place(&nowhere), 2, "module \"back\" may run on no node");
    write(r#"{"nodes": {"ep0": {"modules_max": 1}, "edge0": {}}}"#);
    let both = ["--pin", "back=ep0", "--pin", "front=ep0"];
    Given::refused(&with_bad(&both), 2, "(modules_max) leave no assignment");
    fs::create_dir(given.path("taken")).unwrap();
    Given::refused(
        &given.place(&["--out", "taken"]),
        2,
        "cannot create taken: it already exists",
    );
    Given::refused(&given.run("whatif", &[]), 2, "nothing changes: add --move");
    let twice = ["--pin", "back=ep0", "--pin", "back=edge0"];
    Given::refused(&given.place(&twice), 2, "--pin names \"back\" twice");
    for flag in ["--move back=ep0", "--workers back=2", "--speed ep0=2"] {
        let (flag, value) = flag.split_once(' ').unwrap();
        let done = given.run("whatif", &[flag, value, flag, value]);
        Given::refused(&done, 2, " twice: remove one");
    }
    Given::refused(
        &given.run("whatif", &["--move", "back=cloud0"]),
        2,
        "unknown node \"cloud0\"",
    );
    Given::refused(
        &given.run("whatif", &["--move", "cart=ep0"]),
        2,
        "module \"cart\", which processed no request",
    );
    let without_cpu = Shop {
        back_cpu_percent: None,
        ..Shop::idle(3)
    };
    fs::remove_dir_all(given.path("shop")).unwrap();
    without_cpu.write(given.logs.path());
    Given::refused(&given.place(&[]), 2, "none of its invocations has a CPU time");
}

#[test]
fn a_wrong_strategy_ends_the_command_and_nothing_is_written() {
    let given = Given::new(3);
    let program = root().join("examples/strategies/README.md");
    let args = ["--out", "placements", "--strategy", program.to_str().unwrap()];
    Given::refused(&given.place(&args), 1, "cannot start strategy ");
    Given::refused(
        &given.place(&["--out", "placements", "--strategy", "/bin/true"]),
        1,
        "strategy /bin/true wrote no placements",
    );
    Given::refused(
        &given.place(&["--out", "placements", "--strategy", "/bin/false"]),
        1,
        "strategy /bin/false failed (exit code 1)",
    );
    let slow = [
        "--out",
        "placements",
        "--strategy-timeout",
        "100ms",
        "--strategy",
        "/usr/bin/yes",
    ];
    let stopped = given.place(&slow);
    assert_eq!(stopped.code, Some(1), "{stopped:?}");
    assert!(stopped.stderr.contains("and was stopped"), "{stopped:?}");
    assert!(!given.path("placements").exists() && !given.path(".placements.partial").exists());
    let input = given.place(&["--strategy-input"]);
    assert_eq!(
        (input.code, input.json().unwrap()["modules"][0]["module"].clone()),
        (Some(0), Value::from("back"))
    );
    let help = cctf(&["place", "--help"]).unwrap().stdout;
    assert!(
        help.contains("--strategy-timeout") && help.contains("Exit codes:"),
        "{help}"
    );
}
