//! Measures the nanoseconds that a span takes from the wire to lines of JSON. For comparison, prost only decodes the same bytes.
//!
//! The request holds the spans of 256 requests of a busy run: CLIENT spans of the driver and SERVER spans of the service.
#![allow(clippy::unwrap_used, reason = "a benchmark that cannot go on fails")]

use std::hint::black_box;
use std::time::Duration;

use cctf_proto::cctf::{Invocation, Milliseconds, Row, SpanId, SpanKind, Stage, TraceId};
use cctf_proto::otlp::admission::admit_trace_request;
use cctf_proto::otlp::common::AnyValue as Value;
use cctf_proto::otlp::trace::{Span, TraceRequest};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use e2e::otlp::attribute;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind as Kind;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span as WireSpan};
use prost::Message;

const REQUESTS: u64 = 256;
const SPANS: u64 = 2 * REQUESTS;
const START: u64 = 1_760_000_000_000_000_000;

fn integer(key: &str, value: u64) -> KeyValue {
    let value = any_value::Value::IntValue(value.cast_signed());
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}

fn wire_span(number: u64, kind: Kind) -> WireSpan {
    let client = kind == Kind::Client;
    let (inset, own, parent) = if client {
        (0, 1, Vec::new())
    } else {
        (90_000, 2, span_id(number, 1))
    };
    let start = START + number * 20_000 + inset;
    let mut attributes = vec![
        attribute("http.request.method", "POST"),
        attribute("url.path", "/hash/sha256"),
        integer("http.response.status_code", 200),
        integer("http.request.body.size", 8192),
        integer("http.response.body.size", 64),
    ];
    if client {
        attributes.extend([
            attribute("server.address", "127.0.0.1"),
            integer("server.port", 8080),
        ]);
    } else {
        attributes.extend([
            attribute("http.route", "/hash/sha256"),
            attribute("cctf.run_id", "20261123-104500"),
            integer("cctf.start_time_unix_nano", start + 12_345),
            integer("cctf.cpu_time_ns", 17_017),
            integer("cctf.cpu_wait_ns", 0),
            integer("cctf.downstream_time_ns", 0),
        ]);
    }
    WireSpan {
        trace_id: [START.to_be_bytes(), number.to_be_bytes()].concat(),
        span_id: span_id(number, own),
        parent_span_id: parent,
        name: "POST /hash/sha256".to_owned(),
        kind: kind.into(),
        start_time_unix_nano: start,
        end_time_unix_nano: start + 400_000 - 2 * inset,
        attributes,
        flags: if client { 0x101 } else { 0x301 },
        ..WireSpan::default()
    }
}

fn span_id(number: u64, own: u64) -> Vec<u8> {
    (number << 8 | own).to_be_bytes().to_vec()
}

fn resource_spans(module: &str, kind: Kind) -> ResourceSpans {
    let resource = [
        ("service.name", module),
        ("service.instance.id", "6d1f3c0a-8a3e-4f0e-9a53"),
        ("cctf.node_id", "edge0"),
    ];
    let attributes = resource.map(|(key, value)| attribute(key, value)).to_vec();
    let spans = (0..REQUESTS).map(|number| wire_span(number, kind)).collect();
    ResourceSpans {
        resource: Some(Resource {
            attributes,
            ..Resource::default()
        }),
        scope_spans: vec![ScopeSpans {
            spans,
            ..ScopeSpans::default()
        }],
        ..ResourceSpans::default()
    }
}

fn request() -> Vec<u8> {
    let resource_spans = vec![
        resource_spans("cctf-load", Kind::Client),
        resource_spans("tunable-svc", Kind::Server),
    ];
    ExportTraceServiceRequest { resource_spans }.encode_to_vec()
}

