//! Plans that stand-ins execute: which call starts after which, results, CPU time, slots, and refused plans. Tests compare
//! times with each other, never with fixed bounds.

mod cluster;
mod refusals;
mod results;
mod slots;

use cctf_proto::keys;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use standin::{Ends, Kind, Wait, What};

use self::cluster::{
    Cluster, HOUR, MS, after, by_hand, callee, database, end_ns, leaf, request, start_ns, work,
};
use crate::client::read_response;

/// Two modules that have each other's address.
const PAIR: [(&str, &[(&str, &str)]); 2] = [("front", &[]), ("back", &[])];

#[test]
fn calls_start_after_what_they_wait_for_and_not_after_others() {
    let cluster = Cluster::start(&PAIR);
    let [b, c] = [("/b", 20), ("/c", 10)].map(|(route, ms)| standin::encode(&leaf(route, ms * MS)));
    let nested = standin::encode(&leaf("/nested", 0));
    let calls = vec![
        by_hand("/a", after(&[], 0), &nested),
        request("/b", after(&[], 0), &b),
        request("/c", after(&[1], MS), &c),
        database("d", after(&[0], MS), 5 * MS),
        by_hand("/e", after(&[2], 0), &nested),
    ];
    let stream = cluster.begin("front", &work("/front", calls, after(&[3, 4], 0)));
    // The call to /e starts after the end of c. The call to /a lasts until then.
    for path in ["/e", "/a"] {
        cluster.hand.take(path).answer();
    }
    assert_eq!(read_response(stream).status, 200);
    let spans = cluster.stop();
    let [a, b, c, d] = ["/a", "/b", "/c", "d"].map(|path| spans.call(path));
    // First a fan-out, then two independent branches: c waits only for b, and d only for a.
    assert!(start_ns(b) < end_ns(a) && start_ns(c) >= end_ns(b) + MS);
    assert!(end_ns(c) < end_ns(a) && start_ns(d) >= end_ns(a) + MS);
    assert_eq!(end_ns(d) - start_ns(d), 5 * MS);
    let front = spans.served("/front");
    assert!(end_ns(front) >= end_ns(d));
    for (path, gap_ms) in [("/b", 20), ("/c", 10)] {
        let (call, served) = (spans.call(path), spans.served(path));
        assert_eq!(call.span.parent_span_id, front.span.span_id);
        assert_eq!(served.span.parent_span_id, call.span.span_id);
        assert!(end_ns(served) - start_ns(served) >= gap_ms * MS);
        assert_eq!(call.text("server.address"), Some("back"));
        assert_eq!(call.integer("http.response.body.size"), Some(22));
        assert_eq!(served.text("http.route"), Some(path));
        assert!(served.integer(keys::START_TIME_UNIX_NANO).is_some());
    }
    assert_eq!(d.text("server.address"), Some("redis:6379"));
    assert_eq!(d.integer("http.request.body.size"), Some(11));
}

#[test]
fn a_quorum_answers_after_the_second_of_three_and_the_third_ends_later() {
    let cluster = Cluster::start(&PAIR);
    let [a, c] = [("/a", 10), ("/c", 40)].map(|(route, ms)| standin::encode(&leaf(route, ms * MS)));
    let nested = standin::encode(&leaf("/nested", 0));
    let calls = vec![
        request("/a", after(&[], 0), &a),
        by_hand("/b", after(&[], 0), &nested),
        request("/c", after(&[], 0), &c),
    ];
    let answer = Wait {
        any_of: vec![0, 1, 2],
        need: 2,
        ..Wait::default()
    };
    assert_eq!(cluster.send("front", &work("/front", calls, answer)).status, 200);
    cluster.hand.take("/b").answer();
    let spans = cluster.stop();
    let answered = end_ns(spans.served("/front"));
    assert!(answered >= end_ns(spans.call("/c")) && answered >= end_ns(spans.call("/a")));
    assert!(answered < end_ns(spans.call("/b")));
    // The span of the call has the result, so the call ended with its answer and not with the process.
    assert_eq!(spans.call("/b").integer("http.response.status_code"), Some(200));
}

