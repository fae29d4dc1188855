//! A short placement study of the chain: all of its parts are there, and every instance ran on its node. Accuracy is not judged.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use e2e::binaries::{Done, bin_dir, tool};
use e2e::exclusive;
use e2e::rows::{self, number, text};
use e2e::sources::root;
use e2e::tiers::TOXIPROXY;
use serde_json::Value;

/// The recorded placement, the first three, and the last one.
const CASES: usize = 5;
const FIGURES: [&str; 3] = ["p50", "p95", "p99"];

#[test]
fn a_short_study_has_all_parts_and_ran_what_it_predicted() {
    let _machine = exclusive::machine();
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let mut command = Command::new("python3");
    command
        .arg(root().join("examples/placement/study.py"))
        .args([
            "--parts",
            "chain",
            "--duration",
            "4",
            "--busy",
            "0.2",
            "--no-limits",
        ])
        .arg("--bin-dir")
        .arg(bin_dir().unwrap())
        .arg("--toxiproxy")
        .arg(root().join(TOXIPROXY))
        .arg("--line")
        .arg(tool("line/bin/python").unwrap())
        .arg("--out")
        .arg(&out);
    let done = Done::from(command.output().unwrap());
    assert_eq!(done.code, Some(0), "{}\n{}", done.stdout, done.stderr);
    let results: Value = serde_json::from_slice(&fs::read(out.join("results.json")).unwrap()).unwrap();
    let load = &results[0]["loads"][0];
    let cases = load["cases"].as_array().unwrap();
    assert_eq!(cases.len(), CASES, "{load}");
    for case in cases {
        let names = case["errors"].as_array().unwrap().iter();
        let names =
            names.inspect(|row| assert!(number(row, "error").is_some() && number(row, "limit").is_some()));
        assert!(
            names.map(|row| text(row, "figure").unwrap()).eq(FIGURES),
            "{case}"
        );
        let free = number(&case["without_queues"], "p50").unwrap();
        let interval = &case["run"]["figures"]["p50"];
        assert!(
            free > 0.0 && number(interval, "low") <= number(interval, "high"),
            "{case}"
        );
        assert!(number(&case["run"], "cpu_percent").is_some(), "{case}");
    }
    for name in FIGURES {
        assert!(number(&load["same_arrivals"], name).is_some(), "{load}");
    }
    assert!(
        number(load, "line_mean_ms").is_some() && number(load, "regret").is_some(),
        "{load}"
    );
    assert_eq!(load["strategies"].as_array().unwrap().len(), 3);
    assert!(number(&results[0]["what_if"], "seconds").is_some());
    let picture = fs::read_to_string(out.join("results.svg")).unwrap();
    assert_eq!(picture.matches("<polygon").count(), CASES * FIGURES.len());
    let tables = fs::read_to_string(out.join("results.md")).unwrap();
    assert_eq!(
        tables.lines().filter(|line| line.contains("| p95 |")).count(),
        CASES
    );
    for case in cases {
        let run = out.join("work/merged").join(text(case, "run_id").unwrap());
        let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for row in rows::lines(&run.join("cctf/invocations.jsonl")).unwrap() {
            let nodes = found
                .entry(text(&row, "instance_id").unwrap().to_owned())
                .or_default();
            let node = text(&row, "node").unwrap().to_owned();
            if !nodes.contains(&node) {
                nodes.push(node);
            }
        }
        let recorded = [("front", "ep0"), ("middle", "edge0"), ("back", "cloud0")];
        let expected = recorded.map(|(instance, node)| {
            let placed = text(&case["modules"], &format!("worker@{node}")).unwrap();
            (instance.to_owned(), vec![placed.to_owned()])
        });
        assert_eq!(found, BTreeMap::from(expected), "{case}");
    }
}

