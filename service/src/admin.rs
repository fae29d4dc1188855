//! The admin listener: whether the service lives and is ready, and its counts as Prometheus text.

use crate::service::Service;
use actix_web::http::header::ALLOW;
use actix_web::{HttpResponse, guard, web};
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

const PROMETHEUS_TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Registers the admin routes.
pub fn routes(config: &mut web::ServiceConfig, service: &Arc<Service>) {
    let (ready, counts) = (service.clone(), service.clone());
    page(config, "/livez", || HttpResponse::Ok().body("ok\n"));
    page(config, "/readyz", move || readiness(&ready));
    page(config, "/metrics", move || metrics(&counts));
}

/// A page that is asked by GET, or by HEAD for its status and headers.
fn page(config: &mut web::ServiceConfig, path: &str, answer: impl Fn() -> HttpResponse + Clone + 'static) {
    let asked = guard::Any(guard::Get()).or(guard::Head());
    let wrong_method = || async {
        HttpResponse::MethodNotAllowed()
            .insert_header((ALLOW, "GET, HEAD"))
            .finish()
    };
    let resource = web::resource(path)
        .route(web::route().guard(asked).to(move || std::future::ready(answer())))
        .default_service(web::to(wrong_method));
    config.service(resource);
}

fn readiness(service: &Service) -> HttpResponse {
    if service.is_draining() {
        return HttpResponse::ServiceUnavailable().body("stopping\n");
    }
    HttpResponse::Ok().body("ok\n")
}

fn metrics(service: &Service) -> HttpResponse {
    HttpResponse::Ok()
        .content_type(PROMETHEUS_TEXT)
        .body(render(service))
}

/// The counts in Prometheus' text format.
fn render(service: &Service) -> String {
    let (stats, spans) = (&service.stats, &service.span_counts);
    let mut text = String::with_capacity(4096);
    family(
        &mut text,
        "requests_total",
        "counter",
        "Finished requests by endpoint and class of status.",
    );
    for (method, route, class, count) in stats.finished() {
        let _ = writeln!(
            text,
            "tunable_svc_requests_total{{method=\"{method}\",route=\"{route}\",status=\"{class}xx\"}} {count}"
        );
    }
    let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
    let counters = [
        (
            "queue_full_total",
            "Requests answered 503 because the queue was full.",
            read(&stats.queue_full),
        ),
        (
            "body_too_large_total",
            "Requests answered 413 before they were read whole.",
            read(&stats.body_too_large),
        ),
        (
            "loops_total",
            "Requests answered 508 because they had made too many hops.",
            read(&stats.loops),
        ),
        (
            "next_refused_total",
            "Next hops that were not allowed or not usable.",
            read(&stats.next_refused),
        ),
        (
            "next_failed_total",
            "Next hops that were called and gave no answer.",
            read(&stats.next_failed),
        ),
        (
            "run_ids_refused_total",
            "Run ids in baggage that cannot be one.",
            read(&stats.run_ids_refused),
        ),
        (
            "spans_exported_total",
            "Spans that the receiver has accepted.",
            read(&spans.exported),
        ),
        (
            "spans_dropped_total",
            "Spans that were lost.",
            read(&spans.dropped),
        ),
        (
            "span_export_retries_total",
            "Exports of spans that failed and were repeated.",
            read(&spans.retries),
        ),
    ];
    for (name, help, value) in counters {
        family(&mut text, name, "counter", help);
        let _ = writeln!(text, "tunable_svc_{name} {value}");
    }
    let gauges = [
        (
            "active_requests",
            "Requests in flight.",
            u64::try_from(stats.active()).unwrap_or(0),
        ),
        (
            "queue_length",
            "Requests that wait for a slot.",
            service.queue.len() as u64,
        ),
        ("workers", "Worker slots.", service.settings.worker_count() as u64),
    ];
    for (name, help, value) in gauges {
        family(&mut text, name, "gauge", help);
        let _ = writeln!(text, "tunable_svc_{name} {value}");
    }
    text
}

fn family(text: &mut String, name: &str, kind: &str, help: &str) {
    let _ = writeln!(
        text,
        "# HELP tunable_svc_{name} {help}\n# TYPE tunable_svc_{name} {kind}"
    );
}
