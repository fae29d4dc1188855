//! Which run telemetry belongs to, where each run is written, and what a run records of its origin.

use std::fs;

use rundir::validate::{Options, validate};
use serde_json::{Value, json};

use crate::Folder;
use crate::world::{BEGIN_US, jaeger, lines, otlp, request, requests};

fn with_run_id(mut request: Value, run_id: &str) -> Value {
    for resource in request["resourceSpans"].as_array_mut().unwrap() {
        for span in resource["scopeSpans"][0]["spans"].as_array_mut().unwrap() {
            let attribute = json!({"key": "cctf.run_id", "value": {"stringValue": run_id}});
            span["attributes"].as_array_mut().unwrap().push(attribute);
        }
    }
    request
}

#[test]
fn telemetry_without_a_run_id_gets_the_given_one() {
    let folder = Folder::create();
    let text = lines([otlp(&requests(3))]);
    let converted = folder.convert(&[folder.write("x.json", text)], "out").unwrap();
    assert_eq!(converted.meta()["run_id"], "r");
    assert_eq!(converted.summary.runs[0].folder, folder.at("out"));
    assert_eq!(converted.summary.runs[0].rows["invocations.jsonl"], 9);
}

#[test]
fn several_runs_become_a_folder_each() {
    let folder = Folder::create();
    let text = lines((0..4).map(|number| {
        let request = otlp(&request(number, BEGIN_US + number * 60_000_000));
        with_run_id(request, if number % 2 == 0 { "even" } else { "odd" })
    }));
    let converted = folder.convert(&[folder.write("x.json", text)], "out").unwrap();
    let runs: Vec<_> = converted.summary.runs.iter().map(|run| &*run.run_id).collect();
    assert_eq!(runs, ["even", "odd"]);
    for run in &converted.summary.runs {
        assert_eq!(run.folder, folder.at("out").join(&run.run_id));
        assert_eq!(run.rows["invocations.jsonl"], 6);
        let text = fs::read_to_string(run.folder.join("cctf/invocations.jsonl")).unwrap();
        assert!(text.lines().count() == 6 && !text.contains("late"), "{text}");
    }
}

#[test]
fn a_result_is_valid_and_names_its_origin() {
    let folder = Folder::create();
    let document = json!({"data": [jaeger(&request(0, BEGIN_US)), jaeger(&request(1, BEGIN_US))]});
    let inputs = [
        folder.write("traces.json", document.to_string()),
        folder.write("more.json", lines([otlp(&request(2, BEGIN_US))])),
    ];
    let converted = folder.convert(&inputs, "out").unwrap();
    let meta = converted.meta();
    assert_eq!(meta["converted_from"], "otlp,jaeger");
    assert_eq!(meta["converted_files"], "traces.json and 1 more");
    assert_eq!(meta["converted_resolution_ms"], 0.001);
    assert_eq!(meta["converted_assumptions"], Value::Null);
    assert_eq!(meta["counts"]["spans"], 18);
    let report = validate(&folder.at("out"), Options::default()).unwrap();
    assert!(report.broken.is_empty(), "{:?}", report.broken);
}
