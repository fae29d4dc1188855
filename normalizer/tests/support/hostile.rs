//! Requests with all names that the normalizer knows and with extreme values, as far as the wire format permits. A sequence of
//! numbers determines them. So a property test can simplify them, and a fuzzer can choose them at random.
#![allow(dead_code, reason = "each test takes what it needs")]

use std::time::Duration;

use bytes::Bytes;
use cctf_normalizer::journal::{Content, Signal};
use cctf_normalizer::pipeline::Settings;
use cctf_proto::keys;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status, span};
use prost::Message as _;

#[path = "hostile/metrics.rs"]
mod metrics;
#[path = "hostile/vocabulary.rs"]
mod vocabulary;

pub use metrics::metrics;

use vocabulary::{DOUBLES, INTEGERS, LONG, MODULES, NODES, OF_RESOURCES, OF_SPANS, RUNS, TEXTS, VALUES};

/// Journal time of the first record: 2025-10-09 08:53:20 UTC.
pub const BASE_UNIX_NANO: u64 = 1_760_000_000_000_000_000;

/// The numbers that determine a scenario. 0 is always the simplest choice. If there are no more numbers, 0 is used.
pub struct Choices<'a>(pub &'a mut dyn FnMut() -> u64);

impl Choices<'_> {
    /// A number below `bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        ((self.0)() % bound.max(1) as u64) as usize
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    /// True with a probability of 1 in `times`.
    fn rarely(&mut self, times: usize) -> bool {
        self.below(times) + 1 == times
    }
}

fn time(choices: &mut Choices<'_>) -> u64 {
    let near = BASE_UNIX_NANO + choices.below(4) as u64 * 700_000_000;
    match choices.below(24) {
        0..14 => near,
        14 => near + 1,
        15 => near - 1,
        16 => 0,
        17 => 1,
        18 => 999_999,
        19 => i64::MAX as u64,
        20 => i64::MAX as u64 + 1,
        21 => u64::MAX,
        22 => near - 3_600_000_000_000,
        _ => near + 3_600_000_000_000,
    }
}

fn text(choices: &mut Choices<'_>) -> String {
    match choices.below(9) {
        0 => choices.pick(&MODULES).to_owned(),
        1 => choices.pick(&NODES).to_owned(),
        2 => choices.pick(&TEXTS).to_owned(),
        3 => choices.pick(&RUNS).to_owned(),
        4 => choices.pick(&INTEGERS).to_string(),
        5 => "é".repeat(choices.below(LONG)),
        _ => choices.pick(&VALUES).to_owned(),
    }
}

fn value(choices: &mut Choices<'_>) -> Option<Value> {
    Some(match choices.below(13) {
        0..5 => Value::StringValue(text(choices)),
        5..8 => Value::IntValue(choices.pick(&INTEGERS)),
        8 => Value::DoubleValue(choices.pick(&DOUBLES)),
        9 => Value::BoolValue(choices.rarely(2)),
        10 => Value::ArrayValue(ArrayValue {
            values: vec![AnyValue {
                value: Some(Value::StringValue(text(choices))),
            }],
        }),
        11 => Value::KvlistValue(KeyValueList {
            values: vec![attribute("a", Value::BytesValue(vec![0xff, 0]))],
        }),
        _ => return None,
    })
}

fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}

fn attributes(choices: &mut Choices<'_>, keys: &[&str], most: usize) -> Vec<KeyValue> {
    let count = choices.below(most + 1);
    let mut one = || KeyValue {
        key: choices.pick(keys).to_owned(),
        value: value(choices).map(|value| AnyValue { value: Some(value) }),
        ..KeyValue::default()
    };
    (0..count).map(|_| one()).collect()
}

fn named(choices: &mut Choices<'_>, key: &str, from: &[&str]) -> KeyValue {
    let text = choices.pick(from);
    attribute(key, Value::StringValue(text.to_owned()))
}

