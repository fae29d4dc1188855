//! Work on an I/O thread: reads a request, puts it into the queue, and writes its answer.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::Duration;

use actix_web::http::header::{self, HeaderValue};
use actix_web::http::{StatusCode, Version};
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use percent_encoding::percent_decode_str;
use tokio::sync::oneshot;

use crate::context::Origin;
use crate::endpoints::{ENDPOINTS, Endpoint};
use crate::headers::{Header, Headers};
use crate::request::{Answer, Request};
use crate::service::Service;
use crate::station::{Done, Item, Job, Ticket};
use crate::telemetry::server_span::{Arrival, RequestTrace, Times};

/// Maximum time for a body to arrive.
const BODY_TIME_MAX: Duration = Duration::from_secs(30);
/// Maximum initial size of a body's buffer, regardless of Content-Length.
const BODY_BUFFER_BYTES: usize = 64 << 10;

/// The answer to a request that is rejected before it gets a slot.
pub struct Rejected {
    pub answer: Answer,
    pub body_bytes: u64,
}

/// The result of matching the method and path of a request.
#[derive(Debug, Clone)]
pub enum Target {
    /// The endpoint with this index in the table.
    Endpoint(usize),
    /// The path is a route, but not for this method. Contains the allowed methods.
    WrongMethod(&'static str),
    /// No route has this path.
    Unknown,
}

impl Target {
    fn index(&self) -> Option<usize> {
        match self {
            Self::Endpoint(index) => Some(*index),
            Self::WrongMethod(_) | Self::Unknown => None,
        }
    }
}

/// Serves a request.
pub async fn serve(
    service: Arc<Service>,
    target: Target,
    head: HttpRequest,
    payload: web::Payload,
) -> HttpResponse {
    let endpoint = target.index().and_then(|index| ENDPOINTS.get(index));
    let active = service.stats.enter(target.index());
    let headers = known_headers(&head);
    let is_planned = headers.text(Header::Plan).is_some();
    let origin = Origin::read(&headers);
    if origin.run_id_refused {
        service.stats.run_ids_refused.fetch_add(1, Ordering::Relaxed);
    }
    let read = match &target {
        _ if is_planned => Err(Rejected::without_body(Answer::error(400, standin::NO_STAND_IN))),
        Target::Endpoint(_) => read_request(&service, &head, &headers, payload).await,
        Target::WrongMethod(_) => Err(Rejected::without_body(Answer::error(
            405,
            "method not allowed; the Allow header lists the allowed methods",
        ))),
        Target::Unknown => Err(Rejected::without_body(Answer::error(404, "no such endpoint"))),
    };
    let enqueue_ns = service.clock.now_ns();
    let body_bytes = read.as_ref().map_or_else(
        |rejected| rejected.body_bytes,
        |request| request.body.len() as u64,
    );
    let arrival = Arrival {
        span_name: endpoint.map_or_else(|| method_of(&head), |endpoint| endpoint.span_name),
        method: method_of(&head),
        route: endpoint.map(|endpoint| endpoint.route),
        path: head.path(),
        query: head.query_string(),
        host: headers.text(Header::Host),
        version: version_of(&head),
        body_bytes,
        enqueue_ns,
    };
    let trace = RequestTrace::start(service.tracer.as_ref(), origin, &arrival);
    let ticket = Ticket {
        trace,
        active,
        method: arrival.method,
        route: arrival.route,
        enqueue_ns,
    };
    let answer = match (endpoint, read) {
        (Some(endpoint), Ok(request)) => admit(&service, endpoint, request, ticket).await,
        (_, Err(rejected)) => reject(&service, rejected.answer, ticket),
        (None, Ok(_)) => reject(&service, Answer::error(404, "no such endpoint"), ticket),
    };
    // A request with a plan was refused, and its body was not read. So the connection is closed.
    respond(answer, &target, is_planned || service.is_draining())
}

async fn admit(
    service: &Arc<Service>,
    endpoint: &'static Endpoint,
    request: Request,
    ticket: Ticket,
) -> Answer {
    let (reply, answer) = oneshot::channel();
    let job = Item::New(Box::new(Job {
        endpoint,
        request,
        ticket,
        reply,
    }));
    if let Err(Item::New(job)) = service.queue.offer(job) {
        service.stats.queue_full.fetch_add(1, Ordering::Relaxed);
        let full = Answer::error(503, "the queue is full; retry later or raise QUEUE_LIMIT");
        return reject(service, full, job.ticket);
    }
    match answer.await {
        Ok(done) => service.record(done),
        // The service is stopping, and no slot took this request before the drain timeout.
        Err(_closed) => Answer::error(503, "the service is stopping; use another instance"),
    }
}

/// Finishes a request that gets no slot. Its end time is its arrival time.
pub fn reject(service: &Service, answer: Answer, ticket: Ticket) -> Answer {
    let times = Times {
        enqueue_ns: ticket.enqueue_ns,
        end_ns: ticket.enqueue_ns,
        ..Times::default()
    };
    service.record(Done {
        answer,
        times,
        ticket,
    })
}

impl Rejected {
    fn without_body(answer: Answer) -> Self {
        Self {
            answer,
            body_bytes: 0,
        }
    }
}

async fn read_request(
    service: &Service,
    head: &HttpRequest,
    headers: &Headers<'_>,
    payload: web::Payload,
) -> Result<Request, Rejected> {
    let hops = hops_of(service, headers).map_err(Rejected::without_body)?;
    let body = read_body(service, headers, payload).await?;
    if !is_utf8_decoded(head.uri().path()) || !is_utf8_decoded(head.query_string()) {
        return Err(Rejected {
            answer: Answer::error(400, "path or query is not valid UTF-8 after percent-decoding"),
            body_bytes: body.len() as u64,
        });
    }
    Ok(Request {
        key: head.match_info().get("key").unwrap_or_default().into(),
        query: head.query_string().into(),
        body,
        next_url: headers
            .text(Header::NextUrl)
            .filter(|url| !url.is_empty())
            .map(Into::into),
        hops,
    })
}

/// Whether a text is valid UTF-8 after percent-decoding. Invalid texts are refused, because decoding replaces each invalid byte by
/// the same character: `%fe` and `%ff` would be the same key.
fn is_utf8_decoded(encoded: &str) -> bool {
    !encoded.contains('%') || percent_decode_str(encoded).decode_utf8().is_ok()
}

/// The number of hops of a request, or the answer that refuses the request: the header is invalid, or HOP_LIMIT is reached.
pub fn hops_of(service: &Service, headers: &Headers<'_>) -> Result<u32, Answer> {
    let Some(text) = headers.text(Header::HopCount) else {
        return Ok(0);
    };
    let hops: u32 = text
        .parse()
        .map_err(|_| Answer::error(400, "invalid x-hop-count: use a whole number"))?;
    if hops >= service.settings.hop_limit {
        service.stats.loops.fetch_add(1, Ordering::Relaxed);
        return Err(Answer::error(
            508,
            "too many hops; remove the loop or raise HOP_LIMIT",
        ));
    }
    Ok(hops)
}

/// Reads a body of at most MAX_BODY_BYTES.
pub async fn read_body(
    service: &Service,
    headers: &Headers<'_>,
    payload: web::Payload,
) -> Result<Bytes, Rejected> {
    let limit = service.settings.max_body_bytes;
    let declared = headers
        .text(Header::ContentLength)
        .and_then(|text| text.parse::<usize>().ok());
    if declared.is_some_and(|declared| declared > limit) {
        return Err(too_large(service, 0));
    }
    let reading = collect(service, payload, declared.unwrap_or(0));
    match with_timeout(BODY_TIME_MAX, reading).await {
        Some(body) => body,
        None => Err(Rejected::without_body(Answer::error(
            408,
            "timeout while reading the body",
        ))),
    }
}

/// Returns the future's output, or `None` after `limit`. The timer starts only after the second poll. A small body has usually
/// arrived by then, and a second poll is cheaper than a timer.
async fn with_timeout<F: Future>(limit: Duration, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut is_second = false;
    let soon = poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending if is_second => Poll::Ready(None),
        Poll::Pending => {
            is_second = true;
            context.waker().wake_by_ref();
            Poll::Pending
        }
    });
    match soon.await {
        Some(output) => Some(output),
        None => tokio::time::timeout(limit, future).await.ok(),
    }
}

