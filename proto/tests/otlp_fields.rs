//! The table of messages against prost: every field of every message in every wire type.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot go on fails"
)]

mod otlp_support;

use cctf_proto::otlp::WireError;
use cctf_proto::otlp::admission::admit_trace_request;
use cctf_proto::otlp::check::{check_logs_request, check_metrics_request, check_trace_request};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use otlp_support::bytes::field_around as field;
use prost::Message;

/// Where each message type is in a request: the numbers of the fields around it, from the outermost.
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

/// One field of each number and wire type, with values that some types of field take and others do not.
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
fn every_field_of_every_message_is_taken_in_the_wire_types_that_prost_takes() {
    every_field_agrees::<ExportTraceServiceRequest>(&[COMMON_PATHS, SPAN_PATHS], check_trace_request);
    every_field_agrees::<ExportTraceServiceRequest>(&[COMMON_PATHS, SPAN_PATHS], |bytes| {
        admit_trace_request(bytes).map(drop)
    });
    every_field_agrees::<ExportMetricsServiceRequest>(&[COMMON_PATHS, METRIC_PATHS], check_metrics_request);
    every_field_agrees::<ExportLogsServiceRequest>(&[COMMON_PATHS, LOG_PATHS], check_logs_request);
}
