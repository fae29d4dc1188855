//! Zipkin's JSON: the same rows as OTLP with the same spans, and each feature of the format.

use serde_json::{Value, json};

use crate::world::{BEGIN_US, lines, otlp, requests, zipkin};
use crate::{Converted, Folder};

fn convert(folder: &Folder, spans: &[Value], name: &str) -> Converted {
    let path = folder.write(&format!("{name}.json"), json!(spans).to_string());
    folder.convert(&[path], name).unwrap()
}

#[test]
fn the_same_spans_give_the_same_rows_as_otlp() {
    let spans = requests(400);
    let folder = Folder::create();
    let base = folder
        .convert(&[folder.write("otlp.json", lines([otlp(&spans)]))], "base")
        .unwrap();
    let recorded: Vec<Value> = spans.iter().map(zipkin).collect();
    let array = convert(&folder, &recorded, "array");
    let by_trace: Vec<Value> = recorded
        .chunks(crate::world::SPANS)
        .map(|spans| json!(spans))
        .collect();
    let traces = convert(&folder, &by_trace, "traces");
    let as_lines = folder
        .convert(&[folder.write("x.json", lines(recorded))], "lines")
        .unwrap();
    for converted in [array, traces, as_lines] {
        assert_eq!(converted.damages(), [""; 0]);
        assert_eq!(converted.summary.tally.spans, spans.len() as u64);
        assert_eq!(converted.requests(), base.requests());
    }
}

/// A span of the service front, to be changed.
fn span(id: &str, kind: &str) -> Value {
    json!({
        "traceId": "000000000000001f", "id": id, "kind": kind, "name": "get /",
        "timestamp": BEGIN_US, "duration": 1500,
        "localEndpoint": {"serviceName": "front", "ipv4": "10.0.0.1"},
    })
}

#[test]
fn a_call_and_its_answer_may_share_an_id() {
    let folder = Folder::create();
    let root = span("00000000000000a1", "SERVER");
    let mut call = span("00000000000000a2", "CLIENT");
    call["parentId"] = json!("00000000000000a1");
    call["remoteEndpoint"] = json!({"serviceName": "stock", "ipv4": "10.0.0.2", "port": 8080});
    let mut answer = span("00000000000000a2", "SERVER");
    answer["parentId"] = json!("00000000000000a1");
    answer["shared"] = json!(true);
    answer["duration"] = json!(1200);
    answer["localEndpoint"] = json!({"serviceName": "stock"});
    let mut below = span("00000000000000a3", "CLIENT");
    below["parentId"] = json!("00000000000000a2");
    below["localEndpoint"] = json!({"serviceName": "stock"});
    let converted = convert(&folder, &[below, answer, call, root], "out");
    let rows = converted.rows("invocations.jsonl");
    let row = |module: &str| rows.iter().find(|row| row["module_id"] == module).unwrap();
    assert_eq!(rows.len(), 2);
    assert_eq!(row("stock")["parent_id"], "00000000000000a1");
    assert_eq!(row("stock")["caller_span_id"], "00000000000000a2");
    assert_eq!(row("stock")["net_ms"], 0.3);
    let calls = converted.rows("calls.jsonl");
    let call = |id: &str| {
        calls
            .iter()
            .find(|call| call["span_id"] == format!("{id:0>16}"))
            .unwrap()
    };
    assert_eq!(call("a2")["ancestor_id"], "00000000000000a1");
    assert_eq!(call("a2")["peer_module"], "stock");
    assert_eq!(call("a3")["ancestor_id"], "00000000000000a2");
}

#[test]
fn what_a_span_lacks_is_counted() {
    let folder = Folder::create();
    let mut endless = span("a2", "SERVER");
    endless.as_object_mut().unwrap().remove("duration");
    let mut timeless = span("a3", "SERVER");
    timeless.as_object_mut().unwrap().remove("timestamp");
    let mut nameless = span("a4", "SERVER");
    nameless.as_object_mut().unwrap().remove("localEndpoint");
    let converted = convert(
        &folder,
        &[span("a1", "SERVER"), endless, timeless, nameless],
        "out",
    );
    assert_eq!(converted.rows("invocations.jsonl").len(), 2);
    let rejected = &converted.summary.tally.rejected["missing_time"];
    assert_eq!(rejected.count, 2);
    let assumed = json!({"service_not_recorded": 1, "trace_id_padded": 4});
    assert_eq!(converted.meta()["converted_assumptions"], assumed);
    assert_eq!(converted.meta()["counts"]["rejected"], json!({"missing_time": 2}));
}

#[test]
fn tags_of_the_resource_and_errors_are_recognised() {
    let folder = Folder::create();
    let mut failed = span("a1", "SERVER");
    failed["tags"] = json!({
        "service.name": "Front", "service.version": "1.2", "cctf.node_id": "n7", "cctf.stage": "edge",
        "http.method": "GET", "http.path": "/buy", "http.status_code": "500", "error": "boom",
    });
    let mut succeeded = span("a2", "SERVER");
    succeeded["tags"] = json!({"error": "false"});
    let converted = convert(&folder, &[failed, succeeded], "out");
    let rows = converted.rows("invocations.jsonl");
    let row = |id: &str| {
        rows.iter()
            .find(|row| row["span_id"] == format!("{id:0>16}"))
            .unwrap()
    };
    let of = |key: &str| row("a1")[key].clone();
    assert_eq!(
        [of("module_id"), of("node"), of("stage")],
        [json!("Front"), json!("n7"), json!("edge")]
    );
    assert_eq!(
        [of("method"), of("path"), of("status")],
        [json!("GET"), json!("/buy"), json!(500)]
    );
    assert!(of("error_type").is_string(), "{}", row("a1"));
    assert_eq!(row("a2")["error_type"], Value::Null);
}

#[test]
fn a_span_with_invalid_ids_is_named() {
    let folder = Folder::create();
    let converted = convert(&folder, &[span("a1", "SERVER"), span("xyz", "SERVER")], "out");
    assert_eq!(converted.rows("invocations.jsonl").len(), 1);
    let damages = converted.damages();
    assert!(
        damages.len() == 1 && damages[0].contains("invalid id \"xyz\""),
        "{damages:?}"
    );
}
