//! Admission by layout: it gives the answer of the strict check, byte for byte, and spares it for spans with a known layout.

use cctf_proto::otlp::admission::{Admission, Rejection, admit_trace_request};
use cctf_proto::otlp::admission_by_layout::admit_trace_request_by_layout;
use cctf_proto::otlp::layouts::Layouts;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use proptest::collection::vec;
use proptest::prelude::*;
use prost::Message;

use super::support::arbitrary::trace_request;
use super::support::bytes::{damage, fields};

const START: u64 = 1_760_000_000_000_000_000;
/// A key with the length of the key of run ids.
const KEY: &str = "app.step_id";

fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}

fn text(key: &str, value: &str) -> KeyValue {
    attribute(key, Value::StringValue(value.to_owned()))
}

/// A span with every type of field and value.
fn span(number: u64) -> Span {
    let list = ArrayValue {
        values: vec![AnyValue {
            value: Some(Value::DoubleValue(0.5)),
        }],
    };
    Span {
        trace_id: [START.to_be_bytes(), (number + 1).to_be_bytes()].concat(),
        span_id: (number + 1).to_be_bytes().to_vec(),
        parent_span_id: vec![9; 8],
        trace_state: "a=b".to_owned(),
        name: "GET /orders".to_owned(),
        kind: 2,
        start_time_unix_nano: START + number,
        end_time_unix_nano: START + 2 * number + 1,
        attributes: vec![
            text(KEY, "nameofarun"),
            attribute("http.response.body.size", Value::IntValue(128 + number as i64)),
            attribute("long", Value::IntValue(-1)),
            attribute("list", Value::ArrayValue(list)),
            attribute("flag", Value::BoolValue(true)),
            attribute("bytes", Value::BytesValue(vec![255, 0])),
        ],
        events: vec![Event {
            time_unix_nano: START,
            name: "retry".to_owned(),
            ..Event::default()
        }],
        links: vec![Link {
            trace_id: vec![7; 16],
            span_id: vec![7; 8],
            ..Link::default()
        }],
        status: Some(Status {
            message: "no stock".to_owned(),
            code: 2,
        }),
        flags: 0x101,
        ..Span::default()
    }
}

fn request(spans: Vec<Span>) -> Vec<u8> {
    request_of(vec![text("service.name", "shop")], spans)
}

fn request_of(resource: Vec<KeyValue>, spans: Vec<Span>) -> Vec<u8> {
    let scope_spans = ScopeSpans {
        scope: Some(InstrumentationScope {
            name: "http".to_owned(),
            ..InstrumentationScope::default()
        }),
        spans,
        schema_url: "https://opentelemetry.io/schemas/1.26.0".to_owned(),
    };
    let resource_spans = ResourceSpans {
        resource: Some(Resource {
            attributes: resource,
            ..Resource::default()
        }),
        scope_spans: vec![scope_spans],
        ..ResourceSpans::default()
    };
    ExportTraceServiceRequest {
        resource_spans: vec![resource_spans],
    }
    .encode_to_vec()
}

/// The answer, which must be that of the check.
fn admit(bytes: &[u8], layouts: &mut Layouts) -> Option<Admission> {
    let admission = admit_trace_request_by_layout(bytes, layouts);
    assert_eq!(admission, admit_trace_request(bytes), "{bytes:02x?}");
    admission.ok()
}

#[test]
fn all_spans_after_the_first_need_no_check() {
    let mut layouts = Layouts::default();
    let admission = admit(&request((0..100).map(span).collect()), &mut layouts).unwrap();
    assert_eq!((admission.rows, admission.rejected_total()), (100, 0));
    assert_eq!(admission.latest_unix_ns, START + 2 * 99 + 1);
    assert_eq!(layouts.matched(), 99);
    admit(&request((100..200).map(span).collect()), &mut layouts);
    assert_eq!(layouts.matched(), 199);
}

/// Every value of every byte of a span whose layout is known.
#[test]
fn no_change_of_a_byte_changes_the_answer() {
    let mut layouts = Layouts::default();
    let good = request(vec![span(1)]);
    admit(&good, &mut layouts);
    let (mut changed, mut matched) = (good.clone(), 0_u64);
    for place in 0..good.len() {
        for value in 0..=u8::MAX {
            changed[place] = value;
            let before = layouts.matched();
            admit(&changed, &mut layouts);
            matched += layouts.matched() - before;
        }
        changed[place] = good[place];
    }
    // Most bytes belong to ids, times, numbers and texts.
    assert!(matched > 20_000, "{matched}");
}

