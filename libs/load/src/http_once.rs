//! One plain HTTP request, waited for: readiness probes, the key that `kvget` reads, and a page of metrics.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::response::ResponseReader;
use crate::target::Target;

/// Sends one request and returns the response's status. `headers` are whole lines with their line ends; a `host`
/// that begins them overrides the target's.
pub fn send(
    target: &Target,
    method: &str,
    path: &str,
    headers: &str,
    body: &[u8],
    timeout: Duration,
) -> io::Result<u16> {
    let deadline = Instant::now() + timeout;
    let mut stream = TcpStream::connect_timeout(&target.reachable_address()?, timeout)?;
    stream.set_write_timeout(Some(timeout))?;
    let host = match headers.starts_with("host: ") {
        true => String::new(),
        false => format!("host: {}\r\n", target.authority()),
    };
    let head = format!(
        "{method} {path} HTTP/1.1\r\n{host}{headers}connection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(&[head.as_bytes(), body].concat())?;
    let mut reader = ResponseReader::new(method);
    let mut buffer = [0; 8192];
    loop {
        let left = deadline
            .checked_duration_since(Instant::now())
            .filter(|left| !left.is_zero());
        stream.set_read_timeout(Some(left.ok_or(ErrorKind::TimedOut)?))?;
        let answer = match stream.read(&mut buffer)? {
            0 => Some(reader.end_of_stream().ok_or(ErrorKind::UnexpectedEof)?),
            count => reader.feed(&buffer[..count]).map_err(io::Error::other)?,
        };
        if let Some(answer) = answer {
            return Ok(answer.status);
        }
    }
}

/// Largest page that is read.
const PAGE_BYTES_MAX: u64 = 4 << 20;

/// The text of a page, which has to be answered with 200.
pub fn get(target: &Target, path: &str, timeout: Duration) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&target.reachable_address()?, timeout)?;
    stream.set_write_timeout(Some(timeout))?;
    stream.set_read_timeout(Some(timeout))?;
    // HTTP/1.0 knows no chunks: the page is what comes until the end.
    write!(
        stream,
        "GET {path} HTTP/1.0\r\nhost: {}\r\n\r\n",
        target.authority()
    )?;
    let mut answer = String::new();
    stream.take(PAGE_BYTES_MAX).read_to_string(&mut answer)?;
    match answer.split_once("\r\n\r\n") {
        Some((head, page)) if head.split(' ').nth(1) == Some("200") => Ok(page.to_owned()),
        _ => Err(io::Error::other(answer.lines().next().unwrap_or_default())),
    }
}
