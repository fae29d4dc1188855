//! [`Admin`]: the service of the admin listener, with liveness, readiness, metrics and a status page.

mod healthcheck;
mod metrics;
mod page;

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::service::Service;

use crate::journal::Journal;
use crate::receiver::Counters;
use crate::worker::Progress;

pub use healthcheck::{HealthcheckError, healthcheck};

#[derive(Clone)]
pub struct Admin {
    sources: Arc<Sources>,
}

/// Sources of the numbers.
struct Sources {
    counters: Arc<Counters>,
    journal: Journal,
    progress: Arc<Progress>,
    started: Instant,
    last_page: Mutex<page::Sample>,
}

impl Admin {
    pub fn new(counters: Arc<Counters>, journal: Journal, progress: Arc<Progress>) -> Self {
        let sources = Sources {
            counters,
            journal,
            progress,
            started: Instant::now(),
            last_page: Mutex::new(page::Sample::default()),
        };
        Self {
            sources: Arc::new(sources),
        }
    }

    fn answer(&self, method: &Method, path: &str) -> Response<Full<Bytes>> {
        if method != Method::GET && method != Method::HEAD {
            let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "method not allowed, use GET\n");
            response
                .headers_mut()
                .insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return response;
        }
        match path {
            "/livez" => text(StatusCode::OK, "ok\n"),
            "/readyz" => match self.sources.refusal_reason() {
                None => text(StatusCode::OK, "ok\n"),
                Some(reason) => text(StatusCode::SERVICE_UNAVAILABLE, reason),
            },
            "/metrics" => {
                let body = metrics::render(&self.sources);
                respond(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", body)
            }
            "/" => respond(
                StatusCode::OK,
                "text/html; charset=utf-8",
                page::render(&self.sources),
            ),
            _ => text(
                StatusCode::NOT_FOUND,
                "not found, use /, /livez, /readyz or /metrics\n",
            ),
        }
    }
}

impl Sources {
    /// Why requests are refused at the moment; `None` if they are accepted.
    fn refusal_reason(&self) -> Option<&'static str> {
        if self.journal.is_closed() {
            return Some("shutting down\n");
        }
        self.journal.is_disk_full().then_some("the disk is full\n")
    }
}

impl<B> Service<Request<B>> for Admin {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn call(&self, request: Request<B>) -> Self::Future {
        ready(Ok(self.answer(request.method(), request.uri().path())))
    }
}

fn text(status: StatusCode, body: &'static str) -> Response<Full<Bytes>> {
    respond(status, "text/plain; charset=utf-8", body)
}

fn respond(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
        .headers_mut()
        .insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::{self, QueueLimits};

    #[test]
    fn it_is_ready_unless_requests_are_refused() {
        let limits = QueueLimits {
            requests_max: 1,
            bytes_max: 1,
        };
        let (journal, _reader) = journal::open(limits, journal::wall_clock(0));
        let admin = Admin::new(Arc::default(), journal.clone(), Arc::default());
        let status = |path| admin.answer(&Method::GET, path).status().as_u16();
        assert_eq!((status("/livez"), status("/readyz")), (200, 200));
        journal.set_disk_full(journal::DiskFull::Files, true);
        assert_eq!((status("/livez"), status("/readyz")), (200, 503));
        journal.set_disk_full(journal::DiskFull::Files, false);
        journal.close();
        assert_eq!((status("/livez"), status("/readyz")), (200, 503));
        assert_eq!(admin.answer(&Method::POST, "/livez").status().as_u16(), 405);
    }
}
