//! Sends one plain HTTP/1.1 request over a new connection. It is used for health checks, readiness probes and single calls.
//! [`connect_to`] opens this connection, and refuses one that leads back to its own socket.
//!
//! Redirects, proxies, TLS and retries are not supported. The caller blocks until the answer is complete or the timeout
//! expires.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs as _};
use std::time::{Duration, Instant};

/// Maximum size of an answer. A Collector's page of metrics has some 100 KB.
const ANSWER_BYTES_MAX: usize = 4 << 20;
/// Maximum number of headers. An answer with more is invalid.
const HEADERS_MAX: usize = 64;

/// A request that fails, with the server's address.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    #[error("cannot connect to {authority}: {source}")]
    Connect { authority: String, source: io::Error },
    #[error("no answer from {authority}: {source}")]
    NoAnswer { authority: String, source: io::Error },
    #[error("no answer from {authority} within {} s", timeout.as_secs_f64())]
    Timeout { authority: String, timeout: Duration },
}

/// The parts of a request that callers choose. The headers `connection` and `content-length` are added, and `host` if it is
/// missing.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    pub method: &'a str,
    /// Path and query.
    pub path: &'a str,
    /// Names are in lower case.
    pub headers: &'a [(&'a str, &'a str)],
    pub body: &'a [u8],
}

/// A complete answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    /// The body, without the framing of chunks.
    pub body: Vec<u8>,
}

impl Answer {
    /// The body as text; bytes that are not UTF-8 are replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// `host:port`, with brackets around an IPv6 address.
pub fn authority(host: &str, port: u16) -> String {
    match host.contains(':') {
        true => format!("[{host}]:{port}"),
        false => format!("{host}:{port}"),
    }
}

/// Gets a page.
///
/// # Errors
/// The same errors as [`send`].
pub fn get(host: &str, port: u16, path: &str, timeout: Duration) -> Result<Answer, HttpError> {
    let request = Request {
        method: "GET",
        path,
        headers: &[],
        body: &[],
    };
    send(host, port, &request, timeout)
}

/// Sends a request and returns the answer, whatever its status is. `host` is a name or an address without brackets.
///
/// # Errors
/// If the server does not accept the connection, or does not send a complete and valid answer within the timeout.
pub fn send(host: &str, port: u16, request: &Request<'_>, timeout: Duration) -> Result<Answer, HttpError> {
    let deadline = Instant::now() + timeout;
    let authority = authority(host, port);
    let mut stream = match connect(host, port, deadline) {
        Ok(stream) => stream,
        Err(error) if is_timeout(&error) => return Err(HttpError::Timeout { authority, timeout }),
        Err(source) => return Err(HttpError::Connect { authority, source }),
    };
    exchange(&mut stream, request, &authority, deadline).map_err(|source| match is_timeout(&source) {
        true => HttpError::Timeout { authority, timeout },
        false => HttpError::NoAnswer { authority, source },
    })
}

/// A socket reports its own timeout as an operation that would block.
fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::TimedOut | ErrorKind::WouldBlock)
}

