//! [`serve`]: reads a planned request on an I/O thread, queues it for a slot, and writes its answer.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use tokio::sync::oneshot;

use super::engine::Engine;
use super::execution::Execution;
use super::on_slot::NewPlan;
use super::plan::{Plan, endpoint};
use super::shared::StandIn;
use crate::context::Origin;
use crate::headers::{Header, Headers};
use crate::intake::{Rejected, hops_of, known_headers, method_of, read_body, reject, version_of};
use crate::meter;
use crate::request::Answer;
use crate::station::{Item, Ticket};
use crate::telemetry::planned_span::Endpoint;
use crate::telemetry::server_span::{Arrival, RequestTrace};

/// Maximum length of an unknown version that the error quotes.
const VERSION_SHOWN_CHARS_MAX: usize = 20;

/// A decoded request.
struct Received {
    endpoint: Endpoint,
    plan: Plan,
    engine: Engine,
    /// CPU time for decoding, which is one of the costs of executing the plan.
    cpu_ns: u64,
    hops: u32,
    body_bytes: u64,
}

/// Serves a request of any kind.
pub async fn serve(stand_in: Arc<StandIn>, head: HttpRequest, payload: web::Payload) -> HttpResponse {
    let service = &stand_in.service;
    let active = service.stats.enter(None);
    let headers = known_headers(&head);
    let origin = Origin::read(&headers);
    if origin.run_id_refused {
        service.stats.run_ids_refused.fetch_add(1, Ordering::Relaxed);
    }
    let received = receive(&stand_in, &headers, payload).await;
    let enqueue_ns = service.clock.now_ns();
    let tracer = service.tracer.as_ref();
    let ticket = |trace| Ticket {
        trace,
        active,
        method: method_of(&head),
        route: None,
        enqueue_ns,
    };
    match received {
        Ok(received) => {
            let bytes = received.body_bytes;
            let trace = RequestTrace::start_planned(tracer, origin, &received.endpoint, bytes, enqueue_ns);
            let (answer, response_ns) = admit(&stand_in, received, ticket(trace)).await;
            respond(answer, response_ns, service.is_draining())
        }
        Err(rejected) => {
            let arrival = Arrival {
                span_name: method_of(&head),
                method: method_of(&head),
                route: None,
                path: head.path(),
                query: head.query_string(),
                host: headers.text(Header::Host),
                version: version_of(&head),
                body_bytes: rejected.body_bytes,
                enqueue_ns,
            };
            let trace = RequestTrace::start(tracer, origin, &arrival);
            let answer = reject(service, rejected.answer, ticket(trace));
            // The connection is closed, because a part of the body may be unread. It would be parsed as the next request.
            respond(answer, None, true)
        }
    }
}

/// Returns the description of this stand-in. The request is not part of the workload and is not recorded.
pub fn probe(stand_in: &StandIn) -> HttpResponse {
    HttpResponse::Ok().json(StandIn::probe(&stand_in.service.settings))
}

async fn receive(
    stand_in: &StandIn,
    headers: &Headers<'_>,
    payload: web::Payload,
) -> Result<Received, Rejected> {
    let refused = |answer: Answer, body_bytes: u64| {
        stand_in.counters.refused.fetch_add(1, Ordering::Relaxed);
        Rejected { answer, body_bytes }
    };
    let Some(version) = headers.text(Header::Plan) else {
        return Err(refused(Answer::error(400, standin::NO_PLAN), 0));
    };
    if version.parse() != Ok(standin::PLAN_VERSION) {
        let shown = version.chars().take(VERSION_SHOWN_CHARS_MAX).collect();
        let error = standin::StandInError::HeaderVersion(shown);
        return Err(refused(Answer::error(400, &error.to_string()), 0));
    }
    let hops = hops_of(&stand_in.service, headers).map_err(|answer| match answer.status {
        508 => refused(Answer::error(508, "the plan has more than 64 levels"), 0),
        _ => refused(answer, 0),
    })?;
    let body = read_body(&stand_in.service, headers, payload).await;
    let body = body.map_err(|rejected| refused(rejected.answer, rejected.body_bytes))?;
    let body_bytes = body.len() as u64;
    decode(stand_in, &body, hops).map_err(|answer| refused(answer, body_bytes))
}

fn decode(stand_in: &StandIn, body: &Bytes, hops: u32) -> Result<Received, Answer> {
    let invalid = |error: standin::StandInError| Answer::error(400, &error.to_string());
    let before_ns = meter::thread_cpu_ns();
    let work = standin::decode(body).map_err(invalid)?;
    if let Err(error) = stand_in.addresses.get() {
        return Err(Answer::error(503, &error.to_string()));
    }
    let mut received = Received {
        endpoint: endpoint(&work),
        plan: Plan::new(&work, body),
        engine: Engine::new(&work),
        cpu_ns: 0,
        hops,
        body_bytes: body.len() as u64,
    };
    received.cpu_ns = meter::thread_cpu_ns().saturating_sub(before_ns);
    Ok(received)
}

/// Queues the request. Returns the answer, and the response time if the plan was executed.
async fn admit(stand_in: &Arc<StandIn>, received: Received, ticket: Ticket) -> (Answer, Option<u64>) {
    let service = &stand_in.service;
    let Received {
        plan,
        engine,
        cpu_ns,
        hops,
        ..
    } = received;
    let (reply, answer) = oneshot::channel();
    let mut execution = Execution::new(stand_in.clone(), plan, engine, &ticket.trace, hops);
    execution.decoding_cpu_ns = cpu_ns;
    let task = Item::Task(Box::new(NewPlan {
        execution,
        stand_in: stand_in.clone(),
        ticket,
        reply,
    }));
    if let Err(Item::Task(task)) = service.queue.offer(task) {
        service.stats.queue_full.fetch_add(1, Ordering::Relaxed);
        let full = Answer::error(503, "the queue is full; retry later or raise QUEUE_LIMIT");
        return (reject(service, full, task.refuse()), None);
    }
    stand_in.start_slot_if_needed();
    match answer.await {
        Ok(done) => {
            let response_ns = done.times.end_ns.saturating_sub(done.times.enqueue_ns);
            (service.record(done), Some(response_ns))
        }
        Err(_panicked) if !service.is_draining() => {
            let answer = Answer::error(500, "internal error; see the service's log");
            (answer, None)
        }
        // The service is stopping, and no slot took this request before the drain timeout.
        Err(_closed) => {
            let answer = Answer::error(503, "the service is stopping; use another instance");
            (answer, None)
        }
    }
}

fn respond(answer: Answer, response_ns: Option<u64>, closes: bool) -> HttpResponse {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = HttpResponse::build(status);
    response.insert_header((
        header::CONTENT_TYPE,
        HeaderValue::from_static(answer.content_type),
    ));
    if let Some(response_ns) = response_ns {
        response.insert_header((standin::RESPONSE_HEADER, response_ns));
    }
    if closes {
        response.force_close();
    }
    // Answers with these statuses have no body (RFC 9110).
    match answer.status {
        204 | 205 | 304 => response.finish(),
        _ => response.body(answer.body),
    }
}
