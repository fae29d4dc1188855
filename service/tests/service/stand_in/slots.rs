//! Slots of stand-ins: which work occupies a slot, which work waits for one, and the parts of a request's time.

use std::net::TcpStream;
use std::time::Duration;

use cctf_proto::keys;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;

use standin::{Call, Callee, Wait, What};

use super::cluster::{
    Cluster, HOUR, MS, after, by_hand, callee, database, end_ns, leaf, start_ns, to_hand, work,
};
use crate::client::read_response;
use crate::hand::Held;
use crate::receiver::Received;

/// A request to `front` that waits for a call. The test answers the call.
struct Waiting {
    stream: TcpStream,
    call: Held,
}

impl Waiting {
    /// Starts the request. `answer_gap_ns` is the time from the end of the call to the answer.
    fn start(cluster: &Cluster, answer_gap_ns: u64) -> Self {
        Self::start_with(cluster, answer_gap_ns, None)
    }

    /// Like [`Waiting::start`], with a second call at the start of the request.
    fn start_with(cluster: &Cluster, answer_gap_ns: u64, further: Option<Call<'_>>) -> Self {
        let nested = standin::encode(&leaf("/nested", 0));
        let call = by_hand("/call", after(&[], 0), &nested);
        let calls = std::iter::once(call).chain(further).collect();
        let stream = cluster.begin("front", &work("/waiting", calls, after(&[0], answer_gap_ns)));
        let call = cluster.hand.take("/call");
        Self { stream, call }
    }
}

/// A request that has the slot of `front` until the test answers its call, under either policy. Another branch of it has a gap
/// that does not end within the test.
struct Occupied {
    stream: TcpStream,
    call: Held,
}

impl Occupied {
    fn start(cluster: &Cluster) -> Self {
        let nested = standin::encode(&leaf("/nested", 0));
        let calls = vec![
            by_hand("/occupied", after(&[], 0), &nested),
            database("never", after(&[], HOUR), MS),
        ];
        let answer = Wait {
            any_of: vec![0, 1],
            need: 1,
            ..Wait::default()
        };
        let stream = cluster.begin("front", &work("/other", calls, answer));
        let call = cluster.hand.take("/occupied");
        Self { stream, call }
    }
}

/// Fails if the wait for a call is not counted as downstream time, under either policy (seen with both counts removed).
#[test]
fn a_released_slot_serves_others_while_its_request_waits_for_calls() {
    const WAIT_NS: u64 = 50 * MS;
    for policy in ["released", "held"] {
        let variables = [("WORKERS", "1"), ("SLOT_POLICY", policy)];
        let cluster = Cluster::start(&[("front", &variables)]);
        let waiting = Waiting::start(&cluster, MS);
        let is_released = policy == "released";
        if is_released {
            assert_eq!(cluster.send("front", &leaf("/other", WAIT_NS)).status, 200);
            waiting.call.answer();
        } else {
            let other = cluster.begin("front", &leaf("/other", MS));
            cluster
                .service("front")
                .wait_for_metric("tunable_svc_queue_length", 1);
            std::thread::sleep(Duration::from_nanos(WAIT_NS));
            waiting.call.answer();
            assert_eq!(read_response(other).status, 200);
        }
        assert_eq!(read_response(waiting.stream).status, 200);
        let spans = cluster.stop();
        let (waiting, other) = (spans.served("/waiting"), spans.served("/other"));
        assert_eq!(end_ns(other) < end_ns(waiting), is_released);
        assert_eq!(waiting.integer(keys::SLOT_WAIT_NS).is_some(), is_released);
        let call = spans.call("/call");
        assert!(end_ns(waiting) >= end_ns(call) + MS);
        let time_ns = |of: &Received, key| of.integer(key).unwrap().unsigned_abs();
        let downstream_ns = time_ns(waiting, keys::DOWNSTREAM_TIME_NS);
        // The time between call and answer is not downstream time.
        assert!(downstream_ns + MS <= end_ns(waiting) - start_ns(waiting));
        // The time of the call is, with and without the slot, except for CPU time and waits for a CPU. A released slot was left
        // before the other request got it. A held one may start to wait a little later than the test.
        let waited_ns = match is_released {
            true => end_ns(other) - time_ns(other, keys::START_TIME_UNIX_NANO),
            false => WAIT_NS / 2,
        };
        let others_ns = time_ns(waiting, keys::CPU_TIME_NS) + time_ns(waiting, keys::CPU_WAIT_NS);
        assert!(
            downstream_ns + others_ns >= waited_ns,
            "{downstream_ns} ns and {others_ns} ns of {waited_ns} ns"
        );
    }
}

