//! The telemetry of the service: requests, calls, statements, metrics and placement.

use cctf_proto::keys;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;

use crate::forwarding::DEAD_ORIGIN;
use crate::receiver::{self, Received, integer, text};
use crate::spawn::spawn;

const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const UNSAMPLED: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn a_request_is_a_server_span_with_all_attributes() {
    let receiver = receiver::start();
    let service = spawn(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &receiver.endpoint)]);
    let headers = [("traceparent", PARENT), ("baggage", "x=y,cctf.run_id=run-7")];
    assert_eq!(
        service.post_with("/hash/sha256?a=b", &headers, b"12345").status,
        200
    );
    service.stop();

    let received = receiver.span("POST /hash/sha256");
    let span = &received.span;
    assert_eq!(hex(&span.trace_id), "0af7651916cd43dd8448eb211c80319c");
    assert_eq!(hex(&span.parent_span_id), "b7ad6b7169203331");
    assert_eq!(span.kind(), SpanKind::Server);
    for (key, value) in [
        ("http.request.method", "POST"),
        ("url.path", "/hash/sha256"),
        ("url.query", "a=b"),
        ("http.route", "/hash/sha256"),
        ("url.scheme", "http"),
        ("server.address", "test.local"),
        ("network.protocol.version", "1.1"),
        (keys::RUN_ID, "run-7"),
    ] {
        assert_eq!(received.text(key), Some(value), "{key}");
    }
    for (key, value) in [
        ("server.port", 80),
        ("http.request.body.size", 5),
        ("http.response.body.size", 64),
        ("http.response.status_code", 200),
        (keys::DOWNSTREAM_TIME_NS, 0),
    ] {
        assert_eq!(received.integer(key), Some(value), "{key}");
    }
    assert_eq!(received.text("error.type"), None);
    let start = received
        .integer(keys::START_TIME_UNIX_NANO)
        .unwrap()
        .unsigned_abs();
    assert!(span.start_time_unix_nano <= start && start <= span.end_time_unix_nano);
    let cpu = received.integer(keys::CPU_TIME_NS).unwrap().unsigned_abs();
    assert!(cpu > 0 && cpu <= span.end_time_unix_nano - start);
    assert!(received.integer(keys::CPU_WAIT_NS).is_some());
}

#[test]
fn work_is_charged_the_cpu_time_it_burns() {
    let receiver = receiver::start();
    let service = spawn(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &receiver.endpoint)]);
    service.get("/work?cpu_ms=20");
    service.stop();
    let worked = receiver.span("GET /work");
    let number = |key| worked.integer(key).unwrap().unsigned_abs();
    let service_ns = worked.span.end_time_unix_nano - number(keys::START_TIME_UNIX_NANO);
    // The kernel adjusts the speed of the clock of timestamps, but not that of the clock of CPU time.
    assert!((20_000_000..=service_ns + service_ns / 1_000).contains(&number(keys::CPU_TIME_NS)));
}

#[test]
fn an_unsampled_request_makes_no_span_here_or_below() {
    let receiver = receiver::start();
    let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.endpoint.as_str());
    let last = spawn(&[endpoint]);
    let first = spawn(&[endpoint, ("DEFAULT_NEXT_URL", &last.url("/kv/set/k"))]);
    let answer = first.post_with("/kv/set/k", &[("traceparent", UNSAMPLED)], b"v");
    assert_eq!(answer.header("x-next-status"), Some("200"));
    first.stop();
    last.stop();
    let spans = receiver.spans();
    assert!(
        spans.iter().all(|received| received.scope == keys::CONTROL_SCOPE),
        "{spans:?}"
    );
}

#[test]
fn a_chain_is_one_trace_with_a_client_span_for_each_call() {
    let receiver = receiver::start();
    let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.endpoint.as_str());
    let last = spawn(&[endpoint]);
    for policy in ["held", "released"] {
        let first = spawn(&[
            endpoint,
            ("DEFAULT_NEXT_URL", &last.url("/blob/gzip")),
            ("SLOT_POLICY", policy),
        ]);
        let run = format!("cctf.run_id={policy}");
        assert_eq!(
            first
                .post_with("/json/validate", &[("baggage", &run)], b"[1]")
                .status,
            200
        );
        first.stop();
    }
    last.stop();
    for policy in ["held", "released"] {
        check_chain(&receiver.spans(), policy);
    }
}

