//! [`Shop`]: spans of requests that pass services, each of which is on its own node. Also a normalizer that receives some of
//! the spans.

use bytes::Bytes;
use cctf_normalizer::journal::{Content, Record, Signal};
use cctf_normalizer::pipeline::{Output, Pipeline, Settings};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use proptest::prelude::*;
use prost::Message;
use tempfile::TempDir;

use crate::folders::{folder, write};

/// Start of the first request, nanoseconds since the Unix epoch.
pub const BASE: u64 = 1_760_000_000_000_000_000;
const MS: u64 = 1_000_000;
/// Number of services. There is one on each tier.
pub const SERVICES: usize = 3;

/// A span and its service.
#[derive(Debug, Clone, PartialEq)]
pub struct Made {
    pub service: usize,
    pub span: Span,
}

/// A step of a request in a service. The steps within a step become its child spans.
#[derive(Debug, Clone)]
pub enum Step {
    /// Inner work.
    Inner(Vec<Step>),
    /// A call to a service that answers it. `lost`: the span of the answer never arrives.
    Call {
        to: usize,
        there: u64,
        back: u64,
        sent: u64,
        lost: bool,
        answer: Vec<Step>,
    },
    /// A message to a service.
    Message { to: usize, handled: Vec<Step> },
    /// A call to a peer without telemetry.
    Outside(u8),
}

/// Requests of a few steps.
pub fn requests() -> impl Strategy<Value = Vec<Vec<Step>>> {
    prop::collection::vec(prop::collection::vec(step(), 0..3), 1..12)
}

fn step() -> impl Strategy<Value = Step> {
    let leaf = (0_u8..3).prop_map(Step::Outside);
    leaf.prop_recursive(3, 12, 3, |inner| {
        let some = prop::collection::vec(inner, 0..3);
        prop_oneof![
            some.clone().prop_map(Step::Inner),
            (
                0..SERVICES,
                0_u64..4,
                0_u64..4,
                0_u64..3,
                prop::bool::weighted(0.1),
                some.clone()
            )
                .prop_map(|(to, there, back, sent, lost, answer)| Step::Call {
                    to,
                    there,
                    back,
                    sent: 1000 * sent * sent,
                    lost,
                    answer
                }),
            (0..SERVICES, some).prop_map(|(to, handled)| Step::Message { to, handled }),
        ]
    })
}

/// OTLP flags of a span: whether the flag `IS_REMOTE` is known, and whether the parent is in another process.
const HAS_IS_REMOTE: u32 = 0x100;
const IS_REMOTE: u32 = 0x200;

/// The spans without flags, as SDKs before 2024 send them.
pub fn without_flags(mut spans: Vec<Made>) -> Vec<Made> {
    spans.iter_mut().for_each(|made| made.span.flags = 0);
    spans
}

/// The spans of these requests. Each request is a trace that starts at the first service. `ahead` is the time by which each
/// node's clock is ahead.
pub fn spans_of(requests: &[Vec<Step>], ahead: [u64; SERVICES]) -> Vec<Made> {
    let mut shop = Shop {
        spans: Vec::new(),
        trace: 0,
        next: 0,
    };
    for (number, steps) in (1..).zip(requests) {
        shop.trace = number;
        let begin = BASE + number * 300 * MS;
        let root = shop.id();
        let end = shop.steps(0, root, begin + MS, steps) + MS;
        shop.make(
            0,
            root,
            None,
            SpanKind::Server,
            begin,
            end,
            &[("http.request.method", "GET"), ("url.path", "/")],
        );
    }
    for made in &mut shop.spans {
        made.span.start_time_unix_nano += ahead[made.service];
        made.span.end_time_unix_nano += ahead[made.service];
    }
    shop.spans
}

struct Shop {
    spans: Vec<Made>,
    trace: u64,
    next: u64,
}