async fn collect(service: &Service, payload: web::Payload, declared: usize) -> Result<Bytes, Rejected> {
    let mut payload = payload.into_inner();
    let mut first = Bytes::new();
    let mut rest: Option<BytesMut> = None;
    while let Some(piece) = payload.next().await {
        let so_far = rest.as_ref().map_or(first.len(), BytesMut::len);
        let piece = piece.map_err(|error| Rejected {
            answer: Answer::error(400, &format!("cannot read the body: {error}")),
            body_bytes: so_far as u64,
        })?;
        if so_far + piece.len() > service.settings.max_body_bytes {
            return Err(too_large(service, so_far + piece.len()));
        }
        // A body in one piece, as small bodies are, is not copied.
        match &mut rest {
            None if first.is_empty() => first = piece,
            None => {
                let needed = so_far + piece.len();
                let mut whole = BytesMut::with_capacity(declared.min(BODY_BUFFER_BYTES).max(needed));
                whole.extend_from_slice(&first);
                whole.extend_from_slice(&piece);
                rest = Some(whole);
            }
            Some(whole) => whole.extend_from_slice(&piece),
        }
    }
    Ok(rest.map_or(first, BytesMut::freeze))
}

fn too_large(service: &Service, body_bytes: usize) -> Rejected {
    service.stats.body_too_large.fetch_add(1, Ordering::Relaxed);
    let limit = service.settings.max_body_bytes;
    let answer = Answer::error(
        413,
        &format!("the body exceeds {limit} bytes; send less or raise MAX_BODY_BYTES"),
    );
    Rejected {
        answer,
        body_bytes: body_bytes as u64,
    }
}