fn check_chain(spans: &[Received], run: &str) {
    let of_run = |name: &str| {
        let found = spans
            .iter()
            .find(|r| r.span.name == name && r.text(keys::RUN_ID) == Some(run));
        found.unwrap_or_else(|| panic!("no {name} of run {run}")).clone()
    };
    let (first, last) = (of_run("POST /json/validate"), of_run("POST /blob/gzip"));
    let call = spans
        .iter()
        .find(|r| r.span.parent_span_id == first.span.span_id)
        .expect("a call");
    assert_eq!(call.span.kind(), SpanKind::Client);
    assert_eq!(last.span.parent_span_id, call.span.span_id);
    assert_eq!(last.span.trace_id, first.span.trace_id);
    assert_eq!(
        call.span.flags & 0x300,
        0x100,
        "the call's parent is of the same process"
    );
    assert_eq!(
        last.span.flags & 0x300,
        0x300,
        "the last request's parent is remote"
    );
    assert_eq!(call.text("http.request.method"), Some("POST"));
    assert_eq!(call.text("server.address"), Some("127.0.0.1"));
    assert_eq!(call.integer("http.response.status_code"), Some(200));
    assert_eq!(call.integer("http.request.body.size"), Some(3));
    assert_eq!(
        call.integer("http.response.body.size"),
        last.integer("http.response.body.size")
    );
    assert!(call.text("url.full").unwrap().ends_with("/blob/gzip"));
    assert!(first.span.start_time_unix_nano <= call.span.start_time_unix_nano);
    assert!(call.span.end_time_unix_nano <= first.span.end_time_unix_nano);
}

#[test]
fn a_failed_call_is_in_the_trace() {
    let receiver = receiver::start();
    let service = spawn(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &receiver.endpoint),
        ("DEFAULT_NEXT_URL", DEAD_ORIGIN),
    ]);
    service.post("/hash/sha256", b"x");
    service.stop();
    let call = receiver.span("POST");
    assert_eq!(
        (call.text("error.type"), call.integer("http.response.status_code")),
        (Some("connect"), None)
    );
    assert_eq!(receiver.span("POST /hash/sha256").text("error.type"), None);
}

#[test]
fn a_statement_is_a_span_without_values() {
    let receiver = receiver::start();
    let service = spawn(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &receiver.endpoint)]);
    service.post("/kv/set/secret-key", b"secret-value");
    service.get("/kv/get/secret-key");
    service.stop();
    for (name, operation, above) in [
        ("INSERT kv", "INSERT", "POST /kv/set/{key}"),
        ("SELECT kv", "SELECT", "GET /kv/get/{key}"),
    ] {
        let statement = receiver.span(name);
        assert_eq!(statement.span.kind(), SpanKind::Client);
        assert_eq!(statement.text("db.system.name"), Some("sqlite"));
        assert_eq!(statement.text("db.operation.name"), Some(operation));
        assert!(!statement.text("db.query.text").unwrap().contains("secret"));
        assert_eq!(statement.span.parent_span_id, receiver.span(above).span.span_id);
    }
    assert_eq!(
        receiver.span("GET /kv/get/{key}").text("url.path"),
        Some("/kv/get/secret-key")
    );
}

#[test]
fn a_request_without_a_slot_has_no_start_and_no_cpu_time() {
    let receiver = receiver::start();
    let service = spawn(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &receiver.endpoint),
        ("HOP_LIMIT", "0"),
    ]);
    assert_eq!(
        service
            .post_with("/hash/sha256", &[("X-Hop-Count", "1")], b"x")
            .status,
        508
    );
    service.stop();
    let received = receiver.span("POST /hash/sha256");
    assert_eq!(received.integer("http.response.status_code"), Some(508));
    assert_eq!(received.text("error.type"), Some("508"));
    assert_eq!(
        received.span.start_time_unix_nano,
        received.span.end_time_unix_nano
    );
    for key in [
        keys::START_TIME_UNIX_NANO,
        keys::CPU_TIME_NS,
        keys::CPU_WAIT_NS,
        keys::DOWNSTREAM_TIME_NS,
    ] {
        assert_eq!(received.integer(key), None, "{key}");
    }
}

#[test]
fn start_and_stop_are_reported_and_start_at_once() {
    let receiver = receiver::start();
    let service = spawn(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &receiver.endpoint),
        ("OTEL_BSP_SCHEDULE_DELAY", "3600000"),
        ("NODE_ID", "edge0"),
        ("STAGE", "edge"),
        ("APP_ID", "app"),
        ("MODULE_ID", "module"),
        ("RUN_ID", "run-1"),
        ("WORKERS", "3"),
        ("QUEUE_LIMIT", "9"),
        (
            "OTEL_RESOURCE_ATTRIBUTES",
            "service.version=9.9,extra=yes%2C%20K%C3%B6ln,cctf.node_id=not-this",
        ),
    ]);
    receiver.wait_until("the start", |spans, _| !spans.is_empty());
    service.stop();
    let spans = receiver.spans();
    let events: Vec<_> = spans
        .iter()
        .map(|r| r.text(keys::PLACEMENT_EVENT).unwrap())
        .collect();
    assert_eq!(events, ["start", "stop"]);
    for received in &spans {
        assert_eq!(
            (received.span.name.as_str(), received.scope.as_str()),
            (keys::PLACEMENT_SPAN, keys::CONTROL_SCOPE)
        );
        assert_eq!(
            received.span.start_time_unix_nano,
            received.span.end_time_unix_nano
        );
        assert_eq!(received.text(keys::RUN_ID), Some("run-1"));
    }
    assert_eq!(spans[0].integer(keys::WORKERS), Some(3));
    assert_eq!(spans[0].integer(keys::QUEUE_LIMIT), Some(9));
    assert_eq!(spans[0].text(keys::SLOT_POLICY), Some("held"));
    check_resource(&spans[0]);
}

