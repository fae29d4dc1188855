//! A process that is stopped under load until all clients have repeated their requests several times, on further connections.
//! When the process continues, all duplicates arrive at the same time.

use std::io::Write as _;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::clients::status_of;
use super::normalizer::{Launch, PATIENCE, duplicates, wait_until};
use super::requests::{Request, check_rows};

const CLIENTS: u64 = 4;
/// Number of copies of one request of each client that the stopped process has not read.
const COPIES: u64 = 10;
/// Time after which a client repeats a request. It still waits for the answers to its earlier tries.
const IMPATIENCE: Duration = Duration::from_millis(500);

/// Sends a request until it is acknowledged. Adds the number of further times that it was sent to `copied`.
fn send_impatiently(address: SocketAddr, request: Request, copied: &AtomicU64) {
    let bytes = request.http1();
    let answered = Arc::new(AtomicBool::new(false));
    let since = Instant::now();
    let mut copies = Vec::new();
    while !answered.load(Ordering::Relaxed) {
        assert!(since.elapsed() < PATIENCE, "{request:?} was never acknowledged");
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(&bytes).unwrap();
        if !copies.is_empty() {
            copied.fetch_add(1, Ordering::Relaxed);
        }
        let seen = Arc::clone(&answered);
        copies.push(thread::spawn(move || {
            assert_eq!(status_of(&mut stream), Some(200));
            seen.store(true, Ordering::Relaxed);
        }));
        let sent = Instant::now();
        while sent.elapsed() < IMPATIENCE && !answered.load(Ordering::Relaxed) {
            thread::sleep(Duration::from_millis(1));
        }
    }
    copies.into_iter().for_each(|copy| copy.join().unwrap());
}

/// This test fails when no span or point counts as a duplicate (`RecentSet::insert`, `Pipeline::is_new_point`): rows are
/// duplicated.
#[test]
fn duplicates_sent_to_a_stopped_process_become_one_row() {
    let folder = TempDir::new().unwrap();
    let normalizer = Launch::in_folder(folder.path()).start().unwrap();
    let address = normalizer.address("http");
    let stop = Arc::new(AtomicBool::new(false));
    let acknowledged = Arc::new(AtomicU64::new(0));
    let copied: Vec<Arc<AtomicU64>> = (0..CLIENTS).map(|_| Arc::default()).collect();
    let clients: Vec<_> = (0..)
        .zip(&copied)
        .map(|(client, copied)| {
            let (stop, copied) = (Arc::clone(&stop), Arc::clone(copied));
            let acknowledged = Arc::clone(&acknowledged);
            thread::spawn(move || {
                let mut number = 0;
                while !stop.load(Ordering::Relaxed) {
                    send_impatiently(address, Request { client, number }, &copied);
                    number += 1;
                    acknowledged.fetch_add(1, Ordering::Relaxed);
                }
                number
            })
        })
        .collect();
    let go_on_for = |requests| {
        let goal = acknowledged.load(Ordering::Relaxed) + requests;
        wait_until("acknowledgements", || {
            acknowledged.load(Ordering::Relaxed) >= goal
        });
    };
    let copies = || -> Vec<u64> {
        let each = copied.iter();
        each.map(|copied| copied.load(Ordering::Relaxed)).collect()
    };
    go_on_for(20);
    normalizer.signal(libc::SIGSTOP);
    let before = copies();
    wait_until("copies of all clients", || {
        copies()
            .iter()
            .zip(&before)
            .all(|(now, before)| *now >= before + COPIES)
    });
    normalizer.signal(libc::SIGCONT);
    go_on_for(20);
    stop.store(true, Ordering::Relaxed);
    let sent: Vec<u64> = clients.into_iter().map(|client| client.join().unwrap()).collect();
    normalizer.stop();
    let requests = (0..)
        .zip(&sent)
        .flat_map(|(client, &requests)| (0..requests).map(move |number| Request { client, number }));
    let rows = check_rows(folder.path(), requests);
    assert!(duplicates(folder.path()) > 0, "no copy was seen");
    println!(
        "stood still: {} copies of requests, {rows} rows: lost 0, doubled 0, torn 0",
        copies().iter().sum::<u64>()
    );
}
