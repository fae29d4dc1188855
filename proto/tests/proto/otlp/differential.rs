//! Compares the check and the views with prost on the same bytes, which are valid, damaged or arbitrary.

use super::support::arbitrary::{logs_request, metrics_request, trace_request};
use super::support::bytes::{attribute, damage, field_around, fields};
use super::support::compare::{viewed_metrics, viewed_traces};
use super::support::reduce::{reduce_metrics, reduce_traces};
use cctf_proto::keys::is_valid_run_id;
use cctf_proto::otlp::admission::{Rejection, admit_metrics_request, admit_trace_request};
use cctf_proto::otlp::check::{check_logs_request, check_metrics_request, check_trace_request};
use cctf_proto::otlp::logs::LogsRequest;
use cctf_proto::otlp::{WireError, WireErrorKind};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use proptest::collection::vec;
use proptest::prelude::*;
use prost::Message;

/// Returns the message if both accept the bytes. `None` if both refuse them, or if the check refuses them because of its
/// documented exception.
fn agree<M: Message + Default>(
    bytes: &[u8],
    check: impl Fn(&[u8]) -> Result<(), WireError>,
) -> Result<Option<M>, TestCaseError> {
    let decoded = M::decode(bytes);
    match check(bytes) {
        Ok(()) => match decoded {
            Ok(message) => Ok(Some(message)),
            Err(error) => Err(TestCaseError::fail(format!(
                "accepted, but prost refuses it with {error}: {bytes:02x?}"
            ))),
        },
        Err(WireError {
            kind: WireErrorKind::MessageInPieces,
            ..
        }) => Ok(None),
        Err(error) => {
            prop_assert!(
                error.offset <= bytes.len(),
                "{error} is outside of {} bytes",
                bytes.len()
            );
            prop_assert!(
                decoded.is_err(),
                "refused with {error}, but prost accepts it: {bytes:02x?}"
            );
            Ok(None)
        }
    }
}

fn is_run_id_good(attributes: &[KeyValue]) -> bool {
    attributes
        .iter()
        .filter(|attribute| attribute.key == "cctf.run_id")
        .all(|attribute| {
            let value = attribute.value.as_ref().and_then(|value| value.value.as_ref());
            matches!(value, Some(Value::StringValue(run_id)) if is_valid_run_id(run_id))
        })
}

/// A second, independent implementation of the rule about unusable spans.
fn expected_admission(request: &ExportTraceServiceRequest) -> (u64, [u64; Rejection::COUNT]) {
    let mut rows = 0;
    let mut rejected = [0; Rejection::COUNT];
    for group in &request.resource_spans {
        let resource_good = group
            .resource
            .as_ref()
            .is_none_or(|resource| is_run_id_good(&resource.attributes));
        for span in group.scope_spans.iter().flat_map(|scope| &scope.spans) {
            let times = [span.start_time_unix_nano, span.end_time_unix_nano];
            let is_first_bad_time_zero = times
                .iter()
                .find(|&&time| i64::try_from(time).is_err() || time == 0)
                == Some(&0);
            let reasons = [
                span.trace_id.len() != 16,
                span.span_id.len() != 8,
                span.trace_id.iter().all(|byte| *byte == 0),
                span.span_id.iter().all(|byte| *byte == 0),
                !span.parent_span_id.is_empty() && span.parent_span_id.len() != 8,
                is_first_bad_time_zero,
                times.iter().any(|time| i64::try_from(*time).is_err()),
                !resource_good || !is_run_id_good(&span.attributes),
            ];
            if let Some(first) = reasons.iter().position(|holds| *holds) {
                rejected[first] += 1;
            }
            rows += 1;
        }
    }
    (rows, rejected)
}

fn traces_agree(bytes: &[u8]) -> Result<bool, TestCaseError> {
    let viewed = viewed_traces(bytes);
    let admission = admit_trace_request(bytes);
    // If a request has two errors, either of them can be the reported one.
    prop_assert_eq!(admission.is_ok(), check_trace_request(bytes).is_ok());
    let Some(mut decoded) = agree::<ExportTraceServiceRequest>(bytes, check_trace_request)? else {
        return Ok(false);
    };
    prop_assert_eq!(
        admission.map(|admission| (admission.rows, admission.rejected)),
        Ok(expected_admission(&decoded))
    );
    reduce_traces(&mut decoded);
    let viewed = viewed.map_err(|error| TestCaseError::fail(format!("checked, but {error}")))?;
    // The encoded forms are compared, because NaN does not equal itself.
    prop_assert_eq!(
        viewed.encode_to_vec(),
        decoded.encode_to_vec(),
        "{:?}\n{:?}",
        viewed,
        decoded
    );
    Ok(true)
}

