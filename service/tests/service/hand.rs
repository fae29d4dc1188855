//! [`Hand`]: a server that the test plays. It answers a call when the test wants it to, so that the order of events does not
//! depend on the speed of the machine.

use std::cell::RefCell;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use crate::client::{connect, write_request};
use crate::spawn::Service;

/// Maximum wait for a call.
const PATIENCE: Duration = Duration::from_secs(180);
const LOOK_EVERY: Duration = Duration::from_millis(1);

pub struct Hand {
    listener: TcpListener,
    /// Calls that have arrived, and that the test has not asked for.
    arrived: RefCell<Vec<Held>>,
}

/// A call that waits for its answer.
pub struct Held {
    path: String,
    stream: TcpStream,
}

impl Hand {
    pub fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        Self {
            listener,
            arrived: RefCell::default(),
        }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.listener.local_addr().unwrap())
    }

    /// Sends a request that keeps its slot until the test answers its call. The service must allow calls to [`Hand::url`].
    pub fn occupy(&self, service: &Service, parameters: &str) -> (TcpStream, Held) {
        let mut stream = connect(service.address);
        let path = format!("/work?{parameters}&call_url={}/held", self.url());
        write_request(&mut stream, "GET", &path, &[], b"");
        (stream, self.take("/held"))
    }

    /// Waits for a call to this path.
    pub fn take(&self, path: &str) -> Held {
        let deadline = Instant::now() + PATIENCE;
        let mut arrived = self.arrived.borrow_mut();
        loop {
            if let Some(index) = arrived.iter().position(|held| held.path == path) {
                return arrived.remove(index);
            }
            match self.listener.accept() {
                Ok((stream, _)) => arrived.push(Held::read(stream)),
                Err(_none_yet) => std::thread::sleep(LOOK_EVERY),
            }
            assert!(Instant::now() < deadline, "no call to {path}");
        }
    }
}

impl Held {
    fn read(stream: TcpStream) -> Self {
        stream.set_nonblocking(false).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut reader = BufReader::new(&stream);
        let mut line = || {
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            line.trim_end().to_ascii_lowercase()
        };
        let path = line().split(' ').nth(1).unwrap().to_owned();
        let headers: Vec<String> =
            std::iter::from_fn(|| Some(line()).filter(|line| !line.is_empty())).collect();
        let length = headers
            .iter()
            .find_map(|line| line.strip_prefix("content-length: "));
        let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
        reader.read_exact(&mut body).unwrap();
        Self { path, stream }
    }

    pub fn answer(mut self) {
        let answer = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
        self.stream.write_all(answer).unwrap();
    }
}
