//! Events of a strategy's placement are predicted, run by stand-ins, and recorded. Groups of the chain's only module move by themselves.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use e2e::binaries::cctf;
use e2e::exclusive;
use e2e::rows::{self, number, text};
use serde_json::Value;

use crate::chain;
use crate::placements::Given;

/// Fifteen requests, 200 ms apart; so eight arrive before the event.
const REQUESTS: usize = 15;
const BEFORE: usize = 8;
const STRATEGY: &str = r#"#!/bin/sh
cat > /dev/null
echo '{"placements": [{"name": "home later", "modules": {}, "events": [
  {"event": "migrate", "module": "back", "to": "ep0", "at_s": 1.5},
  {"event": "scale", "module": "back", "replicas": 2, "at_s": 1.5}]}]}'
"#;

#[test]
fn events_of_a_strategy_are_predicted_and_really_run() {
    let given = Given::new(REQUESTS);
    let strategy = given.path("strategy");
    fs::write(&strategy, STRATEGY).unwrap();
    fs::set_permissions(&strategy, fs::Permissions::from_mode(0o755)).unwrap();
    let report = given.ranking(&["--strategy", "./strategy"]);
    let place = report["strategies"][0]["placement"].as_u64().unwrap() as usize;
    let proposed = &report["placements"][place];
    assert_eq!(
        proposed["events"],
        serde_json::json!([
            {"event": "migrate", "module": "back", "to": "ep0", "replicas": null, "above": null, "at_s": 1.5},
            {"event": "scale", "module": "back", "to": null, "replicas": 2, "above": null, "at_s": 1.5}
        ])
    );
    // With the network of 10 ms until the event, and without it afterwards.
    let mean = number(&proposed["response_ms"]["mean"], "value").unwrap();
    let expected = (BEFORE as f64 * 15.5 + (REQUESTS - BEFORE) as f64 * 5.5) / REQUESTS as f64;
    assert!((mean - expected).abs() < 1e-3, "{mean} {expected}");
    let table = given.place(&["--strategy", "./strategy"]);
    assert!(
        table
            .stdout
            .contains("as recorded, then back=ep0 at 2 s, then back x2 at 2 s"),
        "{}",
        table.stdout
    );

    let file = given.path("placements").join(text(proposed, "file").unwrap());
    let _machine = exclusive::machine();
    let again = given.run_stand_ins(&file);
    let mut backs: Vec<Value> = rows::lines(&again.join("cctf/invocations.jsonl")).unwrap();
    backs.retain(|row| row["module_id"] == "back");
    backs.sort_by(|a, b| {
        number(a, "ts_enqueue")
            .unwrap()
            .total_cmp(&number(b, "ts_enqueue").unwrap())
    });
    assert_eq!(backs.len(), REQUESTS);
    let (before, after) = backs.split_at(BEFORE);
    assert!(
        before
            .iter()
            .all(|row| row["node"] == "edge0" && row["instance_id"] == "back-1"),
        "{before:?}"
    );
    assert!(after.iter().all(|row| row["node"] == "ep0"), "{after:?}");
    let ids: Vec<&str> = after
        .iter()
        .map(|row| text(row, "instance_id").unwrap())
        .collect();
    for id in ["back-1@ep0", "back-1+1@ep0"] {
        let turns = ids.iter().filter(|found| **found == id).count();
        assert!((3..=4).contains(&turns), "{ids:?}");
    }
    let events = rows::lines(&again.join("cctf/placement_events.jsonl")).unwrap();
    // Stand-ins report their own starts and stops.
    let recorded: Vec<[&Value; 4]> = events
        .iter()
        .filter(|row| row["inferred"] == false && row["instance_id"].is_null())
        .map(|row| ["event", "node_id", "from_node_id", "replicas"].map(|field| &row[field]))
        .collect();
    let expected = [
        [
            Value::from("migrate"),
            Value::from("ep0"),
            Value::from("edge0"),
            Value::Null,
        ],
        [
            Value::from("scale"),
            Value::from("ep0"),
            Value::Null,
            Value::from(2),
        ],
    ];
    assert_eq!(
        recorded,
        expected.each_ref().map(|row| row.each_ref()),
        "{events:?}"
    );
}

#[test]
fn a_what_if_on_the_recorded_chain_agrees_with_the_ranking() {
    let run = chain::run_folder();
    let folder = tempfile::tempdir().unwrap();
    let tiers = folder.path().join("tiers.json");
    let speed = r#"{"mips_per_core": 1000}"#;
    fs::write(
        &tiers,
        format!(r#"{{"nodes": {{"ep0": {speed}, "edge0": {speed}, "cloud0": {speed}}}}}"#),
    )
    .unwrap();
    let ask = |args: &[&str]| {
        let run = run.to_string_lossy();
        let tiers = tiers.to_string_lossy();
        let own = [args[0], &run, "--tiers", &tiers, "--format", "json"];
        let done = cctf(&[&own, &args[1..]].concat()).unwrap();
        // On a busy machine, the calibration of a short run may allow no prediction.
        assert!(matches!(done.code, Some(0 | 4)), "{done:?}");
        done.json().unwrap()
    };
    let ranking = ask(&["place", "--top", "100"]);
    let answer = ask(&["whatif", "--move", "tunable-svc@cloud0=edge0"]);
    let moved = serde_json::json!(
        {"tunable-svc@cloud0": "edge0", "tunable-svc@edge0": "edge0", "tunable-svc@ep0": "ep0"}
    );
    assert_eq!(answer["after"]["modules"], moved);
    let mut placements = ranking["placements"].as_array().unwrap().iter();
    let placed = placements.find(|placed| placed["modules"] == moved).unwrap();
    assert_eq!(answer["after"]["response_ms"], placed["response_ms"]);
}