fn metrics_agree(bytes: &[u8]) -> Result<bool, TestCaseError> {
    let viewed = viewed_metrics(bytes);
    let admission = admit_metrics_request(bytes);
    let Some(mut decoded) = agree::<ExportMetricsServiceRequest>(bytes, check_metrics_request)? else {
        return Ok(false);
    };
    prop_assert!(admission.is_ok());
    reduce_metrics(&mut decoded);
    let viewed = viewed.map_err(|error| TestCaseError::fail(format!("checked, but {error}")))?;
    prop_assert_eq!(
        viewed.encode_to_vec(),
        decoded.encode_to_vec(),
        "{:?}\n{:?}",
        viewed,
        decoded
    );
    Ok(true)
}

fn logs_agree(bytes: &[u8]) -> Result<bool, TestCaseError> {
    let counted = LogsRequest::new(bytes).log_record_count();
    let Some(decoded) = agree::<ExportLogsServiceRequest>(bytes, check_logs_request)? else {
        return Ok(false);
    };
    let count: usize = decoded
        .resource_logs
        .iter()
        .flat_map(|group| group.scope_logs.iter().map(|scope| scope.log_records.len()))
        .sum();
    prop_assert_eq!(counted, Ok(count as u64));
    Ok(true)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn every_encoded_traces_request_is_taken_and_viewed_as_it_was(request in trace_request()) {
        prop_assert!(traces_agree(&request.encode_to_vec())?);
    }

    #[test]
    fn every_encoded_metrics_request_is_taken_and_viewed_as_it_was(request in metrics_request()) {
        prop_assert!(metrics_agree(&request.encode_to_vec())?);
    }

    #[test]
    fn every_encoded_logs_request_is_taken_and_counted(request in logs_request()) {
        prop_assert!(logs_agree(&request.encode_to_vec())?);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2048))]

    #[test]
    fn damaged_traces_are_accepted_exactly_when_prost_accepts_them(
        request in trace_request(), damages in vec(damage(), 1..4),
    ) {
        let mut bytes = request.encode_to_vec();
        damages.iter().for_each(|damage| damage.apply(&mut bytes));
        traces_agree(&bytes)?;
    }

    #[test]
    fn damaged_metrics_are_accepted_exactly_when_prost_accepts_them(
        request in metrics_request(), damages in vec(damage(), 1..4),
    ) {
        let mut bytes = request.encode_to_vec();
        damages.iter().for_each(|damage| damage.apply(&mut bytes));
        metrics_agree(&bytes)?;
    }

    #[test]
    fn damaged_logs_are_accepted_exactly_when_prost_accepts_them(
        request in logs_request(), damages in vec(damage(), 1..4),
    ) {
        let mut bytes = request.encode_to_vec();
        damages.iter().for_each(|damage| damage.apply(&mut bytes));
        logs_agree(&bytes)?;
    }

    #[test]
    fn arbitrary_fields_are_accepted_exactly_when_prost_accepts_them(bytes in fields()) {
        traces_agree(&bytes)?;
        metrics_agree(&bytes)?;
        logs_agree(&bytes)?;
    }

    #[test]
    fn a_message_split_in_two_is_taken_just_when_prost_takes_it(
        first in trace_request(), second in trace_request(), metrics in metrics_request(),
    ) {
        // The two resource spans become one. It has two occurrences of its resource, and of every singular message in it.
        let bytes = [joined(&first.encode_to_vec()), joined(&second.encode_to_vec())].concat();
        traces_agree(&joined(&bytes))?;
        metrics_agree(&joined(&metrics.encode_to_vec()))?;
    }

    #[test]
    fn attributes_are_read_as_prost_reads_them_however_they_are_encoded(
        attributes in vec(attribute(), 1..4), last in attribute(),
    ) {
        let attributes: Vec<_> = attributes.iter().map(|attribute| field_around(9, attribute)).collect();
        // The attribute is at the end of the request, so that reading beyond it is an error.
        let span = [attributes.concat(), field_around(9, &last)].concat();
        let resource = field_around(1, &field_around(1, &last));
        traces_agree(&field_around(1, &field_around(2, &field_around(2, &span))))?;
        traces_agree(&field_around(1, &resource))?;
    }

    #[test]
    fn random_bytes_never_panic(bytes in vec(any::<u8>(), 0..200)) {
        traces_agree(&bytes)?;
        metrics_agree(&bytes)?;
        logs_agree(&bytes)?;
    }
}

/// All elements of the request's repeated field, joined into a single element.
fn joined(request: &[u8]) -> Vec<u8> {
    let mut inside = Vec::new();
    let mut rest = request;
    while let [0x0a, after_key @ ..] = rest {
        let mut after_length = after_key;
        let length = prost::decode_length_delimiter(&mut after_length).unwrap();
        let (element, after) = after_length.split_at(length);
        inside.extend_from_slice(element);
        rest = after;
    }
    let mut bytes = vec![0x0a];
    prost::encode_length_delimiter(inside.len(), &mut bytes).unwrap();
    [bytes, inside].concat()
}