/// A row from a span alone, with every field read from the bytes.
fn row<'a>(span: &Span<'a>) -> Option<Invocation<'a>> {
    let mut row = empty_row(span)?;
    for attribute in span.attributes() {
        let attribute = attribute.ok()?;
        match (attribute.key, attribute.value) {
            ("http.request.method", Value::String(text)) => row.method = Some(text.into()),
            ("url.path", Value::String(text)) => row.path = Some(text.into()),
            ("http.route", Value::String(text)) => row.route = Some(text.into()),
            ("http.response.status_code", Value::Int(status)) => row.status = Some(status),
            ("http.request.body.size", Value::Int(bytes)) => row.bytes_in = u64::try_from(bytes).ok(),
            ("http.response.body.size", Value::Int(bytes)) => row.bytes_out = u64::try_from(bytes).ok(),
            ("cctf.start_time_unix_nano", Value::Int(ns)) => row.ts_start = Milliseconds::from_ns(ns),
            ("cctf.cpu_time_ns", Value::Int(ns)) => row.cpu_time_ms = Some(Milliseconds::from_ns(ns)),
            ("cctf.cpu_wait_ns", Value::Int(ns)) => row.cpu_wait_ms = Some(Milliseconds::from_ns(ns)),
            ("cctf.downstream_time_ns", Value::Int(ns)) => {
                row.downstream_ms = Some(Milliseconds::from_ns(ns))
            }
            _ => {}
        }
    }
    row.queue_time_ms = row.ts_enqueue.until(row.ts_start);
    row.service_time_ms = row.ts_start.until(row.ts_end);
    row.rt_ms = row.ts_enqueue.until(row.ts_end);
    Some(row)
}

fn empty_row<'a>(span: &Span<'a>) -> Option<Invocation<'a>> {
    let start = Milliseconds::from_unsigned_ns(span.start_time_unix_nano)?;
    Some(Invocation {
        trace_id: TraceId::from_bytes(span.trace_id)?,
        span_id: SpanId::from_bytes(span.span_id)?,
        parent_id: None,
        parent_span_id: SpanId::from_bytes(span.parent_span_id),
        module_id: "tunable-svc".into(),
        instance_id: "6d1f3c0a-8a3e-4f0e-9a53".into(),
        ts_enqueue: start,
        ts_start: start,
        ts_end: Milliseconds::from_unsigned_ns(span.end_time_unix_nano)?,
        node: "edge0".into(),
        stage: Stage::Edge,
        method: None,
        path: None,
        bytes_in: None,
        bytes_out: None,
        cpu_time_ms: None,
        queue_time_ms: None,
        service_time_ms: None,
        rt_ms: None,
        status: None,
        pid: Some(4711),
        app_id: None,
        protocol: Some("http".into()),
        route: None,
        query: None,
        session_id: None,
        name: None,
        status_text: None,
        error_type: None,
        cold_start: None,
        downstream_ms: None,
        cpu_wait_ms: None,
        wakeup_ms: None,
        slot_wait_ms: None,
        kind: SpanKind::Server,
        caller_span_id: None,
        net_ms: None,
        links: None,
        sample_weight: None,
        flags: None,
    })
}

fn lines(bytes: &[u8], out: &mut Vec<u8>) -> Option<usize> {
    out.clear();
    for resource_spans in TraceRequest::new(bytes).resource_spans() {
        for scope_spans in resource_spans.ok()?.scope_spans() {
            for span in scope_spans.ok()?.spans() {
                row(&span.ok()?)?.encode(out);
                out.push(b'\n');
            }
        }
    }
    Some(out.len())
}

fn bench(criterion: &mut Criterion) {
    let bytes = request();
    println!("{} bytes a span", bytes.len() as u64 / SPANS);
    let mut out = Vec::with_capacity(1 << 20);
    assert!(lines(&bytes, &mut out).is_some(), "the request can be read");
    println!("{} bytes a line", out.len() as u64 / SPANS);
    let mut group = criterion.benchmark_group("wire");
    group
        .throughput(Throughput::Elements(SPANS))
        .measurement_time(Duration::from_secs(8));
    group.bench_function("prost decode", |bencher| {
        bencher.iter(|| ExportTraceServiceRequest::decode(black_box(&bytes[..])));
    });
    group.bench_function("views and JSON", |bencher| {
        bencher.iter(|| lines(black_box(&bytes), &mut out))
    });
    group.bench_function("admission, views and JSON", |bencher| {
        bencher.iter(|| {
            (
                admit_trace_request(black_box(&bytes)).map(|admission| admission.rows),
                lines(&bytes, &mut out),
            )
        });
    });
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
