//! `cctf load` against a service and a collector in the test.

use std::collections::HashMap;
use std::process::Output;

use cctf_proto::keys;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use otlp_send::{Destination, Signal};
use serde_json::Value as Json;

use crate::servers::{Answers, NOBODY, Servers};
use crate::{cctf, stderr};

/// Sends a short load with `more` flags. Its JSON result is on standard output.
fn load(servers: &Servers, more: &[&str]) -> Output {
    cctf(&["load"])
        .args(["--target", &format!("http://{}", servers.service)])
        .args(["--otlp-endpoint", &format!("http://{}", servers.collector)])
        .args([
            "--rate",
            "200",
            "--duration",
            "500ms",
            "--size",
            "512",
            "--run-id",
            "run-1",
            "--format",
            "json",
        ])
        .args(more)
        .output()
        .unwrap()
}

fn json(output: &Output) -> Json {
    assert!(!output.stdout.is_empty(), "{}", stderr(output));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn attribute(span: &Span, key: &str) -> Option<Value> {
    let found = span.attributes.iter().find(|attribute| attribute.key == key)?;
    found.value.as_ref()?.value.clone()
}

/// The spans of requests, by trace id.
fn request_spans(servers: &Servers) -> HashMap<String, Span> {
    let spans = servers
        .spans()
        .into_iter()
        .filter(|(scope, _)| scope != keys::CONTROL_SCOPE);
    spans.map(|(_, span)| (hex(&span.trace_id), span)).collect()
}

#[test]
fn every_request_is_a_trace_whose_ids_agree_everywhere() {
    let servers = Servers::start(Answers::Accept, None);
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("events_client.jsonl");
    let output = load(&servers, &["--endpoint", "json", "--out", out.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));

    let (seen, spans) = (servers.seen(), request_spans(&servers));
    assert_eq!((seen.len(), spans.len()), (100, 100));
    for request in &seen {
        let parts: Vec<&str> = request.traceparent.split('-').collect();
        let span = &spans[parts[1]];
        assert_eq!(
            (parts[0], parts[2], parts[3]),
            ("00", hex(&span.span_id).as_str(), "01")
        );
        assert!(span.parent_span_id.is_empty());
        assert_eq!(request.baggage, "cctf.run_id=run-1");
        assert_eq!(
            attribute(span, keys::RUN_ID),
            Some(Value::StringValue("run-1".into()))
        );
        assert_eq!(
            attribute(span, "http.request.body.size"),
            Some(Value::IntValue(512))
        );
        assert_eq!(
            attribute(span, "http.response.body.size"),
            Some(Value::IntValue(2))
        );
        assert_eq!(
            (request.method.as_str(), request.path.as_str()),
            ("POST", "/json/validate")
        );
        assert!(request.body.len() == 512 && serde_json::from_slice::<Json>(&request.body).is_ok());
    }

    let lines = std::fs::read_to_string(&out).unwrap();
    assert_eq!(lines.lines().count(), 100);
    for line in lines.lines() {
        let line: Json = serde_json::from_str(line).unwrap();
        let span = &spans[line["trace_id"].as_str().unwrap()];
        assert_eq!(line["span_id"], hex(&span.span_id).as_str());
        assert_eq!(
            line["latency"].as_u64(),
            Some(span.end_time_unix_nano - span.start_time_unix_nano)
        );
        assert_eq!(
            (line["code"].as_u64(), line["error"].as_str()),
            (Some(200), Some(""))
        );
    }

    let result = json(&output);
    assert_eq!(
        (result["requests"].as_u64(), result["statuses"]["200"].as_u64()),
        (Some(100), Some(100))
    );
    assert_eq!(
        (result["bytes_in"].as_u64(), result["bytes_out"].as_u64()),
        (Some(200), Some(51_200))
    );
    assert_eq!(
        (
            result["spans"]["made"].as_u64(),
            result["spans"]["delivered"].as_u64()
        ),
        (Some(100), Some(100))
    );
}

#[test]
fn control_spans_enclose_all_requests_of_the_run() {
    let servers = Servers::start(Answers::Accept, None);
    let output = load(
        &servers,
        &[
            "--endpoint",
            "hash",
            "--scen",
            "s",
            "--workers",
            "4",
            "--seed",
            "9",
        ],
    );
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let spans = servers.spans();
    let ((_, first), (_, last)) = (spans.first().unwrap(), spans.last().unwrap());
    assert_eq!(
        (first.name.as_str(), last.name.as_str()),
        (keys::RUN_START_SPAN, keys::RUN_END_SPAN)
    );
    assert!(servers.alive() >= 1, "no report that the driver is alive");
    for control in [first, last] {
        assert_eq!(control.start_time_unix_nano, control.end_time_unix_nano);
        assert_eq!(
            attribute(control, keys::RUN_ID),
            Some(Value::StringValue("run-1".into()))
        );
    }
    let text = |value: &str| Some(Value::StringValue(value.into()));
    for (key, expected) in [
        (keys::RUN_RATE, Some(Value::DoubleValue(200.0))),
        (keys::RUN_DURATION, text("500ms")),
        (keys::RUN_ENDPOINT, text("hash")),
        (
            keys::RUN_TARGET,
            text(&format!("http://{}/hash/sha256", servers.service)),
        ),
        (keys::RUN_PAYLOAD_BYTES, Some(Value::IntValue(512))),
        (keys::RUN_SEED, Some(Value::IntValue(9))),
        (keys::RUN_SCEN, text("s")),
        (keys::RUN_IMG, None),
        (keys::WORKERS, Some(Value::IntValue(4))),
    ] {
        assert_eq!(attribute(first, key), expected, "{key}");
    }
    let requests = request_spans(&servers);
    assert!(
        requests
            .values()
            .all(|span| first.start_time_unix_nano <= span.start_time_unix_nano)
    );
    assert!(
        requests
            .values()
            .all(|span| span.end_time_unix_nano <= last.start_time_unix_nano)
    );
}

#[test]
fn a_run_of_another_driver_is_refused_before_the_first_request() {
    let servers = Servers::start(Answers::RunHasDriver, None);
    let output = load(&servers, &[]);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(
        stderr(&output).trim(),
        "cctf: cannot start run run-1: another load driver has started it, and has not reported its end; choose another --run-id, or wait a \
         minute if that driver was killed"
    );
    assert!(servers.seen().is_empty());
}

#[test]
fn kvget_sets_its_key_first_and_unsampled() {
    let servers = Servers::start(Answers::Accept, None);
    let output = load(&servers, &["--endpoint", "kvget", "--rate", "20"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let seen = servers.seen();
    assert_eq!(
        (seen[0].method.as_str(), seen[0].path.as_str(), seen[0].body.len()),
        ("POST", "/kv/set/k1", 512)
    );
    assert!(seen[0].traceparent.ends_with("-00"));
    assert!(
        seen[1..]
            .iter()
            .all(|request| request.method == "GET" && request.path == "/kv/get/k1")
    );
    assert!(
        seen[1..]
            .iter()
            .all(|request| request.traceparent.ends_with("-01") && request.body.is_empty())
    );
    assert_eq!((seen.len(), request_spans(&servers).len()), (11, 10));
}

#[test]
fn a_collector_that_starts_late_loses_nothing() {
    let servers = Servers::start(Answers::UnavailableFirst(4), None);
    let output = load(&servers, &["--endpoint", "hash"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(request_spans(&servers).len(), 100);
}

#[test]
fn spans_that_are_refused_or_rejected_fail_the_run() {
    for answers in [Answers::RefuseSpans, Answers::RejectOne] {
        let servers = Servers::start(answers, None);
        let output = load(&servers, &["--endpoint", "hash"]);
        assert_eq!(output.status.code(), Some(1), "{answers:?}: {}", stderr(&output));
        assert!(stderr(&output).contains("spans were lost"), "{}", stderr(&output));
        let count = json(&output)["spans"]["delivered"].as_u64().unwrap();
        // If spans are not refused altogether, one is rejected in some requests.
        let is_refused = answers == Answers::RefuseSpans;
        let delivered = if is_refused { 0 } else { 100 - servers.rejected() };
        assert_eq!(count, delivered, "{answers:?}");
    }
}

#[test]
fn errors_of_the_service_are_results_and_not_failures() {
    let servers = Servers::start(Answers::Accept, None);
    let output = load(&servers, &["--endpoint", "/busy"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let result = json(&output);
    assert_eq!(result["success_ratio"].as_f64(), Some(0.0));
    assert_eq!(result["errors"]["503 Service Unavailable"].as_u64(), Some(100));
    let spans = request_spans(&servers);
    assert!(
        spans
            .values()
            .all(|span| attribute(span, "error.type") == Some(Value::StringValue("503".into())))
    );
}

#[test]
fn a_server_that_closes_connections_receives_every_request() {
    let servers = Servers::start(Answers::Accept, Some(3));
    let output = load(&servers, &["--endpoint", "hash"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(json(&output)["statuses"]["200"].as_u64(), Some(100));
    assert_eq!((servers.seen().len(), request_spans(&servers).len()), (100, 100));
}

#[test]
fn one_connection_is_enough_for_bodies_larger_than_any_socket_buffer() {
    let servers = Servers::start(Answers::Accept, None);
    let more = [
        "--endpoint",
        "hash",
        "--connections",
        "1",
        "--size",
        "8000000",
        "--rate",
        "8",
    ];
    let output = load(&servers, &more);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(json(&output)["statuses"]["200"].as_u64(), Some(4));
    assert!(
        servers
            .seen()
            .iter()
            .all(|request| request.body.len() == 8_000_000)
    );
}

#[test]
fn poisson_arrivals_follow_the_schedule() {
    let servers = Servers::start(Answers::Accept, None);
    let output = load(
        &servers,
        &["--endpoint", "hash", "--arrivals", "poisson", "--seed", "5"],
    );
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let schedule = cctf_load::plan::schedule::Schedule {
        rate: 200.0,
        duration: std::time::Duration::from_millis(500),
        arrivals: cctf_load::plan::schedule::Arrivals::Poisson,
        seed: 5,
    };
    assert_eq!(servers.seen().len(), schedule.offsets_ns().count());
}

#[test]
fn an_unreachable_service_is_one_sentence_and_exit_1() {
    let servers = Servers::start(Answers::Accept, None);
    let output = load(&servers, &["--target", NOBODY]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).contains("check that the service runs there"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn an_invalid_flag_is_one_sentence_and_exit_2() {
    for flags in [
        ["--rate", "0"],
        ["--duration", "20"],
        ["--endpoint", "jason"],
        ["--run-id", "../../etc"],
        ["--target", "https://h"],
        ["--connections", "0"],
        ["--header", "Content-Length: 1"],
        ["--stage", "moon"],
    ] {
        let output = cctf(&["load"]).args(flags).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{flags:?}");
        assert!(
            stderr(&output).contains(flags[1]) || flags[0] == "--header",
            "{flags:?}: {}",
            stderr(&output)
        );
    }
}

#[test]
fn an_abandoned_session_ends_and_leaves_whole_lines() {
    use cctf_load::{
        otlp::identity::DriverIdentity, otlp::run_facts::RunFacts, session::LoadSession,
        session::SessionConfig,
    };
    let servers = Servers::start(Answers::Accept, None);
    let folder = tempfile::tempdir().unwrap();
    let session = LoadSession::begin(SessionConfig {
        run: RunFacts {
            run_id: "run-1".into(),
            ..RunFacts::default()
        },
        identity: DriverIdentity::default(),
        otlp: Some(Destination::plain(Signal::Traces, &format!("http://{}", servers.collector)).unwrap()),
        events_path: Some(folder.path().join("events_client.jsonl")),
        stop: Box::leak(Box::default()),
    });
    drop(session.unwrap());
    assert_eq!(servers.spans().len(), 1, "only the start was reported");
}

/// This test failed when both headers were refused.
#[test]
fn the_service_receives_host_and_content_type_of_the_user() {
    let servers = Servers::start(Answers::Accept, None);
    let more = [
        "--header",
        "Host: shop.example",
        "--header",
        "Content-Type: text/csv",
    ];
    for endpoint in ["hash", "kvget"] {
        let output = load(&servers, &[&["--endpoint", endpoint], &more[..]].concat());
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    }
    let seen = servers.seen();
    // One more request sets the key that kvget reads.
    assert_eq!(seen.len(), 201);
    assert!(
        seen.iter().all(|request| request.host == "shop.example"),
        "{seen:?}"
    );
    let hashes = seen.iter().filter(|request| request.path == "/hash/sha256");
    assert!(hashes.clone().all(|request| request.content_type == "text/csv"));
    assert_eq!(hashes.count(), 100);
}