/// Connects to the first address of the host that accepts.
fn connect(host: &str, port: u16, deadline: Instant) -> io::Result<TcpStream> {
    let mut last = io::Error::new(ErrorKind::NotFound, "the host name has no address");
    for address in (host, port).to_socket_addrs()? {
        match connect_to(&address, time_left(deadline)?) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Connects to an address within `timeout`. A connection of a socket to itself counts as refused; see [`is_to_itself`].
///
/// # Errors
/// If the server does not accept the connection in time.
pub fn connect_to(address: &SocketAddr, timeout: Duration) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(address, timeout)?;
    if is_to_itself(stream.local_addr(), stream.peer_addr()) {
        return Err(ErrorKind::ConnectionRefused.into());
    }
    Ok(stream)
}

/// Whether a connection with these ends leads from a socket to itself.
///
/// While nothing listens at a local port of the range for clients, the kernel can choose this port for the client's own end. TCP
/// then connects the socket to itself ("simultaneous open", RFC 9293, 3.5), and the client would read its own request as the
/// answer.
pub fn is_to_itself(own: io::Result<SocketAddr>, other: io::Result<SocketAddr>) -> bool {
    matches!((own, other), (Ok(own), Ok(other)) if own == other)
}

fn exchange(
    stream: &mut TcpStream,
    request: &Request<'_>,
    authority: &str,
    deadline: Instant,
) -> io::Result<Answer> {
    stream.set_write_timeout(Some(time_left(deadline)?))?;
    stream.write_all(&encode(request, authority))?;
    let mut received = Vec::new();
    let mut buffer = [0; 8192];
    loop {
        stream.set_read_timeout(Some(time_left(deadline)?))?;
        let count = stream.read(&mut buffer)?;
        received.extend_from_slice(&buffer[..count]);
        match decode(&received, request.method, count == 0)? {
            Some(answer) => return Ok(answer),
            None if count == 0 => {
                let closed = "it closed the connection before the end of its answer";
                return Err(io::Error::new(ErrorKind::UnexpectedEof, closed));
            }
            None if received.len() > ANSWER_BYTES_MAX => {
                return Err(io::Error::other(format!(
                    "it has more than {ANSWER_BYTES_MAX} bytes"
                )));
            }
            None => {}
        }
    }
}

fn time_left(deadline: Instant) -> io::Result<Duration> {
    let left = deadline.checked_duration_since(Instant::now());
    Ok(left.filter(|left| !left.is_zero()).ok_or(ErrorKind::TimedOut)?)
}

fn encode(request: &Request<'_>, authority: &str) -> Vec<u8> {
    let mut head = format!("{} {} HTTP/1.1\r\n", request.method, request.path);
    if !request.headers.iter().any(|(name, _)| *name == "host") {
        head += &format!("host: {authority}\r\n");
    }
    for (name, value) in request.headers {
        head += &format!("{name}: {value}\r\n");
    }
    head += &format!(
        "connection: close\r\ncontent-length: {}\r\n\r\n",
        request.body.len()
    );
    [head.as_bytes(), request.body].concat()
}

/// Decodes the answer in `received`; `None` if it is incomplete. `is_closed` states that the server will send nothing more.
fn decode(received: &[u8], method: &str, is_closed: bool) -> io::Result<Option<Answer>> {
    let mut rest = received;
    loop {
        let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let mut response = httparse::Response::new(&mut headers);
        let parsed = response.parse(rest).map_err(|error| invalid(&error))?;
        let (httparse::Status::Complete(head_bytes), Some(status)) = (parsed, response.code) else {
            return Ok(None);
        };
        rest = &rest[head_bytes..];
        // Informational answers, such as 100 Continue, come before the real one.
        if (100..200).contains(&status) {
            continue;
        }
        let value = |name: &str| {
            let found = response
                .headers
                .iter()
                .find(|header| header.name.eq_ignore_ascii_case(name));
            found.map(|header| String::from_utf8_lossy(header.value).trim().to_ascii_lowercase())
        };
        let body = if method == "HEAD" || matches!(status, 204 | 304) {
            Some(Vec::new())
        } else if value("transfer-encoding").is_some_and(|codings| codings.ends_with("chunked")) {
            decode_chunks(rest)?
        } else if let Some(length) = value("content-length") {
            let length: usize = length.parse().map_err(|error| invalid(&error))?;
            rest.get(..length).map(<[u8]>::to_vec)
        } else {
            is_closed.then(|| rest.to_vec())
        };
        return Ok(body.map(|body| Answer { status, body }));
    }
}

/// The data of all chunks; `None` if the last one is incomplete.
fn decode_chunks(mut rest: &[u8]) -> io::Result<Option<Vec<u8>>> {
    let mut decoded = Vec::new();
    loop {
        let size = httparse::parse_chunk_size(rest).map_err(|_| invalid(&"chunk size"))?;
        let httparse::Status::Complete((start, length)) = size else {
            return Ok(None);
        };
        rest = &rest[start..];
        if length == 0 {
            let has_end = rest.starts_with(b"\r\n") || rest.windows(4).any(|window| window == b"\r\n\r\n");
            return Ok(has_end.then_some(decoded));
        }
        let length = usize::try_from(length).map_err(|error| invalid(&error))?;
        let Some(chunk) = rest.get(..length) else {
            return Ok(None);
        };
        decoded.extend_from_slice(chunk);
        // The line end that follows the data may not have arrived.
        rest = rest.get(length + 2..).unwrap_or_default();
    }
}

fn invalid(cause: &dyn std::fmt::Display) -> io::Error {
    io::Error::other(format!("it is not valid HTTP/1.1: {cause}"))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn every_framing_is_decoded_once_it_is_whole() {
        for (method, wire, status, body) in [
            ("GET", "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok", 200, "ok"),
            (
                "GET",
                "HTTP/1.1 503 Busy\r\ntransfer-encoding: chunked\r\n\r\n2\r\nno\r\nA;x=y\r\n0123456789\r\n0\r\n\r\n",
                503,
                "no0123456789",
            ),
            (
                "POST",
                "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx",
                200,
                "x",
            ),
            ("GET", "HTTP/1.1 204 No Content\r\n\r\n", 204, ""),
            ("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", 200, ""),
        ] {
            let wire = wire.as_bytes();
            for end in 0..wire.len() {
                assert_eq!(decode(&wire[..end], method, false).unwrap(), None, "{end}");
            }
            let answer = decode(wire, method, false).unwrap().unwrap();
            assert_eq!((answer.status, &*answer.text()), (status, body));
        }
        let until_close = b"HTTP/1.0 200 OK\r\n\r\nuntil the end";
        assert_eq!(decode(until_close, "GET", false).unwrap(), None);
        let answer = decode(until_close, "GET", true).unwrap().unwrap();
        assert_eq!(answer.text(), "until the end");
    }

    #[test]
    fn invalid_answers_are_errors() {
        for wire in [
            "SSH-2.0-OpenSSH\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        ] {
            assert!(decode(wire.as_bytes(), "GET", false).is_err(), "{wire:?}");
        }
    }

    #[test]
    fn a_request_is_sent_and_an_absent_server_is_named() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut seen = [0; 200];
            let count = stream.read(&mut seen).unwrap();
            stream
                .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
                .unwrap();
            String::from_utf8(seen[..count].to_vec()).unwrap()
        });
        let timeout = Duration::from_secs(60);
        let answer = get("127.0.0.1", port, "/readyz", timeout).unwrap();
        assert_eq!((answer.status, &*answer.text()), (200, "ok"));
        let expected = format!(
            "GET /readyz HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
        );
        assert_eq!(server.join().unwrap(), expected);
        let error = get("127.0.0.1", port, "/readyz", timeout).unwrap_err();
        assert!(
            error.to_string().starts_with("cannot connect to 127.0.0.1:"),
            "{error}"
        );
    }

    #[test]
    fn a_connection_of_a_socket_to_itself_is_recognized() {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
        socket.bind(&any.into()).unwrap();
        socket.connect(&socket.local_addr().unwrap()).unwrap();
        let own = TcpStream::from(socket);
        assert!(is_to_itself(own.local_addr(), own.peer_addr()));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let other = connect_to(&listener.local_addr().unwrap(), Duration::from_secs(60)).unwrap();
        assert!(!is_to_itself(other.local_addr(), other.peer_addr()));
    }

    #[test]
    fn a_silent_server_is_given_up_at_the_timeout() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let error = get("127.0.0.1", port, "/", Duration::from_millis(50)).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("no answer from 127.0.0.1:{port} within 0.05 s")
        );
        let server = std::thread::spawn(move || {
            // The first connection is that of the request above, which has timed out.
            let _given_up = listener.accept().unwrap();
            let (mut stream, _) = listener.accept().unwrap();
            assert!(stream.read(&mut [0; 200]).unwrap() > 0);
        });
        let error = get("127.0.0.1", port, "/", Duration::from_secs(60)).unwrap_err();
        server.join().unwrap();
        assert!(matches!(error, HttpError::NoAnswer { .. }), "{error}");
    }
}
