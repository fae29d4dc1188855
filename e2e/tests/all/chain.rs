//! `cctf run --chain`: each request is three invocations (endpoint, edge, cloud), each of which is the parent of the next one.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::LazyLock;

use e2e::binaries::{cctf, short_run};
use e2e::rows::{self, number, text};
use serde_json::Value;
use tempfile::TempDir;

use crate::stats::compare_stats;

const REQUESTS: usize = 80;
/// Node, stage and path of each hop.
const HOPS: [(&str, &str, &str); 3] = [
    ("ep0", "endpoint", "/json/validate"),
    ("edge0", "edge", "/blob/gzip"),
    ("cloud0", "cloud", "/kv/set/k1"),
];

/// A run that these tests share, as a folder.
static RUN: LazyLock<TempDir> = LazyLock::new(|| {
    let logs = tempfile::tempdir().unwrap();
    short_run(logs.path(), &["--endpoints", "json", "--chain"]).unwrap();
    logs
});

/// The folder of the shared run.
pub fn run_folder() -> PathBuf {
    RUN.path().join("r")
}

#[test]
fn figures_of_nodes_and_links_are_those_of_the_sql_in_duckdb() {
    let run = run_folder();
    compare_stats(&run, &[]);
    let done = cctf(&[
        "stats",
        &run.to_string_lossy(),
        "--by",
        "link",
        "--format",
        "json",
    ])
    .unwrap();
    let stats = done.json().unwrap();
    let mut links: Vec<(&str, &str, u64)> = stats["groups"]
        .as_array()
        .unwrap()
        .iter()
        .map(|link| {
            let node = |name| text(link, name).unwrap();
            (node("from_node"), node("node"), link["calls"].as_u64().unwrap())
        })
        .collect();
    // Links with the same number of calls are in the order in which they first appear, so they are sorted here.
    links.sort_unstable();
    let requests = REQUESTS as u64;
    let expected = [("driver0", "ep0"), ("edge0", "cloud0"), ("ep0", "edge0")];
    assert_eq!(links, expected.map(|(from, to)| (from, to, requests)));
    assert_eq!(stats["notes"], serde_json::json!([]));
}

#[test]
fn the_lint_finds_nothing_in_a_good_run() {
    let run = run_folder();
    let done = cctf(&["stats", &run.to_string_lossy(), "--lint"]).unwrap();
    assert_eq!(done.code, Some(0), "{}\n{}", done.stdout, done.stderr);
    for law in ["callers", "callees", "clock"] {
        let agreeing = |line: &&str| line.starts_with(law) && line.contains(" agrees ");
        assert_eq!(
            done.stdout.lines().filter(agreeing).count(),
            HOPS.len(),
            "{}",
            done.stdout
        );
    }
}

#[test]
fn each_request_is_three_invocations_with_the_right_parents() {
    let folder = run_folder().join("cctf");
    let invocations = rows::lines(&folder.join("invocations.jsonl")).unwrap();
    let calls = rows::lines(&folder.join("calls.jsonl")).unwrap();
    assert_eq!(invocations.len(), REQUESTS * HOPS.len());
    let calls: HashMap<&str, &Value> = calls
        .iter()
        .map(|call| (text(call, "span_id").unwrap(), call))
        .collect();
    for row in &invocations {
        let status = (number(row, "status"), row.get("flags"));
        assert_eq!(status, (Some(200.0), None), "{row}");
    }
    let traces = rows::by_trace(&invocations).unwrap();
    assert_eq!(traces.len(), REQUESTS);
    let mut waited_ms = 0.0;
    for nodes in traces.values() {
        let mut above: Option<&Value> = None;
        for (node, stage, path) in HOPS {
            let row = nodes[node];
            assert_eq!(
                (text(row, "stage"), text(row, "path")),
                (Some(stage), Some(path)),
                "{row}"
            );
            assert_eq!(
                text(row, "parent_id"),
                above.and_then(|above| text(above, "span_id")),
                "{row}"
            );
            let caller = calls[text(row, "caller_span_id").unwrap()];
            assert_eq!(text(caller, "ancestor_id"), text(row, "parent_id"), "{caller}");
            assert_eq!(caller["span_id"], row["parent_span_id"]);
            if let Some(above) = above {
                assert_eq!(
                    caller["node"], above["node"],
                    "the call left where the invocation ran: {caller}"
                );
                // A call can end before the slot gets the CPU again. During this time, the slot waits for the CPU, not for the
                // call.
                waited_ms += number(above, "downstream_ms").unwrap();
            }
            above = Some(row);
        }
        assert_eq!(
            number(above.unwrap(), "downstream_ms"),
            Some(0.0),
            "the last hop calls nobody"
        );
    }
    assert!(waited_ms > 0.0, "no invocation waited for a call");
    let nodes = rows::document(&folder.join("nodes.json")).unwrap();
    for (node, stage, _) in HOPS {
        let node_row = nodes
            .as_array()
            .unwrap()
            .iter()
            .find(|row| text(row, "node_id") == Some(node))
            .unwrap();
        assert_eq!(text(node_row, "stage"), Some(stage));
    }
    let links = rows::document(&folder.join("links.json")).unwrap();
    for (u, v) in [("driver0", "ep0"), ("ep0", "edge0"), ("edge0", "cloud0")] {
        let link = links
            .as_array()
            .unwrap()
            .iter()
            .find(|link| text(link, "u") == Some(u) && text(link, "v") == Some(v));
        assert_eq!(
            link.and_then(|link| text(link, "src")),
            Some("estimated"),
            "{u}->{v}: {links}"
        );
    }
}
