//! The bytes of requests: a head that many requests share, and the header with the ids of one request.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST};
use http::{HeaderName, HeaderValue, Method};

use crate::ids::{Ids, write_hex};
use crate::plan::target::Target;

/// Headers that only the driver may write.
const OWN_HEADERS: [&str; 5] = [
    "content-length",
    "transfer-encoding",
    "connection",
    "traceparent",
    "baggage",
];
/// Maximum length of path and query. Most servers refuse a line of 8 KiB, and an export of 512 spans with such URLs remains
/// below the 4 MiB that a gRPC receiver accepts.
pub const PATH_BYTES_MAX: usize = 6 * 1024;

/// The end of every head: the only header that differs between requests, and the empty line.
const TRACEPARENT: &[u8; TRACEPARENT_BYTES] =
    b"traceparent: 00-00000000000000000000000000000000-0000000000000000-01\r\n\r\n";
/// Length of the end of a head, bytes.
pub const TRACEPARENT_BYTES: usize = SPAN_ID_OFFSET + 16 + "-01\r\n\r\n".len();
const TRACE_ID_OFFSET: usize = "traceparent: 00-".len();
const SPAN_ID_OFFSET: usize = TRACE_ID_OFFSET + 32 + 1;

/// The header with the ids of one request, and the end of its head.
pub type Traceparent = [u8; TRACEPARENT_BYTES];

/// The [`Traceparent`] of request `number`.
pub fn traceparent(ids: Ids, number: u64) -> Traceparent {
    let mut header = *TRACEPARENT;
    write_hex(
        &ids.trace_id(number),
        &mut header[TRACE_ID_OFFSET..SPAN_ID_OFFSET - 1],
    );
    write_hex(
        &ids.span_id(number),
        &mut header[SPAN_ID_OFFSET..SPAN_ID_OFFSET + 16],
    );
    header
}

/// An invalid header from the command line.
#[derive(Debug, thiserror::Error)]
pub enum HeaderError {
    /// No colon, or a character that HTTP forbids.
    #[error("invalid header {0:?}: write it like 'X-Next-Url: http://127.0.0.1:8081/blob/gzip'")]
    Invalid(String),
    #[error("invalid header {0:?}: the driver writes it itself, so omit it")]
    Reserved(String),
}

/// A valid extra header.
#[derive(Debug, Clone)]
pub struct ExtraHeader {
    name: HeaderName,
    value: String,
}

impl ExtraHeader {
    /// Parses `Name: value`.
    pub fn parse(text: &str) -> Result<Self, HeaderError> {
        let invalid = || HeaderError::Invalid(text.to_owned());
        let (name, value) = text.split_once(':').ok_or_else(invalid)?;
        let name = HeaderName::from_bytes(name.trim().as_bytes()).map_err(|_| invalid())?;
        let value = HeaderValue::from_str(value.trim()).map_err(|_| invalid())?;
        if OWN_HEADERS.contains(&name.as_str()) {
            return Err(HeaderError::Reserved(name.to_string()));
        }
        Ok(Self {
            name,
            value: value.to_str().map_err(|_| invalid())?.to_owned(),
        })
    }
}

/// The value of the header Host: the user's, or the target.
pub fn host_value(target: &Target, extra_headers: &[ExtraHeader]) -> String {
    last_value(&HOST, extra_headers).map_or_else(|| target.authority(), str::to_owned)
}

/// The user's last value for a header that a request has only once.
fn last_value<'a>(name: &HeaderName, extra_headers: &'a [ExtraHeader]) -> Option<&'a str> {
    let mut values = extra_headers.iter().rev().filter(|header| header.name == *name);
    values.next().map(|header| &*header.value)
}

/// A request that cannot be sent.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum HeadError {
    /// Not a token, or CONNECT, which asks for a tunnel.
    #[error("invalid method {0:?}")]
    Method(String),
    #[error("invalid path {0:?}: it must start with / and contain no space, control or non-ASCII character")]
    Path(String),
    #[error("path with {0} bytes: at most {PATH_BYTES_MAX}")]
    PathTooLong(usize),
    #[error("invalid content type {0:?}")]
    ContentType(String),
}

/// The facts that a [`Head`] states.
#[derive(Debug, Clone, Copy)]
pub struct HeadParts<'a> {
    pub method: &'a str,
    /// Path and query.
    pub path: &'a str,
    pub target: &'a Target,
    /// Content type, unless `headers` has one.
    pub content_type: Option<&'a str>,
    /// Length of the body. `None`: the request has no body.
    pub body_bytes: Option<usize>,
    /// Headers of the user.
    pub headers: &'a [ExtraHeader],
    pub run_id: &'a str,
}

/// The start of a request up to its [`Traceparent`]. Clones share the bytes.
#[derive(Debug, Clone)]
pub struct Head(Bytes);

