//! The admin listener: liveness, readiness, and metrics in Prometheus' text format.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use actix_web::http::header::ALLOW;
use actix_web::{HttpResponse, guard, web};

use crate::service::Service;

const PROMETHEUS_TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Name, type and description of a metric.
struct Family {
    name: &'static str,
    kind: &'static str,
    help: &'static str,
}

const fn counter(name: &'static str, help: &'static str) -> Family {
    let kind = "counter";
    Family { name, kind, help }
}

const fn gauge(name: &'static str, help: &'static str) -> Family {
    let kind = "gauge";
    Family { name, kind, help }
}

const REQUESTS: Family = counter(
    "requests_total",
    "Finished requests by endpoint and status class.",
);

/// A metric without labels, and the source of its value.
type SingleValue = (Family, fn(&Service) -> u64);

static SINGLE_VALUES: [SingleValue; 11] = [
    (
        counter(
            "queue_full_total",
            "Requests answered with 503 because the queue was full.",
        ),
        |service| load(&service.stats.queue_full),
    ),
    (
        counter(
            "body_too_large_total",
            "Requests answered with 413 because the body was too large.",
        ),
        |service| load(&service.stats.body_too_large),
    ),
    (
        counter(
            "loops_total",
            "Requests answered with 508 because they exceeded HOP_LIMIT.",
        ),
        |service| load(&service.stats.loops),
    ),
    (
        counter(
            "next_refused_total",
            "Next hops that were invalid or not allowed.",
        ),
        |service| load(&service.stats.next_refused),
    ),
    (
        counter(
            "next_failed_total",
            "Calls to next hops that failed without an answer.",
        ),
        |service| load(&service.stats.next_failed),
    ),
    (
        counter("run_ids_refused_total", "Invalid run ids in baggage."),
        |service| load(&service.stats.run_ids_refused),
    ),
    (
        counter("spans_exported_total", "Spans accepted by the receiver."),
        |service| load(&service.span_counts.exported),
    ),
    (
        counter("spans_dropped_total", "Spans that were lost."),
        |service| load(&service.span_counts.dropped),
    ),
    (
        counter(
            "span_export_retries_total",
            "Failed span exports that were retried.",
        ),
        |service| load(&service.span_counts.retries),
    ),
    (gauge("active_requests", "Requests in progress."), |service| {
        u64::try_from(service.stats.active()).unwrap_or(0)
    }),
    (gauge("queue_length", "Requests waiting for a slot."), |service| {
        service.queue.len() as u64
    }),
];
const WORKERS: Family = gauge("workers", "Worker slots. Absent if they are unlimited.");

/// Counters of a stand-in: name, description, and value.
pub type Further = Arc<dyn Fn() -> Vec<(&'static str, &'static str, String)> + Send + Sync>;

pub fn routes(config: &mut web::ServiceConfig, service: &Arc<Service>, further: &Further) {
    let (ready, counts, further) = (service.clone(), service.clone(), further.clone());
    page(config, "/livez", || HttpResponse::Ok().body("ok\n"));
    page(config, "/readyz", move || readiness(&ready));
    page(config, "/metrics", move || metrics(&counts, &further));
}

/// A page for GET, and for HEAD without a body.
fn page(config: &mut web::ServiceConfig, path: &str, answer: impl Fn() -> HttpResponse + Clone + 'static) {
    let allowed = guard::Any(guard::Get()).or(guard::Head());
    let wrong_method = || async {
        HttpResponse::MethodNotAllowed()
            .insert_header((ALLOW, "GET, HEAD"))
            .finish()
    };
    let resource = web::resource(path)
        .route(
            web::route()
                .guard(allowed)
                .to(move || std::future::ready(answer())),
        )
        .default_service(web::to(wrong_method));
    config.service(resource);
}

fn readiness(service: &Service) -> HttpResponse {
    if service.is_draining() {
        return HttpResponse::ServiceUnavailable().body("stopping\n");
    }
    HttpResponse::Ok().body("ok\n")
}

fn metrics(service: &Service, further: &Further) -> HttpResponse {
    HttpResponse::Ok()
        .content_type(PROMETHEUS_TEXT)
        .body(render(service, further))
}

fn render(service: &Service, further: &Further) -> String {
    let mut text = String::with_capacity(4096);
    write_head(&mut text, &REQUESTS);
    for (method, route, class, count) in service.stats.finished() {
        let _ = writeln!(
            text,
            "tunable_svc_requests_total{{method=\"{method}\",route=\"{route}\",status=\"{class}xx\"}} {count}"
        );
    }
    for (family, read) in &SINGLE_VALUES {
        write_head(&mut text, family);
        let _ = writeln!(text, "tunable_svc_{} {}", family.name, read(service));
    }
    if let Some(slots) = service.settings.slots() {
        write_head(&mut text, &WORKERS);
        let _ = writeln!(text, "tunable_svc_{} {slots}", WORKERS.name);
    }
    for (name, help, value) in further() {
        write_head(&mut text, &counter(name, help));
        let _ = writeln!(text, "tunable_svc_{name} {value}");
    }
    text
}

fn write_head(text: &mut String, family: &Family) {
    let Family { name, kind, help } = family;
    let _ = writeln!(
        text,
        "# HELP tunable_svc_{name} {help}\n# TYPE tunable_svc_{name} {kind}"
    );
}

fn load(count: &AtomicU64) -> u64 {
    count.load(Ordering::Relaxed)
}