#[test]
fn work_after_the_answer_starts_after_it_and_holds_no_slot() {
    let cluster = Cluster::start(&[("front", &[("WORKERS", "1")]), ("back", &[])]);
    let late = standin::encode(&leaf("/late", 0));
    let calls = vec![
        database("early", after(&[], 0), MS),
        standin::Call {
            is_after_answer: true,
            ..by_hand("/late", after(&[0], 2 * MS), &late)
        },
    ];
    assert_eq!(
        cluster
            .send("front", &work("/front", calls, after(&[0], 0)))
            .status,
        200
    );
    // The only slot is free during a call that was made after the answer.
    let late = cluster.hand.take("/late");
    assert_eq!(cluster.send("front", &leaf("/other", 0)).status, 200);
    late.answer();
    let spans = cluster.stop();
    let late = spans.call("/late");
    assert!(start_ns(late) >= end_ns(spans.served("/front")) + 2 * MS);
    assert!(end_ns(spans.served("/other")) < end_ns(late));
    assert_eq!(late.span.parent_span_id, spans.served("/front").span.span_id);
}

#[test]
fn a_retry_is_sent_only_after_a_failed_attempt() {
    let cluster = Cluster::start(&PAIR);
    let mut failing = leaf("/first", MS);
    (failing.status, failing.is_failed) = (Some(503), true);
    for (first, retry, attempt) in [
        ("/failing", "/retry", standin::encode(&failing)),
        ("/good", "/no-retry", standin::encode(&leaf("/first", MS))),
    ] {
        let second = standin::encode(&leaf("/second", MS));
        let calls = vec![
            request(first, after(&[], 0), &attempt),
            standin::Call {
                retry_of: Some(0),
                ..request(retry, after(&[0], 3 * MS), &second)
            },
        ];
        assert_eq!(
            cluster
                .send("front", &work("/front", calls, after(&[1], 0)))
                .status,
            200
        );
    }
    let spans = cluster.stop();
    let (failed, retry) = (spans.call("/failing"), spans.call("/retry"));
    assert_eq!(failed.integer("http.response.status_code"), Some(503));
    assert_eq!(failed.text("error.type"), Some("503"));
    assert!(start_ns(retry) >= end_ns(failed) + 3 * MS);
    assert_eq!(retry.integer("http.request.resend_count"), Some(1));
    assert_eq!(spans.all(SpanKind::Client, "/good").len(), 1);
    assert!(spans.all(SpanKind::Client, "/no-retry").is_empty());
}

#[test]
fn a_caller_gives_up_at_its_timeout_and_the_callee_works_on() {
    let cluster = Cluster::start(&PAIR);
    let slow = standin::encode(&leaf("/slow", 400 * MS));
    let mut call = request("/call", after(&[], 0), &slow);
    call.ends = Ends::Timeout(30 * MS);
    let mut fails = work("/front", vec![call], after(&[0], 0));
    (fails.status, fails.error, fails.is_failed) = (Some(504), Some("timeout"), true);
    fails.fails_with = vec![0];
    assert_eq!(cluster.send("front", &fails).status, 504);
    // If the call succeeds, the same invocation succeeds.
    let fast = standin::encode(&leaf("/fast", 0));
    fails.calls[0].callees = vec![callee(0, &fast)];
    fails.calls[0].path = Some("/good");
    fails.calls[0].ends = Ends::Timeout(60_000 * MS);
    fails.route = Some("/succeeds");
    assert_eq!(cluster.send("front", &fails).status, 200);
    let spans = cluster.stop();
    let (call, slow) = (spans.call("/call"), spans.served("/slow"));
    assert_eq!(call.text("error.type"), Some("timeout"));
    assert_eq!(end_ns(call) - start_ns(call), 30 * MS);
    assert!(end_ns(slow) - start_ns(slow) >= 400 * MS && end_ns(slow) > end_ns(call));
    let front = spans.served("/front");
    assert_eq!(front.text("error.type"), Some("timeout"));
    assert_eq!(front.integer("http.response.status_code"), Some(504));
    let good = spans.served("/succeeds");
    assert_eq!(
        (good.text("error.type"), good.integer("http.response.status_code")),
        (None, Some(200))
    );
}

