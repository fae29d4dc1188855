//! [`failure`]: the error class of a span without `error.type`.

use cctf_proto::otlp::common::AnyValue;
use cctf_proto::otlp::trace::{Event, Span, StatusCode};

use super::conventions::Slot;
use super::slots::AttributeSlots;

/// The conventions' value for an error of unknown class.
const OTHER: &str = "_OTHER";

/// The error class of a span without `error.type`: the type of its last exception, or else `_OTHER`. `None` if the span has not
/// failed. The status OK overrides all other attributes, because the application sets it explicitly.
pub fn failure<'a>(span: &Span<'a>, slots: &AttributeSlots<'a>) -> Option<&'a str> {
    if span.status.code == StatusCode::Ok {
        return None;
    }
    let is_failed = span.status.code == StatusCode::Error || is_error(slots);
    let exceptions = span.events().map_while(Result::ok);
    let exceptions = exceptions.filter(|event| event.name == "exception");
    match exceptions.last().map(|event| Exception::from_event(&event)) {
        Some(exception) if is_failed || !exception.is_handled => {
            Some(exception.class.map_or(OTHER, |class| slots.bounded(class)))
        }
        _ => is_failed.then_some(OTHER),
    }
}

/// Whether the attribute `error` is true. Envoy and older instrumentations set it on failed spans.
fn is_error(slots: &AttributeSlots<'_>) -> bool {
    match slots.get(Slot::Error) {
        Some(AnyValue::Bool(is_error)) => is_error,
        Some(AnyValue::String(text)) => text.eq_ignore_ascii_case("true"),
        _ => false,
    }
}

#[derive(Default)]
struct Exception<'a> {
    class: Option<&'a str>,
    /// Whether the exception was handled within the span.
    is_handled: bool,
}

impl<'a> Exception<'a> {
    #[cold]
    fn from_event(event: &Event<'a>) -> Self {
        let mut exception = Self::default();
        for attribute in event.attributes().iter().map_while(Result::ok) {
            match (attribute.key, attribute.value) {
                ("exception.type", AnyValue::String(class)) if !class.is_empty() => {
                    exception.class = Some(class);
                }
                ("exception.escaped", AnyValue::Bool(has_escaped)) => exception.is_handled = !has_escaped,
                ("exception.escaped", AnyValue::String(text)) => {
                    exception.is_handled = text.eq_ignore_ascii_case("false");
                }
                _ => {}
            }
        }
        exception
    }
}
