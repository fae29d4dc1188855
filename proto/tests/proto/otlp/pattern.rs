//! Patterns: a span read by the pattern of another one is the span that parsing gives, with the same attributes.

use cctf_proto::otlp::common::AnyValue;
use cctf_proto::otlp::pattern::{Agreement, Pattern};
use cctf_proto::otlp::usual::{SpanMessage, Value};
use opentelemetry_proto::tonic::common::v1::any_value::Value as Sent;
use opentelemetry_proto::tonic::common::v1::{AnyValue as SentValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::{Span, Status};
use proptest::prelude::*;
use prost::Message as _;

fn value() -> impl Strategy<Value = Option<SentValue>> {
    let texts = prop_oneof![
        "[a-c/]{0,3}",
        "[a-z]{100,140}",
        Just("é".to_owned()),
        Just("x".repeat(300)),
    ];
    let sent = prop_oneof![
        6 => texts.prop_map(Sent::StringValue),
        4 => prop_oneof![0..3_i64, Just(200), Just(-1), Just(i64::MAX), Just(70_000)].prop_map(Sent::IntValue),
        1 => any::<bool>().prop_map(Sent::BoolValue),
        1 => Just(Sent::DoubleValue(0.5)),
    ];
    prop::option::weighted(0.95, sent.prop_map(|value| SentValue { value: Some(value) }))
}

fn span() -> impl Strategy<Value = Span> {
    let attributes = prop::collection::vec((0..3_usize, value()), 0..4);
    let ids = (
        any::<[u8; 16]>(),
        any::<[u8; 8]>(),
        prop::option::of(any::<[u8; 8]>()),
    );
    let rest = (0..4_i32, any::<u64>(), any::<u64>(), 0..2_u32, 0..3_i32, 0..2_u32);
    (ids, "[ab]{0,2}", attributes, rest).prop_map(|(ids, name, attributes, rest)| {
        let (kind, start, end, dropped, status, flags) = rest;
        Span {
            trace_id: ids.0.to_vec(),
            span_id: ids.1.to_vec(),
            parent_span_id: ids.2.map_or_else(Vec::new, |id| id.to_vec()),
            name,
            kind,
            start_time_unix_nano: start,
            end_time_unix_nano: end,
            dropped_attributes_count: dropped,
            status: (status > 0).then(|| Status {
                code: status,
                message: String::new(),
            }),
            flags,
            attributes: attributes
                .into_iter()
                .map(|(key, value)| KeyValue {
                    key: ["k", "http.route", "a.long.key.of.an.attribute"][key].to_owned(),
                    value,
                    ..KeyValue::default()
                })
                .collect(),
            ..Span::default()
        }
    })
}

/// An index and a value as text.
type Values = Vec<(usize, String)>;

fn shown(value: &AnyValue<'_>) -> String {
    format!("{value:?}")
}

fn fields(span: &cctf_proto::otlp::trace::Span<'_>) -> String {
    let attributes: Vec<_> = span.attributes().iter().map(|pair| format!("{pair:?}")).collect();
    // The offset of the attributes in the request is a part of their debug output, so both must come from the same bytes.
    format!("{span:?} {attributes:?}")
}

/// Reads the second span by the pattern of the first, in which the attributes of `holes` vary. Returns whether it had this pattern.
fn check(first: &[u8], second: &[u8], holes: u64, name_varies: bool) -> Result<bool, TestCaseError> {
    let message = SpanMessage::new(first);
    let Some(usual) = message.usual() else {
        return Ok(false);
    };
    let pattern = Pattern::new(&usual, name_varies, |index| match usual.attributes[index].value {
        _ if holes >> index & 1 == 0 => Agreement::Same(Some(index)),
        Some(Value::Text(_)) if index % 2 == 0 => Agreement::Text(Some(index)),
        Some(Value::Int(_)) if index % 2 == 0 => Agreement::Int(Some(index)),
        _ => Agreement::Ignored,
    });
    let other = SpanMessage::new(second);
    let mut found: Values = Vec::new();
    let Some(read) = pattern.read(other, |index, value| found.push((index, shown(&value.into())))) else {
        return Ok(false);
    };
    let parsed = other.parse().unwrap();
    prop_assert_eq!(fields(&read), fields(&parsed));
    prop_assert_eq!(message.hint(), other.hint());
    // A value that nobody reads is not looked into, so it may be one that does not parse.
    let pairs: Result<Vec<_>, _> = parsed.attributes().iter().collect();
    for (index, value) in found {
        if let Ok(pairs) = &pairs {
            prop_assert_eq!(value, shown(&pairs[index].value));
        }
    }
    Ok(true)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn a_span_read_by_a_pattern_is_the_span_that_was_sent(
        first in span(), changes in prop::collection::vec((0..4_usize, value()), 0..3), other in span(), holes in 0..16_u64,
        name_varies in any::<bool>(), noise in prop::option::weighted(0.3, (any::<prop::sample::Index>(), any::<u8>())),
    ) {
        let mut second = Span { attributes: first.attributes.clone(), ..first.clone() };
        second.trace_id = other.trace_id.clone();
        second.start_time_unix_nano = other.start_time_unix_nano;
        if name_varies {
            second.name.clone_from(&other.name);
        }
        for (index, value) in changes {
            if let Some(attribute) = second.attributes.get_mut(index) {
                attribute.value = value;
            }
        }
        let (first, mut second) = (first.encode_to_vec(), second.encode_to_vec());
        check(&first, &first, holes, name_varies)?;
        check(&first, &other.encode_to_vec(), holes, name_varies)?;
        check(&first, &second, holes, name_varies)?;
        // Bytes that are no span must not panic, and a changed span must be read as the parser reads it.
        if let Some((at, byte)) = noise {
            let at = at.index(second.len());
            second[at] = byte;
            if SpanMessage::new(&second).parse().is_ok() {
                check(&first, &second, holes, name_varies)?;
            }
            second.truncate(at);
            let _ = SpanMessage::new(&second).hint();
            let _ = SpanMessage::new(&second).usual();
        }
    }
}

#[test]
fn a_span_of_the_usual_kind_has_its_pattern_with_any_values() {
    let span = |path: &str, size: i64, name: &str| {
        let pair = |key: &str, value| KeyValue {
            key: key.to_owned(),
            value: Some(SentValue { value: Some(value) }),
            ..KeyValue::default()
        };
        Span {
            trace_id: vec![1; 16],
            span_id: vec![2; 8],
            name: name.to_owned(),
            kind: 2,
            start_time_unix_nano: 5,
            end_time_unix_nano: 6,
            attributes: vec![
                pair("http.route", Sent::StringValue(path.to_owned())),
                pair("size", Sent::IntValue(size)),
            ],
            flags: 0x301,
            ..Span::default()
        }
        .encode_to_vec()
    };
    let first = span("/a", 1, "GET");
    let long = "/b".repeat(200);
    for (path, size, name, has_pattern) in [
        ("/c", 70_000, "POST", true),
        (long.as_str(), 1, "HEAD", true),
        ("/c", i64::MAX >> 8, "GET", true),
        ("", 1, "GET", false),
        ("é", 1, "GET", false),
        ("/c", -1, "GET", false),
    ] {
        assert_eq!(
            check_text(&first, &span(path, size, name)),
            has_pattern,
            "{path} {size} {name}"
        );
    }
}

fn check_text(first: &[u8], second: &[u8]) -> bool {
    let usual = SpanMessage::new(first).usual().unwrap();
    let pattern = Pattern::new(&usual, true, |index| match index {
        0 => Agreement::Text(Some(0)),
        _ => Agreement::Int(Some(1)),
    });
    pattern.read(SpanMessage::new(second), |_, _| {}).is_some()
}
