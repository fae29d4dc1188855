//! Requests that a stand-in or an ordinary service refuses, each with one sentence, and the counters of a stand-in.

use std::io::Write as _;

use standin::{HEAD_BYTES, NO_PLAN, NO_STAND_IN, PLAN_HEADER};

use super::cluster::{Cluster, MS, after, callee, leaf, request, work};
use crate::client::{connect, read_response};
use crate::spawn::spawn;

const PLANNED: (&str, &str) = (PLAN_HEADER, "1");

#[test]
fn an_ordinary_service_refuses_plans_on_every_path() {
    let service = spawn(&[]);
    let (body, _) = standin::body(&standin::encode(&leaf("/x", 0)), 0);
    for path in ["/x", "/hash/sha256", "/work"] {
        let answer = service.post_with(path, &[PLANNED], &body);
        assert_eq!(
            (answer.status, &answer.json()["error"]),
            (400, &NO_STAND_IN.into()),
            "{path}"
        );
    }
    assert_eq!(service.post("/hash/sha256", b"x").status, 200);
}

#[test]
fn a_stand_in_refuses_what_is_no_valid_plan() {
    let cluster = Cluster::start(&[("front", &[("HOP_LIMIT", "200")])]);
    let front = cluster.service("front");
    let answer = front.post("/hash/sha256", b"x");
    assert_eq!((answer.status, &answer.json()["error"]), (400, &NO_PLAN.into()));
    let (good, _) = standin::body(&standin::encode(&leaf("/x", MS)), 0);
    let mut newer = good.to_vec();
    newer[HEAD_BYTES - 1] = 2;
    let mut impossible = work("/x", vec![request("/y", after(&[0], 0), b"")], after(&[], 0));
    let (cyclic, _) = standin::body(&standin::encode(&impossible), 0);
    impossible.calls[0].wait = after(&[], 2 * 3_600_000 * MS);
    let (long, _) = standin::body(&standin::encode(&impossible), 0);
    let calls = vec![request("/y", after(&[], 0), b""); 1_025];
    let (many, _) = standin::body(&standin::encode(&work("/x", calls, after(&[], 0))), 0);
    for (body, cause) in [
        (&b"not a plan"[..], "the body has no plan"),
        (&newer, "the plan has version 2"),
        (&good[..HEAD_BYTES + 2], "the plan is damaged"),
        (&cyclic, "calls wait for each other"),
        (&long, "a time is longer than one hour"),
        (&many, "above its bounds: an invocation has more than 1,024 calls"),
    ] {
        let answer = front.post_with("/x", &[PLANNED], body);
        let error = answer.json()["error"].as_str().unwrap().to_owned();
        assert!(answer.status == 400 && error.contains(cause), "{error}");
    }
    for version in ["2", "", "1.0", "x-and-more-than-twenty-characters"] {
        let answer = front.post_with("/x", &[(PLAN_HEADER, version)], &good);
        let error = answer.json()["error"].as_str().unwrap().to_owned();
        let shown = version.get(..20).unwrap_or(version);
        let expected = format!("the header x-cctf-plan is {shown:?}: this program executes version 1; ");
        assert!(answer.status == 400 && error.starts_with(&expected), "{error}");
    }
    assert_eq!(front.metric("tunable_svc_stand_in_plans_refused_total"), 11);
    let deep = [PLANNED, ("x-hop-count", "65")];
    let answer = front.post_with("/x", &deep, &good);
    assert_eq!(
        (answer.status, &answer.json()["error"]),
        (508, &"the plan has more than 64 levels".into())
    );
    // A body above the maximum size is refused and counted.
    let mut stream = connect(front.address);
    let head = "POST /x HTTP/1.1\r\nHost: x\r\nx-cctf-plan: 1\r\nContent-Length: 67108865\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    assert_eq!(read_response(stream).status, 413);
    assert_eq!(front.metric("tunable_svc_stand_in_plans_refused_total"), 13);
    assert_eq!(
        front
            .post_with("/x", &[PLANNED, ("x-hop-count", "64")], &good)
            .status,
        200
    );
}

#[test]
fn the_stand_ins_file_may_appear_after_the_start() {
    let cluster = Cluster::start_without_file(&[("front", &[])]);
    let answer = cluster.send("front", &leaf("/x", 0));
    let error = answer.json()["error"].as_str().unwrap().to_owned();
    assert!(
        answer.status == 503 && error.contains("cannot read the stand-ins file"),
        "{error}"
    );
    cluster.write_file();
    assert_eq!(cluster.send("front", &leaf("/x", 0)).status, 200);
}

#[test]
fn a_call_to_a_module_without_stand_in_fails() {
    let cluster = Cluster::start(&[("front", &[])]);
    let nested = standin::encode(&leaf("/y", 0));
    let mut call = request("/y", after(&[], 0), &nested);
    call.callees = vec![callee(0, &nested)];
    let mut plan = work("/x", vec![call], after(&[0], 0));
    (plan.is_failed, plan.status, plan.fails_with) = (true, Some(502), vec![0]);
    assert_eq!(cluster.send("front", &plan).status, 502);
    assert_eq!(
        cluster
            .service("front")
            .metric("tunable_svc_stand_in_calls_failed_total"),
        1
    );
    assert_eq!(
        cluster
            .service("front")
            .metric("tunable_svc_stand_in_calls_total"),
        1
    );
    let spans = cluster.stop();
    assert_eq!(spans.call("/y").text("error.type"), Some("no_stand_in"));
}

#[test]
fn bodies_have_the_recorded_size_and_larger_plans_are_counted() {
    let cluster = Cluster::start(&[("front", &[]), ("back", &[])]);
    let nested = standin::encode(&leaf("/y", 0));
    for (body_bytes, larger, bytes) in [
        (1_000, 0, 0),
        (10, 1, nested.len() as u64 + HEAD_BYTES as u64 - 10),
    ] {
        let mut call = request("/y", after(&[], 0), &nested);
        call.callees[0].body_bytes = body_bytes;
        assert_eq!(
            cluster
                .send("front", &work("/x", vec![call], after(&[0], 0)))
                .status,
            200
        );
        let front = cluster.service("front");
        assert_eq!(front.metric("tunable_svc_stand_in_larger_bodies_total"), larger);
        assert_eq!(front.metric("tunable_svc_stand_in_larger_bytes_total"), bytes);
        assert_eq!(front.metric("tunable_svc_stand_in_calls_total"), larger + 1);
    }
    let spans = cluster.stop();
    let served = spans.all(
        opentelemetry_proto::tonic::trace::v1::span::SpanKind::Server,
        "/y",
    );
    let sizes: Vec<_> = served
        .iter()
        .map(|span| span.integer("http.request.body.size").unwrap())
        .collect();
    assert_eq!(sizes, [1_000, (nested.len() + HEAD_BYTES) as i64]);
}
