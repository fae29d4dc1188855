//! The shop of `examples/`: 500 requests pass services in five languages and the real Collector. The run must have exactly the
//! invocations and calls of the services' own logs, and DuckDB must compute the same figures. `docs/languages.md` lists the
//! fields that each language fills. Stand-ins repeat some of the requests with the same calls.
//!
//! These tests fail if name lookups count as calls, if a retry is missing in the front's log, and if a cell of the table
//! changes.

mod found;
mod table;
mod trace;
mod truth;

use std::collections::BTreeSet;
use std::path::Path;

use e2e::binaries::{Done, cctf, command};
use e2e::exclusive;
use e2e::rows;
use e2e::sources::root;
use serde_json::Value;

use self::trace::Trace;
use crate::distributed::{check_buckets, check_spark};
use crate::exports::check_shop;
use crate::stats::compare_stats;

const REQUESTS: usize = 500;
/// Number of requests that stand-ins repeat. They are those of the first five seconds.
const REPEATED: &str = "50";
/// The services of the shop, and the service of this project that they call.
const MODULES: [&str; 7] = [
    "advice",
    "catalog",
    "front",
    "mailer",
    "shipping",
    "stock",
    "tunable-svc",
];
/// 500 requests. The timeout is so long that a busy machine can be late: the front takes a limited number of requests at a
/// time.
const LOAD: [&str; 8] = [
    "--rate",
    "10",
    "--duration",
    "50s",
    "--timeout",
    "600s",
    "--join-window",
    "120s",
];

#[test]
fn every_trace_matches_the_logs_and_the_table_lists_its_fields() {
    let (logs, shop) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let report = {
        let _machine = exclusive::machine();
        run(logs.path(), shop.path())
    };
    assert_eq!(report["drives"][0]["requests"], REQUESTS, "{report}");
    assert_eq!(report["drives"][0]["success_ratio"], 1.0, "{report}");
    assert_eq!(report["broken_rules"], 0, "{report}");

    let logged = truth::traces(shop.path());
    let cctf = logs.path().join("r/cctf");
    let invocations = rows::lines(&cctf.join("invocations.jsonl")).unwrap();
    let calls = rows::lines(&cctf.join("calls.jsonl")).unwrap();
    let found = found::traces(&invocations, &calls);

    assert_eq!(logged.len(), REQUESTS);
    let ids = |traces: &std::collections::BTreeMap<String, Trace>| -> BTreeSet<String> {
        traces.keys().cloned().collect()
    };
    assert_eq!(ids(&found), ids(&logged));
    for (id, logged) in &logged {
        let found = &found[id];
        assert_eq!(found.shape(), logged.shape(), "trace {id}");
        found.assert_sizes_are_those_of(logged, id);
    }
    // The special cases of the shop must occur.
    let shapes: String = logged.values().map(Trace::shape).collect();
    for wanted in [
        "front calls http POST /reserve 503",
        "front calls http GET /gifts/",
        "shipping serves rpc Quote shop.Shipping 11",
        "mailer serves messaging",
    ] {
        assert!(shapes.contains(wanted), "{wanted}");
    }
    table::check(&invocations, &calls);
    compare_stats(&logs.path().join("r"), &[]);
    repeat_by_stand_ins(logs.path());
    check_shop(&logs.path().join("r"));
    check_buckets(&logs.path().join("r"));
    check_spark(&logs.path().join("r"));
}

/// Repeats the first requests of the run by stand-ins. Each must have the same calls and statuses as in the recording.
fn repeat_by_stand_ins(logs: &Path) {
    let _machine = exclusive::machine();
    let recorded = logs.join("r");
    let mut run = command("cctf").unwrap();
    run.args([
        "run",
        "--run-id",
        "again",
        "--format",
        "json",
        "--limit",
        REPEATED,
        "--stand-in",
    ])
    .arg(&recorded)
    .arg("--logs-dir")
    .arg(logs);
    let report = Done::success("run --stand-in", &mut run).unwrap().json().unwrap();
    let modules: BTreeSet<&str> = (report["stand_ins"].as_array().unwrap().iter())
        .map(|stand_in| stand_in["module"].as_str().unwrap())
        .collect();
    assert_eq!(modules, BTreeSet::from(MODULES), "{report}");
    let folders = [recorded, logs.join("again")].map(|run| run.into_os_string());
    let flags = ["compare", "--format", "json"].map(std::ffi::OsString::from);
    let compared = cctf(&[&flags[..], &folders].concat()).unwrap().json().unwrap();
    assert_eq!(compared["pairing"]["roots"].to_string(), REPEATED, "{compared}");
    assert_eq!(compared["graph"], Value::Array(Vec::new()), "{compared}");
}

/// Runs the shop, whose services write their logs into `shop`. Returns the report.
fn run(logs: &Path, shop: &Path) -> Value {
    let mut run = command("cctf").unwrap();
    run.args(["run", "--run-id", "r", "--format", "json"])
        .args(["--endpoints", "/checkout"])
        .args(LOAD)
        .arg("--logs-dir")
        .arg(logs)
        .arg("--application")
        .arg(root().join("examples/start"))
        .arg("--collector")
        .arg(root().join("target/tools/bin/otelcol"))
        .env("SHOP_LOGS", shop);
    let done = Done::from(run.output().unwrap());
    assert_eq!(done.code, Some(0), "{}\n{}", done.stdout, done.stderr);
    done.json().unwrap()
}
