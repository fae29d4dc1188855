//! Times of a service with slots: the part of the queue time for the thread's wake-up, and slots during a sleep.

use cctf_proto::keys;
use opentelemetry_proto::tonic::common::v1::any_value::Value;

use crate::client::{connect, read_response, write_request};
use crate::receiver::{self, Received};
use crate::spawn::spawn;

/// Timestamps of a SERVER span, nanoseconds.
struct Timestamps {
    enqueue: i64,
    start: i64,
    end: i64,
}

fn timestamps(received: &Received) -> Timestamps {
    let signed = |ns: u64| i64::try_from(ns).unwrap();
    Timestamps {
        enqueue: signed(received.span.start_time_unix_nano),
        start: received.integer(keys::START_TIME_UNIX_NANO).unwrap(),
        end: signed(received.span.end_time_unix_nano),
    }
}

/// The span of the request with the query `query`.
fn of_query(receiver: &receiver::Receiver, query: &str) -> Received {
    let spans = receiver.spans();
    let found = spans.iter().find(|span| span.text("url.query") == Some(query));
    found.unwrap_or_else(|| panic!("no span of {query}")).clone()
}

/// Fails if a wake-up is counted from the arrival even if the slot was busy then, or if it is not counted.
#[test]
fn a_wakeup_counts_from_the_later_of_arrival_and_free_slot() {
    let receiver = receiver::start();
    let service = spawn(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &receiver.endpoint),
        ("WORKERS", "1"),
    ]);
    // In each round, all requests except the first one find the slot busy.
    for _ in 0..2 {
        let crowd: Vec<_> = (0..4)
            .map(|_| {
                let mut stream = connect(service.address);
                write_request(&mut stream, "GET", "/work?cpu_ms=20", &[], b"");
                stream
            })
            .collect();
        for stream in crowd {
            assert_eq!(read_response(stream).status, 200);
        }
    }
    service.stop();
    let mut spans = receiver.spans();
    spans.retain(|received| received.span.name == "GET /work");
    spans.sort_by_key(|received| timestamps(received).start);
    assert_eq!(spans.len(), 8);
    let mut queued = 0;
    for pair in spans.windows(2) {
        let (before, this) = (timestamps(&pair[0]), timestamps(&pair[1]));
        let could_start = this.enqueue.max(before.end);
        queued += usize::from(before.end > this.enqueue);
        assert_eq!(
            pair[1].integer(keys::WAKEUP_TIME_NS),
            Some(this.start - could_start)
        );
        assert_eq!(pair[1].integer(keys::SLOT_WAIT_NS), None);
    }
    assert!(queued > 0, "no request found the slot busy");
    let first = timestamps(&spans[0]);
    assert_eq!(
        spans[0].integer(keys::WAKEUP_TIME_NS),
        Some(first.start - first.enqueue)
    );
}

#[test]
fn a_sleeping_request_keeps_or_releases_its_slot_by_policy() {
    const SLEEP_NS: i64 = 1_500_000_000;
    for policy in ["held", "released"] {
        let receiver = receiver::start();
        let service = spawn(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &receiver.endpoint),
            ("WORKERS", "1"),
            ("SLOT_POLICY", policy),
        ]);
        let mut sleeper = connect(service.address);
        write_request(&mut sleeper, "GET", "/work?sleep_ms=1500", &[], b"");
        service.wait_for_metric("tunable_svc_active_requests", 1);
        // This request takes longer than the other one sleeps.
        assert_eq!(service.get("/work?cpu_ms=1700").status, 200);
        assert_eq!(read_response(sleeper).status, 200);
        service.stop();
        let slept = of_query(&receiver, "sleep_ms=1500");
        let (sleeper, worker) = (
            timestamps(&slept),
            timestamps(&of_query(&receiver, "cpu_ms=1700")),
        );
        let slot_wait = slept.integer(keys::SLOT_WAIT_NS);
        assert!(sleeper.end - sleeper.start >= SLEEP_NS, "{policy}");
        assert_eq!(slept.integer(keys::DOWNSTREAM_TIME_NS), Some(0), "{policy}");
        if policy == "held" {
            assert!(worker.start >= sleeper.end);
            assert_eq!(slot_wait, None);
        } else {
            assert!(worker.start < sleeper.end && sleeper.end >= worker.end);
            let waited = slot_wait.expect("a wait for the slot");
            let most = sleeper.end - sleeper.start - SLEEP_NS;
            assert!((1..=most).contains(&waited), "{waited} of at most {most}");
        }
    }
}

#[test]
fn the_service_requests_its_queries_unless_the_operator_refuses() {
    for (attributes, asked) in [("", true), ("cctf.keep_query=false", false)] {
        let receiver = receiver::start();
        let service = spawn(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &receiver.endpoint),
            ("OTEL_RESOURCE_ATTRIBUTES", attributes),
        ]);
        service.get("/work?cpu_ms=1");
        service.stop();
        let resource = of_query(&receiver, "cpu_ms=1").resource;
        let attribute = resource.iter().find(|pair| pair.key == keys::KEEP_QUERY);
        let value = attribute.and_then(|pair| pair.value.as_ref()?.value.clone());
        let expected = if asked {
            Value::BoolValue(true)
        } else {
            Value::StringValue("false".to_owned())
        };
        assert_eq!(value, Some(expected));
    }
}
