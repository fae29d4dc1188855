//! Limits of bodies, decompressed bodies, and the queue.

use std::io::Write;

use crate::client::{self, connect, read_response, write_request};
use crate::hand::Hand;
use crate::spawn::spawn;

fn bomb(bytes: usize) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(9));
    encoder.write_all(&vec![0; bytes]).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn a_body_beyond_the_limit_is_413_with_or_without_content_length() {
    let service = spawn(&[("MAX_BODY_BYTES", "1000")]);
    assert_eq!(service.post("/hash/sha256", vec![1; 1000]).status, 200);
    let declared = service.post("/hash/sha256", vec![1; 1001]);
    assert_eq!(declared.status, 413);
    assert!(
        declared.json()["error"]
            .as_str()
            .unwrap()
            .contains("MAX_BODY_BYTES")
    );

    let mut stream = connect(service.address);
    let head = "POST /hash/sha256 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    stream
        .write_all(format!("3e9\r\n{}\r\n0\r\n\r\n", "x".repeat(1001)).as_bytes())
        .unwrap();
    assert_eq!(read_response(stream).status, 413);
    assert_eq!(service.metric("tunable_svc_body_too_large_total"), 2);
}

#[test]
fn a_body_larger_than_common_defaults_is_accepted() {
    let service = spawn(&[]);
    assert_eq!(service.post("/hash/sha256", vec![1; 3 << 20]).status, 200);
}

#[test]
fn a_bomb_is_413_and_the_service_continues() {
    let service = spawn(&[("MAX_GUNZIP_BYTES", "1000000")]);
    let answer = service.post("/blob/gunzip", bomb(50 << 20));
    assert_eq!(answer.status, 413);
    assert!(
        answer.json()["error"]
            .as_str()
            .unwrap()
            .contains("MAX_GUNZIP_BYTES")
    );
    assert_eq!(
        service.post("/blob/gunzip", bomb(1_000_000)).body.len(),
        1_000_000
    );
}

#[test]
fn a_full_queue_answers_503_with_retry_after() {
    let hand = Hand::open();
    let service = spawn(&[
        ("WORKERS", "1"),
        ("QUEUE_LIMIT", "1"),
        ("NEXT_URL_ALLOW", &hand.url()),
    ]);
    let (first, call) = hand.occupy(&service, "");
    let mut second = connect(service.address);
    write_request(&mut second, "GET", "/work", &[], b"");
    service.wait_for_metric("tunable_svc_queue_length", 1);
    let refused = service.get("/work");
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("1")));
    assert_eq!(service.metric("tunable_svc_queue_full_total"), 1);
    call.answer();
    assert_eq!(
        (read_response(first).status, read_response(second).status),
        (200, 200)
    );
}

#[test]
fn a_body_that_never_ends_holds_no_slot() {
    let service = spawn(&[("WORKERS", "1")]);
    let mut slow = connect(service.address);
    slow.write_all(b"POST /hash/sha256 HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf")
        .unwrap();
    service.wait_for_metric("tunable_svc_active_requests", 1);
    assert_eq!(service.get("/work").status, 200);
    slow.write_all(b" whole").unwrap();
    slow.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(client::read_response(slow).status, 200);
}
