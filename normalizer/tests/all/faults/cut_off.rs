//! Requests that are cut off after every number of bytes, while other clients send complete requests.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::fd::AsRawFd as _;

use cctf_normalizer::journal::Signal;
use cctf_normalizer::receiver::protobuf_of_json;
use tempfile::TempDir;

use super::clients::{Clients, Target};
use super::http2;
use super::normalizer::{Launch, PATIENCE};
use super::requests::{Request, check_rows};

/// Numbers of two clients. All requests of the first one are cut off. The second one sends the same bytes completely.
const CUT: u64 = 40;
const WHOLE: u64 = 41;

fn protobuf(request: Request) -> Vec<u8> {
    protobuf_of_json(Signal::Traces, request.json().as_bytes())
        .unwrap()
        .to_vec()
}

const HEAD: &str =
    "POST /v1/traces HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/x-protobuf\r\n";

fn with_length(request: Request) -> Vec<u8> {
    let body = protobuf(request);
    [
        format!("{HEAD}content-length: {}\r\n\r\n", body.len()).as_bytes(),
        &body,
    ]
    .concat()
}

fn in_chunks(request: Request) -> Vec<u8> {
    let body = protobuf(request);
    let mut whole = format!("{HEAD}transfer-encoding: chunked\r\n\r\n").into_bytes();
    for chunk in body.chunks(100) {
        whole.extend(format!("{:x}\r\n", chunk.len()).as_bytes());
        whole.extend(chunk);
        whole.extend(b"\r\n");
    }
    whole.extend(b"0\r\n\r\n");
    whole
}

fn grpc(request: Request) -> Vec<u8> {
    http2::call(&protobuf(request))
}

/// Sends only these bytes. Then it closes the connection and reads the answer, or resets the connection if `reset` is true.
fn send_and_end(address: SocketAddr, bytes: &[u8], reset: bool) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(bytes).unwrap();
    if reset {
        let linger = libc::linger {
            l_onoff: 1,
            l_linger: 0,
        };
        let len = libc::socklen_t::try_from(size_of_val(&linger)).unwrap();
        // SAFETY: the descriptor is open, and the pointer is to a value of the given length.
        let set = unsafe {
            let value = (&raw const linger).cast();
            libc::setsockopt(stream.as_raw_fd(), libc::SOL_SOCKET, libc::SO_LINGER, value, len)
        };
        assert_eq!(set, 0);
    } else {
        stream.shutdown(Shutdown::Write).unwrap();
        let _ = stream.read_to_end(&mut Vec::new());
    }
}

/// Sends these bytes and waits for an answer.
fn send_whole(address: SocketAddr, bytes: &[u8]) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(bytes).unwrap();
    let (mut answer, mut piece) = (Vec::new(), [0; 1024]);
    while !answer.starts_with(b"HTTP/1.1 200 ") && !http2::is_answered(&answer) {
        let len = stream.read(&mut piece).unwrap();
        assert!(len > 0, "no answer, but {answer:?}");
        answer.extend_from_slice(&piece[..len]);
    }
}

/// This test fails when the end of a connection counts as the end of the body (`next_piece` returning `None` for an error). The
/// first spans of a cut request are then written, because a protobuf message that is cut between two fields is valid.
#[test]
fn requests_that_are_cut_off_leave_nothing_and_affect_no_other() {
    let folder = TempDir::new().unwrap();
    let normalizer = Launch::in_folder(folder.path()).start().unwrap();
    let (target, http) = (Target::default(), normalizer.address("http"));
    target.set(Some(http));
    let clients = Clients::start(&target, 1);
    let (mut cuts, mut whole) = (0, Vec::new());
    for (kind, bytes_of) in (0..).zip([with_length, in_chunks, grpc]) {
        let number = 4 * kind;
        let bytes = bytes_of(Request { client: CUT, number });
        for len in 1..bytes.len() {
            send_and_end(http, &bytes[..len], len % 2 == 0);
            cuts += 1;
        }
        // The complete request is accepted, so only the cut can cause the refusals.
        let request = Request {
            client: WHOLE,
            number,
        };
        send_whole(http, &bytes_of(request));
        whole.push(request);
    }
    clients.go_on_for(20);
    let acknowledged = clients.finish();
    normalizer.stop();
    let rows = check_rows(folder.path(), acknowledged.requests().chain(whole));
    println!("{cuts} requests cut off, {rows} rows of others: lost 0, doubled 0, torn 0");
}
