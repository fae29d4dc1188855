//! Results and ends of calls: if the callee gives the recorded answer, the call has its recorded result, and lasts longer by
//! the network time.

use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use standin::Ends;

use super::PAIR;
use super::cluster::{Cluster, MS, after, end_ns, leaf, request, start_ns, work};

/// In gRPC, a client counts OUT_OF_RANGE as a failure, but a server does not. This test fails if the status of the answer
/// decides.
#[test]
fn with_the_recorded_answer_a_call_has_its_recorded_result() {
    let cluster = Cluster::start(&PAIR);
    let back = standin::encode(&leaf("/back", MS));
    let fails = standin::Call {
        status: Some(404),
        error: Some("missing"),
        is_failed: true,
        ..request("/strict", after(&[], 0), &back)
    };
    let retry = standin::Call {
        retry_of: Some(0),
        ..request("/retry", after(&[0], 0), &back)
    };
    let front = work("/front", vec![fails, retry], after(&[1], 0));
    assert_eq!(cluster.send("front", &front).status, 200);
    let spans = cluster.stop();
    let call = spans.call("/strict");
    assert_eq!(call.integer("http.response.status_code"), Some(404));
    assert_eq!(call.text("error.type"), Some("missing"));
    assert_eq!(spans.all(SpanKind::Client, "/retry").len(), 1);
}

/// The stand-ins are on one machine, where sending takes much less time than these network times.
#[test]
fn a_call_lasts_its_network_time_longer_than_its_callee() {
    let cluster = Cluster::start(&PAIR);
    let back = standin::encode(&leaf("/back", 20 * MS));
    let mut failing = leaf("/failing", MS);
    (failing.status, failing.is_failed) = (Some(404), true);
    let failing = standin::encode(&failing);
    let with_network = |call| standin::Call {
        net_ns: 600 * MS,
        ..call
    };
    let calls = vec![
        with_network(request("/far", after(&[], 0), &back)),
        with_network(request("/fails", after(&[], 0), &failing)),
    ];
    let front = work("/front", calls, after(&[0, 1], MS));
    assert_eq!(cluster.send("front", &front).status, 200);
    let spans = cluster.stop();
    for (path, served) in [("/far", "/back"), ("/fails", "/failing")] {
        let (call, served) = (spans.call(path), spans.served(served));
        let longer_ns = end_ns(call) - start_ns(call) - (end_ns(served) - start_ns(served));
        // On a slower machine, the network takes longer. The response time is counted from the moment at which the plan is
        // decoded.
        assert!(longer_ns >= 600 * MS - MS, "{path}: {longer_ns}");
        assert!(end_ns(spans.served("/front")) >= end_ns(call) + MS);
    }
    assert_eq!(
        spans.call("/fails").integer("http.response.status_code"),
        Some(404)
    );
    assert_eq!(spans.call("/fails").text("error.type"), Some("404"));
}

/// Fails if the recorded timeout hides the real result.
#[test]
fn a_failure_before_a_recorded_timeout_is_reported_as_it_is() {
    let cluster = Cluster::start(&PAIR);
    let mut failing = leaf("/failing", 0);
    (failing.status, failing.is_failed) = (None, true);
    let failing = standin::encode(&failing);
    let mut call = request("/call", after(&[], 0), &failing);
    call.ends = Ends::Timeout(60_000 * MS);
    (call.status, call.error, call.is_failed) = (None, Some("timeout"), true);
    let plan = work("/front", vec![call], after(&[0], 0));
    assert_eq!(cluster.send("front", &plan).status, 200);
    let spans = cluster.stop();
    assert_eq!(spans.call("/call").text("error.type"), Some("500"));
}

/// Fails if the recorded failure, which has no status, hides another failure or a success.
#[test]
fn a_failure_without_status_is_repeated_if_the_callee_fails_as_recorded() {
    let cluster = Cluster::start(&PAIR);
    let nowhere = standin::encode(&leaf("/nowhere", 0));
    let mut lost = request("/lost", after(&[], 0), &nowhere);
    lost.callees[0].module = "nobody";
    let planned_to = |status, fails: bool| {
        let calls = if fails { vec![lost.clone()] } else { Vec::new() };
        let mut work = work("/callee", calls, after(&[], 0));
        (work.status, work.is_failed) = (status, fails);
        // If the work has a call, it fails because of this call.
        work.fails_with = if fails { vec![0] } else { Vec::new() };
        work.answer.after = work.fails_with.clone();
        standin::encode(&work)
    };
    let [failing, missing, good] = [(None, true), (Some(404), true), (Some(200), false)]
        .map(|(status, fails)| planned_to(status, fails));
    // It was planned to succeed, but fails without the module that it calls.
    let mut surprise = work("/callee", vec![lost.clone()], after(&[0], 0));
    surprise.fails_with = vec![0];
    let surprise = standin::encode(&surprise);
    let calls = [
        ("/a", &failing, 500),
        ("/b", &missing, 404),
        ("/c", &good, 500),
        ("/d", &surprise, 200),
    ];
    let calls = calls.map(|(path, work, answer_status)| standin::Call {
        error: Some("ECONNRESET"),
        status: None,
        answer_status,
        is_failed: true,
        ..request(path, after(&[], 0), work)
    });
    let plan = work("/front", calls.to_vec(), after(&[0, 1, 2, 3], 0));
    assert_eq!(cluster.send("front", &plan).status, 200);
    let spans = cluster.stop();
    for (path, error, status) in [
        ("/a", Some("ECONNRESET"), None),
        ("/b", Some("ECONNRESET"), None),
        ("/c", None, Some(200)),
        ("/d", Some("500"), Some(500)),
    ] {
        let call = spans.call(path);
        assert_eq!(
            (call.text("error.type"), call.integer("http.response.status_code")),
            (error, status),
            "{path}"
        );
    }
}
