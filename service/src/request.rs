//! A request as slots and endpoints see it, and its answer, without types of the HTTP library.

use std::borrow::Cow;
use std::time::Duration;

use bytes::Bytes;

pub const JSON: &str = "application/json";
pub const OCTETS: &str = "application/octet-stream";
pub const TEXT: &str = "text/plain; charset=utf-8";

#[derive(Debug, Default)]
pub struct Request {
    /// The `{key}` of the route, empty if it has none.
    pub key: Box<str>,
    /// The query, undecoded.
    pub query: Box<str>,
    /// The whole body.
    pub body: Bytes,
    /// The value of X-Next-Url.
    pub next_url: Option<Box<str>>,
    /// Number of hops before this one.
    pub hops: u32,
}

impl Request {
    /// The decoded value of a query parameter; of duplicates the first one.
    pub fn parameter(&self, name: &str) -> Option<Cow<'_, str>> {
        url::form_urlencoded::parse(self.query.as_bytes())
            .find(|(key, _)| key == name)
            .map(|(_, value)| value)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub content_type: &'static str,
    pub body: Bytes,
    pub next: NextReport,
}

/// The result of the call to the next hop. It is reported to the caller in headers and never changes the status.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NextReport {
    pub status: Option<u16>,
    /// Why the hop was not called or gave no valid answer.
    pub error: Option<Cow<'static, str>>,
}

/// An endpoint's result.
#[derive(Debug)]
pub struct Outcome {
    pub answer: Answer,
    /// The body for the next hop; none if the request failed here.
    pub payload: Option<Payload>,
    /// A next hop named by a parameter of the endpoint. It overrides X-Next-Url.
    pub call_url: Option<Box<str>>,
    /// Wait before the next hop or the answer, which simulates I/O.
    pub sleep: Duration,
}

/// A body for the next hop.
#[derive(Debug, Clone)]
pub struct Payload {
    pub bytes: Bytes,
    pub content_type: &'static str,
}

impl Answer {
    pub fn new(status: u16, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        Self {
            status,
            content_type,
            body: body.into(),
            next: NextReport::default(),
        }
    }

    /// An error as JSON; `message` includes the remedy.
    pub fn error(status: u16, message: &str) -> Self {
        Self::new(status, JSON, serde_json::json!({ "error": message }).to_string())
    }
}

impl Outcome {
    /// Success; the next hop gets the same bytes as the caller.
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

    /// Success; the next hop gets other bytes than the caller.
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
