//! Requests with one unique CLIENT and SERVER span each.

use bytes::Bytes;
use cctf_normalizer::journal::{Content, Record, Signal};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message as _;

fn attribute(key: &str, value: &str) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue {
            value: Some(Value::StringValue(value.to_owned())),
        }),
        ..KeyValue::default()
    }
}

/// Ids of the CLIENT and the SERVER span of a request.
pub fn span_ids(number: u64) -> [String; 2] {
    [2 * number + 1, 2 * number + 2].map(|id| format!("{id:016x}"))
}

/// Request `number`. Every third request names one of two runs. One of these runs existed before the test.
pub fn request(number: u64, unix_ns: u64) -> Record {
    let attributes = match number % 6 {
        0 => vec![attribute("cctf.run_id", "named")],
        3 => vec![attribute("cctf.run_id", "there-before")],
        _ => Vec::new(),
    };
    let [client, server] = [2 * number + 1, 2 * number + 2].map(|id| id.to_be_bytes().to_vec());
    let span = |kind, span_id: &[u8], parent: &[u8]| Span {
        trace_id: u128::from(number + 1).to_be_bytes().to_vec(),
        span_id: span_id.to_vec(),
        parent_span_id: parent.to_vec(),
        kind,
        start_time_unix_nano: unix_ns,
        end_time_unix_nano: unix_ns + 1_000_000,
        attributes: attributes.clone(),
        ..Span::default()
    };
    let spans = match number % 4 {
        // Every fourth request has a caller that never arrives.
        0 => vec![span(2, &server, &[9; 8]), span(3, &client, &[8; 8])],
        _ => vec![span(2, &server, &client), span(3, &client, &[])],
    };
    let scope_spans = vec![ScopeSpans {
        spans,
        ..ScopeSpans::default()
    }];
    let resource = Resource {
        attributes: vec![
            attribute("service.name", "shop"),
            attribute("host.name", if number.is_multiple_of(2) { "n0" } else { "n1" }),
        ],
        ..Resource::default()
    };
    let resource_spans = vec![ResourceSpans {
        resource: Some(resource),
        scope_spans,
        ..ResourceSpans::default()
    }];
    let body: Bytes = ExportTraceServiceRequest { resource_spans }
        .encode_to_vec()
        .into();
    let signal = Signal::Traces;
    Record {
        received_unix_ns: unix_ns,
        content: Content::Request { signal, body },
    }
}