#[test]
fn wrong_arguments_of_the_study_get_one_sentence() {
    let study = root().join("examples/placement/study.py");
    for (args, sentence) in [
        (
            ["--parts", "mill"],
            "unknown part 'mill': use some of chain, shop",
        ),
        (
            ["--busy", "0.7,0.3"],
            "utilisations must lie between 0 and 1, in ascending order",
        ),
        (["--busy", "often"], "invalid utilisations 'often'"),
        (["--bin-dir", "nowhere"], "already exists"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let out = match args[0] {
            "--bin-dir" => folder.path().to_owned(),
            _ => folder.path().join("out"),
        };
        let mut command = Command::new("python3");
        command.arg(&study).args(args).arg("--out").arg(&out);
        let done = Done::from(command.output().unwrap());
        let last = done.stderr.lines().last().unwrap_or_default();
        assert_eq!(done.code, Some(2), "{done:?}");
        assert!(last.contains(sentence), "{done:?}");
        assert!(!folder.path().join("out").exists());
    }
}

/// Calls the judge with handmade cases. Each line of its output is compared.
const JUDGED: &str = r#"
import judge
from measured import Measured, interval, quantile

def of(value, half):
    return {name: {"value": value, "low": value - half, "high": value + half} for name in ("p50", "p95", "p99")}

def services(own, wait):
    return {"back 1": {"own": own, "wait": wait}, "front 1": {"own": 2.0, "wait": 0.0}}

known = Measured(of(100, 1), 100, 100, services(10.0, 0.5), 30.0, 0.0)

def case(name, predicted, measured, half=1, cpu=30.0, is_recorded=False, own=10.0, wait=0.5):
    run = Measured(of(measured, half), measured, 100, services(own, wait), cpu, 0.0)
    return {"name": name, "is_recorded": is_recorded, "predicted": of(predicted, half), "run": run,
            "without_queues": dict.fromkeys(("p50", "p95", "p99"), predicted / 2)}

def reasons(case, busy=0.5, aa=0.01):
    rows = judge.errors(case, known, busy, dict.fromkeys(("p50", "p95", "p99"), aa))
    return [row["misses_because"] for row in rows]

print(reasons(case("within", 108, 100)))
print(reasons(case("recorded", 108, 100, is_recorded=True)))
print(reasons(case("near", 112, 100, half=8)))
print(reasons(case("noise", 112, 100), aa=0.13))
print(reasons(case("busy", 130, 100, cpu=70.0)))
print(reasons(case("high", 130, 100), busy=0.85))
print(reasons(case("slower", 130, 100, own=10.4, wait=0.8))[0])
print(reasons(case("hardly slower", 130, 100, own=10.05, wait=0.55))[0])
cases = [case("a", 100, 90), case("b", 110, 80), case("c", 111, 70, half=20)]
print(judge.order(cases), round(judge.regret(cases), 4))
for one in cases:
    one["errors"] = []
print(judge.misses({"busy": 0.5, "cases": cases, "wrong_order": ["x"], "regret": 0.2}))
print(judge.misses({"busy": 0.85, "cases": cases, "wrong_order": ["x"], "regret": 0.2}))
print(quantile([1, 2, 3, 4], 0.5), interval([5.0] * 40, 0.95))
"#;

#[test]
fn limits_order_and_regret_are_judged_by_arithmetic() {
    let mut command = Command::new("python3");
    command
        .args(["-c", JUDGED])
        .env("PYTHONPATH", root().join("examples/placement"))
        .env("PYTHONDONTWRITEBYTECODE", "1");
    let done = Done::from(command.output().unwrap());
    assert_eq!(done.code, Some(0), "{done:?}");
    let lines: Vec<&str> = done.stdout.lines().collect();
    let overlap = "['the intervals overlap: more requests would decide']";
    let expected = [
        "[[], [], []]".to_owned(),
        "[['not explained'], ['not explained'], []]".to_owned(),
        format!("[{overlap}, {overlap}, []]"),
        "[[], [], []]".to_owned(),
        format!("[{0}, {0}, {0}]", "['the CPUs of the machine were busy for 70%']"),
        "[[], [], []]".to_owned(),
        "['a request of back 1 took 10.40 ms instead of 10.00 ms, with +0.30 ms of waits for a CPU']"
            .to_owned(),
        "['not explained']".to_owned(),
        "['a before b'] 0.2857".to_owned(),
        "['wrong order: x', 'regret 20.0%, limit 5%']".to_owned(),
        "[]".to_owned(),
        "2 {'value': 5.0, 'low': 5.0, 'high': 5.0}".to_owned(),
    ];
    assert_eq!(lines, expected);
}
