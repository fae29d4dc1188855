//! `cctf export otlp`: what comes back from the telemetry is the run again.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use convert::inputs::files;
use export::Options;
use export::targets::otlp::{Otlp, TRACES_FILE};
use plan::plan::Window;
use proptest::prelude::*;
use rundir::parts::Target;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::alibaba_world::{RELEASES, csv, generate};
use crate::telemetry::{control, drawn, fetched_messages, request};

/// Never set.
static GO_ON: AtomicBool = AtomicBool::new(false);

/// A folder with files of telemetry and runs.
struct Folder(TempDir);

impl Folder {
    fn create() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Makes a run of a file.
    fn convert(&self, file: &Path, run: &str) {
        let options = convert::Options {
            run_id: Some("r".to_owned()),
            format: None,
            stop: &GO_ON,
        };
        let inputs = files(&[file.to_str().unwrap().to_owned()]).unwrap();
        let summary = convert::convert(&self.at(run), &inputs, &options, &mut |_| {}).unwrap();
        assert_eq!(summary.tally.damages.count, 0, "{summary:?}");
        assert_eq!(summary.runs.len(), 1, "{summary:?}");
    }

    /// Exports a run. Returns the assumptions.
    fn export(&self, run: &str, out: &str, is_strict: bool) -> anyhow::Result<Vec<export::Assumption>> {
        self.export_window(run, out, is_strict, Window::default())
    }

    fn export_window(
        &self,
        run: &str,
        out: &str,
        is_strict: bool,
        window: Window,
    ) -> anyhow::Result<Vec<export::Assumption>> {
        let (run, first) = Target::Folder(self.at(run)).find()?.unwrap();
        let otlp = Otlp {
            run: &run,
            first: &first,
            run_id: "r",
            window,
        };
        let out = self.at(out);
        let options = Options { out: &out, is_strict };
        Ok(otlp.write(options, &mut |_, _| true)?.assumptions)
    }

    fn write(&self, name: &str, requests: &[Value]) -> PathBuf {
        let text: String = requests.iter().map(|request| format!("{request}\n")).collect();
        fs::write(self.at(name), text).unwrap();
        self.at(name)
    }

    /// The lines of a file, sorted.
    fn lines(&self, run: &str, file: &str) -> Vec<String> {
        let text = fs::read_to_string(self.at(run).join("cctf").join(file)).unwrap_or_default();
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    }

    /// Invocations, calls, and reported placement events.
    fn rows(&self, run: &str) -> [Vec<String>; 3] {
        let mut events = self.lines(run, "placement_events.jsonl");
        events.retain(|event| event.contains("\"inferred\":false"));
        [
            self.lines(run, "invocations.jsonl"),
            self.lines(run, "calls.jsonl"),
            events,
        ]
    }

