//! [`Endpoint`], [`CallSpan`] and [`Outcome`]: the spans of a stand-in. They report the recorded requests, not the HTTP
//! requests that carry plans.

use std::sync::Arc;

use opentelemetry::trace::{Span as _, SpanBuilder, SpanKind, Status};
use opentelemetry::{KeyValue, Value};
use opentelemetry_sdk::trace::Span;
use standin::Kind;

/// Maximum number of attributes of a stand-in's span. The list is allocated once, with room for all of them.
const ATTRIBUTES_MAX: usize = 16;

/// The endpoint of an invocation, as recorded.
#[derive(Debug, Clone)]
pub struct Endpoint {
    pub kind: Kind,
    pub is_rpc: bool,
    pub method: Option<Arc<str>>,
    pub route: Option<Arc<str>>,
}

/// A call, as recorded.
#[derive(Debug, Clone)]
pub struct CallSpan {
    pub is_message: bool,
    pub is_retry: bool,
    pub is_rpc: bool,
    pub peer: Option<Arc<str>>,
    pub method: Option<Arc<str>>,
    pub path: Option<Arc<str>>,
    pub bytes_out: u32,
}

/// The result of an invocation or a call.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Status of HTTP, or a gRPC code (below 100); `None` if none was reported.
    pub status: Option<u16>,
    pub error: Option<Arc<str>>,
    pub is_failed: bool,
}

impl Endpoint {
    /// A span without a start time, with the attributes that are known at the arrival.
    pub fn span(&self, body_bytes: u64) -> SpanBuilder {
        let mut attributes = Vec::with_capacity(ATTRIBUTES_MAX);
        let [method, path] = names(self.is_rpc);
        attributes.extend(pair(method, self.method.as_ref()));
        attributes.extend(pair(path, self.route.as_ref()));
        if !self.is_rpc {
            attributes.extend(pair("http.route", self.route.as_ref()));
        }
        attributes.push(size("http.request.body.size", body_bytes));
        SpanBuilder {
            span_kind: Some(match self.kind {
                Kind::Server => SpanKind::Server,
                Kind::Consumer => SpanKind::Consumer,
                // A span with a caller's kind would be counted as a call, not as an invocation.
                Kind::Internal | Kind::Client | Kind::Producer => SpanKind::Internal,
            }),
            name: name(self.method.as_ref(), self.route.as_ref()).into(),
            attributes: Some(attributes),
            ..SpanBuilder::default()
        }
    }
}

impl CallSpan {
    /// A span without a start time.
    pub fn span(&self) -> SpanBuilder {
        let mut attributes = Vec::with_capacity(ATTRIBUTES_MAX);
        let [method, path] = names(self.is_rpc);
        attributes.extend(pair(method, self.method.as_ref()));
        attributes.extend(pair(path, self.path.as_ref()));
        attributes.extend(pair("server.address", self.peer.as_ref()));
        attributes.push(size("http.request.body.size", u64::from(self.bytes_out)));
        if self.is_retry {
            attributes.push(KeyValue::new("http.request.resend_count", 1_i64));
        }
        let kind = if self.is_message {
            SpanKind::Producer
        } else {
            SpanKind::Client
        };
        SpanBuilder {
            span_kind: Some(kind),
            name: name(self.method.as_ref(), self.path.as_ref()).into(),
            attributes: Some(attributes),
            ..SpanBuilder::default()
        }
    }
}

impl Outcome {
    /// Sets the attributes of a result. `bytes` is the size of the answer.
    pub fn report(&self, span: &mut Span, bytes: Option<u64>) {
        if let Some(status) = self.status {
            let key = match status {
                0..100 => "rpc.response.status_code",
                _ => "http.response.status_code",
            };
            span.set_attribute(KeyValue::new(key, i64::from(status)));
        }
        if let Some(bytes) = bytes {
            span.set_attribute(size("http.response.body.size", bytes));
        }
        if let Some(error) = pair("error.type", self.error.as_ref()) {
            span.set_attribute(error);
        }
        if self.is_failed {
            span.set_status(Status::error(""));
        }
    }
}

/// Names of the attributes for method and path.
fn names(is_rpc: bool) -> [&'static str; 2] {
    if is_rpc {
        ["rpc.method", "rpc.service"]
    } else {
        ["http.request.method", "url.path"]
    }
}

fn name(method: Option<&Arc<str>>, path: Option<&Arc<str>>) -> String {
    match (method, path) {
        (Some(method), Some(path)) => format!("{method} {path}"),
        (Some(one), None) | (None, Some(one)) => one.to_string(),
        (None, None) => "planned".to_owned(),
    }
}

fn pair(key: &'static str, text: Option<&Arc<str>>) -> Option<KeyValue> {
    text.map(|text| KeyValue::new(key, Value::from(text.clone())))
}

fn size(key: &'static str, bytes: u64) -> KeyValue {
    KeyValue::new(key, i64::try_from(bytes).unwrap_or(i64::MAX))
}
