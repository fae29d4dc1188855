//! Requests through a shop of three services, and the same spans in each format. All times are whole microseconds.

use serde_json::{Value, json};

/// Time of the first request, microseconds since the Unix epoch.
pub const BEGIN_US: u64 = 1_760_000_000_000_000;
/// Spans of one request.
pub const SPANS: usize = 6;

/// A span, as far as all formats can state it.
#[derive(Debug, Clone)]
pub struct Span {
    pub trace_id: u128,
    pub id: u64,
    pub parent: Option<u64>,
    pub kind: &'static str,
    pub name: &'static str,
    pub service: &'static str,
    pub begin_us: u64,
    pub duration_us: u64,
    pub attributes: Vec<(&'static str, Value)>,
    pub failed: bool,
}

/// The spans of a request: browser → front → (render) → stock, and a message to mail.
pub fn request(number: u64, begin_us: u64) -> Vec<Span> {
    let trace_id = 0xabc0_0000_0000_0000_0000_0000_0000_0000 + u128::from(number);
    let id = |span: u64| 0x1000 * (number + 1) + span;
    let failed = number % 5 == 4;
    let span = |span: u64, parent: Option<u64>, kind, name, service, begin: u64, duration_us: u64| Span {
        trace_id,
        id: id(span),
        parent: parent.map(id),
        kind,
        name,
        service,
        begin_us: begin_us + begin,
        duration_us,
        attributes: Vec::new(),
        failed: false,
    };
    let http = |status: i64, path: &'static str| {
        vec![
            ("http.request.method", json!("GET")),
            ("url.path", json!(path)),
            ("http.response.status_code", json!(status)),
        ]
    };
    let message = || {
        vec![
            ("messaging.system", json!("kafka")),
            ("messaging.destination.name", json!("mails")),
        ]
    };
    let status = if failed { 500 } else { 200 };
    let mut spans = vec![
        span(1, None, "server", "GET /buy", "front", 0, 9_000 + number),
        span(2, Some(1), "internal", "render", "front", 1_000, 7_000),
        span(3, Some(2), "client", "GET", "front", 1_500, 5_000),
        span(
            4,
            Some(3),
            "server",
            "GET /item",
            "stock",
            2_000,
            3_000 + number % 7,
        ),
        span(5, Some(1), "producer", "mails send", "front", 8_000, 100),
        span(6, Some(5), "consumer", "mails process", "mail", 60_000, 2_500),
    ];
    spans[0].attributes = http(status, "/buy");
    spans[2].attributes = http(status, "/item");
    spans[3].attributes = http(status, "/item");
    spans[3].failed = failed;
    spans[4].attributes = message();
    spans[5].attributes = message();
    assert_eq!(spans.len(), SPANS);
    spans
}

/// The spans of many requests, 10 ms apart.
pub fn requests(count: u64) -> Vec<Span> {
    (0..count)
        .flat_map(|number| request(number, BEGIN_US + number * 10_000))
        .collect()
}

fn services(spans: &[Span]) -> Vec<&'static str> {
    let mut services: Vec<&str> = spans.iter().map(|span| span.service).collect();
    services.sort_unstable();
    services.dedup();
    services
}

fn otlp_value(value: &Value) -> Value {
    match value.as_i64() {
        Some(number) => json!({"intValue": number.to_string()}),
        None => json!({"stringValue": value}),
    }
}

fn otlp_span(span: &Span) -> Value {
    let kinds = ["internal", "server", "client", "producer", "consumer"];
    let kind = 1 + kinds.iter().position(|kind| *kind == span.kind).unwrap();
    let attributes = span.attributes.iter();
    let attributes = attributes.map(|(key, value)| json!({"key": key, "value": otlp_value(value)}));
    json!({
        "traceId": format!("{:032x}", span.trace_id),
        "spanId": format!("{:016x}", span.id),
        "parentSpanId": span.parent.map_or_else(String::new, |id| format!("{id:016x}")),
        "name": span.name,
        "kind": kind,
        "startTimeUnixNano": (span.begin_us * 1_000).to_string(),
        "endTimeUnixNano": ((span.begin_us + span.duration_us) * 1_000).to_string(),
        "attributes": attributes.collect::<Vec<_>>(),
        "status": if span.failed { json!({"code": 2}) } else { json!({}) },
    })
}

/// A request of OTLP with one resource for each service.
pub fn otlp(spans: &[Span]) -> Value {
    let of = |service| spans.iter().filter(move |span| span.service == service);
    let resources = services(spans).into_iter().map(|service| {
        json!({
            "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": service}}]},
            "scopeSpans": [{"spans": of(service).map(otlp_span).collect::<Vec<_>>()}],
        })
    });
    json!({"resourceSpans": resources.collect::<Vec<_>>()})
}

fn jaeger_tag(key: &str, value: &Value) -> Value {
    let kind = match value {
        Value::Bool(_) => "bool",
        Value::Number(_) => "int64",
        _ => "string",
    };
    json!({"key": key, "type": kind, "value": value})
}

/// A trace in Jaeger's format.
pub fn jaeger(spans: &[Span]) -> Value {
    let services = services(spans);
    let trace_id = format!("{:032x}", spans[0].trace_id);
    let process = |service| {
        format!(
            "p{}",
            services.iter().position(|known| *known == service).unwrap()
        )
    };
    let span = |span: &Span| {
        let mut tags: Vec<Value> = span
            .attributes
            .iter()
            .map(|(key, value)| jaeger_tag(key, value))
            .collect();
        tags.push(jaeger_tag("span.kind", &json!(span.kind)));
        if span.failed {
            tags.push(jaeger_tag("error", &json!(true)));
        }
        let parent =
            |id: u64| json!({"refType": "CHILD_OF", "traceID": trace_id, "spanID": format!("{id:016x}")});
        json!({
            "traceID": trace_id,
            "spanID": format!("{:016x}", span.id),
            "operationName": span.name,
            "references": span.parent.map(parent).into_iter().collect::<Vec<_>>(),
            "startTime": span.begin_us,
            "duration": span.duration_us,
            "tags": tags,
            "logs": [],
            "processID": process(span.service),
            "warnings": null,
        })
    };
    let processes = services
        .iter()
        .map(|service| (process(service), json!({"serviceName": service, "tags": []})));
    json!({
        "traceID": trace_id,
        "spans": spans.iter().map(span).collect::<Vec<_>>(),
        "processes": processes.collect::<serde_json::Map<_, _>>(),
        "warnings": null,
    })
}

/// A span in Zipkin's format.
pub fn zipkin(span: &Span) -> Value {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let tags = span
        .attributes
        .iter()
        .map(|(key, value)| ((*key).to_owned(), json!(text(value))));
    let mut tags: serde_json::Map<String, Value> = tags.collect();
    if span.failed {
        tags.insert("error".to_owned(), json!("failed"));
    }
    let mut zipkin = json!({
        "traceId": format!("{:032x}", span.trace_id),
        "id": format!("{:016x}", span.id),
        "name": span.name,
        "timestamp": span.begin_us,
        "duration": span.duration_us,
        "localEndpoint": {"serviceName": span.service},
        "tags": tags,
    });
    if let Some(parent) = span.parent {
        zipkin["parentId"] = json!(format!("{parent:016x}"));
    }
    if span.kind != "internal" {
        zipkin["kind"] = json!(span.kind.to_uppercase());
    }
    zipkin
}

/// Each value on a line.
pub fn lines(values: impl IntoIterator<Item = Value>) -> String {
    values.into_iter().map(|value| format!("{value}\n")).collect()
}