#[test]
fn a_span_that_cannot_be_used_is_rejected_though_its_layout_is_known() {
    type Change = fn(&mut Span);
    let changes: [(Change, Rejection); 7] = [
        (|span| span.trace_id.fill(0), Rejection::TraceIdZero),
        (|span| span.span_id.fill(0), Rejection::SpanIdZero),
        (|span| span.start_time_unix_nano = 0, Rejection::MissingTime),
        (
            |span| span.end_time_unix_nano = 1 << 63,
            Rejection::TimeOutOfRange,
        ),
        (|span| span.trace_id.truncate(15), Rejection::TraceIdLength),
        (
            |span| span.parent_span_id.truncate(4),
            Rejection::ParentSpanIdLength,
        ),
        (
            |span| span.attributes[0] = text("cctf.run_id", "not a name"),
            Rejection::InvalidRunId,
        ),
    ];
    for (change, reason) in changes {
        let mut layouts = Layouts::default();
        let mut spans = vec![span(1), span(2), span(3)];
        change(&mut spans[2]);
        let admission = admit(&request(spans), &mut layouts).unwrap();
        assert_eq!(admission.first, Some((2, reason)));
        assert_eq!(layouts.matched(), 1);
    }
}

#[test]
fn texts_beyond_ascii_are_checked_each_time() {
    let translated = |number| {
        let mut span = span(number);
        span.name = "GET /b\u{fc}cher".to_owned();
        span
    };
    let mut layouts = Layouts::default();
    let admission = admit(&request(vec![translated(1), translated(2)]), &mut layouts);
    assert_eq!(admission.unwrap().rejected_total(), 0);
    assert_eq!(layouts.matched(), 0);
}

#[test]
fn a_run_id_belongs_to_the_layout() {
    let mut layouts = Layouts::default();
    let mut admit_run = |run_id: &str| {
        let mut span = span(1);
        span.attributes[0] = text("cctf.run_id", run_id);
        let before = layouts.matched();
        let admission = admit(&request(vec![span]), &mut layouts).unwrap();
        (admission.rejected_total(), layouts.matched() - before)
    };
    assert_eq!(admit_run("run-a"), (0, 0));
    assert_eq!(admit_run("run-a"), (0, 1));
    assert_eq!(admit_run("run-b"), (0, 0), "another run");
    assert_eq!(admit_run("run/b"), (1, 0), "an invalid run id");
    assert_eq!(admit_run("run-b"), (0, 1));
}

/// The answer for a resource is remembered, and must not be given for another one.
#[test]
fn the_run_id_of_each_resource_counts() {
    let mut layouts = Layouts::default();
    for (run_id, rejected) in [
        ("good", 0),
        ("bad/", 2),
        ("good", 0),
        ("bad/", 2),
        ("fine", 0),
        ("f\u{e9}", 2),
    ] {
        let bytes = request_of(vec![text("cctf.run_id", run_id)], vec![span(1), span(2)]);
        assert_eq!(
            admit(&bytes, &mut layouts).unwrap().rejected_total(),
            rejected,
            "{run_id}"
        );
    }
    // Of more resources than are remembered, each still gets its own answer.
    for number in (0..100).chain(0..100) {
        let bytes = request_of(
            vec![text(
                "cctf.run_id",
                &format!("{number}{}", if number % 2 == 0 { "" } else { "/" }),
            )],
            vec![span(1)],
        );
        assert_eq!(admit(&bytes, &mut layouts).unwrap().rejected_total(), number % 2);
    }
}

/// Texts of all lengths, in more combinations than are stored. Known layouts must keep working, and new ones must be learned.
#[test]
fn learning_is_bounded_and_goes_on() {
    let mut layouts = Layouts::default();
    let varied = |number: u64| {
        let mut span = span(number);
        span.name = "x".repeat(number as usize * 7 % 97);
        span.attributes[0] = text(KEY, &"y".repeat(number as usize * 31 % 89));
        span
    };
    for number in 0..20_000 {
        admit(&request(vec![varied(number)]), &mut layouts);
    }
    let before = layouts.matched();
    let after_change = |number| {
        let mut span = span(number);
        span.name = "a new layout after the change".to_owned();
        span
    };
    for number in 0..1_000 {
        admit(&request(vec![after_change(number)]), &mut layouts);
    }
    assert!(layouts.matched() - before > 900, "{}", layouts.matched() - before);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn the_answer_is_that_of_the_check(
        requests in vec(trace_request(), 1..3), damages in vec(damage(), 1..12), others in fields(),
    ) {
        let mut layouts = Layouts::default();
        for request in requests {
            let bytes = request.encode_to_vec();
            admit(&bytes, &mut layouts);
            admit(&bytes, &mut layouts);
            for damage in &damages {
                let mut damaged = bytes.clone();
                damage.apply(&mut damaged);
                admit(&damaged, &mut layouts);
            }
        }
        admit(&others, &mut layouts);
    }

    #[test]
    fn the_answer_for_changed_spans_is_that_of_the_check(
        numbers in vec(any::<u32>(), 1..4), damages in vec(damage(), 1..12),
    ) {
        let mut layouts = Layouts::default();
        let spans = numbers.into_iter().map(|number| span(u64::from(number))).collect();
        let mut bytes = request(spans);
        admit(&bytes, &mut layouts);
        for damage in damages {
            damage.apply(&mut bytes);
            admit(&bytes, &mut layouts);
        }
    }
}
