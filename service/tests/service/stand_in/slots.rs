//! Slots of stand-ins: which work occupies a slot, which work waits for one, and the parts of a request's time.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

use cctf_proto::keys;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;

use standin::{Call, Callee, What};

use super::cluster::{Cluster, MS, after, callee, database, end_ns, leaf, request, start_ns, work};
use crate::client::{connect, read_response, write_request};

/// A request to `front` that waits for a call, and the connection of this call. The test itself answers the call.
struct Waiting {
    stream: TcpStream,
    call: TcpStream,
}

impl Waiting {
    /// Starts the request. `answer_gap_ns` is the time from the end of the call to the answer.
    fn start(cluster: &Cluster, answer_gap_ns: u64) -> Self {
        Self::start_with(cluster, answer_gap_ns, None)
    }

    /// Like [`Waiting::start`], with a second call at the start of the request.
    fn start_with(cluster: &Cluster, answer_gap_ns: u64, further: Option<Call<'_>>) -> Self {
        let back = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = back.local_addr().unwrap();
        cluster.write_file_with(&[("back", format!("http://{address}"))]);
        let nested = standin::encode(&leaf("/nested", 0));
        let call = request("/call", after(&[], 0), &nested);
        let calls = std::iter::once(call).chain(further).collect();
        let stream = send(cluster, &work("/waiting", calls, after(&[0], answer_gap_ns)));
        let (call, _) = back.accept().unwrap();
        Self { stream, call }
    }

    fn answer_call(&mut self) {
        let mut request = [0; 4_096];
        assert!(self.call.read(&mut request).unwrap() > 0);
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
        self.call.write_all(answer).unwrap();
    }
}

/// Sends a plan to `front`. The test reads the answer later.
fn send(cluster: &Cluster, plan: &standin::Work<'_>) -> TcpStream {
    let (body, _) = standin::body(&standin::encode(plan), 0);
    let mut stream = connect(cluster.service("front").address);
    write_request(&mut stream, "POST", "/x", &[(standin::PLAN_HEADER, "1")], &body);
    stream
}

#[test]
fn a_released_slot_serves_others_while_its_request_waits_for_calls() {
    for policy in ["released", "held"] {
        let variables = [("WORKERS", "1"), ("SLOT_POLICY", policy)];
        let cluster = Cluster::start_without_file(&[("front", &variables)]);
        let mut waiting = Waiting::start(&cluster, MS);
        let is_released = policy == "released";
        if is_released {
            assert_eq!(cluster.send("front", &leaf("/other", MS)).status, 200);
            waiting.answer_call();
        } else {
            let other = send(&cluster, &leaf("/other", MS));
            cluster
                .service("front")
                .wait_for_metric("tunable_svc_queue_length", 1);
            waiting.answer_call();
            assert_eq!(read_response(other).status, 200);
        }
        assert_eq!(read_response(waiting.stream).status, 200);
        let spans = cluster.stop();
        let (waiting, other) = (spans.served("/waiting"), spans.served("/other"));
        assert_eq!(end_ns(other) < end_ns(waiting), is_released);
        assert_eq!(waiting.integer(keys::SLOT_WAIT_NS).is_some(), is_released);
        let call = spans.call("/call");
        assert!(end_ns(waiting) >= end_ns(call) + MS);
        // The time of the call is downstream time, with and without the slot. The time between call and answer is not.
        let downstream_ns = waiting.integer(keys::DOWNSTREAM_TIME_NS).unwrap().unsigned_abs();
        let others_ns = if is_released {
            end_ns(other) - start_ns(other)
        } else {
            1
        };
        assert!(downstream_ns >= others_ns, "{downstream_ns} ns of {others_ns} ns");
        assert!(downstream_ns + MS <= end_ns(waiting) - start_ns(waiting));
    }
}