fn resource(choices: &mut Choices<'_>) -> Option<Resource> {
    let mut list = Vec::new();
    if !choices.rarely(8) {
        list.push(named(choices, "service.name", &MODULES));
    }
    if !choices.rarely(4) {
        list.push(named(choices, "host.name", &NODES));
    }
    if choices.rarely(3) {
        list.push(named(choices, "service.instance.id", &["i1", "i2", "a@n0"]));
    }
    if choices.rarely(3) {
        list.push(named(choices, keys::RUN_ID, &RUNS));
    }
    list.extend(attributes(choices, &OF_RESOURCES, 3));
    (!list.is_empty()).then_some(Resource {
        attributes: list,
        ..Resource::default()
    })
}

fn scope(choices: &mut Choices<'_>) -> Option<InstrumentationScope> {
    choices.rarely(3).then(|| InstrumentationScope {
        name: keys::CONTROL_SCOPE.to_owned(),
        ..InstrumentationScope::default()
    })
}

/// An id of one of a few spans, so that spans refer to each other. Some ids are invalid.
fn id(choices: &mut Choices<'_>, len: usize) -> Vec<u8> {
    match choices.below(40) {
        number @ 0..36 => {
            let mut id = vec![0; len];
            id[len - 1] = 1 + number as u8 % 6;
            id
        }
        36 => vec![0; len],
        37 => vec![0xff; len],
        38 => Vec::new(),
        _ => vec![1; len - 1],
    }
}

fn trace_id(choices: &mut Choices<'_>) -> Vec<u8> {
    match choices.below(8) {
        0..7 => [&[0; 15][..], &[1 + choices.below(2) as u8]].concat(),
        _ => id(choices, 16),
    }
}

fn span(choices: &mut Choices<'_>, is_control: bool) -> Span {
    let mut list = Vec::new();
    if choices.rarely(3) {
        list.push(named(choices, keys::RUN_ID, &RUNS));
    }
    if is_control {
        list.push(named(
            choices,
            keys::PLACEMENT_EVENT,
            &["start", "stop", "scale", "migrate", ""],
        ));
    }
    list.extend(attributes(choices, &OF_SPANS, 5));
    let start = time(choices);
    let end = match choices.below(6) {
        0..4 => start.saturating_add(choices.pick(&[1_000_000, 0, 1, 2_000_000_000])),
        _ => time(choices),
    };
    let link = |choices: &mut Choices<'_>| span::Link {
        trace_id: trace_id(choices),
        span_id: id(choices, 8),
        ..span::Link::default()
    };
    let event = |choices: &mut Choices<'_>| span::Event {
        time_unix_nano: time(choices),
        name: "exception".to_owned(),
        attributes: attributes(choices, &["exception.type", "exception.message"], 2),
        ..span::Event::default()
    };
    Span {
        trace_id: trace_id(choices),
        span_id: id(choices, 8),
        parent_span_id: if choices.rarely(3) {
            Vec::new()
        } else {
            id(choices, 8)
        },
        trace_state: match choices.below(4) {
            0..3 => String::new(),
            _ => format!(
                "ot=th:{}",
                choices.pick(&["8", "ffffffffffffff", "+8", "0", "-", "00000000000001"])
            ),
        },
        name: match is_control {
            true => choices
                .pick(&[
                    keys::PLACEMENT_SPAN,
                    keys::RUN_START_SPAN,
                    keys::RUN_END_SPAN,
                    "cctf.other",
                ])
                .to_owned(),
            false => text(choices),
        },
        kind: choices.pick(&[2, 3, 2, 3, 5, 4, 1, 0, -1, 99]),
        flags: choices.pick(&[0, 0x100, 0x300, u32::MAX]),
        start_time_unix_nano: start,
        end_time_unix_nano: end,
        attributes: list,
        dropped_attributes_count: u32::from(choices.rarely(4)),
        links: (0..choices.below(3)).map(|_| link(choices)).collect(),
        events: (0..choices.below(2)).map(|_| event(choices)).collect(),
        status: choices.rarely(3).then(|| Status {
            code: choices.pick(&[2, 1, 0, -7]),
            message: text(choices),
        }),
        ..Span::default()
    }
}