impl Head {
    /// Method and path may come from recorded telemetry, so both are checked.
    pub fn new(parts: &HeadParts<'_>) -> Result<Self, HeadError> {
        let HeadParts {
            method,
            path,
            target,
            headers,
            ..
        } = *parts;
        if Method::from_bytes(method.as_bytes()).is_err() || method == "CONNECT" {
            return Err(HeadError::Method(method.to_owned()));
        }
        if path.len() > PATH_BYTES_MAX {
            return Err(HeadError::PathTooLong(path.len()));
        }
        if !path.starts_with('/') || !path.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(HeadError::Path(path.to_owned()));
        }
        let mut head = format!("{method} {path} HTTP/1.1\r\n");
        head += &format!("host: {}\r\n", host_value(target, headers));
        if let Some(content_type) = last_value(&CONTENT_TYPE, headers).or(parts.content_type) {
            HeaderValue::from_str(content_type)
                .map_err(|_| HeadError::ContentType(content_type.to_owned()))?;
            head += &format!("content-type: {content_type}\r\n");
        }
        if let Some(body_bytes) = parts.body_bytes {
            head += &format!("content-length: {body_bytes}\r\n");
        }
        let is_written = |header: &&ExtraHeader| [HOST, CONTENT_TYPE].contains(&header.name);
        for header in headers.iter().filter(|header| !is_written(header)) {
            head += &format!("{}: {}\r\n", header.name, header.value);
        }
        head += &format!("baggage: {}={}\r\n", cctf_proto::keys::RUN_ID, parts.run_id);
        Ok(Self(head.into()))
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts<'a>(target: &'a Target, headers: &'a [ExtraHeader]) -> HeadParts<'a> {
        HeadParts {
            method: "POST",
            path: "/json/validate",
            target,
            content_type: Some("application/json"),
            body_bytes: Some(3),
            headers,
            run_id: "run-1",
        }
    }

    fn target() -> Target {
        Target::parse("http://127.0.0.1:8080").unwrap()
    }

    fn text(head: &Head) -> &str {
        std::str::from_utf8(head.as_bytes()).unwrap()
    }

    #[test]
    fn head_and_traceparent_are_a_request_with_the_ids_of_this_one() {
        let extra = [ExtraHeader::parse("X-Next-Url: http://127.0.0.1:9/x").unwrap()];
        let head = Head::new(&parts(&target(), &extra)).unwrap();
        let expected = "POST /json/validate HTTP/1.1\r\nhost: 127.0.0.1:8080\r\ncontent-type: application/json\r\n\
            content-length: 3\r\nx-next-url: http://127.0.0.1:9/x\r\nbaggage: cctf.run_id=run-1\r\n";
        assert_eq!(text(&head), expected);
        let ids = Ids::new(1);
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let header = traceparent(ids, 7);
        assert_eq!(
            std::str::from_utf8(&header).unwrap(),
            format!(
                "traceparent: 00-{}-{}-01\r\n\r\n",
                hex(&ids.trace_id(7)),
                hex(&ids.span_id(7))
            )
        );
    }

    #[test]
    fn a_request_without_a_body_has_no_length() {
        let target = target();
        let bodyless = HeadParts {
            method: "GET",
            path: "/kv/get/k1?a=b",
            content_type: None,
            body_bytes: None,
            ..parts(&target, &[])
        };
        let head = Head::new(&bodyless).unwrap();
        assert!(text(&head).starts_with("GET /kv/get/k1?a=b HTTP/1.1\r\n"));
        assert!(!text(&head).contains("content-"));
    }

    /// This test failed when the driver wrote both headers itself.
    #[test]
    fn host_and_content_type_of_the_user_override_the_drivers() {
        let target = target();
        let extra = [
            "host: first",
            "Host: shop.example",
            "Content-Type: text/csv",
            "x-a: 1",
        ];
        let extra = extra.map(|header| ExtraHeader::parse(header).unwrap());
        for (body_bytes, length) in [(Some(3), "content-length: 3\r\n"), (None, "")] {
            let parts = HeadParts {
                body_bytes,
                ..parts(&target, &extra)
            };
            let head = Head::new(&parts).unwrap();
            let wanted = format!(
                "HTTP/1.1\r\nhost: shop.example\r\ncontent-type: text/csv\r\n{length}x-a: 1\r\nbaggage: "
            );
            assert!(text(&head).contains(&wanted), "{}", text(&head));
        }
    }

    #[test]
    fn recorded_text_that_would_break_a_request_is_refused() {
        let target = target();
        let with = |method, path, content_type| {
            Head::new(&HeadParts {
                method,
                path,
                content_type: Some(content_type),
                ..parts(&target, &[])
            })
        };
        assert!(with("PURGE", "/a?b=%0d", "text/csv").is_ok());
        for method in ["", "GET /x HTTP/1.1\r\nA:", "CONNECT", "G\u{e4}T"] {
            assert_eq!(
                with(method, "/", "a/b").unwrap_err(),
                HeadError::Method(method.into())
            );
        }
        for path in ["", "*", "x", "/a b", "/\r\nx: y", "/\u{e4}", "http://h/"] {
            assert_eq!(
                with("GET", path, "a/b").unwrap_err(),
                HeadError::Path(path.into())
            );
        }
        let long = format!("/{}", "x".repeat(PATH_BYTES_MAX));
        assert_eq!(
            with("GET", &long, "a/b").unwrap_err(),
            HeadError::PathTooLong(long.len())
        );
        assert!(with("GET", "/", "a/b\r\nx: y").is_err());
    }

    #[test]
    fn headers_that_would_break_the_request_are_refused() {
        for bad in [
            "",
            "no colon",
            "a b: c",
            "X: a\r\nY: b",
            "Content-Length: 1",
            "traceparent: 00-1-1-01",
        ] {
            assert!(ExtraHeader::parse(bad).is_err(), "{bad:?}");
        }
    }
}
