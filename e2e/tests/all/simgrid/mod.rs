//! `cctf export simgrid`: SimGrid runs the drivers of an export. Their results are compared with those of our own simulator of
//! stations, and with the recording.

mod drivers;
mod synthetic;

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use e2e::binaries::{cctf, short_run_beside};
use e2e::rows::{self, nanoseconds};
use plan::plan::{Plan, Regressed, Window};
use plan::stations::{Load, Outcome, State, load, simulate};
use rundir::parts::Target;
use serde_json::Value;

use crate::chain;
use drivers::{AS_RECORDED, Exported};
use synthetic::synthetic;

/// Maximum difference between simulated times, nanoseconds.
const DIFFERENCE_MAX_NS: i128 = 1_000;

/// Number of invocations of a run in SimGrid, with the driver in Python.
pub fn simulated_invocations(run: &Path) -> usize {
    let exported = Exported::new(run, &[]);
    let out = exported.replay_in_python("simulated", &[]);
    let text = fs::read_to_string(out.join("cctf/invocations.jsonl")).unwrap();
    text.lines().count()
}

fn plan_of(run: &Path) -> Plan {
    let found = Target::Folder(run.to_owned()).find().unwrap();
    let (run, first) = found.unwrap();
    let (recorded, span) = plan::plan::read(&run, &first, Window::default(), &mut |_| {}).unwrap();
    Plan::new(recorded, span, &Regressed::default())
}

/// The lines of a file by trace id and span id.
fn by_id(run: &Path, file: &str) -> HashMap<(String, String), String> {
    let text = fs::read_to_string(run.join("cctf").join(file)).unwrap();
    let lines = text.lines().map(|line| {
        let row: Value = serde_json::from_str(line).unwrap();
        let id = |name: &str| row[name].as_str().unwrap().to_owned();
        ((id("trace_id"), id("span_id")), line.to_owned())
    });
    lines.collect()
}

