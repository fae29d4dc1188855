//! Compares two folders of one run file by file.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use e2e::binaries::cctf;
use e2e::rows::{self, nanoseconds, number, text};
use serde_json::Value;

use super::chain::{NODES, REQUESTS};

/// Files in which only the order of rows depends on the order of arrival. A merge sorts them.
const SAME: [&str; 9] = [
    "invocations.jsonl",
    "calls.jsonl",
    "host_metrics.jsonl",
    "link_metrics.jsonl",
    "placement_events.jsonl",
    "system_stats.jsonl",
    "nodes.json",
    "links.json",
    "module_inventory.json",
];

/// Files that grow as long as the run is open.
const SAMPLES: [&str; 3] = ["host_metrics.jsonl", "link_metrics.jsonl", "system_stats.jsonl"];

fn file(run: &Path, name: &str) -> PathBuf {
    run.join("cctf").join(name)
}

/// The trace ids of a run's rows.
pub fn traces(run: &Path) -> BTreeSet<String> {
    let of = |name| rows::lines(&file(run, name)).unwrap();
    let all = of("invocations.jsonl").into_iter().chain(of("calls.jsonl"));
    all.map(|row| text(&row, "trace_id").unwrap().to_owned())
        .collect()
}

/// Asserts that a tier's normalizer received only the telemetry of its tier.
pub fn assert_only_of_node(run: &Path, node: &str) {
    let rows = rows::lines(&file(run, "invocations.jsonl")).unwrap();
    assert_eq!(rows.len(), REQUESTS, "{node}");
    for row in &rows {
        assert_eq!(text(row, "node"), Some(node));
        // The call that reached it is in another folder.
        let is_first = node == NODES[0].0;
        assert_eq!(text(row, "caller_span_id").is_some(), is_first, "{row}");
    }
}

fn merge(out: &Path, parts: &[PathBuf]) -> Value {
    let mut args = vec![Path::new("merge"), out];
    args.extend(parts.iter().map(PathBuf::as_path));
    args.extend(["--format", "json"].map(Path::new));
    let done = cctf(&args).unwrap();
    assert_eq!(done.code, Some(0), "{done:?}");
    done.json().unwrap()
}

fn assert_valid(run: &Path) {
    let done = cctf(&[Path::new("validate"), run]).unwrap();
    assert_eq!(done.code, Some(0), "{done:?}");
}

/// Rows by trace, span and kind.
fn sorted(path: &Path) -> Vec<Value> {
    let mut rows = rows::lines(path).unwrap();
    rows.sort_by_cached_key(|row| {
        ["trace_id", "span_id", "kind"].map(|field| text(row, field).unwrap_or_default().to_owned())
    });
    rows
}

/// A file's rows without those of a node that only the parts know. They are text, so that each digit counts.
fn rows_without(path: &Path, beside: Option<&str>) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap();
    let is_of =
        |row: &str, node: &str| row.contains(&format!("\"{node}\"")) || row.contains(&format!("\"{node}."));
    let rows = text.lines().map(|row| row.trim_end_matches(',').to_owned());
    rows.filter(|row| !beside.is_some_and(|node| is_of(row, node)))
        .collect()
}

/// Asserts that the merge of `parts` equals `whole`, written by one normalizer that received everything except the host metrics of
/// `beside`.
pub fn assert_merged_is(parts: &[PathBuf], whole: &Path, beside: Option<&str>, scratch: &Path) {
    let (together, alone) = (scratch.join("together"), scratch.join("alone"));
    let report = merge(&together, parts);
    for none in ["orphans", "duplicates", "torn"] {
        assert_eq!(report[none], 0, "{none}: {report}");
    }
    merge(&alone, &[whole.to_owned()]);
    for run in [whole, &together, &alone] {
        assert_valid(run);
    }
    assert_same_rows(whole, &together);
    let meta = fs::read_to_string(file(whole, "run_meta.json")).unwrap();
    let end = nanoseconds(&meta, "ended_ts").unwrap();
    for name in SAME {
        let one = rows_without(&file(&alone, name), None);
        let mut many = rows_without(&file(&together, name), beside);
        if SAMPLES.contains(&name) {
            // A normalizer that did not receive the run's end continued to sample. All extra rows are from that time.
            many.retain(|row| one.contains(row) || nanoseconds(row, "ts_ms").unwrap() <= end);
        }
        let differs = one.iter().zip(&many).find(|(one, many)| one != many);
        let counts = (one.len(), many.len());
        assert!(
            one == many,
            "{name} of one and of several differ, {counts:?} lines: {differs:#?}"
        );
    }
    assert_same_meta(parts, &alone, &together);
}

/// The rows of a whole run, sorted and without `peer_module`, which is absent in a row that was written before its answer arrived.
fn assert_same_rows(whole: &Path, together: &Path) {
    let [one, many] = [whole, together].map(|run| sorted(&file(run, "invocations.jsonl")));
    assert_eq!((one.len(), many.len()), (3 * REQUESTS, 3 * REQUESTS));
    for (one, many) in one.iter().zip(&many) {
        assert_eq!(one, many, "an invocation");
    }
    let [one, many] = [whole, together].map(|run| sorted(&file(run, "calls.jsonl")));
    // Calls of the driver and of all services. Only those to the database have no answer, since it has no telemetry.
    assert_eq!((one.len(), many.len()), (4 * REQUESTS, 4 * REQUESTS));
    for (one, mut many) in one.into_iter().zip(many) {
        let is_answered = text(&many, "node") != Some(NODES[2].0);
        assert_eq!(text(&many, "peer_module").is_some(), is_answered, "{many}");
        if one.get("peer_module").is_none() {
            many.as_object_mut().unwrap().remove("peer_module");
        }
        assert_eq!(one, many, "a call");
    }
}

/// Compares run_meta.json: parameters and counts are the same. Start and end come from the parts, which received different spans.
fn assert_same_meta(parts: &[PathBuf], alone: &Path, together: &Path) {
    let meta = |run: &Path| rows::document(&file(run, "run_meta.json")).unwrap();
    let (mut one, mut many) = (meta(alone), meta(together));
    let parts: Vec<Value> = parts.iter().map(|part| meta(part)).collect();
    let of_parts = |field| parts.iter().map(move |part| number(part, field).unwrap());
    assert_eq!(
        number(&many, "started_ts"),
        of_parts("started_ts").reduce(f64::min),
        "{many}"
    );
    assert_eq!(
        number(&many, "ended_ts"),
        of_parts("ended_ts").reduce(f64::max),
        "{many}"
    );
    let points = |meta: &Value| meta["counts"]["points"].as_u64().unwrap();
    assert_eq!(points(&many), parts.iter().map(points).sum::<u64>());
    for meta in [&mut one, &mut many] {
        for ends in ["started_ts", "ended_ts"] {
            meta.as_object_mut().unwrap().remove(ends);
        }
    }
    // There may be more samples, as above. The comparison of the files counts their rows.
    assert!(points(&many) >= points(&one), "{many}");
    for meta in [&mut one, &mut many] {
        let counts = meta["counts"].as_object_mut().unwrap();
        counts.remove("points");
        let rows = counts["rows"].as_object_mut().unwrap();
        for file in SAMPLES {
            rows.remove(file);
        }
    }
    assert_eq!(one, many);
}