/// Fails if a caller that stops waiting immediately cancels the request before it is written.
#[test]
fn a_callee_works_even_if_its_caller_gives_up_at_once() {
    let cluster = Cluster::start(&PAIR);
    let leaf = standin::encode(&leaf("/leaf", 0));
    let mut call = request("/call", after(&[], 0), &leaf);
    call.ends = Ends::Timeout(1);
    for sent in 1..=5 {
        let plan = work("/front", vec![call.clone()], after(&[0], 0));
        assert_eq!(cluster.send("front", &plan).status, 200);
        let back = cluster.service("back");
        back.wait_for_metric("tunable_svc_stand_in_plans_total", sent);
    }
}

/// Fails if a caller considers a recorded failure with status 200 a success, because the retry is not sent then.
#[test]
fn a_failure_with_a_status_of_success_is_a_failure_for_its_caller() {
    let cluster = Cluster::start(&PAIR);
    let mut failing = leaf("/failing", 0);
    (failing.status, failing.error, failing.is_failed) = (Some(200), Some("OutOfStock"), true);
    let [failing, second] = [failing, leaf("/second", 0)].map(|work| standin::encode(&work));
    let retry = standin::Call {
        retry_of: Some(0),
        ..request("/retry", after(&[0], 0), &second)
    };
    let calls = vec![request("/first", after(&[], 0), &failing), retry];
    let plan = work("/front", calls, after(&[1], 0));
    assert_eq!(cluster.send("front", &plan).status, 200);
    let spans = cluster.stop();
    let failed = spans.served("/failing");
    assert_eq!(failed.integer("http.response.status_code"), Some(200));
    assert_eq!(failed.text("error.type"), Some("OutOfStock"));
    assert_eq!(spans.all(SpanKind::Client, "/retry").len(), 1);
}

#[test]
fn recorded_failures_fail_with_their_status_and_error() {
    let cluster = Cluster::start(&PAIR);
    let mut call = database("orders", after(&[], 0), MS);
    (call.error, call.is_failed, call.status) = (Some("deadlock"), true, None);
    let mut fails = work("shop.Cart", vec![call], after(&[0], 0));
    // This is a status of gRPC, which HTTP cannot transport.
    (fails.method, fails.status, fails.error) = (Some("Add"), Some(14), Some("UNAVAILABLE"));
    (fails.is_failed, fails.bytes_out) = (true, 100_000);
    let answer = cluster.send("front", &fails);
    assert_eq!((answer.status, answer.body.len()), (500, 100_000));
    let spans = cluster.stop();
    let call = spans.call("orders");
    assert_eq!(call.text("error.type"), Some("deadlock"));
    assert_eq!(call.integer("http.response.status_code"), None);
    let served = spans.of_name("Add shop.Cart");
    assert_eq!(served.text("rpc.method"), Some("Add"));
    assert_eq!(served.text("rpc.service"), Some("shop.Cart"));
    assert_eq!(served.integer("rpc.response.status_code"), Some(14));
    assert_eq!(served.text("error.type"), Some("UNAVAILABLE"));
    assert_eq!(served.integer("http.response.body.size"), Some(100_000));
}

#[test]
fn a_message_reaches_its_consumers_after_the_brokers_delay() {
    let cluster = Cluster::start(&PAIR);
    let consumers = ["/one", "/two"].map(|route| {
        let mut consumer = leaf(route, 0);
        consumer.kind = Kind::Consumer;
        standin::encode(&consumer)
    });
    let mut message = database("orders", after(&[], 0), 2 * MS);
    message.what = What::Message;
    message.callees = vec![callee(30 * MS, &consumers[0]), callee(40 * MS, &consumers[1])];
    assert_eq!(
        cluster
            .send("front", &work("/front", vec![message], after(&[0], 0)))
            .status,
        200
    );
    let spans = cluster.stop();
    let producer = spans.one(SpanKind::Producer, "orders");
    for (route, delay_ms) in [("/one", 30), ("/two", 40)] {
        let consumer = spans.one(SpanKind::Consumer, route);
        assert_eq!(consumer.span.parent_span_id, producer.span.span_id);
        assert!(start_ns(consumer) >= end_ns(producer) + delay_ms * MS);
    }
}

