//! Requests that differ in target, method, path and body, and their answers.

use std::collections::HashMap;

use cctf_load::stream::Original;
use serde_json::json;

use crate::rig::{Planned, Seen, Server, Session, list, ok, planned, stream};

/// The requests that a server received, by trace id.
fn by_trace_id(server: &Server) -> HashMap<String, Seen> {
    let seen = server.seen();
    let count = seen.len();
    let map: HashMap<String, Seen> = seen
        .into_iter()
        .map(|seen| (seen.trace_id.clone(), seen))
        .collect();
    assert_eq!(map.len(), count, "every request has a trace of its own");
    map
}

#[test]
fn each_request_reaches_its_target_in_the_order_of_the_source() {
    let servers = [Server::start(ok), Server::start(ok), Server::start(ok)];
    let kinds = [
        planned(0, "POST", "/a?x=1", b"first"),
        planned(2, "PUT", "/b", b"second body"),
        planned(1, "GET", "/c", b""),
        planned(1, "DELETE", "/a?x=1", b""),
        planned(0, "PATCH", "/d", &[0xff; 70_000]),
    ];
    let requests: Vec<Planned> = kinds.iter().copied().cycle().take(200).collect();
    let mut session = Session::begin();
    let all: Vec<&Server> = servers.iter().collect();
    let summary = session
        .load
        .send(stream(&all, list(requests.clone())), |_| {})
        .unwrap();
    assert_eq!((summary.requests, summary.success_ratio), (200, 1.0));
    assert_eq!((summary.rate_asked, summary.changes), (None, None));
    let seen = servers.each_ref().map(by_trace_id);
    assert_eq!(seen.each_ref().map(HashMap::len), [80, 80, 40]);
    let lines = session.lines();
    assert_eq!(lines.len(), 200);
    for (line, planned) in lines.iter().zip(&requests) {
        let received = &seen[planned.target][line["trace_id"].as_str().unwrap()];
        assert_eq!(
            (received.method.as_str(), received.path.as_str()),
            (planned.method, planned.path)
        );
        assert_eq!(received.body, planned.body);
        assert_eq!(line["method"], planned.method);
        assert_eq!(line["url"], format!("http://shop.example:80{}", planned.path));
        assert_eq!(line["bytes_out"], planned.body.len());
    }
}

#[test]
fn one_connection_in_all_serves_every_target() {
    let servers = [Server::start(ok), Server::start(ok), Server::start(ok)];
    let requests: Vec<Planned> = (0..90)
        .map(|number| planned([0, 1, 0, 2, 2, 1][number % 6], "GET", "/", b""))
        .collect();
    let mut session = Session::begin();
    let all: Vec<&Server> = servers.iter().collect();
    let mut single = stream(&all, list(requests));
    single.connections_max = 1;
    let summary = session.load.send(single, |_| {}).unwrap();
    assert_eq!((summary.requests, summary.success_ratio), (90, 1.0));
    assert_eq!(servers.each_ref().map(|server| server.seen().len()), [30, 30, 30]);
}

/// An answer to HEAD states the length of a body that does not follow.
#[test]
fn answers_to_head_have_no_body_on_a_connection_used_for_others() {
    let server = Server::start(|seen| match seen.method.as_str() {
        "HEAD" => "HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n".to_owned(),
        _ => ok(seen),
    });
    let requests: Vec<Planned> = (0..60)
        .map(|number| planned(0, ["HEAD", "GET", "HEAD"][number % 3], "/", b""))
        .collect();
    let mut session = Session::begin();
    let mut single = stream(&[&server], list(requests));
    single.connections_max = 1;
    let summary = session.load.send(single, |_| {}).unwrap();
    assert_eq!((summary.requests, summary.success_ratio), (60, 1.0));
    assert_eq!((summary.bytes_in, summary.resends), (40, 0));
}

#[test]
fn a_redirect_and_a_failure_are_answers_and_nothing_is_sent_again() {
    let server = Server::start(|seen| {
        let status = seen.path.trim_start_matches('/');
        format!("HTTP/1.1 {status} X\r\nlocation: /200\r\nretry-after: 0\r\ncontent-length: 0\r\n\r\n")
    });
    let requests = vec![
        planned(0, "GET", "/302", b""),
        planned(0, "POST", "/503", b"x"),
        planned(0, "GET", "/429", b""),
    ];
    let mut session = Session::begin();
    session
        .load
        .send(stream(&[&server], list(requests)), |_| {})
        .unwrap();
    assert_eq!(server.seen().len(), 3);
    let codes: Vec<Option<u64>> = session.lines().iter().map(|line| line["code"].as_u64()).collect();
    assert_eq!(codes, [Some(302), Some(503), Some(429)]);
}

#[test]
fn a_replayed_request_names_its_original_and_its_status_is_compared() {
    let server = Server::start(|seen| match seen.path.as_str() {
        "/busy" => "HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n".to_owned(),
        _ => ok(seen),
    });
    let original = |id: u8, status| {
        Some(Original {
            trace_id: [id; 16],
            span_id: [id; 8],
            status,
        })
    };
    let request = |path, original| Planned {
        original,
        ..planned(0, "GET", path, b"")
    };
    let requests = vec![
        request("/", original(0xa1, Some(200))),
        request("/busy", original(0xa2, Some(200))),
        request("/busy", original(0xa3, None)),
        request("/", None),
    ];
    let mut session = Session::begin();
    let summary = session
        .load
        .send(stream(&[&server], list(requests)), |_| {})
        .unwrap();
    let changes = summary.changes.clone().unwrap();
    assert_eq!((changes.compared, changes.changed), (2, 1));
    assert!(
        summary
            .table()
            .contains("1 of 2 other than recorded: 503 instead of 200 (1)"),
        "{}",
        summary.table()
    );
    let lines = session.lines();
    for (line, id) in lines.iter().zip(["a1", "a2", "a3"]) {
        assert_eq!(line["replay_of_trace_id"], id.repeat(16));
        assert_eq!(line["replay_of_span_id"], id.repeat(8));
    }
    let codes: Vec<_> = lines.iter().map(|line| line["replay_of_code"].clone()).collect();
    assert_eq!(codes, [json!(200), json!(200), json!(null), json!(null)]);
    assert_eq!(lines[3].get("replay_of_trace_id"), None);
}
