//! Request bodies that are small when they are sent, and very large after decompression.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::thread;
use std::time::Instant;

use tempfile::TempDir;

use super::clients::{Clients, Target, send};
use super::http2;
use super::normalizer::{Launch, PATIENCE};
use super::requests::gzip;

const MIB: u64 = 1024 * 1024;
/// Decompressed size of each body.
const BOMB_MIB: usize = 1024;
/// Number of concurrent bombs of each kind.
const AT_ONCE: usize = 4;
/// Maximum memory for all bodies: the bytes in flight, and several times as much for buffers that grow.
const MEMORY_MAX: u64 = 160 * MIB;

/// Repeats a compressed megabyte of zeros, which decoders accept as one stream.
fn bombs() -> [(&'static str, Vec<u8>); 2] {
    let zeros = vec![0; MIB as usize];
    let zstd = zstd::bulk::compress(&zeros, 3).unwrap();
    [
        ("gzip", gzip(&zeros).repeat(BOMB_MIB)),
        ("zstd", zstd.repeat(BOMB_MIB)),
    ]
}

fn http1(coding: &str, bomb: &[u8]) -> Vec<u8> {
    let len = bomb.len();
    let head = format!(
        "POST /v1/traces HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/x-protobuf\r\n\
         content-encoding: {coding}\r\ncontent-length: {len}\r\n\r\n"
    );
    [head.as_bytes(), bomb].concat()
}

/// Sends as much of the body over gRPC as the flow control permits, and reads the whole answer.
fn call(address: SocketAddr, coding: &str, bomb: &[u8]) {
    let bomb = http2::message(true, &bomb[..bomb.len().min(48 * 1024)]);
    let mut frames = [http2::opening(), http2::headers(1, coding, true)].concat();
    for piece in bomb.chunks(16 * 1024) {
        frames.extend(http2::data(1, piece, false));
    }
    frames.extend(http2::data(1, &[], true));
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(&frames).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let _ = stream.read_to_end(&mut Vec::new());
}

/// This test fails when the output is not bounded (`read_bounded` with a limit of 4 GiB): memory exceeds its bound.
#[test]
fn bombs_cost_no_memory_and_affect_no_other_client() {
    let folder = TempDir::new().unwrap();
    let launch = Launch::in_folder(folder.path())
        .flag("--message-bytes-max", "8MiB")
        .flag("--in-flight-bytes-max", "32MiB");
    let normalizer = launch.start().unwrap();
    let (target, http) = (Target::default(), normalizer.address("http"));
    target.set(Some(http));
    let clients = Clients::start(&target, 1);
    clients.go_on_for(20);
    let before = normalizer.memory_peak();
    let bombs = bombs();
    thread::scope(|scope| {
        for (coding, bomb) in &bombs {
            for _ in 0..AT_ONCE {
                scope.spawn(move || {
                    let (since, request) = (Instant::now(), http1(coding, bomb));
                    // While other requests use all of the memory, this request gets an answer that asks for a retry.
                    while send(http, &request) != Some(413) {
                        assert!(since.elapsed() < PATIENCE, "a bomb of {coding} was never refused");
                    }
                    call(http, coding, bomb);
                });
            }
        }
    });
    clients.go_on_for(20);
    let cost = normalizer.memory_peak() - before;
    assert!(cost < MEMORY_MAX, "{cost} bytes for bombs");
    let acknowledged = clients.finish();
    normalizer.stop();
    let sizes: Vec<String> = bombs
        .iter()
        .map(|(coding, bomb)| format!("{coding} {} KiB", bomb.len() / 1024))
        .collect();
    let about = format!(
        "{} bombs of {BOMB_MIB} MiB ({}), {} KiB",
        4 * AT_ONCE,
        sizes.join(", "),
        cost / 1024
    );
    acknowledged.check(&launch.folder, &about);
}
