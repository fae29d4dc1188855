//! Placement: zero-length control spans report the start and stop of an instance.

use cctf_proto::keys;
use opentelemetry::KeyValue;
use opentelemetry::trace::{Span as _, SpanBuilder, SpanKind, Tracer as _};
use opentelemetry_sdk::trace::SdkTracer;

use super::ids::EMPTY_CONTEXT;
use super::server_span::integer;
use crate::clock::system_time;
use crate::settings::Settings;

/// Reports the start of this instance, with the parameters of its queueing station.
pub fn report_start(tracer: &SdkTracer, settings: &Settings, now_ns: u64) {
    let mut attributes = event(settings, "start");
    if let Some(slots) = settings.slots() {
        attributes.push(KeyValue::new(keys::WORKERS, integer(slots as u64)));
        attributes.push(KeyValue::new(
            keys::QUEUE_LIMIT,
            integer(settings.queue_limit as u64),
        ));
        attributes.push(KeyValue::new(keys::SLOT_POLICY, settings.slot_policy.as_str()));
    }
    record(tracer, attributes, now_ns);
}

/// Reports the stop of this instance.
pub fn report_stop(tracer: &SdkTracer, settings: &Settings, now_ns: u64) {
    record(tracer, event(settings, "stop"), now_ns);
}

fn event(settings: &Settings, event: &'static str) -> Vec<KeyValue> {
    let mut attributes = vec![KeyValue::new(keys::PLACEMENT_EVENT, event)];
    attributes.extend(
        settings
            .identity
            .run_id
            .clone()
            .map(|run_id| KeyValue::new(keys::RUN_ID, run_id)),
    );
    attributes
}

fn record(tracer: &SdkTracer, attributes: Vec<KeyValue>, now_ns: u64) {
    let builder = SpanBuilder {
        span_kind: Some(SpanKind::Internal),
        name: keys::PLACEMENT_SPAN.into(),
        start_time: Some(system_time(now_ns)),
        attributes: Some(attributes),
        ..SpanBuilder::default()
    };
    tracer
        .build_with_context(builder, &EMPTY_CONTEXT)
        .end_with_timestamp(system_time(now_ns));
}