/// Fails if a broker's delay starts only when the producer has a slot.
#[test]
fn a_message_reaches_its_consumer_while_its_producer_waits_for_a_slot() {
    let variables = [("WORKERS", "1"), ("SLOT_POLICY", "released")];
    let cluster = Cluster::start_without_file(&[("front", &variables), ("consumer", &[])]);
    let consumed = standin::encode(&leaf("/consumed", 0));
    let mut message = database("orders", after(&[], 0), MS);
    message.what = What::Message;
    message.callees = vec![Callee {
        module: "consumer",
        ..callee(200 * MS, &consumed)
    }];
    let mut waiting = Waiting::start_with(&cluster, 0, Some(message));
    // This request has the slot for much longer than the broker's delay.
    let other = send(&cluster, &leaf("/other", 2_000 * MS));
    let front = cluster.service("front");
    front.wait_for_metric("tunable_svc_active_requests", 2);
    front.wait_for_metric("tunable_svc_queue_length", 0);
    waiting.answer_call();
    for stream in [other, waiting.stream] {
        assert_eq!(read_response(stream).status, 200);
    }
    let spans = cluster.stop();
    let (producer, consumed) = (spans.one(SpanKind::Producer, "orders"), spans.served("/consumed"));
    assert!(start_ns(consumed) >= end_ns(producer) + 200 * MS);
    assert!(start_ns(consumed) < end_ns(spans.served("/other")));
}

/// Fails if the consumers after the first one wait for a slot of the producer.
#[test]
fn a_message_that_is_answered_reaches_further_consumers_without_a_slot() {
    let variables = [("WORKERS", "1"), ("SLOT_POLICY", "released")];
    let cluster = Cluster::start_without_file(&[("front", &variables), ("consumer", &[])]);
    let [first, second] = [leaf("/first", 1_000 * MS), leaf("/second", 0)].map(|work| standin::encode(&work));
    let mut message = request("orders", after(&[], 0), &first);
    message.what = What::Message;
    message.callees = [(0, &first), (100 * MS, &second)]
        .map(|(delay_ns, work)| Callee {
            module: "consumer",
            ..callee(delay_ns, work)
        })
        .to_vec();
    let mut waiting = Waiting::start_with(&cluster, 0, Some(message));
    // This request has the slot until long after the first consumer's answer.
    let other = send(&cluster, &leaf("/other", 4_000 * MS));
    let front = cluster.service("front");
    front.wait_for_metric("tunable_svc_active_requests", 2);
    front.wait_for_metric("tunable_svc_queue_length", 0);
    waiting.answer_call();
    for stream in [other, waiting.stream] {
        assert_eq!(read_response(stream).status, 200);
    }
    let spans = cluster.stop();
    let (producer, second) = (spans.one(SpanKind::Producer, "orders"), spans.served("/second"));
    assert!(end_ns(producer) >= end_ns(spans.served("/first")));
    assert!(start_ns(second) >= end_ns(producer) + 100 * MS);
    assert!(start_ns(second) < end_ns(spans.served("/other")));
}

/// At most 16,384 messages can wait for their consumers.
#[test]
fn messages_beyond_what_can_be_left_to_do_are_dropped_and_counted() {
    const MESSAGES: usize = 15;
    let variables = [
        ("WORKERS", "1"),
        ("SLOT_POLICY", "released"),
        ("DRAIN_TIMEOUT_MS", "100"),
    ];
    let cluster = Cluster::start(&[("front", &variables), ("back", &[])]);
    let [consumed, called] = [leaf("/late", 0), leaf("/called", 50 * MS)].map(|work| standin::encode(&work));
    // The delay of an hour passes for each consumer while the producer waits for a slot after its call.
    let consumers = vec![callee(3_600_000 * MS, &consumed); 1_024];
    let message = Call {
        what: What::Message,
        callees: consumers,
        ..database("orders", after(&[], 0), MS)
    };
    let mut calls = vec![message; MESSAGES];
    calls.push(request("/called", after(&[], 0), &called));
    let plan = work("/front", calls, after(&[MESSAGES as u16], 0));
    let front = cluster.service("front");
    for dropped in [0, 2 * 1_024 * MESSAGES as u64 - 16_384] {
        assert_eq!(cluster.send("front", &plan).status, 200);
        assert_eq!(front.metric("tunable_svc_stand_in_dropped_total"), dropped);
    }
}

