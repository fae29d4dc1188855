//! Times of a service with slots: the part of the queue time for the thread's wake-up, and slots during sleeps and calls.

use std::time::Duration;

use cctf_proto::keys;
use opentelemetry_proto::tonic::common::v1::any_value::Value;

use crate::client::{connect, read_response, write_request};
use crate::hand::Hand;
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
    const QUEUED: u64 = 3;
    let (receiver, hand) = (receiver::start(), Hand::open());
    let service = spawn(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &receiver.endpoint),
        ("WORKERS", "1"),
        ("NEXT_URL_ALLOW", &hand.url()),
    ]);
    // In each round, all requests except the first one find the slot busy.
    for _ in 0..2 {
        let (first, call) = hand.occupy(&service, "");
        let queued: Vec<_> = (0..QUEUED)
            .map(|_| {
                let mut stream = connect(service.address);
                write_request(&mut stream, "GET", "/work?cpu_ms=1", &[], b"");
                stream
            })
            .collect();
        service.wait_for_metric("tunable_svc_queue_length", QUEUED);
        call.answer();
        for stream in std::iter::once(first).chain(queued) {
            assert_eq!(read_response(stream).status, 200);
        }
    }
    service.stop();
    let mut spans = receiver.spans();
    spans.retain(|received| received.span.name == "GET /work");
    spans.sort_by_key(|received| timestamps(received).start);
    assert_eq!(spans.len(), 8);
    let mut found_busy = 0;
    for pair in spans.windows(2) {
        let (before, this) = (timestamps(&pair[0]), timestamps(&pair[1]));
        let could_start = this.enqueue.max(before.end);
        found_busy += u64::from(before.end > this.enqueue);
        assert_eq!(
            pair[1].integer(keys::WAKEUP_TIME_NS),
            Some(this.start - could_start)
        );
        assert_eq!(pair[1].integer(keys::SLOT_WAIT_NS), None);
    }
    assert_eq!(found_busy, 2 * QUEUED);
    // The slot's thread may have started after the arrival.
    let first = timestamps(&spans[0]);
    let wakeup = spans[0].integer(keys::WAKEUP_TIME_NS).unwrap();
    assert!((0..=first.start - first.enqueue).contains(&wakeup), "{wakeup}");
}

/// A request that sleeps, and one that is sent after it and uses CPU time for twice as long.
struct SleepAndWork {
    sleeper: Received,
    worker: Received,
}

impl SleepAndWork {
    fn on_one_slot(policy: &str, sleep_ms: i64) -> Self {
        let receiver = receiver::start();
        let service = spawn(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &receiver.endpoint),
            ("WORKERS", "1"),
            ("SLOT_POLICY", policy),
        ]);
        let queries = [format!("sleep_ms={sleep_ms}"), format!("cpu_ms={}", 2 * sleep_ms)];
        let mut sleeper = connect(service.address);
        write_request(&mut sleeper, "GET", &format!("/work?{}", queries[0]), &[], b"");
        assert_eq!(service.get(&format!("/work?{}", queries[1])).status, 200);
        assert_eq!(read_response(sleeper).status, 200);
        service.stop();
        let [sleeper, worker] = queries.map(|query| of_query(&receiver, &query));
        Self { sleeper, worker }
    }
}

#[test]
fn a_sleeping_request_keeps_its_slot_under_the_policy_held() {
    const SLEEP_MS: i64 = 300;
    let both = SleepAndWork::on_one_slot("held", SLEEP_MS);
    let (sleeper, worker) = (timestamps(&both.sleeper), timestamps(&both.worker));
    assert!(sleeper.end - sleeper.start >= SLEEP_MS * 1_000_000);
    assert_eq!(both.sleeper.integer(keys::DOWNSTREAM_TIME_NS), Some(0));
    assert_eq!(both.sleeper.integer(keys::SLOT_WAIT_NS), None);
    assert!(worker.start >= sleeper.end || sleeper.start >= worker.end);
}

#[test]
fn a_sleeping_request_releases_its_slot_under_the_policy_released() {
    // The sleep is as long as it must be on this machine for the other request to start meanwhile.
    let attempts = (0..8).map(|doubled| 200 << doubled);
    let mut attempts = attempts.map(|sleep_ms| (sleep_ms, SleepAndWork::on_one_slot("released", sleep_ms)));
    let met = attempts.find(|(_, both)| {
        let (sleeper, worker) = (timestamps(&both.sleeper), timestamps(&both.worker));
        sleeper.start < worker.start && worker.start < sleeper.end
    });
    let (sleep_ms, both) = met.expect("a slot that is free during a sleep");
    let (sleeper, worker) = (timestamps(&both.sleeper), timestamps(&both.worker));
    assert_eq!(both.sleeper.integer(keys::DOWNSTREAM_TIME_NS), Some(0));
    assert!(sleeper.end >= worker.end);
    let waited = both
        .sleeper
        .integer(keys::SLOT_WAIT_NS)
        .expect("a wait for the slot");
    let most = sleeper.end - sleeper.start - sleep_ms * 1_000_000;
    assert!((1..=most).contains(&waited), "{waited} of at most {most}");
}

/// Fails if the wait for a next hop is not counted, under either policy.
#[test]
fn the_wait_for_a_next_hop_is_downstream_time() {
    const WAIT: Duration = Duration::from_millis(50);
    for policy in ["held", "released"] {
        let (receiver, hand) = (receiver::start(), Hand::open());
        let service = spawn(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &receiver.endpoint),
            ("NEXT_URL_ALLOW", &hand.url()),
            ("SLOT_POLICY", policy),
        ]);
        let (stream, call) = hand.occupy(&service, "cpu_ms=1");
        std::thread::sleep(WAIT);
        call.answer();
        assert_eq!(read_response(stream).status, 200);
        service.stop();
        let called = receiver.span("GET /work");
        let Timestamps { start, end, .. } = timestamps(&called);
        let [downstream, cpu, delay] = [keys::DOWNSTREAM_TIME_NS, keys::CPU_TIME_NS, keys::CPU_WAIT_NS]
            .map(|key| called.integer(key).unwrap());
        // On a busy machine, a part of the wait can be run-queue delay. The slot may start to wait a little later than the test.
        let waited = i64::try_from(WAIT.as_nanos()).unwrap() / 2;
        assert!(
            downstream + cpu + delay >= waited && downstream <= end - start,
            "{policy}: {downstream} ns, CPU time {cpu} ns, delay {delay} ns of {}",
            end - start
        );
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
