//! Requests that are all different, and the rows that each request must cause.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write as _;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use super::normalizer::RUN;

pub const SPANS_A_REQUEST: u64 = 8;
const POINTS_A_REQUEST: u64 = 3;
/// One of this number of requests has metrics.
const METRICS_EVERY: u64 = 4;
const BASE_MS: u64 = 1_700_000_000_000;

/// Request `number` of client `client`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request {
    pub client: u64,
    pub number: u64,
}

impl Request {
    pub fn is_metrics(self) -> bool {
        self.number % METRICS_EVERY == METRICS_EVERY - 1
    }

    pub fn path(self) -> &'static str {
        if self.is_metrics() {
            "/v1/metrics"
        } else {
            "/v1/traces"
        }
    }

    fn span_id(self, at: u64) -> String {
        format!("{:04x}{:08x}{at:04x}", self.client + 1, self.number)
    }

    fn instance(self) -> String {
        format!("shop-{}", self.client)
    }

    fn resource(self) -> Value {
        json!({"attributes": [
            {"key": "service.name", "value": {"stringValue": "shop"}},
            {"key": "service.instance.id", "value": {"stringValue": self.instance()}},
            {"key": "host.name", "value": {"stringValue": "n1"}},
        ]})
    }

    /// The spans: CLIENT and SERVER alternate, and each CLIENT calls the SERVER after it.
    pub fn spans(self) -> Vec<Value> {
        let span = |at: u64| {
            let is_server = at % 2 == 1;
            json!({
                "traceId": format!("{:016x}{:016x}", self.client + 1, self.number), "spanId": self.span_id(at),
                "parentSpanId": if is_server { self.span_id(at - 1) } else { String::new() },
                "name": "x", "kind": if is_server { 2 } else { 3 }, "flags": if is_server { 0x300 } else { 0x100 },
                "startTimeUnixNano": "1700000000000000000", "endTimeUnixNano": "1700000000005000000",
            })
        };
        (0..SPANS_A_REQUEST).map(span).collect()
    }

    fn point_ms(self, at: u64) -> u64 {
        BASE_MS + self.number * POINTS_A_REQUEST + at
    }

    fn points(self) -> Vec<Value> {
        let point = |at| json!({"timeUnixNano": format!("{}000000", self.point_ms(at)), "asInt": "1"});
        (0..POINTS_A_REQUEST).map(point).collect()
    }

    /// The request as OTLP/JSON.
    pub fn json(self) -> String {
        let body = if self.is_metrics() {
            let metric = json!({"name": "process.memory.usage", "gauge": {"dataPoints": self.points()}});
            json!({"resourceMetrics": [{"resource": self.resource(), "scopeMetrics": [{"metrics": [metric]}]}]})
        } else {
            traces(self.resource(), self.spans())
        };
        body.to_string()
    }

    /// The request with its HTTP/1 head. Every second request is compressed.
    pub fn http1(self) -> Vec<u8> {
        let json = self.json().into_bytes();
        let (coding, body) = match self.number % 2 {
            0 => ("", json),
            _ => ("content-encoding: gzip\r\n", gzip(&json)),
        };
        http1(self.path(), coding, &body)
    }

    /// Keys that identify the request's rows, with their file.
    pub fn rows(self) -> Vec<String> {
        if self.is_metrics() {
            let row = |at| format!("point {} {}", self.instance(), self.point_ms(at));
            return (0..POINTS_A_REQUEST).map(row).collect();
        }
        let row = |at: u64| {
            let file = if at % 2 == 1 { "invocation" } else { "call" };
            format!("{file} {}", self.span_id(at))
        };
        (0..SPANS_A_REQUEST).map(row).collect()
    }
}

/// An OTLP/JSON request of one resource.
pub fn traces(resource: Value, spans: Vec<Value>) -> Value {
    json!({"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": spans}]}]})
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A JSON request that closes its connection.
pub fn http1(path: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let len = body.len();
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\n{headers}content-length: {len}\r\n\r\n"
    );
    [head.as_bytes(), body].concat()
}

/// The files whose rows are counted, and a word for the rows of each file.
pub const FILES: [(&str, &str); 3] = [
    ("invocation", "invocations.jsonl"),
    ("call", "calls.jsonl"),
    ("point", "system_stats.jsonl"),
];

/// Number of times that each row occurs.
pub type Rows = BTreeMap<String, u64>;

/// Counts the rows of a file. Fails if a line is incomplete.
pub fn count_rows(kind: &str, content: &[u8], rows: &mut Rows) {
    let text = std::str::from_utf8(content).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'), "the last {kind} is torn");
    for line in text.lines() {
        let row: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in {line}"));
        let id = match row["span_id"].as_str() {
            Some(span_id) => span_id.to_owned(),
            None => format!("{} {}", row["instance_id"].as_str().unwrap(), row["ts_ms"]),
        };
        let id = id.strip_suffix(".0").unwrap_or(&id);
        *rows.entry(format!("{kind} {id}")).or_default() += 1;
    }
}

/// The rows in the files of the normalizer's own run.
pub fn rows_in(folder: &Path) -> Rows {
    let mut rows = Rows::new();
    for (kind, name) in FILES {
        let content = fs::read(folder.join(RUN).join("cctf").join(name)).unwrap();
        count_rows(kind, &content, &mut rows);
    }
    rows
}

/// Checks that the files contain exactly the rows of the acknowledged requests, each one once. Returns their number.
pub fn check_rows(folder: &Path, acknowledged: impl Iterator<Item = Request>) -> usize {
    compare(&rows_in(folder), acknowledged)
}

/// Like [`check_rows`], for the rows `found`.
pub fn compare(found: &Rows, acknowledged: impl Iterator<Item = Request>) -> usize {
    let expected: BTreeSet<String> = acknowledged.flat_map(Request::rows).collect();
    let lost: Vec<_> = expected.iter().filter(|row| !found.contains_key(*row)).collect();
    let doubled: Vec<_> = found.iter().filter(|(_, count)| **count > 1).collect();
    let strange: Vec<_> = found.keys().filter(|row| !expected.contains(*row)).collect();
    assert!(
        lost.is_empty() && doubled.is_empty() && strange.is_empty(),
        "lost {}: {lost:.200?}\ndoubled {}: {doubled:.200?}\nnever acknowledged {}: {strange:.200?}",
        lost.len(),
        doubled.len(),
        strange.len()
    );
    expected.len()
}
