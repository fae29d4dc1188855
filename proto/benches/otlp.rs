//! Measures the time per received span, and that of prost's decoding of the same bytes. A request has 512 spans of 64 traces,
//! like requests of services with HTTP instrumentation.

use std::hint::black_box;

use cctf_proto::otlp::WireError;
use cctf_proto::otlp::admission::admit_trace_request;
use cctf_proto::otlp::check::check_trace_request;
use cctf_proto::otlp::common::AnyValue as ViewValue;
use cctf_proto::otlp::trace::TraceRequest;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use prost::Message;

const TRACES: u64 = 64;
/// Kinds of a trace's spans: each CLIENT span calls the SERVER span after it.
const KINDS: [SpanKind; 8] = [
    SpanKind::Client,
    SpanKind::Server,
    SpanKind::Internal,
    SpanKind::Client,
    SpanKind::Server,
    SpanKind::Internal,
    SpanKind::Client,
    SpanKind::Server,
];
const SPANS: u64 = TRACES * KINDS.len() as u64;

fn pair(key: &str, value: Value) -> KeyValue {
    KeyValue {
        key: key.into(),
        value: Some(AnyValue { value: Some(value) }),
        ..Default::default()
    }
}

fn text(key: &str, value: &str) -> KeyValue {
    pair(key, Value::StringValue(value.into()))
}

fn int(key: &str, value: i64) -> KeyValue {
    pair(key, Value::IntValue(value))
}

fn attributes(kind: SpanKind, trace: u64) -> Vec<KeyValue> {
    let size = 1000 + (trace * 37 % 9000) as i64;
    let mut attributes = vec![
        text("http.request.method", "POST"),
        text("network.protocol.version", "1.1"),
        text("server.address", "edge0.default.svc.cluster.local"),
        int("server.port", 8080),
        int("http.response.status_code", 200),
    ];
    match kind {
        SpanKind::Server => attributes.extend([
            text("url.scheme", "http"),
            text("url.path", "/hash/sha256"),
            text("http.route", "/hash/sha256"),
            text("user_agent.original", "Mozilla/5.0 (compatible; cctf-load/0.1)"),
            int("http.request.body.size", size),
        ]),
        SpanKind::Client => attributes.extend([
            text(
                "url.full",
                "http://edge0.default.svc.cluster.local:8080/hash/sha256",
            ),
            text("network.peer.address", "10.42.0.17"),
            int("http.request.body.size", size),
            int("http.response.body.size", 64),
            text("cctf.run_id", "20261123-104500"),
        ]),
        _ => attributes.extend([
            text("code.function.name", "tunable_svc::work::sha256::hash_blocks"),
            text("code.file.path", "service/src/work/sha256.rs"),
            text("thread.name", "slot-3"),
            int("code.line.number", 212),
        ]),
    }
    attributes
}

fn span(trace: u64, index: usize) -> Span {
    let id = |index: usize| {
        ((trace << 8) | (index as u64 + 1))
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
            .to_be_bytes()
            .to_vec()
    };
    let kind = KINDS[index];
    let start = 1_760_000_000_000_000_000 + trace * 1_234_567 + index as u64 * 1_111;
    Span {
        trace_id: [id(100), id(101)].concat(),
        span_id: id(index),
        parent_span_id: if index == 0 { Vec::new() } else { id(index - 1) },
        name: if kind == SpanKind::Internal {
            "hash blocks"
        } else {
            "POST /hash/sha256"
        }
        .into(),
        kind: kind as i32,
        start_time_unix_nano: start,
        end_time_unix_nano: start + 3_210_987,
        attributes: attributes(kind, trace),
        status: Some(Status::default()),
        flags: 0x101,
        ..Default::default()
    }
}

fn request() -> Vec<u8> {
    let spans = (0..TRACES)
        .flat_map(|trace| (0..KINDS.len()).map(move |index| span(trace, index)))
        .collect();
    let resource = vec![
        text("service.name", "tunable-svc"),
        text("service.instance.id", "6d1f3c0a-8a3e-4f0e-9a53-0f6f1c2d3e4f"),
        text("host.name", "edge0"),
        text("cctf.node_id", "edge0"),
        text("cctf.stage", "edge"),
        text("telemetry.sdk.language", "rust"),
        text("telemetry.sdk.name", "opentelemetry"),
        text("telemetry.sdk.version", "0.33.0"),
        int("process.pid", 4711),
    ];
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(Resource {
                attributes: resource,
                ..Default::default()
            }),
            scope_spans: vec![ScopeSpans {
                scope: Some(InstrumentationScope {
                    name: "tunable-svc".into(),
                    ..Default::default()
                }),
                spans,
                ..Default::default()
            }],
            ..Default::default()
        }],
    }
    .encode_to_vec()
}

/// Reads every scalar of every span and every attribute.
fn read_all(bytes: &[u8]) -> Result<u64, WireError> {
    let mut sum = 0u64;
    for resource_spans in TraceRequest::new(bytes).resource_spans() {
        for scope_spans in resource_spans?.scope_spans() {
            for span in scope_spans?.spans() {
                let span = span?;
                sum += span.start_time_unix_nano ^ span.end_time_unix_nano;
                sum += u64::from(span.flags) + u64::from(span.dropped_attributes_count) + span.kind as u64;
                sum += (span.trace_id.len() + span.span_id.len() + span.parent_span_id.len()) as u64;
                sum += (span.trace_state.len() + span.name.len() + span.status.message.len()) as u64;
                for attribute in span.attributes() {
                    let attribute = attribute?;
                    sum += attribute.key.len() as u64;
                    sum += match attribute.value {
                        ViewValue::String(text) => text.len() as u64,
                        ViewValue::Int(value) => value as u64,
                        ViewValue::Bool(value) => u64::from(value),
                        ViewValue::Double(value) => value.to_bits(),
                        _ => 0,
                    };
                }
            }
        }
    }
    Ok(sum)
}

fn bench(criterion: &mut Criterion) {
    let bytes = request();
    println!("{} bytes a span", bytes.len() as u64 / SPANS);
    let mut group = criterion.benchmark_group("otlp");
    group.throughput(Throughput::Elements(SPANS));
    group.bench_function("prost decode", |bencher| {
        bencher.iter(|| ExportTraceServiceRequest::decode(black_box(&bytes[..])));
    });
    group.bench_function("check", |bencher| {
        bencher.iter(|| check_trace_request(black_box(&bytes)))
    });
    group.bench_function("admit (with the check)", |bencher| {
        bencher.iter(|| admit_trace_request(black_box(&bytes)));
    });
    group.bench_function("views", |bencher| bencher.iter(|| read_all(black_box(&bytes))));
    group.bench_function("admit and views", |bencher| {
        bencher.iter(|| {
            let bytes = black_box(&bytes);
            Ok::<_, WireError>((admit_trace_request(bytes)?.rows, read_all(bytes)?))
        });
    });
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
