//! One application through real exporters: the spans of an SDK, sent as OTLP, as Zipkin's JSON, and to a real Jaeger, whose API
//! gives them back as the JSON of its UI. All become the same rows, except for what a format cannot state.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use e2e::binaries::{Done, tool};
use e2e::child::wait_for;
use e2e::collector::{Collector, Process};
use e2e::jaeger::Jaeger;
use e2e::sources::root;
use serde_json::{Value, json};

use super::cctf;
use crate::third_party::Sdk;

const TRACES: u64 = 20;
/// Spans and rows of a trace.
const SPANS: usize = 9;
const INVOCATIONS: usize = 4;
const CALLS: usize = 4;
const EXCEPTION: &str = "java.io.IOException";
/// The first second of the application, microseconds since the Unix epoch. The formats have no shorter unit.
const BEGIN_US: u64 = 1_760_000_000_000_000;

/// A span of trace `trace`. Times are microseconds after its begin.
fn span(trace: u64, ids: [u64; 2], kind: &str, service: &str, name: &str, times: [u64; 2]) -> Value {
    let id = |number: u64| match number {
        0 => String::new(),
        number => format!("{:016x}", trace * 0x100 + number),
    };
    let begin = BEGIN_US + trace * 250_000;
    let [start, end] = times.map(|us| ((begin + us) * 1_000).to_string());
    json!({
        "trace_id": format!("{:032x}", (7_u128 << 100) + u128::from(trace)),
        "span_id": id(ids[0]), "parent": id(ids[1]), "links": [],
        "name": name, "kind": kind, "attributes": {}, "failed": false,
        "start_unix_nano": start, "end_unix_nano": end,
        "resource": {
            "service.name": service, "service.namespace": "Shop", "service.version": "1.2",
            "service.instance.id": format!("{service}-1"), "process.pid": 4242,
            "cctf.node_id": format!("node-{service}"), "cctf.stage": "edge", "cctf.keep_query": true,
        },
    })
}

/// A request of a shop: front calls stock, which asks its database, and sends a message that mail handles. Every fourth request
/// fails.
fn trace(number: u64) -> Vec<Value> {
    let is_failed = number % 4 == 3;
    let status = if is_failed { 503 } else { 200 };
    let mut spans = vec![
        span(
            number,
            [1, 0],
            "SERVER",
            "Front",
            "GET /cart/{id}",
            [0, 90_001 + number],
        ),
        span(number, [2, 1], "INTERNAL", "Front", "render", [1_000, 80_000]),
        span(number, [3, 2], "CLIENT", "Front", "GET", [2_000, 60_003]),
        span(number, [4, 3], "SERVER", "stock", "GET /item", [3_000, 50_007]),
        span(number, [5, 4], "CLIENT", "stock", "SELECT items", [4_000, 40_000]),
        span(
            number,
            [6, 1],
            "PRODUCER",
            "Front",
            "orders send",
            [70_000, 70_500],
        ),
        span(
            number,
            [7, 6],
            "CONSUMER",
            "mail",
            "orders process",
            [75_000, 99_000],
        ),
        span(
            number,
            [8, 7],
            "CLIENT",
            "mail",
            "shop.Mailer/Send",
            [76_000, 98_000],
        ),
        span(
            number,
            [9, 8],
            "SERVER",
            "smtp",
            "shop.Mailer/Send",
            [77_000, 97_000],
        ),
    ];
    let http = |path: &str, status: u16| json!({"http.request.method": "GET", "url.path": path, "http.response.status_code": status});
    let message = json!({"messaging.system": "kafka", "messaging.destination.name": "orders", "messaging.message.body.size": 512});
    let rpc = json!({"rpc.system": "grpc", "rpc.service": "shop.Mailer", "rpc.method": "Send", "rpc.grpc.status_code": if is_failed { 14 } else { 0 }});
    let attributes = [
        http("/cart/7", status),
        json!({"weight": 0.5, "is.it": true, "count": 3, "grün": "schön \"quoted\""}),
        http("/item", status),
        http("/item", status),
        json!({"db.system.name": "postgresql", "db.query.text": "SELECT 1", "db.collection.name": "items", "server.address": "db", "server.port": 5432}),
        message.clone(),
        message,
        rpc.clone(),
        rpc,
    ];
    for (span, attributes) in spans.iter_mut().zip(attributes) {
        span["attributes"] = attributes;
    }
    spans[0]["attributes"]["http.route"] = json!("/cart/{id}");
    spans[0]["attributes"]["url.query"] = json!("a=1&b=ä");
    spans[0]["attributes"]["http.response.body.size"] = json!(1234);
    spans[0]["attributes"]["session.id"] = json!("s-1");
    for (key, value) in [
        ("server.address", json!("stock")),
        ("server.port", json!(8080)),
        ("http.request.resend_count", json!(1)),
    ] {
        spans[2]["attributes"][key] = value;
    }
    spans[6]["links"] = json!([spans[0]["span_id"]]);
    if is_failed {
        spans[2]["failed"] = json!(true);
        spans[3]["failed"] = json!(true);
        spans[3]["exception"] = json!(EXCEPTION);
        spans[8]["attributes"]["error.type"] = json!("UNAVAILABLE");
    }
    assert_eq!(spans.len(), SPANS);
    spans
}

