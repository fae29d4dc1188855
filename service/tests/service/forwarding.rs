//! Calls to the next hop: requests that are sent, hops that are refused, and failures, which do not change the answer.

use std::net::TcpListener;

use crate::client;
use crate::spawn::{Service, spawn};

fn origin(service: &Service) -> String {
    service.url("")
}

/// A port below 1024 without a listener. Another test could use a free port at the same time.
pub const DEAD_ORIGIN: &str = "http://127.0.0.1:1/";

#[test]
fn the_next_hop_gets_the_result() {
    let last = spawn(&[]);
    let first = spawn(&[("NEXT_URL_ALLOW", &origin(&last))]);
    let next = last.url("/kv/set/packed");
    let answer = first.post_with("/blob/gzip", &[("X-Next-Url", &next)], b"some text");
    assert_eq!(
        (answer.status, answer.header("x-next-status")),
        (200, Some("200"))
    );
    assert_eq!(last.get("/kv/get/packed").body, answer.body);
    assert_eq!(last.post("/blob/gunzip", &answer.body).text(), "some text");
}

#[test]
fn the_default_next_hop_makes_a_chain() {
    let cloud = spawn(&[]);
    let edge = spawn(&[("DEFAULT_NEXT_URL", &cloud.url("/kv/set/k1"))]);
    let endpoint = spawn(&[
        ("DEFAULT_NEXT_URL", &edge.url("/blob/gzip")),
        ("SLOT_POLICY", "released"),
    ]);
    let answer = endpoint.post("/json/validate", b"[1]");
    assert_eq!(
        (answer.status, answer.header("x-next-status")),
        (200, Some("200"))
    );
    let kept = cloud.get("/kv/get/k1").body;
    assert_eq!(cloud.post("/blob/gunzip", kept).text(), "[1]");
}

#[test]
fn work_calls_the_url_it_is_given_by_get() {
    let last = spawn(&[]);
    last.post("/kv/set/k", b"v");
    let first = spawn(&[("NEXT_URL_ALLOW", &origin(&last))]);
    for path in ["/kv/get/k", "/work"] {
        let answer = first.get(&format!("/work?call_url={}", last.url(path)));
        assert_eq!(
            (answer.status, answer.header("x-next-status")),
            (200, Some("200")),
            "{path}"
        );
    }
}

#[test]
fn a_hop_that_is_not_allowed_is_not_called_and_the_answer_stays() {
    let other = spawn(&[]);
    let service = spawn(&[]);
    let next = other.url("/hash/sha256");
    let answer = service.post_with("/hash/sha256", &[("X-Next-Url", &next)], b"x");
    assert_eq!((answer.status, answer.body.len()), (200, 64));
    assert_eq!(
        answer.header("x-next-error"),
        Some("not allowed (NEXT_URL_ALLOW)")
    );
    for (scheme, refusal) in [
        ("https", "only http is supported, not https"),
        ("gopher", "only http is supported, not gopher"),
    ] {
        let next = format!("{scheme}://127.0.0.1/");
        let answer = service.post_with("/hash/sha256", &[("X-Next-Url", &next)], b"x");
        assert_eq!(
            (answer.status, answer.header("x-next-error")),
            (200, Some(refusal))
        );
    }
    assert_eq!(service.metric("tunable_svc_next_refused_total"), 3);
    let finished = client::send(other.admin, "GET", "/metrics", &[], b"");
    assert!(
        !finished.text().contains("requests_total{"),
        "{}",
        finished.text()
    );
}

#[test]
fn a_metadata_address_is_refused_even_if_allowed() {
    let service = spawn(&[("NEXT_URL_ALLOW", "http://169.254.169.254")]);
    let next = "http://169.254.169.254/latest/meta-data/";
    let answer = service.post_with("/hash/sha256", &[("X-Next-Url", next)], b"x");
    assert_eq!(
        answer.header("x-next-error"),
        Some("not allowed (NEXT_URL_ALLOW)")
    );
}

#[test]
fn a_dead_next_hop_does_not_change_the_answer() {
    for policy in ["held", "released"] {
        let service = spawn(&[("DEFAULT_NEXT_URL", DEAD_ORIGIN), ("SLOT_POLICY", policy)]);
        let answer = service.post("/hash/sha256", b"x");
        assert_eq!((answer.status, answer.body.len()), (200, 64));
        assert_eq!(answer.header("x-next-error"), Some("cannot connect"));
        assert_eq!(service.metric("tunable_svc_next_failed_total"), 1);
    }
}

#[test]
fn a_silent_next_hop_times_out() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let next = format!("http://{}/", silent.local_addr().unwrap());
    let service = spawn(&[("DEFAULT_NEXT_URL", &next), ("NEXT_TIMEOUT_MS", "50")]);
    let answer = service.post("/hash/sha256", b"x");
    assert_eq!(
        (answer.status, answer.header("x-next-error")),
        (200, Some("no answer in time (NEXT_TIMEOUT_MS)"))
    );
}

#[test]
fn a_failing_next_hop_appears_only_in_a_header() {
    let last = spawn(&[]);
    let first = spawn(&[("DEFAULT_NEXT_URL", &last.url("/json/validate"))]);
    let answer = first.post("/blob/gzip", b"not json when packed");
    assert_eq!(
        (answer.status, answer.header("x-next-status")),
        (200, Some("400"))
    );
}

#[test]
fn a_failed_request_is_not_forwarded() {
    let last = spawn(&[]);
    let first = spawn(&[("DEFAULT_NEXT_URL", &last.url("/hash/sha256"))]);
    let answer = first.post("/json/validate", b"{");
    assert_eq!(
        (
            answer.status,
            answer.header("x-next-status"),
            answer.header("x-next-error")
        ),
        (400, None, None)
    );
}

#[test]
fn a_loop_ends_at_the_hop_limit() {
    let service = spawn(&[("HOP_LIMIT", "3")]);
    let at_limit = service.post_with("/hash/sha256", &[("X-Hop-Count", "3")], b"x");
    assert_eq!(at_limit.status, 508);
    assert_eq!(
        service
            .post_with("/hash/sha256", &[("X-Hop-Count", "2")], b"x")
            .status,
        200
    );
    assert_eq!(
        service
            .post_with("/hash/sha256", &[("X-Hop-Count", "many")], b"x")
            .status,
        400
    );

    let one = spawn(&[("HOP_LIMIT", "3")]);
    let two = spawn(&[("HOP_LIMIT", "3"), ("DEFAULT_NEXT_URL", &one.url("/hash/sha256"))]);
    assert_eq!(
        two.post_with("/hash/sha256", &[("X-Hop-Count", "2")], b"x")
            .header("x-next-status"),
        Some("508")
    );
    assert_eq!(one.metric("tunable_svc_loops_total"), 1);
}