#[test]
fn further_callees_of_a_request_are_sent_later_and_not_awaited() {
    let cluster = Cluster::start(&PAIR);
    let [first, second] =
        [("/first", 0), ("/second", MS)].map(|(route, ns)| standin::encode(&leaf(route, ns)));
    let mut call = request("/call", after(&[], 0), &first);
    call.callees.push(callee(30 * MS, &second));
    let plan = work("/front", vec![call], after(&[0], 0));
    assert_eq!(cluster.send("front", &plan).status, 200);
    // The stop waits for work after the answer.
    let spans = cluster.stop();
    let (call, second) = (spans.call("/call"), spans.served("/second"));
    assert!(start_ns(second) >= start_ns(call) + 30 * MS);
    assert_eq!(second.span.parent_span_id, call.span.span_id);
}

/// Fails if an answer waits for a broker's delay, or for a further callee of a request: both last an hour.
#[test]
fn an_answer_waits_for_nothing_that_is_sent_after_it() {
    let cluster = Cluster::start(&[("front", &[("DRAIN_TIMEOUT_MS", "100")]), ("back", &[])]);
    let leaf = standin::encode(&leaf("/leaf", 0));
    let mut message = database("orders", after(&[], 0), MS);
    (message.what, message.callees) = (What::Message, vec![callee(HOUR, &leaf)]);
    let mut call = request("/call", after(&[], 0), &leaf);
    call.callees.push(callee(HOUR, &leaf));
    let plan = work("/front", vec![message, call], after(&[0, 1], 0));
    assert_eq!(cluster.send("front", &plan).status, 200);
    assert_eq!(cluster.stop().all(SpanKind::Server, "/leaf").len(), 1);
}

/// Fails if the CPU time for executing a plan is added to the plan's CPU time. The same calls without planned CPU time show how
/// much that is on this machine: 0.8 to 1.7 ms in a debug build.
#[test]
fn the_cpu_time_of_a_request_is_that_of_its_plan() {
    const CPU_NS: u64 = 8 * MS;
    const REQUESTS: u64 = 100;
    let modules = [("planned", "/planned", CPU_NS), ("bare", "/bare", 0)];
    let one_slot = [("WORKERS", "1")];
    let cluster = Cluster::start(&[("planned", &one_slot), ("bare", &one_slot), ("back", &[])]);
    let leaf = standin::encode(&leaf("/leaf", 0));
    let paths = ["/0", "/1", "/2"];
    let plans = modules.map(|(module, route, cpu_ns)| {
        let gap = |earlier: &[u16]| Wait {
            cpu_ns: cpu_ns / 4,
            ..after(earlier, cpu_ns / 4)
        };
        let call = |index: u16| {
            let earlier: Vec<u16> = index.checked_sub(1).into_iter().collect();
            request(paths[usize::from(index)], gap(&earlier), &leaf)
        };
        (module, work(route, (0..3).map(call).collect(), gap(&[2])))
    });
    // One after the other, because a busy machine makes both slower.
    for _ in 0..REQUESTS {
        for (module, plan) in &plans {
            assert_eq!(cluster.send(module, plan).status, 200);
        }
    }
    let spans = cluster.stop();
    let [planned_ns, bare_ns] = modules.map(|(_, route, _)| {
        let served = spans.all(SpanKind::Server, route).into_iter();
        let cpu_ns = served.map(|span| span.integer(keys::CPU_TIME_NS).unwrap().unsigned_abs());
        cpu_ns.sum::<u64>() / REQUESTS
    });
    // A plan with less CPU time than its execution costs has these costs.
    let (most_ns, least_ns) = (CPU_NS.max(bare_ns), CPU_NS.min(bare_ns));
    assert!(
        planned_ns >= CPU_NS - CPU_NS / 16,
        "{planned_ns} ns instead of {CPU_NS}"
    );
    assert!(
        planned_ns < most_ns + least_ns / 2,
        "{planned_ns} ns instead of {CPU_NS}, of which the execution costs {bare_ns}"
    );
}
