//! Jaeger's JSON: the same rows as OTLP with the same spans, and each feature of the format.

use serde_json::{Value, json};

use crate::world::{BEGIN_US, jaeger, lines, otlp, requests};
use crate::{Converted, Folder};

fn convert(folder: &Folder, document: &Value, name: &str) -> Converted {
    let path = folder.write(&format!("{name}.json"), document.to_string());
    folder.convert(&[path], name).unwrap()
}

#[test]
fn the_same_spans_give_the_same_rows_as_otlp() {
    let spans = requests(40);
    let folder = Folder::create();
    let base = folder
        .convert(&[folder.write("otlp.json", lines([otlp(&spans)]))], "base")
        .unwrap();
    let traces: Vec<Value> = spans.chunks(crate::world::SPANS).map(jaeger).collect();
    let converted = convert(&folder, &json!({"data": traces}), "jaeger");
    assert_eq!(converted.damages(), [""; 0]);
    assert_eq!(converted.requests(), base.requests());
    assert!(base.file("calls.jsonl").contains("500"), "some requests fail");
}

fn tag(key: &str, kind: &str, value: Value) -> Value {
    json!({"key": key, "type": kind, "value": value})
}

/// A SERVER span of the process p1, to be changed.
fn span(id: &str) -> Value {
    json!({
        "traceID": "1f", "spanID": id, "operationName": "GET /", "references": [],
        "startTime": BEGIN_US, "duration": 1500,
        "tags": [tag("span.kind", "string", json!("server"))],
        "logs": null, "processID": "p1", "warnings": null,
    })
}

fn trace(spans: &[Value]) -> Value {
    let tags = [
        tag("hostname", "string", json!("n7")),
        tag("service.version", "string", json!("1.2")),
    ];
    json!({"data": [{
        "traceID": "1f",
        "spans": spans,
        "processes": {"p1": {"serviceName": "front", "tags": tags}, "p2": {"serviceName": "stock"}},
    }]})
}

#[test]
fn ids_times_tags_and_process_become_fields() {
    let folder = Folder::create();
    let mut of_http = span("00000000000000a1");
    of_http["tags"] = json!([
        tag("span.kind", "string", json!("server")),
        tag("http.method", "string", json!("POST")),
        tag("http.url", "string", json!("http://front/buy?x=1")),
        tag("http.status_code", "int64", json!("503")),
        tag("error", "bool", json!(true)),
        tag("otel.status_code", "string", json!("ERROR")),
    ]);
    let converted = convert(&folder, &trace(&[of_http]), "out");
    let [row] = &converted.rows("invocations.jsonl")[..] else {
        panic!("{:?}", converted.damages());
    };
    assert_eq!(row["trace_id"], format!("{:032x}", 0x1f));
    assert_eq!(row["span_id"], "00000000000000a1");
    assert_eq!(row["module_id"], "front");
    assert_eq!(
        (&row["method"], &row["path"], &row["status"]),
        (&json!("POST"), &json!("/buy"), &json!(503))
    );
    assert_eq!(row["rt_ms"], 1.5);
    assert_eq!(row["error_type"], "_OTHER");
    assert!(converted.file("nodes.json").contains("n7"));
    assert_eq!(
        converted.meta()["converted_assumptions"],
        json!({"trace_id_padded": 1})
    );
}

#[test]
fn the_first_child_of_is_the_parent_and_the_others_are_links() {
    let folder = Folder::create();
    let reference =
        |kind: &str, trace: &str, span: &str| json!({"refType": kind, "traceID": trace, "spanID": span});
    let mut child = span("a2");
    child["processID"] = json!("p2");
    child["references"] = json!([
        reference("FOLLOWS_FROM", "1f", "a9"),
        reference("CHILD_OF", "2f", "a1"),
        reference("CHILD_OF", "1f", "a1"),
        reference("CHILD_OF", "1f", "a3"),
    ]);
    let mut old = span("a4");
    old["processID"] = json!("p2");
    old["parentSpanID"] = json!("a1");
    let converted = convert(&folder, &trace(&[span("a1"), child, old]), "out");
    let rows = converted.rows("invocations.jsonl");
    let row = |id: &str| {
        rows.iter()
            .find(|row| row["span_id"] == format!("{id:0>16}"))
            .unwrap()
    };
    assert_eq!(row("a2")["parent_span_id"], "00000000000000a1");
    let links = row("a2")["links"].as_array().unwrap();
    let linked: Vec<&str> = links
        .iter()
        .map(|link| link["span_id"].as_str().unwrap())
        .collect();
    assert_eq!(
        linked,
        ["00000000000000a9", "00000000000000a1", "00000000000000a3"]
    );
    assert_eq!(row("a4")["parent_span_id"], "00000000000000a1");
}

#[test]
fn gaps_of_spans_are_counted() {
    let folder = Folder::create();
    let mut lost = span("a5");
    lost["processID"] = json!("p9");
    let mut shifted = span("a6");
    shifted["warnings"] = json!(["This span's timestamps were adjusted by -12.5ms"]);
    let mut without_kind = span("a7");
    without_kind["tags"] = json!([]);
    let converted = convert(&folder, &trace(&[lost, shifted, without_kind]), "out");
    let assumed =
        json!({"clock_adjusted": 1, "kind_not_recorded": 1, "service_not_recorded": 1, "trace_id_padded": 3});
    assert_eq!(converted.meta()["converted_assumptions"], assumed);
    assert!(converted.file("invocations.jsonl").contains("unknown_service"));
}

#[test]
fn a_span_that_cannot_be_read_costs_only_itself() {
    let folder = Folder::create();
    let (mut wrong, mut no_id) = (span("a2"), span("xyz"));
    wrong["duration"] = json!("long");
    no_id["traceID"] = json!("");
    let converted = convert(&folder, &trace(&[span("a1"), wrong, no_id]), "out");
    assert_eq!(converted.rows("invocations.jsonl").len(), 1);
    let damages = converted.damages();
    assert!(
        damages.len() == 2 && damages[0].contains("span 2 of the trace"),
        "{damages:?}"
    );
    assert!(damages[1].contains("invalid ids"), "{damages:?}");
}
