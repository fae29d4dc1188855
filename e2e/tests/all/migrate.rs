//! `cctf run --migrate`: a module moves from the edge to the cloud under load. The files must contain the module, both nodes
//! and the times.

use e2e::binaries::short_run;
use e2e::rows::{self, number, text};
use serde_json::Value;

const REQUESTS: usize = 160;

#[test]
fn a_migration_under_load_is_recorded_with_its_nodes_and_times() {
    let logs = tempfile::tempdir().unwrap();
    // Instances that start within two seconds belong to one deployment. Here, the second one starts later: after half of the
    // duration.
    short_run(
        logs.path(),
        &[
            "--endpoints",
            "json",
            "--migrate",
            "--rate",
            "16",
            "--duration",
            "5s",
        ],
    )
    .unwrap();
    let cctf = logs.path().join("r/cctf");
    let invocations = rows::lines(&cctf.join("invocations.jsonl")).unwrap();
    assert_eq!(invocations.len(), REQUESTS);
    let of = |node| {
        invocations
            .iter()
            .filter(move |row| text(row, "node") == Some(node))
    };
    let times = |node, field| of(node).map(move |row| number(row, field).unwrap());
    let counts = (of("edge0").count(), of("cloud0").count());
    assert_eq!(counts, (REQUESTS / 2, REQUESTS / 2), "half on each node");
    let (left, came) = (
        times("edge0", "ts_end").fold(0.0, f64::max),
        times("cloud0", "ts_start").fold(f64::INFINITY, f64::min),
    );
    assert!(left < came, "edge0 served until {left}, cloud0 from {came}");
    for row in &invocations {
        let status = (number(row, "status"), row.get("flags"));
        assert_eq!(status, (Some(200.0), None), "no request is affected: {row}");
    }

    let events = rows::lines(&cctf.join("placement_events.jsonl")).unwrap();
    let module = text(&invocations[0], "module_id").unwrap();
    let find = |event: &str, node: &str| -> Vec<&Value> {
        let is_it = |row: &&Value| text(row, "event") == Some(event) && text(row, "node_id") == Some(node);
        let of_module = |row: &&Value| text(row, "module_id") == Some(module);
        events.iter().filter(is_it).filter(of_module).collect()
    };
    let one = |event: &str, node: &str| -> &Value {
        let found = find(event, node);
        assert_eq!(found.len(), 1, "{event} on {node}: {events:#?}");
        found[0]
    };
    let ts = |row: &Value| number(row, "ts").unwrap();
    let (began, starts, stops) = (
        one("start", "edge0"),
        one("start", "cloud0"),
        one("stop", "edge0"),
    );
    for event in [began, starts, stops] {
        assert_eq!(event["inferred"], false, "{event}");
    }
    let before = times("edge0", "ts_start").fold(f64::INFINITY, f64::min);
    assert!(
        ts(began) < before && before < ts(starts) && ts(starts) < came,
        "cloud0 starts while edge0 has the load: {events:#?}"
    );
    assert!(
        came < ts(stops),
        "edge0 stops while cloud0 has the load: {events:#?}"
    );
    let migrates = one("migrate", "cloud0");
    assert_eq!(text(migrates, "from_node_id"), Some("edge0"), "{migrates}");
    assert_eq!(
        (migrates["inferred"].clone(), &migrates["instance_id"]),
        (true.into(), &starts["instance_id"]),
        "{migrates}"
    );
    assert!(
        (ts(migrates) - ts(stops)).abs() < 1e-3,
        "it is complete with the stop: {events:#?}"
    );
    let scales: Vec<(Option<f64>, f64)> = events
        .iter()
        .filter(|row| text(row, "event") == Some("scale") && text(row, "module_id") == Some(module))
        .map(|row| (number(row, "replicas"), ts(row)))
        .collect();
    let at_least = |replicas: f64, when: f64| {
        let is_it = |(found, ts): &&(Option<f64>, f64)| *found == Some(replicas) && *ts >= when;
        assert!(
            scales.iter().any(|scale| is_it(&scale)),
            "scale to {replicas} from {when} on: {scales:?}"
        );
    };
    at_least(2.0, ts(starts));
    at_least(1.0, ts(stops));
}