    /// Makes a run of the requests, exports it, and makes a run of that again. Returns the assumptions.
    fn there_and_back(&self, requests: &[Value]) -> Vec<export::Assumption> {
        self.convert(&self.write("telemetry.jsonl", requests), "first");
        let assumptions = self.export("first", "out", true).unwrap();
        self.convert(&self.at("out").join(TRACES_FILE), "again");
        assumptions
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn random_runs_come_back_with_the_same_rows(drawn in drawn()) {
        let folder = Folder::create();
        folder.there_and_back(&[request(&drawn)]);
        let [first, again] = ["first", "again"].map(|run| folder.rows(run));
        for (first, again) in first.iter().zip(&again) {
            prop_assert_eq!(again, first);
        }
    }
}

fn start(number: u64, ms: u64, service: usize) -> Value {
    let attributes = vec![
        ("cctf.placement.event", json!("start")),
        ("cctf.workers", json!(4)),
        ("cctf.queue_limit", json!(10)),
        ("cctf.slot_policy", json!("held")),
    ];
    control(number, "cctf.placement", ms, service, &attributes)
}

fn stop(number: u64, ms: u64, service: usize) -> Value {
    let attributes = vec![
        ("cctf.placement.event", json!("stop")),
        ("cctf.reason", json!("terminated")),
    ];
    control(number, "cctf.placement", ms, service, &attributes)
}

#[test]
fn reported_events_come_back_and_inferred_ones_are_inferred_again() {
    let folder = Folder::create();
    let replicas = vec![
        ("cctf.placement.event", json!("scale")),
        ("cctf.replicas", json!(3)),
    ];
    let moved = vec![
        ("cctf.placement.event", json!("migrate")),
        ("cctf.from_node_id", json!("n9")),
        ("cctf.reason", json!("by hand")),
    ];
    let begin = vec![("cctf.run.scen", json!("test")), ("cctf.run.seed", json!(5))];
    let requests = [
        control(1, "cctf.run.start", 0, 3, &begin),
        start(2, 1, 0),
        fetched_messages(),
        start(3, 2, 1),
        stop(4, 60_000, 0),
        start(5, 70_000, 0),
        control(6, "cctf.placement", 71_000, 1, &replicas),
        control(7, "cctf.placement", 72_000, 2, &moved),
        stop(8, 80_000, 1),
        control(9, "cctf.run.end", 90_000, 3, &vec![]),
    ];
    let assumptions = folder.there_and_back(&requests);
    let rows = folder.rows("first");
    assert_eq!((rows[0].len(), rows[2].len()), (2, 7), "{rows:?}");
    assert_eq!(folder.rows("again"), rows);
    let events = ["first", "again"].map(|run| folder.lines(run, "placement_events.jsonl"));
    assert_eq!(events[1], events[0]);
    let metas = ["first", "again"].map(|run| folder.lines(run, "run_meta.json").concat());
    let [first, again] = metas.map(|meta| serde_json::from_str::<Value>(&meta).unwrap());
    for field in ["run_id", "scen", "seed", "started_ts", "ended_ts"] {
        assert_eq!(again[field], first[field], "{field}");
        assert_ne!(again[field], Value::Null, "{field}");
    }
    let ids: Vec<&str> = assumptions.iter().map(|one| one.id).collect();
    assert_eq!(ids, ["inner_spans", "inferred_events"]);
}

#[test]
fn an_instance_that_ran_before_comes_back_as_such() {
    let folder = Folder::create();
    // The second run begins when the instances of the first one are there.
    let mut second = control(3, "cctf.run.start", 5, 3, &vec![]);
    let attributes = &mut second["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["attributes"];
    attributes[0]["value"]["stringValue"] = json!("later");
    let requests = [
        control(1, "cctf.run.start", 0, 3, &vec![]),
        start(2, 1, 0),
        start(4, 2, 1),
        second,
    ];
    let file = folder.write("telemetry.jsonl", &requests);
    let options = convert::Options {
        run_id: Some("r".to_owned()),
        format: None,
        stop: &GO_ON,
    };
    let inputs = files(&[file.to_str().unwrap().to_owned()]).unwrap();
    convert::convert(&folder.at("runs"), &inputs, &options, &mut |_| {}).unwrap();
    folder.export("runs/later", "out", true).unwrap();
    folder.convert(&folder.at("out").join(TRACES_FILE), "again");
    let [first, again] = ["runs/later", "again"].map(|run| folder.lines(run, "placement_events.jsonl"));
    assert_eq!(first.len(), 2, "{first:?}");
    assert!(first.iter().all(|event| event.contains("already_running")));
    assert_eq!(again, first);
}

/// Their rows are written without the mapping, so the mapping must make the same rows of their spans.
#[test]
fn call_graphs_of_alibaba_come_back_with_the_same_rows() {
    for release in &RELEASES {
        let folder = Folder::create();
        let table = folder.at("graph.csv");
        fs::write(&table, csv(release.year, &generate(release, 400, 11).rows)).unwrap();
        folder.convert(&table, "first");
        folder.export("first", "telemetry", false).unwrap();
        folder.convert(&folder.at("telemetry").join(TRACES_FILE), "again");
        for file in ["invocations.jsonl", "calls.jsonl"] {
            let first = folder.lines("first", file);
            assert!(first.len() > 1_000, "{}", first.len());
            assert_eq!(folder.lines("again", file), first, "{} {file}", release.year);
        }
    }
}

#[test]
fn a_window_has_the_traces_that_start_in_it() {
    let folder = Folder::create();
    let rows = (0..4).map(|number| format!("a{number},{},0,(?),http,front,route,-90\n", 1_000 * number));
    let header = "traceid,timestamp,rpcid,um,rpctype,dm,interface,rt\n".to_owned();
    let table = folder.at("graph.csv");
    fs::write(&table, header + &rows.collect::<String>()).unwrap();
    folder.convert(&table, "first");
    let window = Window {
        from: Duration::from_secs(1),
        to: Some(Duration::from_secs(3)),
    };
    let assumptions = folder.export_window("first", "part", false, window).unwrap();
    let outside = assumptions.iter().find(|one| one.id == "outside_window").unwrap();
    assert_eq!(outside.count, 2);
    folder.convert(&folder.at("part").join(TRACES_FILE), "again");
    let (all, part) = (
        folder.lines("first", "invocations.jsonl"),
        folder.lines("again", "invocations.jsonl"),
    );
    assert_eq!(2 * part.len(), all.len());
    assert!(part.iter().all(|line| all.contains(line)));
}

#[test]
fn rows_without_a_protocol_come_back_as_http() {
    let folder = Folder::create();
    folder.convert(&folder.write("telemetry.jsonl", &[fetched_messages()]), "first");
    let path = folder.at("first/cctf/invocations.jsonl");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("\"protocol\":\"messaging\",", "")).unwrap();
    let assumptions = folder.export("first", "out", true).unwrap();
    assert_eq!((assumptions[0].id, assumptions[0].count), ("protocol_unknown", 2));
    folder.convert(&folder.at("out").join(TRACES_FILE), "again");
    let again = folder.lines("again", "invocations.jsonl").into_iter();
    let again: Vec<String> = again
        .map(|line| line.replace("\"protocol\":\"http\",", ""))
        .collect();
    assert_eq!(again, folder.lines("first", "invocations.jsonl"));
}

#[test]
fn what_does_not_come_back_is_counted_and_strict_refuses_it() {
    let folder = Folder::create();
    folder.convert(&folder.write("telemetry.jsonl", &[fetched_messages()]), "first");
    let path = folder.at("first/cctf/invocations.jsonl");
    let text = fs::read_to_string(&path).unwrap();
    let odd = text.replace("\"protocol\":\"messaging\"", "\"protocol\":\"carrier pigeon\"");
    let orphan = odd.replace("\"parent_id\":null", "\"parent_id\":\"00000000000000aa\"");
    fs::write(&path, format!("{orphan}no row\n")).unwrap();
    let assumptions = folder.export("first", "out", false).unwrap();
    let found: Vec<(&str, u64)> = assumptions
        .iter()
        .filter(|one| one.matters)
        .map(|one| (one.id, one.count))
        .collect();
    let expected = [
        ("damaged_lines", 1),
        ("fields_without_convention", 2),
        ("ancestor_missing", 2),
    ];
    assert_eq!(found, expected);
    let refused = folder.export("first", "strict", true).unwrap_err().to_string();
    assert!(
        refused.contains("with --strict") && refused.contains("no semantic convention"),
        "{refused}"
    );
    assert!(!folder.at("strict").exists());
}