fn respond(answer: Answer, target: &Target, closes: bool) -> HttpResponse {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = HttpResponse::build(status);
    response.insert_header((
        header::CONTENT_TYPE,
        HeaderValue::from_static(answer.content_type),
    ));
    if answer.status == 503 {
        response.insert_header((header::RETRY_AFTER, HeaderValue::from_static("1")));
    }
    if let Target::WrongMethod(allow) = target {
        response.insert_header((header::ALLOW, HeaderValue::from_static(allow)));
    }
    if let Some(status) = answer.next.status {
        response.insert_header(("x-next-status", status.to_string()));
    }
    if let Some(error) = answer.next.error {
        response.insert_header(("x-next-error", &*error));
    }
    // After these answers, part of the body may be unread. On the same connection it would be parsed as the next request.
    if closes || matches!(answer.status, 404 | 405 | 408 | 413 | 508) {
        response.force_close();
    }
    response.body(answer.body)
}

/// The headers that this service reads.
pub fn known_headers(head: &HttpRequest) -> Headers<'_> {
    let mut headers = Headers::default();
    for (name, value) in head.headers() {
        headers.keep(name.as_str(), || value.to_str().ok());
    }
    headers
}

/// The method as the semantic conventions name it. A method that they do not know is `_OTHER`.
pub fn method_of(head: &HttpRequest) -> &'static str {
    match head.method().as_str() {
        "GET" => "GET",
        "POST" => "POST",
        "PUT" => "PUT",
        "DELETE" => "DELETE",
        "HEAD" => "HEAD",
        "OPTIONS" => "OPTIONS",
        "PATCH" => "PATCH",
        _ => "_OTHER",
    }
}

pub fn version_of(head: &HttpRequest) -> &'static str {
    match head.version() {
        Version::HTTP_10 => "1.0",
        Version::HTTP_2 => "2",
        _ => "1.1",
    }
}