/// The only slot of `front` is released during calls. A stop leaves out the gap of [`Occupied`].
const RELEASED: [(&str, &str); 3] = [
    ("WORKERS", "1"),
    ("SLOT_POLICY", "released"),
    ("DRAIN_TIMEOUT_MS", "100"),
];

/// Fails if a broker's delay starts only when the producer has a slot.
#[test]
fn a_message_reaches_its_consumer_while_its_producer_waits_for_a_slot() {
    let cluster = Cluster::start(&[("front", &RELEASED), ("consumer", &[])]);
    let consumed = standin::encode(&leaf("/consumed", 0));
    let mut message = database("orders", after(&[], 0), MS);
    message.what = What::Message;
    message.callees = vec![Callee {
        module: "consumer",
        ..callee(50 * MS, &consumed)
    }];
    let waiting = Waiting::start_with(&cluster, 0, Some(message));
    let other = Occupied::start(&cluster);
    waiting.call.answer();
    consumed_while_waiting(&cluster);
    other.call.answer();
    for stream in [other.stream, waiting.stream] {
        assert_eq!(read_response(stream).status, 200);
    }
    let spans = cluster.stop();
    let (producer, consumed) = (spans.one(SpanKind::Producer, "orders"), spans.served("/consumed"));
    assert!(start_ns(consumed) >= end_ns(producer) + 50 * MS);
}

/// Fails if the consumers after the first one wait for a slot of the producer.
#[test]
fn a_message_that_is_answered_reaches_further_consumers_without_a_slot() {
    let cluster = Cluster::start(&[("front", &RELEASED), ("consumer", &[])]);
    let [first, second] = [leaf("/first", 0), leaf("/second", 0)].map(|work| standin::encode(&work));
    let mut message = by_hand("/orders", after(&[], 0), &first);
    message.what = What::Message;
    message.callees = vec![
        to_hand(&first),
        Callee {
            module: "consumer",
            ..callee(50 * MS, &second)
        },
    ];
    let waiting = Waiting::start_with(&cluster, 0, Some(message));
    let first = cluster.hand.take("/orders");
    let other = Occupied::start(&cluster);
    waiting.call.answer();
    cluster
        .service("front")
        .wait_for_metric("tunable_svc_queue_length", 1);
    first.answer();
    consumed_while_waiting(&cluster);
    other.call.answer();
    for stream in [other.stream, waiting.stream] {
        assert_eq!(read_response(stream).status, 200);
    }
    let spans = cluster.stop();
    let (producer, second) = (spans.one(SpanKind::Producer, "/orders"), spans.served("/second"));
    assert!(start_ns(second) >= end_ns(producer) + 50 * MS);
}

/// Waits until `consumer` has served a request. Fails if `front` has no request that waits for its slot then.
fn consumed_while_waiting(cluster: &Cluster) {
    let waits = "tunable_svc_queue_length";
    cluster.service("front").wait_for_metric(waits, 1);
    let consumer = cluster.service("consumer");
    consumer.wait_for_metric("tunable_svc_stand_in_plans_total", 1);
    assert_eq!(cluster.service("front").metric(waits), 1);
}

/// At most 16,384 messages can wait for their consumers.
#[test]
fn messages_beyond_what_can_be_left_to_do_are_dropped_and_counted() {
    const MESSAGES: usize = 15;
    let cluster = Cluster::start(&[("front", &RELEASED), ("back", &[])]);
    let consumed = standin::encode(&leaf("/late", 0));
    // The delay of an hour passes for each consumer while the producer waits for a slot after its call.
    let consumers = vec![callee(HOUR, &consumed); 1_024];
    let message = Call {
        what: What::Message,
        callees: consumers,
        ..database("orders", after(&[], 0), MS)
    };
    let mut calls = vec![message; MESSAGES];
    calls.push(by_hand("/called", after(&[], 0), &consumed));
    let plan = work("/front", calls, after(&[MESSAGES as u16], 0));
    let front = cluster.service("front");
    for dropped in [0, 2 * 1_024 * MESSAGES as u64 - 16_384] {
        let stream = cluster.begin("front", &plan);
        let call = cluster.hand.take("/called");
        // The producer has left the only slot, because another request got it.
        assert_eq!(cluster.send("front", &leaf("/other", 0)).status, 200);
        call.answer();
        assert_eq!(read_response(stream).status, 200);
        assert_eq!(front.metric("tunable_svc_stand_in_dropped_total"), dropped);
    }
}

