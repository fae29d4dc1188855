//! A server that stores the requests that it received, a source made from a list, and a session that keeps its lines.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use cctf_load::facts::RequestFacts;
use cctf_load::http::request::{Head, HeadParts};
use cctf_load::otlp::identity::DriverIdentity;
use cctf_load::otlp::run_facts::RunFacts;
use cctf_load::plan::target::Target;
use cctf_load::session::{LoadSession, SessionConfig};
use cctf_load::stream::{Original, Prepared, Requests, SourceError, Stream};
use serde_json::Value;

/// A request that a server has received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    pub method: String,
    pub path: String,
    pub trace_id: String,
    pub body: Vec<u8>,
}

/// A server with one thread for each connection. It keeps connections open.
pub struct Server {
    pub address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Server {
    /// `answer` returns the bytes of each response.
    pub fn start(answer: fn(&Seen) -> String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::<Mutex<Vec<Seen>>>::default();
        let kept = Arc::clone(&seen);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let seen = Arc::clone(&kept);
                std::thread::spawn(move || serve(&stream, answer, &seen));
            }
        });
        Self { address, seen }
    }

    /// The requests that were received so far, in order of arrival.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

fn serve(stream: &TcpStream, answer: fn(&Seen) -> String, seen: &Mutex<Vec<Seen>>) {
    let mut reader = BufReader::new(stream);
    while let Some(request) = read_request(&mut reader) {
        let answer = answer(&request);
        seen.lock().unwrap().push(request);
        if (&*stream).write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

fn read_request(reader: &mut impl BufRead) -> Option<Seen> {
    let mut line = || {
        let mut line = String::new();
        let count = reader.read_line(&mut line).ok()?;
        (count > 0).then(|| line.trim_end().to_owned())
    };
    let first = line()?;
    let mut words = first.split(' ');
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let (mut length, mut trace_id) = (0, String::new());
    loop {
        let header = line()?;
        if header.is_empty() {
            break;
        }
        let (name, value) = header.split_once(": ")?;
        match name {
            "content-length" => length = value.parse().ok()?,
            "traceparent" => trace_id = value.split('-').nth(1)?.to_owned(),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Seen {
        method,
        path,
        trace_id,
        body,
    })
}

/// Answers 200 with two bytes.
pub fn ok(_: &Seen) -> String {
    "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok".to_owned()
}

/// One request of a list.
#[derive(Debug, Clone, Copy)]
pub struct Planned {
    pub target: usize,
    pub method: &'static str,
    pub path: &'static str,
    pub body: &'static [u8],
    pub original: Option<Original>,
}

pub fn planned(target: usize, method: &'static str, path: &'static str, body: &'static [u8]) -> Planned {
    Planned {
        target,
        method,
        path,
        body,
        original: None,
    }
}

/// Prepares a request like a replay.
pub fn prepare(offset_ns: u64, planned: &Planned) -> Prepared {
    let target = Target::parse("http://shop.example").unwrap();
    let parts = HeadParts {
        method: planned.method,
        path: planned.path,
        target: &target,
        content_type: None,
        body_bytes: Some(planned.body.len()).filter(|length| *length > 0),
        headers: &[],
        run_id: "run-1",
    };
    Prepared {
        offset_ns,
        target: planned.target,
        facts: Arc::new(RequestFacts::new(
            "replay",
            planned.method,
            &target,
            planned.path,
            "run-1",
        )),
        head: Head::new(&parts).unwrap(),
        body: Bytes::from_static(planned.body),
        original: planned.original,
        is_shared: false,
    }
}

/// A source that calls a closure with the index of each request. The number is that of all requests.
pub struct Source<F>(pub F, pub u64);

impl<F: FnMut(u64) -> Result<Option<Prepared>, SourceError> + Send> Requests for Source<F> {
    fn next(&mut self) -> Result<Option<Prepared>, SourceError> {
        self.1 += 1;
        (self.0)(self.1 - 1)
    }
}

/// The requests of a list. There is one every millisecond.
pub fn list(requests: Vec<Planned>) -> Box<dyn Requests> {
    Box::new(Source(
        move |index| {
            let planned = requests.get(index as usize);
            Ok(planned.map(|planned| prepare(index * 1_000_000, planned)))
        },
        0,
    ))
}

pub fn stream(servers: &[&Server], requests: Box<dyn Requests>) -> Stream {
    Stream {
        name: "replay".to_owned(),
        url: "http://shop.example".to_owned(),
        targets: servers.iter().map(|server| server.address).collect(),
        requests,
        connections_max: 16,
        timeout: Duration::from_secs(30),
        rate_hint: 1_000.0,
        rate_asked: None,
    }
}

/// A session that writes lines and no spans.
pub struct Session {
    pub load: LoadSession,
    pub stop: &'static AtomicBool,
    path: PathBuf,
    _folder: tempfile::TempDir,
}

impl Session {
    pub fn begin() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events_client.jsonl");
        let stop: &'static AtomicBool = Box::leak(Box::default());
        let load = LoadSession::begin(SessionConfig {
            run: RunFacts {
                run_id: "run-1".to_owned(),
                ..RunFacts::default()
            },
            identity: DriverIdentity::default(),
            otlp: None,
            events_path: Some(path.clone()),
            stop,
        });
        Self {
            load: load.unwrap(),
            stop,
            path,
            _folder: folder,
        }
    }

    /// Ends the session and returns its lines, in order of the requests' numbers.
    pub fn lines(self) -> Vec<Value> {
        self.load.end().unwrap();
        let text = std::fs::read_to_string(&self.path).unwrap();
        let mut lines: Vec<Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        lines.sort_by_key(|line| line["seq"].as_u64());
        lines
    }
}
