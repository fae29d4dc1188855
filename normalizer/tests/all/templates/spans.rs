//! Spans that resemble each other, as those of a service do, but with hostile values now and then.

use cctf_proto::keys;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status, span};
use prost::Message as _;

use super::usual::USUAL;
use crate::support::hostile::{BASE_UNIX_NANO, Choices};

const TEXTS: &[&str] = &[
    "",
    "/e/2",
    "other",
    "POST",
    "receive",
    "http://x:2/y?z#w",
    "http://user@[::1]:3",
    "no url",
    "a\"b\\c\n",
    "é",
    "tcp.connect",
    "application/grpc",
    "0000000000000001",
];
const INTEGERS: &[i64] = &[
    0,
    1,
    -1,
    99,
    200,
    404,
    500,
    1_760_000_000_100_000_000,
    i64::MAX,
    i64::MIN,
];

/// A kind of span that occurs often.
struct Kind {
    span: Span,
    /// How often a value differs from that of the first span: once in this number.
    rarity: usize,
}

/// The kinds of spans of a scenario, each of one of its services.
pub struct Kinds {
    kinds: Vec<Kind>,
    sent: u64,
}

fn text(value: &str) -> Option<AnyValue> {
    Some(AnyValue {
        value: Some(Value::StringValue(value.to_owned())),
    })
}

fn integer(value: i64) -> Option<AnyValue> {
    Some(AnyValue {
        value: Some(Value::IntValue(value)),
    })
}

fn pair(key: &str, value: Option<AnyValue>) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value,
        ..KeyValue::default()
    }
}

fn pick<T: Copy>(choices: &mut Choices<'_>, from: &[T]) -> T {
    from[choices.below(from.len())]
}

fn hostile_text(choices: &mut Choices<'_>) -> String {
    match choices.below(6) {
        // Some exceed the length of a field, with one or two bytes for the length of the attribute.
        0 => "long/".repeat(pick(choices, &[10, 20, 22, 23, 24, 25, 26, 70, 900])),
        1 => format!("/f/{}", choices.below(1000)),
        _ => pick(choices, TEXTS).to_owned(),
    }
}

/// Another value, mostly of the same type.
fn other(choices: &mut Choices<'_>, value: &Option<AnyValue>) -> Option<AnyValue> {
    let is_text = matches!(
        value,
        Some(AnyValue {
            value: Some(Value::StringValue(_))
        })
    );
    match choices.below(40) {
        0 => None,
        1 => Some(AnyValue {
            value: Some(Value::BoolValue(true)),
        }),
        2 => Some(AnyValue {
            value: Some(Value::ArrayValue(ArrayValue {
                values: text("7").into_iter().collect(),
            })),
        }),
        3 => integer(7),
        4 => text("8"),
        _ if is_text => text(&hostile_text(choices)),
        _ => integer(pick(choices, INTEGERS)),
    }
}

impl Kind {
    fn new(choices: &mut Choices<'_>) -> Self {
        let (kind, name, texts, integers) = pick(choices, USUAL);
        let mut attributes: Vec<_> = texts.iter().map(|(key, value)| pair(key, text(value))).collect();
        attributes.extend(integers.iter().map(|key| pair(key, integer(200))));
        attributes.retain(|_| choices.below(8) > 0);
        if choices.below(3) == 0 {
            attributes.push(pair(keys::RUN_ID, text(pick(choices, &["r1", "r2"]))));
        }
        if choices.below(6) == 0 {
            let repeated = attributes.first().cloned();
            attributes.extend(repeated);
        }
        let is_odd = choices.below(12) == 0;
        let span = Span {
            name: name.to_owned(),
            kind,
            flags: pick(choices, &[0x101, 0x301, 0, 0x100]),
            attributes,
            dropped_attributes_count: u32::from(choices.below(8) == 0),
            dropped_links_count: u32::from(choices.below(8) == 0),
            status: (choices.below(4) == 0).then(|| Status {
                code: pick(choices, &[1, 2]),
                message: pick(choices, &["", "", "failed"]).to_owned(),
            }),
            trace_state: if is_odd {
                "ot=th:8".to_owned()
            } else {
                String::new()
            },
            ..Span::default()
        };
        Self {
            span,
            rarity: pick(choices, &[2, 4, 16]),
        }
    }