impl Shop {
    fn id(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// Performs the steps one after the other, as children of a span. Returns their end.
    fn steps(&mut self, service: usize, parent: u64, mut now: u64, steps: &[Step]) -> u64 {
        for step in steps {
            now = self.step(service, parent, now, step) + MS / 10;
        }
        now
    }

    fn step(&mut self, service: usize, parent: u64, begin: u64, step: &Step) -> u64 {
        let id = self.id();
        match step {
            Step::Inner(steps) => {
                let end = self.steps(service, id, begin, steps) + MS / 5;
                self.make(service, id, Some(parent), SpanKind::Internal, begin, end, &[]);
                end
            }
            Step::Outside(number) => {
                let peer = format!("db{number}");
                self.make(
                    service,
                    id,
                    Some(parent),
                    SpanKind::Client,
                    begin,
                    begin + MS,
                    &[("server.address", &peer)],
                );
                begin + MS
            }
            Step::Call {
                to,
                there,
                back,
                sent,
                lost,
                answer,
            } => {
                let arrived = begin + there * MS;
                let below = self.id();
                let left = self.steps(*to, below, arrived + MS, answer);
                let end = left + back * MS;
                let (peer, size) = (format!("svc{to}"), sent.to_string());
                let attributes = [
                    ("server.address", peer.as_str()),
                    ("http.request.method", "GET"),
                    ("url.path", "/x"),
                ];
                self.make(
                    service,
                    id,
                    Some(parent),
                    SpanKind::Client,
                    begin,
                    end,
                    &attributes,
                );
                if !lost {
                    let attributes = [
                        ("http.request.method", "GET"),
                        ("url.path", "/x"),
                        ("http.request.body.size", size.as_str()),
                    ];
                    self.make(*to, below, Some(id), SpanKind::Server, arrived, left, &attributes);
                }
                end
            }
            Step::Message { to, handled } => {
                self.make(
                    service,
                    id,
                    Some(parent),
                    SpanKind::Producer,
                    begin,
                    begin + MS,
                    &[("messaging.destination.name", "jobs")],
                );
                let below = self.id();
                let end = self.steps(*to, below, begin + 4 * MS, handled) + MS;
                let attributes = [
                    ("messaging.destination.name", "jobs"),
                    ("messaging.operation.type", "process"),
                ];
                self.make(
                    *to,
                    below,
                    Some(id),
                    SpanKind::Consumer,
                    begin + 3 * MS,
                    end,
                    &attributes,
                );
                begin + MS
            }
        }
    }

    #[allow(clippy::too_many_arguments, reason = "each is a part of a span")]
    fn make(
        &mut self,
        service: usize,
        id: u64,
        parent: Option<u64>,
        kind: SpanKind,
        begin: u64,
        end: u64,
        attributes: &[(&str, &str)],
    ) {
        let mut trace_id = vec![7; 8];
        trace_id.extend_from_slice(&self.trace.to_be_bytes());
        self.spans.push(Made {
            service,
            span: Span {
                trace_id,
                span_id: id.to_be_bytes().to_vec(),
                parent_span_id: parent.map_or(Vec::new(), |parent| parent.to_be_bytes().to_vec()),
                kind: kind.into(),
                name: "work".to_owned(),
                start_time_unix_nano: begin,
                end_time_unix_nano: end,
                flags: match kind {
                    SpanKind::Server | SpanKind::Consumer if parent.is_some() => HAS_IS_REMOTE | IS_REMOTE,
                    _ => HAS_IS_REMOTE,
                },
                attributes: attributes
                    .iter()
                    .map(|(key, value)| attribute(key, value))
                    .collect(),
                ..Span::default()
            },
        });
    }
}

pub fn attribute(key: &str, value: &str) -> KeyValue {
    let value = match (key.ends_with(".size"), value.parse()) {
        (true, Ok(number)) => Value::IntValue(number),
        _ => Value::StringValue(value.to_owned()),
    };
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}

fn request_of(service: usize, spans: Vec<Span>) -> Bytes {
    let stage = ["endpoint", "edge", "cloud"][service];
    let attributes = [
        ("service.name", format!("svc{service}")),
        ("service.namespace", "shop".to_owned()),
        ("service.instance.id", format!("svc{service}-1")),
        ("cctf.node_id", format!("{stage}0")),
        ("cctf.stage", stage.to_owned()),
    ];
    let resource = Resource {
        attributes: attributes
            .iter()
            .map(|(key, value)| attribute(key, value))
            .collect(),
        ..Resource::default()
    };
    let scope_spans = vec![ScopeSpans {
        spans,
        ..ScopeSpans::default()
    }];
    let resource_spans = vec![ResourceSpans {
        resource: Some(resource),
        scope_spans,
        ..ResourceSpans::default()
    }];
    ExportTraceServiceRequest { resource_spans }
        .encode_to_vec()
        .into()
}

/// The folder of the run `r` of a normalizer that receives these spans and is then stopped.
pub fn normalize(spans: &[Made]) -> TempDir {
    normalize_with(spans, Settings::default())
}

/// Like [`normalize`], with other settings.
pub fn normalize_with(spans: &[Made], settings: Settings) -> TempDir {
    let mut pipeline = Pipeline::new(Settings {
        run_id: "r".to_owned(),
        ..settings
    });
    let (mut output, dir) = (Output::default(), folder());
    let received_unix_ns = BASE + 60_000 * MS;
    // Like real services, a callee exports its spans before its caller. Each service sends one request.
    for service in (0..SERVICES).rev() {
        let of_service: Vec<Span> = spans
            .iter()
            .filter(|made| made.service == service)
            .map(|made| made.span.clone())
            .collect();
        if !of_service.is_empty() {
            let content = Content::Request {
                signal: Signal::Traces,
                body: request_of(service, of_service),
            };
            pipeline.feed(
                &Record {
                    received_unix_ns,
                    content,
                },
                &mut output,
            );
        }
    }
    // The time is longer than the join window, and shorter than the time after which a run without data is closed.
    let ticks = [Content::Tick, Content::Tick, Content::Shutdown];
    for (number, content) in (1..).zip(ticks) {
        pipeline.feed(
            &Record {
                received_unix_ns: received_unix_ns + number * 16_000 * MS,
                content,
            },
            &mut output,
        );
    }
    for run in output.drain() {
        write(dir.path(), run);
    }
    dir
}
