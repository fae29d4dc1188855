//! Compares two folders of one run file by file.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use e2e::binaries::cctf;
use e2e::rows::{self, nanoseconds, number, text};
use serde_json::Value;

use super::chain::{NODES, REQUESTS};

/// Files whose rows depend on the order of arrival only in their order. A merge sorts them.
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

/// Files that grow while the run is open.
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

/// Asserts that the normalizer of a tier received only telemetry of this tier.
pub fn assert_only_of_node(run: &Path, node: &str) {
    let rows = rows::lines(&file(run, "invocations.jsonl")).unwrap();
    assert_eq!(rows.len(), REQUESTS, "{node}");
    for row in &rows {
        assert_eq!(text(row, "node"), Some(node));
        // The call that caused it is in another folder.
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

/// The rows of a file as text, so that each digit counts. Rows of the node `beside`, which only the parts have, are left out.
fn rows_without(path: &Path, beside: Option<&str>) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap();
    let is_of =
        |row: &str, node: &str| row.contains(&format!("\"{node}\"")) || row.contains(&format!("\"{node}."));
    let rows = text.lines().map(|row| row.trim_end_matches(',').to_owned());
    rows.filter(|row| !beside.is_some_and(|node| is_of(row, node)))
        .collect()
}

/// Asserts that the merge of `parts` equals `whole`, which one normalizer wrote. It received all data except the host metrics
/// of `beside`.
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
        let mut one = rows_without(&file(&alone, name), None);
        let mut many = rows_without(&file(&together, name), beside);
        if SAMPLES.contains(&name) {
            // A normalizer writes samples until it receives the end of the run: the time at which it does this differs, and a
            // shard may not receive the end at all. The samples up to the end must be the same.
            for rows in [&mut one, &mut many] {
                rows.retain(|row| nanoseconds(row, "ts_ms").unwrap() <= end);
            }
            assert!(
                name != "system_stats.jsonl" || !one.is_empty(),
                "no sample of {name} is compared"
            );
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

/// Asserts that two runs have the same rows in any order. `peer_module` is left out, because it is missing in a row that was
/// written before its answer arrived.
fn assert_same_rows(whole: &Path, together: &Path) {
    let [one, many] = [whole, together].map(|run| sorted(&file(run, "invocations.jsonl")));
    assert_eq!((one.len(), many.len()), (3 * REQUESTS, 3 * REQUESTS));
    for (one, many) in one.iter().zip(&many) {
        assert_eq!(one, many, "an invocation");
    }
    let [one, many] = [whole, together].map(|run| sorted(&file(run, "calls.jsonl")));
    // Calls of the driver and of all services. Only calls to the database have no answer, because it reports no telemetry.
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

/// Compares run_meta.json. Parameters and counts must be equal. Start and end are those of the parts, which received different
/// spans.
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
    // There may be more samples, as explained above. The comparison of the files counts their rows.
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
