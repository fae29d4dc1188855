//! A call graph of Alibaba, with the published faults, becomes a run that the other commands use: statistics, report, plan, stand-ins,
//! and SimGrid.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use e2e::binaries::Done;
use e2e::exclusive;
use serde_json::Value;

use super::cctf;
use crate::simgrid::simulated_invocations;
use crate::stand_ins::again;

#[path = "../../../../libs/convert/tests/convert/alibaba_world.rs"]
mod alibaba_world;

use alibaba_world::{RELEASES, Release, World, csv, generate};

const TRACES: u64 = 30;
/// Time between two traces, ms.
const INTERVAL_MS: u64 = 100;

/// The data set with one trace after the other.
fn small(release: &Release) -> World {
    let mut world = generate(release, TRACES, 1);
    let mut begins: BTreeMap<&str, u64> = BTreeMap::new();
    for row in &world.rows {
        let begin = begins.entry(&row.trace).or_insert(row.begin_ms);
        *begin = row.begin_ms.min(*begin);
    }
    let shifts: BTreeMap<String, (u64, u64)> = (0..)
        .zip(begins)
        .map(|(number, (trace, begin))| (trace.to_owned(), (begin, number * INTERVAL_MS)))
        .collect();
    for row in &mut world.rows {
        let (begin, to) = shifts[&row.trace];
        row.begin_ms = row.begin_ms - begin + to;
    }
    world
}

fn done(args: &[&str]) -> Done {
    let done = cctf(args);
    assert_eq!(done.code, Some(0), "{args:?}: {}\n{}", done.stdout, done.stderr);
    done
}

fn lines(run: &Path, file: &str) -> usize {
    let text = fs::read_to_string(run.join("cctf").join(file)).unwrap();
    text.lines().count()
}

#[test]
fn a_data_set_is_shown_planned_repeated_and_simulated() {
    let folder = tempfile::tempdir().unwrap();
    let text = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let release = Release {
        is_layered: true,
        ..RELEASES[0]
    };
    let graph = text("MSCallGraph_0.csv");
    fs::write(&graph, csv(release.year, &small(&release).rows)).unwrap();
    let archived = Command::new("tar")
        .args([
            "-czf",
            &text("graph.tar.gz"),
            "-C",
            &text(""),
            "MSCallGraph_0.csv",
        ])
        .status();
    assert!(archived.unwrap().success());
    let run = text("alibaba");
    done(&["convert", &text("graph.tar.gz"), "--out", &run]);
    done(&["validate", &run]);
    let invocations = fs::read_to_string(folder.path().join("alibaba/cctf/invocations.jsonl")).unwrap();
    let first: Value = serde_json::from_str(invocations.lines().next().unwrap()).unwrap();
    let module = first["module_id"].as_str().unwrap();
    let stats = done(&["stats", &run, "--format", "json"]);
    assert!(stats.stdout.contains(module), "{}", stats.stdout);
    done(&["report", &run, "--out", &text("report.html")]);
    assert!(fs::read_to_string(text("report.html")).unwrap().contains(module));

    done(&["plan", &run, "--out", &text("plan.jsonl")]);
    let plan = fs::read_to_string(text("plan.jsonl")).unwrap();
    assert!(plan.lines().count() > TRACES as usize, "{plan}");

    let simulated = simulated_invocations(Path::new(&run));
    assert!(simulated >= TRACES as usize, "{simulated}");

    let _machine = exclusive::machine();
    let logs = folder.path().join("logs");
    Done::success("run --stand-in", &mut again(Path::new(&run), &logs)).unwrap();
    let repeated = logs.join("again");
    assert!(lines(&repeated, "invocations.jsonl") >= TRACES as usize / 2);
}
