//! A trace with spans of two runs. The folders do not refer to each other, but the rows of their merge do.

use std::collections::BTreeMap;

use bytes::Bytes;
use cctf_merge::Options;
use cctf_normalizer::journal::{Content, Record, Signal};
use cctf_normalizer::pipeline::{Output, Pipeline, Settings};
use cctf_normalizer::receiver::protobuf_of_json;
use serde_json::{Value, json};

use crate::folders::{errors, files, folder, merged_with, write};
use crate::world::BASE;

fn span(id: u8, parent: u8, kind: u8, run: &str) -> Value {
    json!({
        "traceId": "0af7651916cd43dd8448eb211c80319c",
        "spanId": format!("{id:016x}"),
        "parentSpanId": if parent == 0 { String::new() } else { format!("{parent:016x}") },
        "name": "n", "kind": kind,
        "startTimeUnixNano": BASE.to_string(), "endTimeUnixNano": (BASE + 1_000_000).to_string(),
        "attributes": [{"key": "cctf.run_id", "value": {"stringValue": run}}],
    })
}

/// For each row, by span id: its ancestor, and whether it has flags.
fn ancestors(text: &str, field: &str) -> BTreeMap<String, (Value, bool)> {
    let rows = text
        .lines()
        .map(|line| serde_json::from_str::<BTreeMap<String, Value>>(line).unwrap());
    rows.map(|row| {
        let id = row["span_id"].as_str().unwrap().to_owned();
        (id, (row[field].clone(), row.contains_key("flags")))
    })
    .collect()
}

#[test]
fn a_trace_over_two_runs_is_complete_in_their_merge() {
    let spans = [
        span(1, 0, 2, "r1"),
        span(2, 1, 3, "r2"),
        span(3, 2, 2, "r1"),
        span(4, 3, 3, "r2"),
    ];
    let request = json!({"resourceSpans": [{
        "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "s"}}]},
        "scopeSpans": [{"spans": spans}],
    }]});
    let body: Bytes = protobuf_of_json(Signal::Traces, request.to_string().as_bytes()).unwrap();
    let mut pipeline = Pipeline::new(Settings::default());
    let mut output = Output::default();
    let signal = Signal::Traces;
    for content in [Content::Request { signal, body }, Content::Shutdown] {
        let record = Record {
            received_unix_ns: BASE,
            content,
        };
        pipeline.feed(&record, &mut output);
    }
    let logs = folder();
    for run in output.drain() {
        write(&logs.path().join(run.part.folder()), run);
    }
    let (r1, r2) = (logs.path().join("r1"), logs.path().join("r2"));
    assert_eq!([errors(&r1), errors(&r2)], [Vec::<String>::new(), Vec::new()]);
    let id = |number: u8| json!(format!("{number:016x}"));
    let calls = ancestors(&files(&r2)["calls.jsonl"], "ancestor_id");
    assert!(calls.values().all(|row| *row == (Value::Null, true)), "{calls:?}");

    let options = Options {
        run_id: Some("both".to_owned()),
        ..Options::default()
    };
    let both = merged_with(&[&r1, &r2], &options);
    assert_eq!(errors(&both.path), Vec::<String>::new());
    let merged = files(&both.path);
    let calls = ancestors(&merged["calls.jsonl"], "ancestor_id");
    assert_eq!(calls[&format!("{:016x}", 2)], (id(1), false));
    assert_eq!(calls[&format!("{:016x}", 4)], (id(3), false));
    let invocations = ancestors(&merged["invocations.jsonl"], "parent_id");
    assert_eq!(invocations[&format!("{:016x}", 3)], (id(1), false));
}
