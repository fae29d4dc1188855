//! The trace that is sent repeatedly, and its expected rows.
//!
//! A driver calls `front`, `front` calls `middle`, and `middle` calls `back`. This gives 3 SERVER, 3 CLIENT and 2 INTERNAL
//! spans, each a child of the previous one. Like SDKs, every service exports its own spans, so no request contains a whole
//! trace.

use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;

use e2e::otlp::attribute;

/// Number of spans in a trace. The position (`place`) of a span is its index in the trace.
pub const SPANS_A_TRACE: usize = 8;
/// Number of requests in a block of traces. The number of traces in a block equals the number of spans in a request.
pub const REQUESTS_A_BLOCK: usize = 8;
/// Rows of a trace: three in each of the two files.
pub const ROWS_A_TRACE: u64 = 6;

/// Kind of the span at each position.
pub const KINDS: [SpanKind; SPANS_A_TRACE] = [
    SpanKind::Client,
    SpanKind::Server,
    SpanKind::Internal,
    SpanKind::Client,
    SpanKind::Server,
    SpanKind::Internal,
    SpanKind::Client,
    SpanKind::Server,
];

/// Services and the positions of their spans. They are in the order in which spans end: a called service before its caller.
pub const SERVICES: [(&str, &[usize]); 4] = [
    ("back", &[7]),
    ("middle", &[6, 5, 4]),
    ("front", &[3, 2, 1]),
    ("driver", &[0]),
];

/// The index of the request that contains a span, within the block.
pub fn request_of(trace_in_block: usize, place: usize, spans_a_request: usize) -> usize {
    let mut before = 0;
    for (_, places) in SERVICES {
        if let Some(at) = places.iter().position(|&of_service| of_service == place) {
            return before + (trace_in_block * places.len() + at) / spans_a_request;
        }
        before += places.len();
    }
    before
}

/// The position of the nearest ancestor span that is an invocation.
pub fn invocation_above(place: usize) -> Option<usize> {
    (0..place).rev().find(|&above| KINDS[above] == SpanKind::Server)
}

/// Positions of the spans that must arrive before a span's row can be written: the span itself, and its ancestors up to the
/// nearest invocation or the root.
pub fn row_needs(place: usize) -> std::ops::RangeInclusive<usize> {
    invocation_above(place).unwrap_or(0)..=place
}

/// Resource of each service.
pub fn resource(service: &str) -> Resource {
    let attributes = [
        ("service.name", service),
        ("service.version", "1.4.2"),
        ("service.instance.id", "627cc493-f310-47de-96bd-71410b7dec09"),
        ("host.name", service),
        ("telemetry.sdk.name", "opentelemetry"),
        ("telemetry.sdk.language", "rust"),
        ("telemetry.sdk.version", "0.33.0"),
        ("cctf.stage", "cloud"),
    ];
    Resource {
        attributes: attributes.map(|(key, value)| attribute(key, value)).to_vec(),
        ..Resource::default()
    }
}

/// Routes of requests. The route depends on the number of the trace.
const ROUTES: [&str; 4] = ["/hash/sha256", "/blob/gzip", "/json/validate", "/kv/set/{key}"];

/// Name and attributes of a span.
pub fn describe(place: usize, trace_in_block: usize) -> (String, Vec<KeyValue>) {
    let route = ROUTES[trace_in_block % ROUTES.len()];
    let size = 1024 + trace_in_block as i64;
    match KINDS[place] {
        SpanKind::Client => {
            let attributes = vec![
                attribute("http.request.method", "POST"),
                attribute("url.full", &format!("http://10.0.0.17:8080{route}")),
                attribute("server.address", "10.0.0.17"),
                integer("server.port", 8080),
                attribute("network.peer.address", "10.0.0.17"),
                integer("network.peer.port", 8080),
                integer("http.response.status_code", 200),
                integer("http.request.body.size", size),
                integer("http.response.body.size", 64),
                attribute("network.protocol.version", "1.1"),
            ];
            ("POST".to_owned(), attributes)
        }
        SpanKind::Server => {
            let attributes = vec![
                attribute("http.request.method", "POST"),
                attribute("url.path", route),
                attribute("http.route", route),
                attribute("url.scheme", "http"),
                attribute("server.address", "10.0.0.17"),
                integer("server.port", 8080),
                attribute("client.address", "10.0.0.4"),
                attribute("network.peer.address", "10.0.0.4"),
                integer("network.peer.port", 51_324),
                attribute("user_agent.original", "hyper/1.9.0 (orders-checkout/1.4.2)"),
                integer("http.response.status_code", 200),
                integer("http.request.body.size", size),
                integer("http.response.body.size", 64),
                attribute("network.protocol.version", "1.1"),
            ];
            (format!("POST {route}"), attributes)
        }
        _ => {
            let attributes = vec![
                attribute("code.function.name", "orders::checkout::reserve_stock"),
                attribute("code.file.path", "src/orders/checkout.rs"),
                integer("code.line.number", 217),
                integer("thread.id", 17),
                attribute("thread.name", "worker-3"),
                attribute("app.step", "reserve"),
                integer("app.items", 1 + trace_in_block as i64 % 9),
                attribute("app.warehouse", "eu-central-2"),
                attribute("app.order.id", "3f2b8c1e-77a4-4b1e-9f0d-1f8a4f9f1c2d"),
            ];
            ("reserve_stock".to_owned(), attributes)
        }
    }
}

fn integer(key: &str, value: i64) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue {
            value: Some(Value::IntValue(value)),
        }),
        ..KeyValue::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_request_of_a_block_holds_as_many_spans() {
        for spans_a_request in [32, 512] {
            let mut spans = [0; REQUESTS_A_BLOCK];
            for trace in 0..spans_a_request {
                for place in 0..SPANS_A_TRACE {
                    spans[request_of(trace, place, spans_a_request)] += 1;
                }
            }
            assert_eq!(spans, [spans_a_request; REQUESTS_A_BLOCK]);
        }
    }

    #[test]
    fn a_row_needs_its_callers_up_to_the_nearest_invocation() {
        assert_eq!(row_needs(7), 4..=7);
        assert_eq!(row_needs(4), 1..=4);
        assert_eq!(row_needs(1), 0..=1);
        assert_eq!(row_needs(0), 0..=0);
    }
}
