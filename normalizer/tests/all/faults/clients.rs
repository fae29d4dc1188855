//! Clients that repeat each request until it is acknowledged, and that count requests and answers.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::normalizer::{PATIENCE, wait_until};
use super::requests::{Request, Rows, compare, rows_in};

/// Time until a client repeats a request that got no answer, or an answer that asks for a retry.
const PAUSE: Duration = Duration::from_millis(2);

/// The address at which the normalizer listens now. `None` if it does not run.
#[derive(Debug, Clone, Default)]
pub struct Target(Arc<Mutex<Option<SocketAddr>>>);

impl Target {
    pub fn set(&self, address: Option<SocketAddr>) {
        *self.0.lock().unwrap() = address;
    }

    pub fn get(&self) -> Option<SocketAddr> {
        *self.0.lock().unwrap()
    }
}

/// Running clients.
pub struct Clients {
    stop: Arc<AtomicBool>,
    counts: Arc<Counts>,
    threads: Vec<JoinHandle<u64>>,
}

/// Sums over all clients.
#[derive(Debug, Default)]
pub struct Counts {
    pub acknowledged: AtomicU64,
    /// Number of answers with 503, which ask for a retry.
    pub told_to_retry: AtomicU64,
}

/// Number of acknowledged requests per client.
pub struct Acknowledged(Vec<u64>);

/// Sends bytes on a new connection. Returns the status of the answer, if there is an answer.
pub fn send(address: SocketAddr, request: &[u8]) -> Option<u16> {
    let mut stream = TcpStream::connect(address).ok()?;
    if http_once::is_to_itself(stream.local_addr(), stream.peer_addr()) {
        return None;
    }
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    // The server can refuse a request before it has read all of it. So an error of this write is ignored, and only the answer
    // counts.
    let _ = stream.write_all(request);
    status_of(&mut stream)
}

/// Waits for an answer and returns its status.
pub fn status_of(stream: &mut TcpStream) -> Option<u16> {
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let line = answer.split(|&byte| byte == b'\r').next()?;
    let line = std::str::from_utf8(line).ok()?;
    line.strip_prefix("HTTP/1.1 ")?.split(' ').next()?.parse().ok()
}

impl Clients {
    pub fn start(target: &Target, clients: u64) -> Self {
        let (stop, counts) = (Arc::new(AtomicBool::new(false)), Arc::<Counts>::default());
        let threads = (0..clients)
            .map(|client| {
                let (target, stop, counts) = (target.clone(), Arc::clone(&stop), Arc::clone(&counts));
                thread::spawn(move || run(client, &target, &stop, &counts))
            })
            .collect();
        Self {
            stop,
            counts,
            threads,
        }
    }

    pub fn acknowledged(&self) -> u64 {
        self.counts.acknowledged.load(Ordering::Relaxed)
    }

    pub fn told_to_retry(&self) -> u64 {
        self.counts.told_to_retry.load(Ordering::Relaxed)
    }

    /// Waits until this number of further requests has been acknowledged.
    pub fn go_on_for(&self, requests: u64) {
        let target = self.acknowledged() + requests;
        wait_until("acknowledgements", || self.acknowledged() >= target);
    }

    /// Stops the clients after each has finished its current request.
    pub fn finish(mut self) -> Acknowledged {
        self.stop.store(true, Ordering::Relaxed);
        let threads = std::mem::take(&mut self.threads);
        Acknowledged(threads.into_iter().map(|thread| thread.join().unwrap()).collect())
    }
}

impl Drop for Clients {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// Sends requests one after the other and repeats each until it is acknowledged. Returns the number of requests.
fn run(client: u64, target: &Target, stop: &AtomicBool, counts: &Counts) -> u64 {
    let mut number = 0;
    while !stop.load(Ordering::Relaxed) {
        let request = Request { client, number }.http1();
        let since = Instant::now();
        loop {
            match target.get().and_then(|address| send(address, &request)) {
                Some(200) => break,
                Some(503) => drop(counts.told_to_retry.fetch_add(1, Ordering::Relaxed)),
                Some(other) => panic!("request {number} of client {client} was answered {other}"),
                None => {}
            }
            assert!(
                since.elapsed() < PATIENCE,
                "request {number} of client {client} was never acknowledged"
            );
            thread::sleep(PAUSE);
        }
        number += 1;
        counts.acknowledged.fetch_add(1, Ordering::Relaxed);
    }
    number
}

impl Acknowledged {
    pub fn requests(&self) -> impl Iterator<Item = Request> {
        let numbered = (0..).zip(&self.0);
        numbered.flat_map(|(client, &count)| (0..count).map(move |number| Request { client, number }))
    }

    /// Checks that the files contain exactly the acknowledged rows, each one once. Prints the counts.
    pub fn check(&self, folder: &Path, about: &str) {
        self.check_found(&rows_in(folder), about);
    }

    /// Like [`Acknowledged::check`], for the rows `found`.
    pub fn check_found(&self, found: &Rows, about: &str) {
        let rows = compare(found, self.requests());
        println!(
            "{about}: {} requests, {rows} rows: lost 0, doubled 0, torn 0",
            self.0.iter().sum::<u64>()
        );
    }
}