/// Asserts that each invocation of the run has the times that our own simulator computes. Returns the number of invocations.
fn agrees(load: &Load, outcomes: &[Outcome], run: &Path) -> usize {
    let mut rows = by_id(run, "invocations.jsonl");
    for (visit, outcome) in load.visits.iter().zip(outcomes) {
        let key = (visit.trace_id.to_string(), visit.span_id.to_string());
        let row = rows.remove(&key);
        assert_eq!(
            row.is_some(),
            outcome.state != State::Unfinished,
            "{key:?}: {outcome:?}"
        );
        let Some(row) = row else { continue };
        let near = |field: &str, expected: i64| {
            let found = nanoseconds(&row, field).unwrap();
            let difference = (found - i128::from(expected)).abs();
            assert!(difference <= DIFFERENCE_MAX_NS, "{field}: {outcome:?}\n{row}");
        };
        near("ts_enqueue", outcome.enqueue_ns);
        near("ts_start", outcome.start_ns);
        near("ts_end", outcome.end_ns);
        let is_refused =
            row.contains(r#""status":503,"error_type":"503""#) && outcome.start_ns == outcome.end_ns;
        assert_eq!(outcome.state == State::Refused, is_refused, "{outcome:?}\n{row}");
    }
    assert!(rows.is_empty(), "{rows:?}");
    outcomes
        .iter()
        .filter(|outcome| outcome.state != State::Unfinished)
        .count()
}

fn validate(run: &Path) {
    let done = cctf(&["validate", &run.to_string_lossy()]).unwrap();
    assert_eq!(done.code, Some(0), "{}\n{}", done.stdout, done.stderr);
}

/// Sum of a number over all rows of a file.
fn sum(run: &Path, file: &str, field: &str) -> u64 {
    let rows = rows::lines(&run.join("cctf").join(file)).unwrap();
    rows.iter().map(|row| row[field].as_u64().unwrap_or(0)).sum()
}

#[test]
fn simgrid_repeats_the_chain_with_its_rows_bytes_and_waits() {
    let recorded = chain::run_folder();
    let exported = Exported::new(&recorded, &[]);
    let simulated = exported.replay("simulated", &AS_RECORDED);
    validate(&simulated);
    let plan = plan_of(&recorded);
    let load = load(&plan);
    let invocations = agrees(&load, &simulate(&load), &simulated);
    assert_eq!(exported.count("invocations"), invocations as u64);
    for file in ["invocations.jsonl", "calls.jsonl"] {
        let count = |run: &Path| rows::lines(&run.join("cctf").join(file)).unwrap().len();
        assert_eq!(count(&simulated), count(&recorded), "{file}");
        for field in ["bytes_in", "bytes_out"] {
            assert_eq!(
                sum(&simulated, file, field),
                sum(&recorded, file, field),
                "{file} {field}"
            );
        }
    }
    assert_eq!(
        exported.count("bytes_in"),
        sum(&simulated, "invocations.jsonl", "bytes_in")
    );
    let meta = rows::document(&simulated.join("cctf/run_meta.json")).unwrap();
    assert!(
        meta["simulated_by"].as_str().unwrap().starts_with("SimGrid "),
        "{meta}"
    );
}

#[test]
fn compare_pairs_each_root_of_a_simulated_run_and_report_reads_it() {
    let recorded = chain::run_folder();
    let exported = Exported::new(&recorded, &[]);
    // CPU time and links are those that SimGrid computes.
    let simulated = exported.replay("simulated", &[]);
    validate(&simulated);
    let [recorded, simulated] = [&recorded, &simulated].map(|run| run.to_string_lossy().into_owned());
    let done = cctf(&["compare", &recorded, &simulated, "--format", "json"]).unwrap();
    let found = done.json().unwrap();
    let requests = exported.count("roots");
    assert_eq!(
        found["pairing"]["roots"].as_u64(),
        Some(requests),
        "{}",
        found["pairing"]
    );
    assert_eq!(found["graph"], serde_json::json!([]), "{found}");
    let simulator = found["b"]["simulated_by"].as_str().unwrap();
    let text = cctf(&["compare", &recorded, &simulated]).unwrap().stdout;
    assert!(
        text.contains(&format!("a simulation of r by {simulator}:")),
        "{text}"
    );
    let page = exported.path("report.html");
    let done = cctf(&["report", &simulated, "--out", &page.to_string_lossy()]).unwrap();
    assert_eq!(done.code, Some(0), "{}", done.stderr);
}

#[test]
fn waits_for_cpus_are_as_long_as_recorded_at_the_recorded_load() {
    // Without other work, the threads of this small load can find a free CPU each time.
    let cpus = std::thread::available_parallelism().unwrap().get();
    let logs = tempfile::tempdir().unwrap();
    short_run_beside(2 * cpus, logs.path(), &["--endpoints", "json", "--chain"]).unwrap();
    let recorded = logs.path().join("r");
    let exported = Exported::new(&recorded, &[]);
    let load = load(&plan_of(&recorded));
    let calls = load.calls.iter().map(|call| call.wait.cpu_wait_ns);
    let waits: i64 = calls
        .chain(load.visits.iter().map(|visit| visit.answer.cpu_wait_ns))
        .sum();
    assert!(waits > 0, "busy CPUs cause waits");
    let simulated = exported.replay("simulated", &[]);
    let rows = rows::lines(&simulated.join("cctf/invocations.jsonl")).unwrap();
    let ms: f64 = rows
        .iter()
        .map(|row| row["cpu_wait_ms"].as_f64().unwrap_or(0.0))
        .sum();
    let share = 1e6 * ms / waits as f64;
    // Rounding takes less than a nanosecond a gap, unless the stations alone wait for longer than recorded.
    let stations = fs::read_to_string(exported.path("stations.tsv")).unwrap();
    let is_all_own = stations.lines().any(|line| line.ends_with("\t0"));
    assert!(
        (0.98..1.02).contains(&share) || (is_all_own && share > 1.0),
        "{share}: {stations}"
    );
}

#[test]
fn both_drivers_and_our_simulator_agree_on_every_kind_of_work() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("synthetic");
    synthetic(&run, 1);
    let plan = plan_of(&run);
    let counts = &plan.counts;
    let kinds = [
        counts.quorums,
        counts.retries,
        counts.timeouts,
        counts.messages,
        counts.refused,
        counts.late_calls,
        counts.conditional_failures,
    ];
    assert!(kinds.iter().all(|count| *count > 0), "{counts:?}");
    let load = load(&plan);
    let outcomes = simulate(&load);
    let refused = outcomes.iter().filter(|outcome| outcome.state == State::Refused);
    assert!(refused.count() > 0);
    let exported = Exported::new(&run, &[]);
    let simulated = exported.replay("simulated", &AS_RECORDED);
    validate(&simulated);
    assert!(agrees(&load, &outcomes, &simulated) > 1_000);
    let python = exported.replay_in_python("python", &AS_RECORDED);
    same_rows(&simulated, &python);
}