/// An export request of a few spans.
pub fn traces(choices: &mut Choices<'_>) -> Vec<u8> {
    let of_scope = |choices: &mut Choices<'_>| {
        let scope = scope(choices);
        let count = 1 + choices.below(4);
        ScopeSpans {
            spans: (0..count).map(|_| span(choices, scope.is_some())).collect(),
            scope,
            ..ScopeSpans::default()
        }
    };
    let of_resource = |choices: &mut Choices<'_>| ResourceSpans {
        resource: resource(choices),
        scope_spans: vec![of_scope(choices)],
        ..ResourceSpans::default()
    };
    let count = 1 + choices.below(2);
    ExportTraceServiceRequest {
        resource_spans: (0..count).map(|_| of_resource(choices)).collect(),
    }
    .encode_to_vec()
}

/// A request with a SERVER and a CLIENT span. Each text has `len` control characters, which need six bytes each in JSON.
pub fn longest_texts(len: usize) -> Vec<u8> {
    let text = "\u{1}".repeat(len);
    let all = |keys: &[&str]| -> Vec<KeyValue> {
        let keys = keys.iter().filter(|key| **key != keys::RUN_ID);
        keys.map(|key| attribute(key, Value::StringValue(text.clone())))
            .collect()
    };
    let link = || span::Link {
        trace_id: vec![7; 16],
        span_id: vec![7; 8],
        ..span::Link::default()
    };
    let span = |kind: u8| Span {
        trace_id: vec![kind; 16],
        span_id: vec![kind; 8],
        name: text.clone(),
        kind: kind.into(),
        start_time_unix_nano: BASE_UNIX_NANO,
        end_time_unix_nano: BASE_UNIX_NANO + 1,
        attributes: all(&OF_SPANS),
        links: (0..5_000).map(|_| link()).collect(),
        ..Span::default()
    };
    let resource = Resource {
        attributes: all(&OF_RESOURCES),
        ..Resource::default()
    };
    let resource_spans = vec![ResourceSpans {
        resource: Some(resource),
        scope_spans: vec![ScopeSpans {
            spans: vec![span(2), span(3)],
            ..ScopeSpans::default()
        }],
        ..ResourceSpans::default()
    }];
    ExportTraceServiceRequest { resource_spans }.encode_to_vec()
}

/// Content of the next record.
pub fn content(choices: &mut Choices<'_>) -> Content {
    let request = |signal, body: Vec<u8>| Content::Request {
        signal,
        body: Bytes::from(body),
    };
    match choices.below(32) {
        0..20 => request(Signal::Traces, traces(choices)),
        20..29 => request(Signal::Metrics, metrics(choices)),
        29 => Content::Restart,
        30 => Content::Tick,
        _ => Content::Settings {
            body: settings(choices).to_json().into(),
        },
    }
}

/// The time between two records.
pub fn pause(choices: &mut Choices<'_>) -> Duration {
    Duration::from_millis(choices.pick(&[0, 1, 60, 700, 1_100, 5_000, 200_000]))
}

/// Settings that cause many events within a few requests.
pub fn settings(choices: &mut Choices<'_>) -> Settings {
    let default = Settings::default();
    let mut time = |plain: u64| Duration::from_millis(if choices.rarely(4) { 50 } else { plain });
    Settings {
        join_window: time(1_000),
        dedup_window: time(120_000),
        stale_after: time(3_000),
        run_idle: time(4_000),
        open_runs_max: choices.pick(&[256, 4, 1]),
        roll_bytes: choices.rarely(4).then_some(600),
        roll_age: choices.rarely(6).then_some(Duration::from_secs(1)),
        memory_limit: choices.pick(&[256 << 20, 256 << 20, 64 << 10]),
        ..default
    }
}

/// Prints a record for debugging.
pub fn show(unix_ns: u64, content: &Content) {
    let after_ms = (unix_ns - BASE_UNIX_NANO) / 1_000_000;
    match content {
        Content::Request {
            signal: Signal::Traces,
            body,
        } => {
            println!(
                "{after_ms} ms: {:#?}",
                ExportTraceServiceRequest::decode(body.clone()).unwrap()
            );
        }
        Content::Request { body, .. } => {
            println!(
                "{after_ms} ms: {:#?}",
                ExportMetricsServiceRequest::decode(body.clone()).unwrap()
            );
        }
        other => println!("{after_ms} ms: {other:?}"),
    }
}
