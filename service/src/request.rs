//! A request as the slots see it, and its answer: no HTTP library's types, only what the work needs.

use std::borrow::Cow;
use std::time::Duration;

use bytes::Bytes;

/// Content type of JSON answers.
pub const JSON: &str = "application/json";
/// Content type of binary answers.
pub const OCTETS: &str = "application/octet-stream";
/// Content type of plain text answers.
pub const TEXT: &str = "text/plain; charset=utf-8";

/// What a slot works on.
#[derive(Debug, Default)]
pub struct Request {
    /// The `{key}` of the route, empty if it has none.
    pub key: Box<str>,
    /// The query, undecoded.
    pub query: Box<str>,
    /// The whole body.
    pub body: Bytes,
    /// The next hop that the request names.
    pub next_url: Option<Box<str>>,
    /// Hops that the request has made before this one.
    pub hops: u32,
}

impl Request {
    /// The decoded value of a query parameter, the first if it is given twice.
    pub fn parameter(&self, name: &str) -> Option<Cow<'_, str>> {
        url::form_urlencoded::parse(self.query.as_bytes())
            .find(|(key, _)| key == name)
            .map(|(_, value)| value)
    }
}

/// What the caller gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Content type of the body.
    pub content_type: &'static str,
    /// The body.
    pub body: Bytes,
    /// What became of the next hop, if there was one.
    pub next: NextReport,
}

/// What became of the next hop: tells the caller in headers, never in the status.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NextReport {
    /// Status that it answered with.
    pub status: Option<u16>,
    /// Why there is no status, or why the answer did not count.
    pub error: Option<Cow<'static, str>>,
}

/// What an endpoint has made of a request.
#[derive(Debug)]
pub struct Outcome {
    /// What the caller gets.
    pub answer: Answer,
    /// What the next hop gets; none if the request failed here.
    pub payload: Option<Payload>,
    /// A next hop that the endpoint itself was told of.
    pub call_url: Option<Box<str>>,
    /// How long to wait before the next hop or the answer, as for I/O.
    pub sleep: Duration,
}

/// A body for the next hop.
#[derive(Debug, Clone)]
pub struct Payload {
    /// Its bytes.
    pub bytes: Bytes,
    /// Its content type.
    pub content_type: &'static str,
}

impl Answer {
    /// An answer with a body.
    pub fn new(status: u16, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        Self {
            status,
            content_type,
            body: body.into(),
            next: NextReport::default(),
        }
    }

    /// An error as JSON; `message` says what to do.
    pub fn error(status: u16, message: &str) -> Self {
        Self::new(status, JSON, serde_json::json!({ "error": message }).to_string())
    }
}

impl Outcome {
    /// Success whose next hop gets the same bytes as the caller.
    pub fn same_for_both(answer: Answer) -> Self {
        let payload = Payload {
            bytes: answer.body.clone(),
            content_type: answer.content_type,
        };
        Self {
            answer,
            payload: Some(payload),
            call_url: None,
            sleep: Duration::ZERO,
        }
    }

    /// Success whose next hop gets other bytes than the caller.
    pub fn forwarding(answer: Answer, bytes: Bytes, content_type: &'static str) -> Self {
        Self {
            answer,
            payload: Some(Payload { bytes, content_type }),
            call_url: None,
            sleep: Duration::ZERO,
        }
    }

    /// Failure here; the next hop gets nothing.
    pub fn failed(answer: Answer) -> Self {
        Self {
            answer,
            payload: None,
            call_url: None,
            sleep: Duration::ZERO,
        }
    }
}
