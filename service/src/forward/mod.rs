//! Calls to the next hop: only to allowed origins, with a deadline, without retries, and with a span.

pub mod allow;
pub mod resolve;

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use opentelemetry::trace::SpanContext;
use tracing::field::Empty;

use self::allow::{AllowList, NextUrl, Refusal};
use self::resolve::{CheckedResolver, ForbiddenAddress};
use crate::context;
use crate::endpoints::is_called_by_get;
use crate::headers::HOP_COUNT_HEADER;
use crate::request::{NextReport, Payload};
use crate::settings::Settings;
use crate::telemetry::inner::{self, TARGET};
use crate::telemetry::server_span::RequestTrace;

/// Maximum number of idle connections to one next hop.
const IDLE_CONNECTIONS_MAX: usize = 64;
const IDLE_TIME_MAX: Duration = Duration::from_secs(30);
/// Maximum read buffer of a connection, which also bounds the next hop's headers.
const READ_BUFFER_BYTES_MAX: usize = 64 << 10;

pub struct Forwarder {
    client: Client<HttpConnector<CheckedResolver>, Full<Bytes>>,
    allowed: AllowList,
    default_next: Option<NextUrl>,
    timeout: Duration,
    answer_bytes_max: usize,
}

/// An allowed call.
#[derive(Debug)]
pub struct Call {
    pub next: NextUrl,
    pub payload: Payload,
    /// Number of hops before this one.
    pub hops: u32,
}

/// Why a call has no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Failure {
    Timeout,
    Connect,
    NotAllowed,
    Broken,
    AnswerTooLarge,
}

struct Received {
    status: u16,
    body_bytes: usize,
}

impl Forwarder {
    pub fn new(settings: &Settings) -> Self {
        let mut connector = HttpConnector::new_with_resolver(CheckedResolver::new());
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(settings.next_timeout()));
        let client = Client::builder(TokioExecutor::new())
            .pool_max_idle_per_host(IDLE_CONNECTIONS_MAX)
            .pool_idle_timeout(IDLE_TIME_MAX)
            .http1_max_buf_size(READ_BUFFER_BYTES_MAX)
            .build(connector);
        let mut allowed = settings.next_url_allow.clone();
        settings
            .default_next_url
            .iter()
            .for_each(|next| allowed.allow_origin_of(next));
        Self {
            client,
            allowed,
            default_next: settings.default_next_url.clone(),
            timeout: settings.next_timeout(),
            answer_bytes_max: settings.max_body_bytes,
        }
    }

    /// The next hop: named by a parameter of the endpoint, else by the header, else the default.
    ///
    /// # Errors
    /// The named hop is invalid or not allowed.
    pub fn choose(&self, parameter: Option<&str>, header: Option<&str>) -> Option<Result<NextUrl, Refusal>> {
        match parameter.or(header) {
            Some(named) => {
                Some(NextUrl::parse(named).and_then(|next| self.allowed.check(&next).map(|()| next)))
            }
            None => self
                .default_next
                .clone()
                .map(|next| self.allowed.check(&next).map(|()| next)),
        }
    }

    /// Makes a call, with a span that is a child of the request's span. A failure appears only in the report and in the span.
    pub async fn call(&self, call: Call, trace: &RequestTrace) -> NextReport {
        let method = if is_called_by_get(call.next.path()) {
            "GET"
        } else {
            "POST"
        };
        let body = if method == "GET" {
            Bytes::new()
        } else {
            call.payload.bytes
        };
        let span = trace
            .parent()
            .child(|| client_span(method, &call.next, body.len()));
        let own = inner::span_context(&span);
        let context = own.as_ref().or_else(|| trace.span_context());
        let head = Head {
            method,
            next: &call.next,
            content_type: call.payload.content_type,
            hops: call.hops + 1,
        };
        let done = match head.build(context, trace.baggage(), body) {
            Ok(request) => self.exchange(request).await,
            Err(_invalid) => Err(Failure::Broken),
        };
        report(&done, &span)
    }

    async fn exchange(&self, request: http::Request<Full<Bytes>>) -> Result<Received, Failure> {
        tokio::time::timeout(self.timeout, async {
            let answer = self
                .client
                .request(request)
                .await
                .map_err(|error| Failure::from_client_error(&error))?;
            let status = answer.status().as_u16();
            let body_bytes = self.count_body(answer.into_body()).await?;
            Ok(Received { status, body_bytes })
        })
        .await
        .unwrap_or(Err(Failure::Timeout))
    }

    /// Reads and discards the answer, so that the connection can be reused.
    async fn count_body(&self, mut body: hyper::body::Incoming) -> Result<usize, Failure> {
        let mut body_bytes = 0;
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|_error| Failure::Broken)?;
            body_bytes += frame.data_ref().map_or(0, Bytes::len);
            if body_bytes > self.answer_bytes_max {
                return Err(Failure::AnswerTooLarge);
            }
        }
        Ok(body_bytes)
    }
}

/// The head of a call. It is built from a short list of headers, so that no other headers of the caller's request reach the next
/// hop.
struct Head<'a> {
    method: &'static str,
    next: &'a NextUrl,
    content_type: &'static str,
    hops: u32,
}