fn check_resource(received: &Received) {
    let resource = &received.resource;
    for (key, value) in [
        ("service.name", "module"),
        ("service.namespace", "app"),
        ("service.version", "9.9"),
        ("extra", "yes, Köln"),
        (keys::NODE_ID, "edge0"),
        (keys::STAGE, "edge"),
        (keys::RUN_ID, "run-1"),
        ("os.type", "linux"),
    ] {
        assert_eq!(text(resource, key), Some(value), "{key}");
    }
    assert_eq!(text(resource, "service.instance.id").map(str::len), Some(36));
    assert!(integer(resource, keys::NODE_CPU_CORES).is_some_and(|cores| cores > 0));
    assert!(integer(resource, "process.pid").is_some());
}

#[test]
fn metrics_are_exported_with_their_names() {
    let receiver = receiver::start();
    let service = spawn(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &receiver.endpoint),
        ("OTEL_METRIC_EXPORT_INTERVAL", "50"),
    ]);
    service.get("/work");
    let wanted = [
        "http.server.request.duration",
        "http.server.active_requests",
        keys::METRIC_QUEUE_LENGTH,
        keys::METRIC_WORKERS,
        "process.cpu.time",
        "process.memory.usage",
        "system.cpu.utilization",
        "system.memory.usage",
        "system.linux.memory.available",
        "system.memory.limit",
        "system.cpu.load_average.1m",
    ];
    receiver.wait_until("all metrics", |_, metrics| {
        wanted.iter().all(|name| metrics.contains(*name))
    });
    service.stop();
    let last = receiver.last_metrics();
    assert!(
        text(
            &last.resource_metrics[0].resource.as_ref().unwrap().attributes,
            "service.name"
        )
        .is_some()
    );
}

#[test]
fn spans_wait_for_an_unavailable_receiver_and_none_is_lost() {
    let receiver = receiver::start_refusing(3);
    let service = spawn(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &receiver.endpoint)]);
    for _ in 0..5 {
        service.get("/work");
    }
    receiver.wait_until("five requests", |spans, _| {
        spans.iter().filter(|r| r.span.name == "GET /work").count() == 5
    });
    assert_eq!(service.metric("tunable_svc_span_export_retries_total"), 3);
    assert_eq!(service.metric("tunable_svc_spans_dropped_total"), 0);
    assert!(!service.stop().stderr.contains("were dropped"));
}

#[test]
fn undelivered_spans_are_reported_at_the_end() {
    let service = spawn(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", DEAD_ORIGIN),
        ("FLUSH_TIMEOUT_MS", "100"),
    ]);
    service.get("/work");
    let ended = service.stop();
    assert!(ended.stderr.contains("3 spans were dropped"), "{}", ended.stderr);
}

#[test]
fn without_a_receiver_the_trace_is_only_passed_on() {
    let receiver = receiver::start();
    let last = spawn(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &receiver.endpoint)]);
    let first = spawn(&[("DEFAULT_NEXT_URL", &last.url("/hash/sha256"))]);
    first.post_with("/hash/sha256", &[("traceparent", PARENT)], b"x");
    first.stop();
    last.stop();
    let received = receiver.span("POST /hash/sha256");
    assert_eq!(hex(&received.span.parent_span_id), "b7ad6b7169203331");
}

#[test]
fn the_runbooks_headers_and_a_bad_run_id() {
    let receiver = receiver::start();
    let service = spawn(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &receiver.endpoint)]);
    let headers = [
        ("X-Trace-Id", "11111111111111111111111111111111"),
        ("X-Span-Id", "2222222222222222"),
        ("baggage", "cctf.run_id=../../etc"),
    ];
    service.post_with("/hash/sha256", &headers, b"x");
    service.post_with(
        "/json/validate",
        &[("X-Trace-Id", "33333333333333333333333333333333")],
        b"1",
    );
    assert_eq!(service.metric("tunable_svc_run_ids_refused_total"), 1);
    service.stop();
    let both = receiver.span("POST /hash/sha256");
    assert_eq!(
        (hex(&both.span.trace_id), hex(&both.span.parent_span_id)),
        ("1".repeat(32), "2".repeat(16))
    );
    assert_eq!(both.text(keys::RUN_ID), None);
    let root = receiver.span("POST /json/validate");
    assert_eq!(
        (hex(&root.span.trace_id), root.span.parent_span_id.len()),
        ("3".repeat(32), 0)
    );
}
