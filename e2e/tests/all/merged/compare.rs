//! Two folders of one run, held against each other file by file.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use e2e::binaries::cctf;
use e2e::rows::{self, nanoseconds, number, text};
use serde_json::Value;

use super::chain::{NODES, REQUESTS};

/// The files in which all that is left of the order of arrival is the order of rows, which a merge makes the same.
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

/// Those of them that a normalizer writes of a run as long as it is open there.
const SAMPLES: [&str; 3] = ["host_metrics.jsonl", "link_metrics.jsonl", "system_stats.jsonl"];

fn file(run: &Path, name: &str) -> PathBuf {
    run.join("cctf").join(name)
}

/// The traces that a run has rows of.
pub fn traces(run: &Path) -> BTreeSet<String> {
    let of = |name| rows::lines(&file(run, name)).unwrap();
    let all = of("invocations.jsonl").into_iter().chain(of("calls.jsonl"));
    all.map(|row| text(&row, "trace_id").unwrap().to_owned())
        .collect()
}

/// That a tier's normalizer was sent that tier's telemetry and no other's.
pub fn assert_only_of_node(run: &Path, node: &str) {
    let rows = rows::lines(&file(run, "invocations.jsonl")).unwrap();
    assert_eq!(rows.len(), REQUESTS, "{node}");
    for row in &rows {
        assert_eq!(text(row, "node"), Some(node));
        // Nobody here knows the call that reached it.
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

/// A file's rows, without those of a node that only the parts have heard of; as text, so that each digit counts.
fn rows_without(path: &Path, beside: Option<&str>) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap();
    let is_of =
        |row: &str, node: &str| row.contains(&format!("\"{node}\"")) || row.contains(&format!("\"{node}."));
    let rows = text.lines().map(|row| row.trim_end_matches(',').to_owned());
    rows.filter(|row| !beside.is_some_and(|node| is_of(row, node)))
        .collect()
}

/// That the merge of `parts` is `whole`, which one normalizer wrote that saw everything but the host figures of `beside`.
pub fn assert_merged_is(parts: &[PathBuf], whole: &Path, beside: Option<&str>, scratch: &Path) {
    let (together, alone) = (scratch.join("together"), scratch.join("alone"));
    let told = merge(&together, parts);
    for none in ["orphans", "duplicates", "torn"] {
        assert_eq!(told[none], 0, "{none}: {told}");
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
            // Who was not told of the run's end has gone on taking samples; all that is more is of that time.
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

/// The rows of a whole run as its normalizer wrote them, but for their order and `peer_module`, which a row written before its
/// answer came does not have.
fn assert_same_rows(whole: &Path, together: &Path) {
    let [one, many] = [whole, together].map(|run| sorted(&file(run, "invocations.jsonl")));
    assert_eq!((one.len(), many.len()), (3 * REQUESTS, 3 * REQUESTS));
    for (one, many) in one.iter().zip(&many) {
        assert_eq!(one, many, "an invocation");
    }
    let [one, many] = [whole, together].map(|run| sorted(&file(run, "calls.jsonl")));
    // The driver's, those of all services but the last, and the last one's of its database, which has no telemetry.
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

/// run_meta.json: what was run is the same, and so is what was counted. When a run began and ended is what its parts say,
/// who were told of it by different spans.
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
    // Of samples there may be more, as above, and the rows that are made of them are counted where the files are compared.
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
