//! Sources of requests that are slow, endless or broken, and streams that are interrupted.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cctf_load::composer::AHEAD_REQUESTS_MAX;
use cctf_load::error::DriveError;

use crate::rig::{Server, Session, Source, list, ok, planned, prepare, stream};

#[test]
fn requests_of_a_slow_source_are_late() {
    const DELAY: Duration = Duration::from_millis(300);
    let server = Arc::new(Server::start(ok));
    let seen = Arc::clone(&server);
    let source = Source(
        move |index| {
            if index == 1 {
                while seen.seen().is_empty() {
                    std::thread::sleep(Duration::from_millis(1));
                }
                std::thread::sleep(DELAY);
            }
            Ok((index < 3).then(|| prepare(0, &planned(0, "GET", "/", b""))))
        },
        0,
    );
    let mut session = Session::begin();
    let mut late = 0;
    let summary = session
        .load
        .send(stream(&[&server], Box::new(source)), |progress| {
            late = progress.late.load(Ordering::Relaxed);
        })
        .unwrap();
    // The second and the third request were due at the same time as the first one, which was sent before the delay.
    assert!(summary.lateness_ms.max >= 300.0, "{:?}", summary.lateness_ms);
    assert!(summary.late_ratio > 0.6, "{}", summary.late_ratio);
    assert!(late >= 2, "{late}");
    let lateness: Vec<u64> = session
        .lines()
        .iter()
        .map(|line| line["lateness_ns"].as_u64().unwrap())
        .collect();
    assert!(lateness[1..].iter().all(|ns| *ns >= 300_000_000), "{lateness:?}");
}

#[test]
fn a_stream_that_is_interrupted_ends_though_its_source_does_not() {
    let server = Server::start(ok);
    let calls = Arc::<AtomicU64>::default();
    let counted = Arc::clone(&calls);
    let source = Source(
        move |index| {
            counted.fetch_add(1, Ordering::Relaxed);
            Ok(Some(prepare(index * 1_000_000, &planned(0, "GET", "/", b""))))
        },
        0,
    );
    let mut session = Session::begin();
    let stop = session.stop;
    let summary = session
        .load
        .send(stream(&[&server], Box::new(source)), |progress| {
            if progress.due.load(Ordering::Relaxed) > 20 {
                stop.store(true, Ordering::Relaxed);
            }
        })
        .unwrap();
    assert!(summary.requests > 20);
    // The number of requests that are prepared ahead does not depend on the length of the stream: the queue is full, and each
    // thread has one request.
    let ahead = calls.load(Ordering::Relaxed) - summary.requests;
    assert!(ahead <= AHEAD_REQUESTS_MAX as u64 + 2, "{ahead}");
    assert_eq!(session.lines().len() as u64, summary.requests);
}

#[test]
fn a_source_that_fails_ends_the_stream_after_what_came_before() {
    let server = Server::start(ok);
    let source = Source(
        |index| match index {
            0..5 => Ok(Some(prepare(0, &planned(0, "GET", "/", b"")))),
            _ => Err("line 7 is damaged".into()),
        },
        0,
    );
    let mut session = Session::begin();
    let failed = session.load.send(stream(&[&server], Box::new(source)), |_| {});
    let Err(error @ DriveError::Source(_)) = failed else {
        panic!("{failed:?}");
    };
    assert_eq!(
        error.to_string(),
        "cannot prepare the next request: line 7 is damaged"
    );
    // The next stream has separate figures. Its numbers continue those of this stream.
    let next = list(vec![planned(0, "GET", "/", b""); 2]);
    let summary = session.load.send(stream(&[&server], next), |_| {}).unwrap();
    assert_eq!((summary.requests, server.seen().len()), (2, 7));
    let numbers: Vec<u64> = session
        .lines()
        .iter()
        .map(|line| line["seq"].as_u64().unwrap())
        .collect();
    assert_eq!(numbers, [0, 1, 2, 3, 4, 5, 6]);
}

#[test]
fn an_empty_stream_has_figures_of_zero() {
    let server = Server::start(ok);
    let mut session = Session::begin();
    let summary = session
        .load
        .send(stream(&[&server], list(Vec::new())), |_| {})
        .unwrap();
    assert_eq!((summary.requests, summary.late_ratio), (0, 0.0));
    assert_eq!(session.lines().len(), 0);
}