#[test]
fn a_full_queue_refuses_a_plan_with_503_and_a_span() {
    let variables = [("WORKERS", "1"), ("QUEUE_LIMIT", "1")];
    let cluster = Cluster::start_without_file(&[("front", &variables)]);
    let mut waiting = Waiting::start(&cluster, 0);
    let queued = send(&cluster, &leaf("/queued", 0));
    let front = cluster.service("front");
    front.wait_for_metric("tunable_svc_queue_length", 1);
    assert_eq!(cluster.send("front", &leaf("/refused", 0)).status, 503);
    waiting.answer_call();
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
    let cluster = Cluster::start_without_file(&[("front", &[("WORKERS", "1")])]);
    let mut waiting = Waiting::start(&cluster, 0);
    waiting.stream.shutdown(std::net::Shutdown::Both).unwrap();
    waiting.answer_call();
    assert_eq!(cluster.send("front", &leaf("/other", 0)).status, 200);
    let spans = cluster.stop();
    assert_eq!(
        spans.served("/waiting").integer("http.response.status_code"),
        Some(200)
    );
    assert!(end_ns(spans.served("/waiting")) <= end_ns(spans.served("/other")));
}

#[test]
fn cpu_time_beside_calls_is_used_with_a_slot_only() {
    const CPU_NS: u64 = 20 * MS;
    for policy in ["released", "held"] {
        let variables = [("WORKERS", "1"), ("SLOT_POLICY", policy)];
        let cluster = Cluster::start(&[("front", &variables)]);
        let calls = vec![database("db", after(&[], 0), 400 * MS)];
        let mut plan = work("/front", calls, after(&[0], 0));
        plan.beside_cpu_ns = CPU_NS;
        assert_eq!(cluster.send("front", &plan).status, 200);
        let spans = cluster.stop();
        let front = spans.served("/front");
        // A database reports no telemetry, so a call to it is not downstream time.
        assert_eq!(front.integer(keys::DOWNSTREAM_TIME_NS), Some(0));
        let cpu_ns = front.integer(keys::CPU_TIME_NS).unwrap();
        assert_eq!(
            cpu_ns.unsigned_abs() > CPU_NS / 2,
            policy == "held",
            "{cpu_ns} ns"
        );
    }
}

#[test]
fn unlimited_slots_serve_everything_at_once_and_report_no_queue() {
    const REQUESTS: usize = 20;
    let cluster = Cluster::start(&[("front", &[("WORKERS", "unlimited")])]);
    let (body, _) = standin::body(&standin::encode(&leaf("/sleeps", 500 * MS)), 0);
    let address = cluster.service("front").address;
    let streams: Vec<_> = (0..REQUESTS)
        .map(|_| {
            let mut stream = connect(address);
            write_request(&mut stream, "POST", "/x", &[(standin::PLAN_HEADER, "1")], &body);
            stream
        })
        .collect();
    for stream in streams {
        assert_eq!(read_response(stream).status, 200);
    }
    let probe = cluster.service("front").get(standin::STAND_IN_PATH).json();
    assert!(probe["slots"].is_null() && probe["module"] == "front", "{probe}");
    let spans = cluster.stop();
    let served = spans.all(SpanKind::Server, "/sleeps");
    assert_eq!(served.len(), REQUESTS);
    let last_start = served.iter().map(|span| start_ns(span)).max();
    let first_end = served.iter().map(|span| end_ns(span)).min();
    assert!(last_start < first_end, "requests waited for each other");
    assert!(
        served
            .iter()
            .all(|span| span.integer(keys::START_TIME_UNIX_NANO).is_none())
    );
    assert!(
        served
            .iter()
            .all(|span| span.integer(keys::CPU_TIME_NS).is_some())
    );
}
