//! Senders that are slow on purpose. Their time and memory are limited, and other clients do not wait for them.

use std::collections::BTreeSet;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::clients::{Clients, Target};
use super::http2;
use super::normalizer::{Launch, PATIENCE};
use super::shim::Clocks;

/// Number of slow senders of each kind.
const EACH: usize = 20;
/// Time between two bytes of a slow sender, and the number of these bytes. Together they take longer than any timeout.
const STEP_SECONDS: i64 = 10;
const STEPS: usize = 16;
/// Maximum memory for all slow senders. It is a fiftieth of the declared size of the bodies of one kind.
const MEMORY_MAX: u64 = 24 * 1024 * 1024;

struct SlowSender {
    stream: TcpStream,
    rest: Vec<u8>,
    sent: usize,
}

impl SlowSender {
    fn connect(address: SocketAddr, at_once: &[u8], rest: &[u8]) -> Self {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(at_once).unwrap();
        stream.set_nonblocking(true).unwrap();
        let rest = rest.to_vec();
        Self {
            stream,
            rest,
            sent: 0,
        }
    }

    /// Sends one more byte.
    fn go_on(&mut self) {
        if let Some(&byte) = self.rest.get(self.sent) {
            // If the server has closed the connection, the next read finds this.
            let _ = self.stream.write_all(&[byte]);
            self.sent += 1;
        }
    }

    fn is_closed(&mut self) -> bool {
        let mut answer = [0; 1024];
        loop {
            match self.stream.read(&mut answer) {
                Ok(0) => return true,
                Ok(_) => {}
                Err(error) => return error.kind() != ErrorKind::WouldBlock,
            }
        }
    }
}

/// For each kind of sender, the bytes that it sends together, and the bytes that it sends one by one.
fn kinds() -> Vec<(&'static str, Vec<u8>, Vec<u8>)> {
    let head = b"POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\n".to_vec();
    let body_of = |length: &str| [head.clone(), format!("{length}\r\n\r\n").into_bytes()].concat();
    let message = http2::message(false, &[0; 1000])[..500].to_vec();
    let calling = [http2::opening(), http2::headers(1, "identity", true)].concat();
    vec![
        ("says nothing", vec![], vec![]),
        (
            "begins to say HTTP/2",
            b"PRI * HT".to_vec(),
            b"TP/2.0\r\n".to_vec(),
        ),
        ("HTTP/1 head, byte by byte", vec![], head.clone()),
        (
            "HTTP/1 head, byte by byte behind its first line",
            b"POST /v1/traces HTTP/1.1\r\n".to_vec(),
            vec![b'x'; 100],
        ),
        (
            "HTTP/1 body, byte by byte",
            body_of("content-length: 60000000"),
            vec![b'\n'; 100],
        ),
        (
            "HTTP/1 chunk, byte by byte",
            body_of("transfer-encoding: chunked"),
            b"ffff\r\n0123456789012345678".to_vec(),
        ),
        ("HTTP/2 and then nothing", http2::opening(), vec![]),
        (
            "HTTP/2 headers without an end",
            [http2::opening(), http2::headers(1, "identity", false)].concat(),
            vec![],
        ),
        (
            "gRPC message, byte by byte",
            calling,
            http2::data(1, &message, false),
        ),
    ]
}

/// This test fails without `OPENING_TIMEOUT`, `HEADER_READ_TIMEOUT`, `ARRIVAL_TIMEOUT` and `KEEP_ALIVE_INTERVAL`: connections
/// of all kinds stay open.
#[test]
fn slow_senders_are_cut_off_and_delay_no_other() {
    let folder = TempDir::new().unwrap();
    let clocks = Clocks::new(folder.path());
    let launch = Launch::in_folder(&folder.path().join("logs")).variables(clocks.variables(1));
    let normalizer = launch.start().unwrap();
    let (target, http) = (Target::default(), normalizer.address("http"));
    target.set(Some(http));
    let clients = Clients::start(&target, 2);
    clients.go_on_for(20);
    let before = normalizer.memory_peak();
    let mut slow = Vec::new();
    for (kind, at_once, rest) in kinds() {
        for _ in 0..EACH {
            slow.push((kind, SlowSender::connect(http, &at_once, &rest)));
        }
    }
    let senders = slow.len();
    for _ in 0..STEPS {
        clients.go_on_for(4);
        clocks.let_go_by(STEP_SECONDS);
        slow.iter_mut().for_each(|(_, sender)| sender.go_on());
    }
    let deadline = Instant::now() + PATIENCE;
    let mut open = BTreeSet::from(["none looked at"]);
    while !open.is_empty() {
        assert!(Instant::now() < deadline, "still open: {open:?}");
        slow.retain_mut(|(_, sender)| !sender.is_closed());
        open = slow.iter().map(|(kind, _)| *kind).collect();
        thread::sleep(Duration::from_millis(5));
    }
    clients.go_on_for(20);
    let memory = normalizer.memory_peak() - before;
    assert!(memory < MEMORY_MAX, "{memory} bytes for slow senders");
    let acknowledged = clients.finish();
    normalizer.stop();
    acknowledged.check(
        &launch.folder,
        &format!("{senders} slow senders, {} KiB", memory / 1024),
    );
}