impl Head<'_> {
    fn build(
        &self,
        context: Option<&SpanContext>,
        baggage: Option<&str>,
        body: Bytes,
    ) -> Result<http::Request<Full<Bytes>>, http::Error> {
        let mut head = http::Request::builder()
            .method(self.method)
            .uri(self.next.as_str())
            .header(http::header::USER_AGENT, context::USER_AGENT)
            .header(HOP_COUNT_HEADER, self.hops);
        if !body.is_empty() {
            head = head.header(http::header::CONTENT_TYPE, self.content_type);
        }
        if let Some(context) = context {
            head = head.header("traceparent", context::traceparent(context));
            let state = context.trace_state().header();
            if !state.is_empty() {
                head = head.header("tracestate", state);
            }
        }
        if let Some(baggage) = baggage {
            head = head.header("baggage", baggage);
        }
        head.body(Full::new(body))
    }
}

impl Failure {
    fn from_client_error(error: &hyper_util::client::legacy::Error) -> Self {
        let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
        while let Some(one) = cause {
            let inner = one
                .downcast_ref::<std::io::Error>()
                .and_then(std::io::Error::get_ref);
            if one.is::<ForbiddenAddress>() || inner.is_some_and(|inner| inner.is::<ForbiddenAddress>()) {
                return Self::NotAllowed;
            }
            cause = one.source();
        }
        if error.is_connect() {
            Self::Connect
        } else {
            Self::Broken
        }
    }

    /// The `error.type` of the failure in the span.
    fn error_type(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Connect => "connect",
            Self::NotAllowed => "not_allowed",
            Self::Broken => "broken",
            Self::AnswerTooLarge => "answer_too_large",
        }
    }

    fn message(self) -> String {
        match self {
            Self::Timeout => "no answer in time (NEXT_TIMEOUT_MS)".to_owned(),
            Self::Connect => "cannot connect".to_owned(),
            Self::NotAllowed => Refusal::NotAllowed.to_string(),
            Self::Broken => "the connection broke".to_owned(),
            Self::AnswerTooLarge => "the answer is too large (MAX_BODY_BYTES)".to_owned(),
        }
    }
}

fn client_span(method: &'static str, next: &NextUrl, body_bytes: usize) -> tracing::Span {
    tracing::info_span!(
        target: TARGET,
        parent: None,
        "call",
        "otel.name" = method,
        "otel.kind" = "client",
        "otel.status_code" = Empty,
        "http.request.method" = method,
        "url.full" = next.as_str(),
        "server.address" = next.host(),
        "server.port" = i64::from(next.port()),
        "http.request.body.size" = signed(body_bytes),
        "http.response.body.size" = Empty,
        "http.response.status_code" = Empty,
        "error.type" = Empty,
    )
}

fn report(done: &Result<Received, Failure>, span: &tracing::Span) -> NextReport {
    match done {
        Ok(received) => {
            span.record("http.response.status_code", i64::from(received.status));
            span.record("http.response.body.size", signed(received.body_bytes));
            if received.status >= 400 {
                span.record("error.type", received.status.to_string());
                span.record("otel.status_code", "ERROR");
            }
            NextReport {
                status: Some(received.status),
                error: None,
            }
        }
        Err(failure) => {
            span.record("error.type", failure.error_type());
            span.record("otel.status_code", "ERROR");
            NextReport {
                status: None,
                error: Some(failure.message().into()),
            }
        }
    }
}

fn signed(size: usize) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::CommandLine;

    fn forwarder(args: &[&str]) -> Forwarder {
        let args = std::iter::once("tunable-svc").chain(args.iter().copied());
        Forwarder::new(&CommandLine::read(args.map(Into::into)).unwrap().settings)
    }

    #[test]
    fn the_most_specific_next_hop_wins_and_must_be_allowed() {
        let hops = forwarder(&[
            "--default-next-url",
            "http://a:1/x",
            "--next-url-allow",
            "http://b:2",
        ]);
        let chosen = |parameter, header| {
            hops.choose(parameter, header)
                .map(|next| next.map(|next| next.as_str().to_owned()))
        };
        assert_eq!(chosen(None, None), Some(Ok("http://a:1/x".into())));
        assert_eq!(
            chosen(None, Some("http://b:2/y")),
            Some(Ok("http://b:2/y".into()))
        );
        assert_eq!(
            chosen(None, Some("http://a:1/z")),
            Some(Ok("http://a:1/z".into()))
        );
        assert_eq!(
            chosen(Some("http://c:3/"), Some("http://b:2/y")),
            Some(Err(Refusal::NotAllowed))
        );
        assert_eq!(forwarder(&[]).choose(None, None).map(|next| next.is_ok()), None);
    }

    #[test]
    fn only_the_short_list_of_headers_is_sent() {
        let next = NextUrl::parse("http://a:1/blob/gzip").unwrap();
        let head = Head {
            method: "POST",
            next: &next,
            content_type: "text/plain",
            hops: 3,
        };
        let parent = SpanContext::new(1.into(), 2.into(), Default::default(), false, Default::default());
        let request = head
            .build(Some(&parent), Some("k=v"), Bytes::from_static(b"x"))
            .unwrap();
        let mut names: Vec<_> = request.headers().keys().map(http::HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(
            names,
            [
                "baggage",
                "content-type",
                "traceparent",
                "user-agent",
                "x-hop-count"
            ]
        );
        assert_eq!(request.headers()["x-hop-count"], "3");
        assert!(
            request.headers()["traceparent"]
                .to_str()
                .unwrap()
                .ends_with("-00")
        );
    }
}