    fn span(&self, choices: &mut Choices<'_>, sent: u64) -> Span {
        let mut span = self.span.clone();
        for attribute in &mut span.attributes {
            if attribute.key != keys::RUN_ID && choices.below(self.rarity) == 0 {
                attribute.value = other(choices, &attribute.value);
            }
        }
        if choices.below(2 * self.rarity) == 0 {
            span.name = hostile_text(choices);
        }
        let id = |number: u64| number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes().to_vec();
        let trace = 1 + sent / 12;
        span.trace_id = [id(trace), id(trace + 1)].concat();
        span.span_id = id(match choices.below(20) {
            0 => 0,
            1 => sent - sent.min(2),
            _ => sent,
        });
        if choices.below(3) > 0 {
            span.parent_span_id = id(trace * 12 - 12 + choices.below(14) as u64);
        }
        span.start_time_unix_nano = BASE_UNIX_NANO + choices.below(1_000_000_000) as u64;
        span.end_time_unix_nano = match choices.below(12) {
            0 => BASE_UNIX_NANO,
            1 => pick(choices, &[0, u64::MAX]),
            _ => span.start_time_unix_nano + choices.below(1_000_000_000) as u64,
        };
        if choices.below(40) == 0 {
            span.links = vec![span::Link {
                trace_id: vec![1; 16],
                span_id: vec![2; 8],
                ..span::Link::default()
            }];
        }
        span
    }
}

impl Kinds {
    pub fn new(choices: &mut Choices<'_>) -> Self {
        let count = 1 + choices.below(5);
        Self {
            kinds: (0..count).map(|_| Kind::new(choices)).collect(),
            sent: 1,
        }
    }

    /// A request of one or two services.
    pub fn request(&mut self, choices: &mut Choices<'_>) -> Vec<u8> {
        let services = 1 + choices.below(2);
        let resource_spans = (0..services).map(|_| self.of_service(choices)).collect();
        ExportTraceServiceRequest { resource_spans }.encode_to_vec()
    }

    fn of_service(&mut self, choices: &mut Choices<'_>) -> ResourceSpans {
        // A single kind of one service can have the only template.
        let number = if self.kinds.len() == 1 {
            0
        } else {
            choices.below(3)
        };
        let mut attributes = vec![pair("service.name", text(&format!("service-{number}")))];
        if number == 2 {
            attributes.push(pair("cctf.keep_query", text("true")));
        } else {
            attributes.push(pair("telemetry.sdk.language", text("go")));
            attributes.push(pair("host.name", text("n1")));
        }
        let count = 1 + choices.below(60);
        let spans = (0..count).map(|_| {
            self.sent += 1;
            let kind = &self.kinds[choices.below(self.kinds.len())];
            kind.span(choices, self.sent)
        });
        ResourceSpans {
            scope_spans: vec![ScopeSpans {
                spans: spans.collect(),
                ..ScopeSpans::default()
            }],
            resource: Some(Resource {
                attributes,
                ..Resource::default()
            }),
            ..ResourceSpans::default()
        }
    }
}

/// A request of a service with SERVER, CLIENT and INTERNAL spans.
pub fn service(number: usize, count: usize, endpoints: usize, peers: usize) -> Vec<u8> {
    let id = |number: usize| {
        (1 + number as u64)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
            .to_be_bytes()
            .to_vec()
    };
    let spans = (0..count).map(|at| {
        let (sent, first) = (number * count + at, number * count);
        let endpoint = sent % endpoints;
        let attributes = match at % 3 {
            0 => vec![
                pair("http.request.method", text("GET")),
                pair("url.path", text(&format!("/shop/{endpoint}/{sent:x}"))),
                pair("http.route", text(&format!("/shop/{endpoint}/{{id}}"))),
                pair(
                    "http.response.status_code",
                    integer(if sent % 50 == 0 { 404 } else { 200 }),
                ),
                pair("http.response.body.size", integer(sent as i64 * 7)),
            ],
            1 => vec![
                pair("http.request.method", text("POST")),
                pair(
                    "url.full",
                    text(&format!("http://10.0.0.{}:80/pay/{sent}", sent % peers)),
                ),
                pair("server.address", text(&format!("10.0.0.{}", sent % peers))),
                pair("server.port", integer(80)),
            ],
            _ => vec![pair("app.order", text(&format!("order-{sent}")))],
        };
        Span {
            trace_id: [id(first), id(first)].concat(),
            span_id: id(sent),
            parent_span_id: if at == 0 { Vec::new() } else { id(sent - 1) },
            name: ["GET", "POST", "step"][at % 3].to_owned(),
            kind: [2, 3, 1][at % 3],
            flags: 0x101,
            start_time_unix_nano: BASE_UNIX_NANO + sent as u64,
            end_time_unix_nano: BASE_UNIX_NANO + 2 * sent as u64,
            attributes,
            ..Span::default()
        }
    });
    let resource_spans = vec![ResourceSpans {
        scope_spans: vec![ScopeSpans {
            spans: spans.collect(),
            ..ScopeSpans::default()
        }],
        resource: Some(Resource {
            attributes: vec![pair("service.name", text("shop"))],
            ..Resource::default()
        }),
        ..ResourceSpans::default()
    }];
    ExportTraceServiceRequest { resource_spans }.encode_to_vec()
}
