//! Measures the time of the pipeline per span, without receiver and disk. The load is that of 50,000 spans/s with the default
//! windows. Requests have 512 spans. Traces have 3 SERVER, 3 CLIENT and 2 INTERNAL spans, children come before parents, and
//! every id is new.
//!
//! The requests are copies of a single one with other ids. If each were encoded, the CPU's caches would lose the pipeline's
//! data between two requests.

use std::ops::Range;
use std::time::Instant;

use bytes::Bytes;
use cctf_normalizer::journal::{Content, Record, Signal};
use cctf_normalizer::pipeline::{Output, Pipeline, Settings};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message as _;

const SPANS_A_TRACE: usize = 8;
const TRACES_A_REQUEST: usize = 64;
const SPANS_A_REQUEST: usize = TRACES_A_REQUEST * SPANS_A_TRACE;
const SPANS_A_SECOND: u64 = 50_000;
/// Number of spans that fill both windows.
const WARM_UP_SPANS: u64 = 6_500_000;
const MEASURED_SPANS: u64 = 1_000_000;
const BEGIN_UNIX_NANO: u64 = 1_760_000_000_000_000_000;

fn text(key: &str, value: &str) -> KeyValue {
    KeyValue {
        key: key.into(),
        value: Some(AnyValue {
            value: Some(Value::StringValue(value.into())),
        }),
        ..Default::default()
    }
}

fn number(key: &str, value: i64) -> KeyValue {
    KeyValue {
        key: key.into(),
        value: Some(AnyValue {
            value: Some(Value::IntValue(value)),
        }),
        ..Default::default()
    }
}

/// Prefix of the ids in the copied request; a letter and a number follow.
const MARK: [u8; 5] = [0xfa, 0x5a, 0xc3, 0x3c, 0xf1];
const MARKED_LEN: usize = 8;

fn marked(letter: u8, number: usize) -> Vec<u8> {
    let number = (number as u16).to_be_bytes();
    [&MARK[..], &[letter], &number].concat()
}

/// A span of a trace. The trace has a driver's CLIENT, SERVER, INTERNAL, CLIENT, SERVER, INTERNAL, CLIENT, SERVER. Each is the
/// child of the previous one.
fn span(trace: usize, at: usize) -> Span {
    let kind = [3, 2, 1, 3, 2, 1, 3, 2][at];
    let id = |at: usize| marked(b'S', trace * SPANS_A_TRACE + at);
    Span {
        trace_id: [marked(b'T', trace), vec![0; 8]].concat(),
        span_id: id(at),
        parent_span_id: if at == 0 { Vec::new() } else { id(at - 1) },
        flags: 0x301,
        name: "POST /hash/sha256".into(),
        kind,
        start_time_unix_nano: BEGIN_UNIX_NANO + at as u64 * 1_000_000,
        end_time_unix_nano: BEGIN_UNIX_NANO + 50_000_000 - at as u64 * 1_000_000,
        attributes: vec![
            text("http.request.method", "POST"),
            text("url.path", "/hash/sha256"),
            text("http.route", "/hash/sha256"),
            text("url.scheme", "http"),
            text("server.address", "10.0.0.17"),
            number("server.port", 8080),
            number("http.response.status_code", 200),
            number("http.request.body.size", 8192),
            number("http.response.body.size", 64),
            text("network.protocol.version", "1.1"),
            text("user_agent.original", "python-requests/2.31.0"),
            text("client.address", "10.0.0.23"),
        ],
        ..Span::default()
    }
}

/// A request of consecutive traces, split over three services' resources.
fn request() -> Vec<u8> {
    let of_service = |service: usize, places: &[usize]| ResourceSpans {
        resource: Some(Resource {
            attributes: vec![
                text("service.name", &format!("service-{service}")),
                text("service.instance.id", &format!("instance-{service}")),
                text("cctf.node_id", &format!("node-{service}")),
                text("cctf.stage", "cloud"),
            ],
            ..Resource::default()
        }),
        scope_spans: vec![ScopeSpans {
            spans: (0..TRACES_A_REQUEST)
                .flat_map(|trace| places.iter().rev().map(move |&at| span(trace, at)))
                .collect(),
            ..ScopeSpans::default()
        }],
        ..ResourceSpans::default()
    };
    let request = ExportTraceServiceRequest {
        resource_spans: vec![
            of_service(3, &[7]),
            of_service(2, &[4, 5, 6]),
            of_service(1, &[0, 1, 2, 3]),
        ],
    };
    request.encode_to_vec()
}

/// A request and the offsets of its ids.
struct Template {
    request: Vec<u8>,
    ids: Vec<Range<usize>>,
}

impl Template {
    fn new() -> Self {
        let request = request();
        let ids = (0..request.len() - MARKED_LEN)
            .filter(|&at| request[at..].starts_with(&MARK))
            .map(|at| at..at + MARKED_LEN)
            .collect();
        Self { request, ids }
    }

    /// A copy of the request, whose ids depend on `number`.
    fn copy(&self, number: u64) -> Bytes {
        let mut request = self.request.clone();
        for id in &self.ids {
            let mut marked = [0; MARKED_LEN];
            marked.copy_from_slice(&request[id.clone()]);
            // Multiplication by an odd number is a bijection, and spreads the ids.
            let fresh = (u64::from_be_bytes(marked) ^ number << 24).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            request[id.clone()].copy_from_slice(&fresh.to_be_bytes());
        }
        request.into()
    }
}

fn main() {
    let template = Template::new();
    let mut pipeline = Pipeline::new(Settings::default());
    let mut output = Output::default();
    let (mut spans, mut ns, mut bytes, mut rows) = (0_u64, 0_u128, 0_usize, 0_usize);
    while spans < WARM_UP_SPANS + MEASURED_SPANS {
        let body = template.copy(spans / SPANS_A_REQUEST as u64);
        let received_unix_ns = BEGIN_UNIX_NANO + spans * 1_000_000_000 / SPANS_A_SECOND;
        let record = Record {
            received_unix_ns,
            content: Content::Request {
                signal: Signal::Traces,
                body,
            },
        };
        let since = Instant::now();
        pipeline.feed(&record, &mut output);
        if spans >= WARM_UP_SPANS {
            ns += since.elapsed().as_nanos();
            bytes += record_len(&record);
        }
        for run in output.drain() {
            if spans >= WARM_UP_SPANS {
                rows += run
                    .appended()
                    .map(|(_, lines)| lines.iter().filter(|&&byte| byte == b'\n').count())
                    .sum::<usize>();
            }
            run.clear();
        }
        spans += SPANS_A_REQUEST as u64;
    }
    let per_span = ns as f64 / MEASURED_SPANS as f64;
    println!(
        "pipeline: {per_span:.0} ns/span ({} B/span, {rows} rows of {MEASURED_SPANS} spans)",
        bytes as u64 / MEASURED_SPANS
    );
}

fn record_len(record: &Record) -> usize {
    match &record.content {
        Content::Request { body, .. } => body.len(),
        _ => 0,
    }
}
