//! [`RequestFacts`]: the facts that all requests with one method and URL share, encoded once for their spans and lines.

use cctf_proto::keys;
use opentelemetry_proto::tonic::trace::v1::{Span, span::SpanKind};
use prost::Message;

use crate::otlp::attributes::{SPAN_FLAGS, integer, text};
use crate::plan::target::Target;

/// The facts are shared by `Arc`: a run has one value for each method and URL.
#[derive(Debug)]
pub struct RequestFacts {
    is_head: bool,
    span: Vec<u8>,
    line_start: Vec<u8>,
    line_end: Vec<u8>,
}

impl RequestFacts {
    /// `name` is the `attack` of `events_client.jsonl`; `path` contains the query.
    pub fn new(name: &str, method: &str, target: &Target, path: &str, run_id: &str) -> Self {
        let url = format!("{target}{path}");
        let attributes = vec![
            text("http.request.method", method),
            text("url.full", &url),
            text("server.address", &target.host),
            integer("server.port", i64::from(target.port)),
            text(keys::RUN_ID, run_id),
        ];
        let span = Span {
            name: method.to_owned(),
            kind: SpanKind::Client as i32,
            flags: SPAN_FLAGS,
            attributes,
            ..Span::default()
        };
        let quoted = |value: &str| serde_json::Value::from(value).to_string();
        let line_end = format!(
            r#","body":null,"method":{},"url":{},"headers":null,"trace_id":""#,
            quoted(method),
            quoted(&url)
        );
        Self {
            is_head: method == "HEAD",
            span: span.encode_to_vec(),
            line_start: format!(r#"{{"attack":{},"seq":"#, quoted(name)).into_bytes(),
            line_end: line_end.into_bytes(),
        }
    }

    /// Whether the method is HEAD, whose responses have no body.
    pub fn is_head(&self) -> bool {
        self.is_head
    }

    /// The common fields of the spans, as the bytes of a Span.
    pub fn span_part(&self) -> &[u8] {
        &self.span
    }

    /// The common start of the lines, up to the request's number.
    pub fn line_start(&self) -> &[u8] {
        &self.line_start
    }

    /// The common part of the lines between the error and the trace id.
    pub fn line_end(&self) -> &[u8] {
        &self.line_end
    }

    /// Memory of these facts, bytes.
    pub fn held_bytes(&self) -> usize {
        size_of::<Self>() + self.span.len() + self.line_start.len() + self.line_end.len()
    }
}