#[test]
fn the_python_driver_simulates_cpus_and_links_as_the_one_in_cpp() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("synthetic");
    synthetic(&run, 2);
    let exported = Exported::new(&run, &["--limit", "100"]);
    let cpp = exported.replay("cpp", &[]);
    let python = exported.replay_in_python("python", &[]);
    validate(&python);
    for file in ["invocations.jsonl", "calls.jsonl"] {
        let [mut cpp, python] = [&cpp, &python].map(|run| by_id(run, file));
        assert_eq!(cpp.len(), python.len(), "{file}");
        for (id, row) in python {
            let other = cpp.remove(&id).unwrap();
            let end = |row: &str| nanoseconds(row, "ts_end").unwrap();
            assert!(
                (end(&row) - end(&other)).abs() <= DIFFERENCE_MAX_NS,
                "{row}\n{other}"
            );
        }
    }
}

fn same_rows(one: &Path, other: &Path) {
    for file in [
        "invocations.jsonl",
        "calls.jsonl",
        "nodes.json",
        "module_inventory.json",
        "placement_events.jsonl",
    ] {
        let read = |run: &Path| fs::read_to_string(run.join("cctf").join(file)).unwrap();
        let (one, other) = (read(one), read(other));
        let different = one.lines().zip(other.lines()).find(|(one, other)| one != other);
        assert!(one == other, "{file}: {different:?}");
    }
}

#[test]
fn a_changed_station_changes_the_simulation_and_its_inventory() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("synthetic");
    synthetic(&run, 3);
    let exported = Exported::new(&run, &[]);
    let before = exported.replay("before", &AS_RECORDED);
    let stations = fs::read_to_string(exported.path("stations.tsv")).unwrap();
    let changed: String = stations
        .lines()
        .map(|line| {
            let mut fields: Vec<&str> = line.split('\t').collect();
            if !line.starts_with('#') && fields[3] != "-" {
                (fields[3], fields[5]) = ("50", "-");
            }
            fields.join("\t") + "\n"
        })
        .collect();
    fs::write(exported.path("stations.tsv"), changed).unwrap();
    let after = exported.replay("after", &AS_RECORDED);
    validate(&after);
    let waits = |run: &Path| {
        let rows = rows::lines(&run.join("cctf/invocations.jsonl")).unwrap();
        let waits = rows
            .iter()
            .map(|row| row["queue_time_ms"].as_f64().unwrap_or(0.0));
        waits.sum::<f64>()
    };
    assert!(
        waits(&after) < waits(&before) / 10.0,
        "{} {}",
        waits(&before),
        waits(&after)
    );
    let modules = rows::document(&after.join("cctf/module_inventory.json")).unwrap();
    let mut workers = modules
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|module| module["instances"].as_array())
        .flatten();
    assert!(workers.any(|instance| instance["workers"] == 50), "{modules}");
}

#[test]
fn the_arrivals_of_another_run_get_the_work_of_this_one() {
    let folder = tempfile::tempdir().unwrap();
    let [work, arrivals] = [4, 5].map(|seed| {
        let run = folder.path().join(format!("run{seed}"));
        synthetic(&run, seed);
        run
    });
    let exported = Exported::new(&work, &["--arrivals", &arrivals.to_string_lossy()]);
    let simulated = exported.replay("simulated", &AS_RECORDED);
    validate(&simulated);
    let expected = by_id(&arrivals, "invocations.jsonl");
    let found = by_id(&simulated, "invocations.jsonl");
    let mut roots = 0;
    for (id, row) in &expected {
        if row.contains(r#""parent_id":null"#) && !row.contains("consumer") {
            let arrival = |row: &str| nanoseconds(row, "ts_enqueue").unwrap();
            assert_eq!(arrival(&found[id]), arrival(row), "{row}");
            roots += 1;
        }
    }
    assert_eq!(roots, exported.count("roots"));
}
