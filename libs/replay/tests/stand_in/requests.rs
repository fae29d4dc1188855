//! Tests of the requests: the numbers that are counted before, and the bytes that are sent.

use std::sync::Arc;

use cctf_load::http::request::ExtraHeader;
use cctf_load::stream::{Prepared, Requests as _};
use plan::roots::{Arrival, Kind};
use replay::stand_in::by_root::ByRoot;
use replay::stand_in::nested::Stages;
use replay::stand_in::scan::Scan;
use replay::stand_in::send::{Sender, Shared};
use serde_json::json;
use standin::decode;

use crate::made::{add_call, arrival, chain, of, stand_ins};
use crate::rows::{MS, Rows, child_of, with};

fn scan(roots: &ByRoot, arrivals: &[Arrival]) -> Scan {
    Scan::of(roots, arrivals.iter().cloned().map(Ok)).unwrap()
}

fn sent(roots: ByRoot, arrivals: Vec<Arrival>, header: &str) -> Vec<Prepared> {
    let scan = scan(&roots, &arrivals);
    let all = stand_ins(&[("cart", "cart-1"), ("front", "front-1")]);
    let shared = Shared::new(roots, all, Stages::default(), scan.excluded).unwrap();
    let headers = vec![ExtraHeader::parse(header).unwrap()];
    let arrivals = arrivals.into_iter().map(Ok);
    let mut sender = Sender::new(arrivals, Arc::new(shared), headers, "again".into()).unwrap();
    std::iter::from_fn(|| sender.next().unwrap()).collect()
}

#[test]
fn a_request_has_the_header_of_plans_and_its_stand_in_as_target() {
    let sent = sent(
        chain(&["front", "cart"]),
        vec![arrival(1, 0), arrival(1, 500)],
        "x-user: u",
    );
    assert_eq!(sent.iter().map(|one| one.offset_ns).collect::<Vec<_>>(), [0, 500]);
    let one = &sent[0];
    let head = std::str::from_utf8(one.head.as_bytes()).unwrap();
    let expected = format!(
        "GET /front/%7Bid%7D HTTP/1.1\r\nhost: 127.0.0.1:40002\r\ncontent-type: application/octet-stream\r\n\
         content-length: {}\r\nx-user: u\r\nx-cctf-plan: 1\r\nbaggage: cctf.run_id=again\r\n",
        one.body.len()
    );
    assert_eq!(head, expected);
    assert_eq!(one.target, 1);
    assert_eq!(one.original.unwrap().span_id, 1_u64.to_be_bytes());
    let work = decode(&one.body).unwrap();
    assert_eq!(work.calls[0].callees[0].module, "cart");
    assert!(Arc::ptr_eq(&one.facts, &sent[1].facts));
}

#[test]
fn a_recorded_size_is_kept_by_padding() {
    let mut rows = Rows::default();
    rows.invocation(
        1,
        [0, 0, MS],
        with(of("front"), json!({"bytes_in": 5_000, "method": "HEAD"})),
    );
    let roots = ByRoot::new(rows.plan());
    let scan = scan(&roots, &[arrival(1, 0)]);
    assert_eq!((scan.tally.bodies, scan.tally.larger), (1, 0));
    let sent = sent(roots, vec![arrival(1, 0)], "x-user: u");
    assert_eq!(sent[0].body.len(), 5_000);
    // The answer to a HEAD request has no body, but a stand-in's answer has one that the driver must read. So POST is sent.
    assert!(sent[0].head.as_bytes().starts_with(b"POST /front/%7Bid%7D ") && !sent[0].facts.is_head());
}

#[test]
fn roots_count_as_often_as_they_are_sent_and_missing_ones_once() {
    let roots = chain(&["front", "cart"]);
    let message = Arrival {
        root: plan::roots::Root {
            kind: Kind::Messaging,
            ..arrival(1, 0).root
        },
        ..arrival(1, 0)
    };
    let found = scan(&roots, &[message, arrival(1, 1), arrival(77, 2)]);
    assert_eq!((found.requests, found.unplanned), (2, 1));
    assert_eq!(found.other_kinds[Kind::Messaging.name()], 2);
    assert_eq!(found.tally.bodies, 4);
    let modules: Vec<&str> = found.modules(&roots).into_iter().collect();
    assert_eq!(modules, ["cart", "front"]);
    let endpoint = ["front", "GET", "/front/{id}"].map(str::to_owned);
    assert_eq!(found.endpoints[&endpoint].count, 2);
}

#[test]
fn a_root_whose_plan_is_too_large_is_counted_and_not_sent() {
    let mut rows = Rows::default();
    rows.invocation(1, [0, 0, 1_100 * MS], of("front"));
    let failed = with(
        of("cart"),
        json!({"status": 500, "error_type": "e".repeat(4_000)}),
    );
    for number in 0..1_000 {
        let (start, span) = (number * MS, 10 + 10 * number as u64);
        add_call(&mut rows, 1, span, [start, start + MS], failed.clone());
        for below in 1..5 {
            let at = start + below * 1_000;
            let span_below = span + 2 * below as u64;
            add_call(&mut rows, span, span_below, [at, at + 900], failed.clone());
        }
    }
    let roots = ByRoot::new(rows.plan());
    let found = scan(&roots, &[arrival(1, 0), arrival(1, 1)]);
    assert_eq!((found.requests, found.tally.bodies), (0, 0));
    let (reason, count) = found.refused.iter().next().unwrap();
    assert!(reason.ends_with("longer than 16777216 bytes"), "{reason}");
    assert_eq!(*count, 2);
    assert!(sent(roots, vec![arrival(1, 0)], "x-user: u").is_empty());
}

#[test]
fn invocations_of_one_call_beyond_the_maximum_are_counted() {
    let mut rows = Rows::default();
    rows.invocation(1, [0, 0, 10 * MS], of("front"));
    for number in 0..1_100 {
        let at = 11 * MS + 1_000 * number;
        let consumer = with(of("worker"), json!({"kind": "consumer"}));
        let fields = with(child_of(1, 9), consumer);
        rows.invocation(10 + number as u64, [at, at, at + 1_000], fields);
    }
    rows.call(9, 1, [MS, 2 * MS], json!({"kind": "producer", "peer": "topic"}));
    let found = scan(&ByRoot::new(rows.plan()), &[arrival(1, 0)]);
    assert_eq!((found.requests, found.tally.callees_left_out), (1, 1_100 - 1_024));
}
