//! Compares the table of messages with prost: every field of every message, with every wire type.

use super::support::bytes::field_around as field;
use cctf_proto::otlp::WireError;
use cctf_proto::otlp::admission::admit_trace_request;
use cctf_proto::otlp::check::{check_logs_request, check_metrics_request, check_trace_request};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;

/// The path to each message type in a request. It consists of the numbers of the enclosing fields, from the outside to the
/// inside.
const COMMON_PATHS: &[&[u32]] = &[
    &[],
    &[1],
    &[1, 1],
    &[1, 1, 1],
    &[1, 1, 1, 2],
    &[1, 1, 1, 2, 5],
    &[1, 1, 1, 2, 6],
    &[1, 1, 1, 2, 6, 1],
    &[1, 1, 3],
    &[1, 2],
    &[1, 2, 1],
    &[1, 2, 1, 3],
    &[1, 2, 2],
];
const SPAN_PATHS: &[&[u32]] = &[
    &[1, 2, 2, 9],
    &[1, 2, 2, 11],
    &[1, 2, 2, 11, 3],
    &[1, 2, 2, 13],
    &[1, 2, 2, 13, 4],
    &[1, 2, 2, 15],
];
const METRIC_PATHS: &[&[u32]] = &[
    &[1, 2, 2, 12],
    &[1, 2, 2, 5],
    &[1, 2, 2, 5, 1],
    &[1, 2, 2, 5, 1, 5],
    &[1, 2, 2, 5, 1, 5, 7],
    &[1, 2, 2, 5, 1, 7],
    &[1, 2, 2, 7],
    &[1, 2, 2, 7, 1],
    &[1, 2, 2, 9],
    &[1, 2, 2, 9, 1],
    &[1, 2, 2, 9, 1, 8],
    &[1, 2, 2, 9, 1, 9],
    &[1, 2, 2, 10],
    &[1, 2, 2, 10, 1],
    &[1, 2, 2, 10, 1, 1],
    &[1, 2, 2, 10, 1, 8],
    &[1, 2, 2, 10, 1, 9],
    &[1, 2, 2, 10, 1, 11],
    &[1, 2, 2, 11],
    &[1, 2, 2, 11, 1],
    &[1, 2, 2, 11, 1, 6],
    &[1, 2, 2, 11, 1, 7],
];
const LOG_PATHS: &[&[u32]] = &[&[1, 2, 2, 5], &[1, 2, 2, 6]];

/// A field of each number and wire type, with values that only some types of field accept.
fn every_field(visit: impl Fn(&[u8])) {
    for number in 1..20u32 {
        let with_key = |wire_type: u32, value: &[u8]| {
            let mut bytes = Vec::new();
            prost::encode_length_delimiter((number << 3 | wire_type) as usize, &mut bytes).unwrap();
            visit(&[&bytes, value].concat());
        };
        for byte in [0, 1, 7, 0x7f] {
            with_key(0, &[byte]);
        }
        with_key(1, &[0xff; 8]);
        with_key(5, &[0xff; 4]);
        with_key(3, &[]);
        with_key(4, &[]);
        for inside in [
            &[][..],
            &[0xff],
            &[0xff, 0x7f],
            b"a",
            &[0; 4],
            &[0; 8],
            &[8, 1],
            &[0x0a, 0],
            &[1; 12],
            &[1; 16],
        ] {
            with_key(2, &[&[inside.len() as u8], inside].concat());
        }
    }
}

fn every_field_agrees<M: Message + Default>(
    paths: &[&[&[u32]]],
    check: impl Fn(&[u8]) -> Result<(), WireError>,
) {
    for path in paths.concat() {
        every_field(|bytes| {
            let request = path
                .iter()
                .rev()
                .fold(bytes.to_vec(), |inside, number| field(*number, &inside));
            let decoded = M::decode(&request[..]);
            assert_eq!(
                check(&request).is_ok(),
                decoded.is_ok(),
                "{path:?} {bytes:02x?} {:?}",
                decoded.err()
            );
        });
    }
}

#[test]
fn every_field_is_accepted_in_the_wire_types_that_prost_accepts() {
    every_field_agrees::<ExportTraceServiceRequest>(&[COMMON_PATHS, SPAN_PATHS], check_trace_request);
    every_field_agrees::<ExportTraceServiceRequest>(&[COMMON_PATHS, SPAN_PATHS], |bytes| {
        admit_trace_request(bytes).map(drop)
    });
    every_field_agrees::<ExportMetricsServiceRequest>(&[COMMON_PATHS, METRIC_PATHS], check_metrics_request);
    every_field_agrees::<ExportLogsServiceRequest>(&[COMMON_PATHS, LOG_PATHS], check_logs_request);
}