fn application() -> Value {
    Value::Array((0..TRACES).flat_map(trace).collect())
}

/// Sends the spans of the application.
fn send(sdk: Sdk, protocol: &str, urls: &[String; 2]) {
    sdk.send(protocol, urls, None, &application());
}

/// A receiver of Zipkin's spans, which writes them to a file.
struct Sink {
    _process: Process,
    url: String,
}

impl Sink {
    fn start(file: &Path) -> Self {
        let mut command = Command::new(tool("exporters/python/bin/python").unwrap());
        command.arg(root().join("e2e/exporters/sink.py")).arg(file);
        let process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut process = Process(process.unwrap());
        let mut port = String::new();
        BufReader::new(process.0.stdout.take().unwrap())
            .read_line(&mut port)
            .unwrap();
        let url = format!("http://127.0.0.1:{}", port.trim());
        Self {
            _process: process,
            url,
        }
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Converts a file, of which nothing may be left out. Returns the summary, and the rows of both files, sorted.
fn convert(file: &Path, format: &str, out: &Path) -> (Value, [Vec<Value>; 2]) {
    let converted = cctf(&[
        "convert",
        text(file),
        "--format",
        format,
        "--out",
        text(out),
        "--summary",
        "json",
    ]);
    assert_eq!(converted.code, Some(0), "{converted:?}");
    let valid = cctf(&["validate", text(out)]);
    assert_eq!(valid.code, Some(0), "{valid:?}");
    let rows = super::requests(out).map(|text| {
        let mut lines: Vec<&str> = text.lines().collect();
        lines.sort_unstable();
        lines
            .iter()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    });
    (converted.json().unwrap(), rows)
}

/// The rows of the application as OTLP, as the Collector has received them.
fn as_otlp(sdk: Sdk, folder: &Path) -> [Vec<Value>; 2] {
    let mut collector = Collector::new(folder, 0, &[("FILES", text(folder))])
        .unwrap()
        .with_configuration("e2e/tests/all/exports/otlp.yaml");
    collector.start().unwrap();
    send(sdk, "protobuf", &[collector.url(), collector.http_url()]);
    collector.stop().unwrap();
    let (summary, rows) = convert(&folder.join("received.json"), "otlp", &folder.join("otlp"));
    assert_eq!(summary["spans"], TRACES * SPANS as u64);
    let counts = [INVOCATIONS, CALLS].map(|count| count * TRACES as usize);
    assert_eq!(rows.each_ref().map(Vec::len), counts);
    rows
}

fn assert_same(found: &[Vec<Value>; 2], expected: &[Vec<Value>; 2], format: &str) {
    for (found, expected) in found.iter().zip(expected) {
        for (found, expected) in found.iter().zip(expected) {
            assert_eq!(found, expected, "{format}");
        }
        assert_eq!(found.len(), expected.len(), "{format}");
    }
}

/// Removes what spans of Zipkin cannot state.
fn without_links(rows: &mut [Vec<Value>; 2]) {
    let mut removed = 0;
    for row in rows[0].iter_mut() {
        removed += usize::from(row.as_object_mut().unwrap().remove("links").is_some());
    }
    assert_eq!(removed, TRACES as usize);
}

/// Node's exporter for Zipkin writes the names of events only, so the class of an exception is lost.
fn without_exceptions(rows: &mut [Vec<Value>; 2]) {
    let rows = rows[0].iter_mut().filter(|row| row["error_type"] == EXCEPTION);
    let replaced = rows.map(|row| row["error_type"] = json!("_OTHER")).count();
    assert_eq!(replaced, TRACES as usize / 4);
}

fn zipkin_is_like_otlp(sdk: Sdk, remove: impl Fn(&mut [Vec<Value>; 2])) {
    let folder = tempfile::tempdir().unwrap();
    let mut expected = as_otlp(sdk, folder.path());
    remove(&mut expected);
    let received = folder.path().join("zipkin.json");
    let sink = Sink::start(&received);
    send(sdk, "zipkin", &[sink.url.clone(), sink.url.clone()]);
    drop(sink);
    assert!(fs::metadata(&received).unwrap().len() > 0);
    let (summary, found) = convert(&received, "zipkin", &folder.path().join("zipkin"));
    assert_eq!(summary["assumed"], json!({}));
    without_links(&mut expected);
    assert_same(&found, &expected, "zipkin");
}

#[test]
fn the_zipkin_exporter_of_python_gives_the_rows_of_otlp() {
    zipkin_is_like_otlp(Sdk::Python, |_| {});
}

#[test]
fn the_zipkin_exporter_of_node_gives_the_rows_of_otlp() {
    zipkin_is_like_otlp(Sdk::Node, without_exceptions);
}

#[test]
fn the_json_of_a_real_jaeger_gives_the_rows_of_otlp() {
    for sdk in [Sdk::Python, Sdk::Node] {
        let folder = tempfile::tempdir().unwrap();
        let expected = as_otlp(sdk, folder.path());
        let jaeger = Jaeger::start(folder.path()).unwrap();
        send(sdk, "protobuf", &jaeger.urls());
        let end = BEGIN_US + TRACES * 1_000_000;
        let query = format!("/api/traces?service=Front&start={BEGIN_US}&end={end}&limit=1000");
        let file = folder.path().join("jaeger.json");
        wait_for("all spans in Jaeger", || {
            let answer = jaeger.get(&query)?;
            let document: Value = serde_json::from_slice(&answer)?;
            let traces = document["data"].as_array().unwrap();
            let spans: usize = traces
                .iter()
                .map(|trace| trace["spans"].as_array().unwrap().len())
                .sum();
            fs::write(&file, &answer)?;
            Ok((spans == TRACES as usize * SPANS).then_some(()))
        })
        .unwrap();
        let (_, found) = convert(&file, "jaeger", &folder.path().join("jaeger"));
        assert_same(&found, &expected, "jaeger");
    }
}

/// Jaeger takes what `cctf export otlp` sends, and shows each trace of the chain as one tree.
#[test]
fn jaeger_shows_connected_traces_of_an_exported_run() {
    let folder = tempfile::tempdir().unwrap();
    let run = crate::chain::run_folder();
    let jaeger = Jaeger::start(folder.path()).unwrap();
    let [grpc, _] = jaeger.urls();
    let sent: Done = cctf(&["export", "otlp", text(&run), "--otlp-endpoint", &grpc]);
    assert_eq!(sent.code, Some(0), "{sent:?}");
    let first = fs::read_to_string(run.join("cctf/invocations.jsonl")).unwrap();
    let first: Value = serde_json::from_str(first.lines().next().unwrap()).unwrap();
    let id = first["trace_id"].as_str().unwrap();
    let rows = super::requests(&run).concat();
    let rows = rows.lines().filter(|line| line.contains(id)).count();
    let path = format!("/api/traces/{id}");
    let trace = wait_for("the trace in Jaeger", || Ok(jaeger.get(&path).ok())).unwrap();
    let trace: Value = serde_json::from_slice(&trace).unwrap();
    let spans = trace["data"][0]["spans"].as_array().unwrap();
    let is_root = |span: &&Value| span["references"] == json!([]);
    let is_row = |span: &&Value| {
        let scope = json!({"key": "otel.scope.name", "type": "string", "value": "cctf.export"});
        span["tags"].as_array().unwrap().contains(&scope)
    };
    let counts = [
        spans.iter().filter(is_row).count(),
        spans.iter().filter(is_root).count(),
    ];
    assert_eq!(counts, [rows, 1], "{trace}");
    let ids: Vec<&Value> = spans.iter().map(|span| &span["spanID"]).collect();
    for reference in spans.iter().filter_map(|span| span["references"].get(0)) {
        assert!(ids.contains(&&reference["spanID"]), "{trace}");
    }
}