#[test]
fn a_full_queue_refuses_a_plan_with_503_and_a_span() {
    let variables = [("WORKERS", "1"), ("QUEUE_LIMIT", "1")];
    let cluster = Cluster::start(&[("front", &variables)]);
    let waiting = Waiting::start(&cluster, 0);
    let queued = cluster.begin("front", &leaf("/queued", 0));
    let front = cluster.service("front");
    front.wait_for_metric("tunable_svc_queue_length", 1);
    assert_eq!(cluster.send("front", &leaf("/refused", 0)).status, 503);
    waiting.call.answer();
    for stream in [waiting.stream, queued] {
        assert_eq!(read_response(stream).status, 200);
    }
    let spans = cluster.stop();
    let refused = spans.served("/refused");
    assert_eq!(refused.integer("http.response.status_code"), Some(503));
    assert_eq!(refused.integer(keys::START_TIME_UNIX_NANO), None);
}

#[test]
fn a_request_whose_client_disconnects_is_executed_and_reported() {
    let cluster = Cluster::start(&[("front", &[("WORKERS", "1")])]);
    let waiting = Waiting::start(&cluster, 0);
    waiting.stream.shutdown(std::net::Shutdown::Both).unwrap();
    waiting.call.answer();
    assert_eq!(cluster.send("front", &leaf("/other", 0)).status, 200);
    let spans = cluster.stop();
    assert_eq!(
        spans.served("/waiting").integer("http.response.status_code"),
        Some(200)
    );
    assert!(end_ns(spans.served("/waiting")) <= end_ns(spans.served("/other")));
}

/// Fails if CPU time beside calls is also used without a slot, or not at all.
#[test]
fn cpu_time_beside_calls_is_used_with_a_slot_only() {
    const BESIDE_NS: u64 = 100 * MS;
    let nested = standin::encode(&leaf("/nested", 0));
    let [held_ns, released_ns] = ["held", "released"].map(|policy| {
        let variables = [("WORKERS", "1"), ("SLOT_POLICY", policy)];
        let cluster = Cluster::start(&[("front", &variables)]);
        let mut plan = work(
            "/front",
            vec![by_hand("/call", after(&[], 0), &nested)],
            after(&[0], 0),
        );
        plan.beside_cpu_ns = BESIDE_NS;
        let front = cluster.service("front");
        let before_ns = front.cpu_ns_of_thread("slot-0");
        let stream = cluster.begin("front", &plan);
        let call = cluster.hand.take("/call");
        if policy == "held" {
            // The calls of the plan may cost a part of this CPU time.
            front.wait_until("CPU time is used", || {
                front.cpu_ns_of_thread("slot-0") >= before_ns + BESIDE_NS / 2
            });
        }
        call.answer();
        assert_eq!(read_response(stream).status, 200);
        let spans = cluster.stop();
        spans.served("/front").integer(keys::CPU_TIME_NS).unwrap()
    });
    assert!(released_ns < held_ns / 2, "{released_ns} ns, held {held_ns} ns");
}

/// A database reports no telemetry, so a call to it is the caller's own time.
#[test]
fn a_call_to_a_database_is_not_downstream_time() {
    for policy in ["released", "held"] {
        let cluster = Cluster::start(&[("front", &[("SLOT_POLICY", policy)])]);
        let calls = vec![database("db", after(&[], 0), 20 * MS)];
        assert_eq!(
            cluster
                .send("front", &work("/front", calls, after(&[0], 0)))
                .status,
            200
        );
        let spans = cluster.stop();
        let front = spans.served("/front");
        assert_eq!(front.integer(keys::DOWNSTREAM_TIME_NS), Some(0));
    }
}

#[test]
fn unlimited_slots_serve_everything_at_once_and_report_no_queue() {
    const REQUESTS: usize = 20;
    let cluster = Cluster::start(&[("front", &[("WORKERS", "unlimited")])]);
    let nested = standin::encode(&leaf("/nested", 0));
    let plan = work(
        "/waits",
        vec![by_hand("/call", after(&[], 0), &nested)],
        after(&[0], 0),
    );
    let streams: Vec<_> = (0..REQUESTS).map(|_| cluster.begin("front", &plan)).collect();
    // No call is answered until all requests wait for theirs.
    let calls: Vec<_> = (0..REQUESTS).map(|_| cluster.hand.take("/call")).collect();
    calls.into_iter().for_each(Held::answer);
    for stream in streams {
        assert_eq!(read_response(stream).status, 200);
    }
    let probe = cluster.service("front").get(standin::STAND_IN_PATH).json();
    assert!(probe["slots"].is_null() && probe["module"] == "front", "{probe}");
    let spans = cluster.stop();
    let served = spans.all(SpanKind::Server, "/waits");
    assert_eq!(served.len(), REQUESTS);
    let reports = |key| served.iter().filter(|span| span.integer(key).is_some()).count();
    assert_eq!(
        (reports(keys::START_TIME_UNIX_NANO), reports(keys::CPU_TIME_NS)),
        (0, REQUESTS)
    );
}
