//! The same telemetry as JSON lines, documents, messages with lengths, compressed, packed, and in another order: the same rows.

use std::io::Write as _;

use cctf_normalizer::journal::Signal;
use cctf_normalizer::receiver::message_of_json;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use crate::world::{BEGIN_US, SPANS, Span, lines, otlp, request, requests};
use crate::{Converted, Folder};

const REQUESTS: u64 = 50;

/// The telemetry as requests of OTLP, some spans each, as senders with batches of their own would make them.
fn batches(spans: &[Span]) -> Vec<Value> {
    spans.chunks(13).map(otlp).collect()
}

fn message(request: &Value) -> Vec<u8> {
    message_of_json(Signal::Traces, request.to_string().as_bytes())
        .unwrap()
        .to_vec()
}

/// Messages with their lengths.
fn framed(messages: impl IntoIterator<Item = Vec<u8>>) -> Vec<u8> {
    let frame = |message: Vec<u8>| [&(message.len() as u32).to_be_bytes()[..], &message].concat();
    messages.into_iter().flat_map(frame).collect()
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

fn zstd(content: &[u8]) -> Vec<u8> {
    zstd::encode_all(content, 0).unwrap()
}

fn assert_whole(converted: &Converted, spans: &[Span]) {
    let tally = &converted.summary.tally;
    assert_eq!(converted.damages(), [""; 0]);
    assert_eq!(tally.spans, spans.len() as u64);
    assert_eq!(converted.summary.runs[0].orphans, 0);
    let requests = spans.len() / SPANS;
    let count = |name| converted.rows(name).len();
    assert_eq!(count("invocations.jsonl"), 3 * requests);
    assert_eq!(count("calls.jsonl"), 2 * requests);
}

#[test]
fn every_form_of_the_same_telemetry_gives_the_same_rows() {
    let spans = requests(REQUESTS);
    let batches = batches(&spans);
    let folder = Folder::create();
    let text = lines(batches.clone());
    let base = folder
        .convert(&[folder.write("lines.json", &text)], "base")
        .unwrap();
    assert_whole(&base, &spans);

    let (front, back) = batches.split_at(2);
    let resources = |requests: &[Value]| -> Vec<Value> {
        let resources = requests
            .iter()
            .map(|request| request["resourceSpans"].as_array().unwrap());
        resources.flatten().cloned().collect()
    };
    let document = serde_json::to_vec_pretty(&json!({"resourceSpans": resources(&batches)})).unwrap();
    let messages = framed(batches.iter().map(message));
    let compressed_json = framed(batches.iter().map(|request| zstd(request.to_string().as_bytes())));
    let compressed_messages = framed(batches.iter().map(|request| zstd(&message(request))));
    let array = serde_json::to_vec(&batches).unwrap();
    let forms: [(&str, Vec<u8>); 9] = [
        ("document", document.clone()),
        ("array", array),
        ("messages", messages.clone()),
        ("compressed-json", compressed_json),
        ("compressed-messages", compressed_messages),
        ("gzip", gzip(text.as_bytes())),
        ("zstd", zstd(&messages)),
        ("windows", text.replace('\n', "\r\n").into_bytes()),
        ("reversed", lines(batches.iter().rev().cloned()).into_bytes()),
    ];
    for (name, content) in forms {
        let converted = folder
            .convert(&[folder.write(&format!("{name}.x"), content)], name)
            .unwrap();
        assert_whole(&converted, &spans);
        assert_eq!(converted.requests(), base.requests(), "{name}");
    }
    let parts = [
        folder.write("b.json", lines(back.to_vec())),
        folder.write("a.bin", framed(front.iter().map(message))),
    ];
    let converted = folder.convert(&parts, "parts").unwrap();
    assert_eq!(converted.requests(), base.requests());
    // Everything twice: each row is there once.
    let twice = [
        parts[0].clone(),
        parts[1].clone(),
        folder.write("again.json", document),
    ];
    let converted = folder.convert(&twice, "twice").unwrap();
    assert_eq!(converted.requests(), base.requests());
    assert_eq!(converted.meta()["counts"]["duplicates"], spans.len() as u64);
}

#[test]
fn callers_in_another_file_and_an_hour_of_records_later_are_found() {
    let spans = requests(REQUESTS);
    let later: Vec<Span> = (0..3)
        .flat_map(|hour| request(1_000 + hour, BEGIN_US + (1 + hour) * 3_600_000_000))
        .collect();
    let folder = Folder::create();
    let at_once = [lines([otlp(&spans), otlp(&later)])].map(|text| folder.write("whole.json", text));
    let base = folder.convert(&at_once, "base").unwrap();
    let is_stock = |span: &&Span| span.service == "stock";
    let stock: Vec<Span> = spans.iter().filter(is_stock).cloned().collect();
    let others: Vec<Span> = spans.iter().filter(|span| !is_stock(span)).cloned().collect();
    let texts = [
        ("stock.json", lines([otlp(&stock), otlp(&later)])),
        ("others.json", lines([otlp(&others)])),
    ];
    let inputs = texts.map(|(name, text)| folder.write(name, text));
    let apart = folder.convert(&inputs, "apart").unwrap();
    assert_eq!(apart.requests(), base.requests());
    assert_eq!(apart.summary.runs[0].resolved, REQUESTS);
    assert!(!apart.file("invocations.jsonl").contains("late"));
}

#[test]
fn metrics_and_logs_are_taken_from_the_same_file() {
    let gauge = |time_us: u64| {
        json!({"resourceMetrics": [{
            "resource": {"attributes": [
                {"key": "service.name", "value": {"stringValue": "front"}},
                {"key": "host.name", "value": {"stringValue": "n0"}},
            ]},
            "scopeMetrics": [{"metrics": [{
                "name": "process.memory.usage", "unit": "By",
                "gauge": {"dataPoints": [{"timeUnixNano": (time_us * 1_000).to_string(), "asInt": "4096"}]},
            }]}],
        }]})
    };
    let log = json!({"resourceLogs": [{"scopeLogs": [{"logRecords": [{"body": {"stringValue": "x"}}]}]}]});
    let spans = requests(2);
    let mixed = [
        otlp(&spans[..6]),
        gauge(BEGIN_US + 1),
        log,
        otlp(&spans[6..]),
        gauge(BEGIN_US + 2_000_000),
    ];
    let folder = Folder::create();
    let as_lines = folder
        .convert(&[folder.write("x.json", lines(mixed.clone()))], "lines")
        .unwrap();
    let signals = [
        Signal::Traces,
        Signal::Metrics,
        Signal::Logs,
        Signal::Traces,
        Signal::Metrics,
    ];
    let messages = mixed.iter().zip(signals);
    let messages = messages.map(|(request, signal)| {
        let message = message_of_json(signal, request.to_string().as_bytes());
        message.unwrap().to_vec()
    });
    let as_messages = folder
        .convert(&[folder.write("x.bin", framed(messages))], "messages")
        .unwrap();
    for converted in [&as_lines, &as_messages] {
        let tally = &converted.summary.tally;
        assert_eq!((tally.spans, tally.points, tally.logs), (12, 2, 1));
        assert_eq!(converted.damages(), [""; 0]);
        let samples = converted.rows("system_stats.jsonl");
        assert_eq!(samples.len(), 2, "{samples:?}");
    }
    assert_eq!(as_lines.requests(), as_messages.requests());
}
