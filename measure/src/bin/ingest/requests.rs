//! Creates requests from templates. A template is encoded once; for each request it is copied, and ids and times are written
//! into it. So the driver needs little CPU time.

use anyhow::ensure;
use bytes::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;

use e2e::otlp::now_unix_ns;

use super::ids::{span_id, trace_id};
use super::trace::{KINDS, REQUESTS_A_BLOCK, SERVICES, describe, resource};

/// Span flags: sampled, with a known remote parent.
const FLAGS_REMOTE: u32 = 0x301;
const FLAGS_LOCAL: u32 = 0x101;
/// Duration of the outermost span. Each inner span begins `INSET_NS` later and ends `INSET_NS` earlier.
const DURATION_NS: u64 = 50_000_000;
const INSET_NS: u64 = 1_000_000;
/// Length of gRPC's prefix of a message: one byte states that it is not compressed, and four bytes contain the length.
const PREFIX_LEN: usize = 5;
/// Marks in the templates, which are replaced by ids and times.
const TRACE_MARK: [u8; 16] = *b"\xf1\xe2\xd3\xc4\xb5\xa6\x97\x88\x79\x6a\x5b\x4c\x3d\x2e\x1f\x0e";
const SPAN_MARK: [u8; 8] = *b"\xe1\xd2\xc3\xb4\xa5\x96\x87\x78";
const PARENT_MARK: [u8; 8] = *b"\xd1\xc2\xb3\xa4\x95\x86\x77\x68";
const START_MARK: [u8; 8] = *b"\xc1\xb2\xa3\x94\x85\x76\x67\x58";
const END_MARK: [u8; 8] = *b"\xb1\xa2\x93\x84\x75\x66\x57\x48";

/// Creates the requests of any block of traces.
pub struct Requests {
    spans_a_request: usize,
    templates: Vec<Template>,
}

/// A request of a block: its bytes with the prefix, and the positions of ids and times in them.
struct Template {
    frame: Vec<u8>,
    spans: Vec<Slots>,
}

/// Positions of a span's ids and times.
struct Slots {
    trace_in_block: u64,
    place: usize,
    trace_id: usize,
    span_id: usize,
    parent_id: Option<usize>,
    start: usize,
    end: usize,
}

impl Requests {
    pub fn new(spans_a_request: usize) -> anyhow::Result<Self> {
        let mut templates = Vec::with_capacity(REQUESTS_A_BLOCK);
        for (service, places) in SERVICES {
            let spans: Vec<(usize, usize)> = (0..spans_a_request)
                .flat_map(|trace| places.iter().map(move |&place| (trace, place)))
                .collect();
            for of_request in spans.chunks(spans_a_request) {
                templates.push(Template::new(service, of_request)?);
            }
        }
        Ok(Self {
            spans_a_request,
            templates,
        })
    }

    pub fn spans_a_request(&self) -> usize {
        self.spans_a_request
    }

    /// Mean size of a span on the wire.
    pub fn bytes_a_span(&self) -> f64 {
        let bytes: usize = self.templates.iter().map(|template| template.frame.len()).sum();
        bytes as f64 / (self.templates.len() * self.spans_a_request) as f64
    }

    /// A request of a block, with gRPC's prefix. Its spans ended `late_ns` ago.
    pub fn frame(&self, block: u64, request: usize, late_ns: u64) -> Bytes {
        let template = &self.templates[request];
        let first_trace = block * self.spans_a_request as u64;
        let begin = now_unix_ns() - late_ns - DURATION_NS;
        let mut frame = template.frame.clone();
        let mut put = |at: usize, bytes: &[u8]| frame[at..at + bytes.len()].copy_from_slice(bytes);
        for slots in &template.spans {
            let trace = first_trace + slots.trace_in_block;
            let inset = INSET_NS * slots.place as u64;
            put(slots.trace_id, &trace_id(trace));
            put(slots.span_id, &span_id(trace, slots.place));
            if let Some(at) = slots.parent_id {
                put(at, &span_id(trace, slots.place - 1));
            }
            put(slots.start, &(begin + inset).to_le_bytes());
            put(slots.end, &(begin + DURATION_NS - inset).to_le_bytes());
        }
        frame.into()
    }
}

impl Template {
    fn new(service: &str, of_request: &[(usize, usize)]) -> anyhow::Result<Self> {
        let spans = of_request.iter().map(|&(trace, place)| marked_span(trace, place));
        let request = ExportTraceServiceRequest {
            resource_spans: vec![ResourceSpans {
                resource: Some(resource(service)),
                scope_spans: vec![ScopeSpans {
                    spans: spans.collect(),
                    ..ScopeSpans::default()
                }],
                ..ResourceSpans::default()
            }],
        };
        let message = request.encode_to_vec();
        let mut frame = vec![0];
        frame.extend_from_slice(&u32::try_from(message.len())?.to_be_bytes());
        frame.extend_from_slice(&message);
        debug_assert_eq!(frame.len(), PREFIX_LEN + message.len());
        let with_parent: Vec<_> = of_request.iter().filter(|(_, place)| *place > 0).collect();
        let find = |mark: &[u8], expected: usize| {
            let found: Vec<usize> = memchr::memmem::find_iter(&frame, mark).collect();
            ensure!(
                found.len() == expected,
                "a mark is {} times in a template, not {expected}",
                found.len()
            );
            Ok(found)
        };
        let [traces, ids, starts, ends] =
            [&TRACE_MARK[..], &SPAN_MARK, &START_MARK, &END_MARK].map(|mark| find(mark, of_request.len()));
        let (traces, ids, starts, ends) = (traces?, ids?, starts?, ends?);
        let mut parents = find(&PARENT_MARK, with_parent.len())?.into_iter();
        let slots = of_request.iter().enumerate().map(|(at, &(trace, place))| Slots {
            trace_in_block: trace as u64,
            place,
            trace_id: traces[at],
            span_id: ids[at],
            parent_id: (place > 0).then(|| parents.next()).flatten(),
            start: starts[at],
            end: ends[at],
        });
        let spans = slots.collect();
        Ok(Self { frame, spans })
    }
}

fn marked_span(trace_in_block: usize, place: usize) -> Span {
    let (name, attributes) = describe(place, trace_in_block);
    let is_remote = SERVICES.iter().any(|(_, places)| places.last() == Some(&place));
    Span {
        trace_id: TRACE_MARK.to_vec(),
        span_id: SPAN_MARK.to_vec(),
        parent_span_id: if place == 0 {
            Vec::new()
        } else {
            PARENT_MARK.to_vec()
        },
        flags: if is_remote && place > 0 {
            FLAGS_REMOTE
        } else {
            FLAGS_LOCAL
        },
        name,
        kind: KINDS[place].into(),
        start_time_unix_nano: u64::from_le_bytes(START_MARK),
        end_time_unix_nano: u64::from_le_bytes(END_MARK),
        attributes,
        ..Span::default()
    }
}

#[cfg(test)]
mod tests {
    use super::super::trace::SPANS_A_TRACE;
    use super::*;

    #[test]
    fn the_requests_of_a_block_hold_each_span_of_its_traces_once() {
        let requests = Requests::new(32).unwrap();
        let mut found = Vec::new();
        for request in 0..REQUESTS_A_BLOCK {
            let frame = requests.frame(3, request, 0);
            let message = ExportTraceServiceRequest::decode(&frame[PREFIX_LEN..]).unwrap();
            for span in &message.resource_spans[0].scope_spans[0].spans {
                assert!(span.attributes.len() >= 8 && span.start_time_unix_nano < span.end_time_unix_nano);
                found.push((
                    span.trace_id.clone(),
                    span.span_id.clone(),
                    span.parent_span_id.clone(),
                ));
            }
        }
        let mut expected = Vec::new();
        for trace in 96..128 {
            for place in 0..SPANS_A_TRACE {
                let parent = place.checked_sub(1).map(|above| span_id(trace, above).to_vec());
                let ids = (trace_id(trace).to_vec(), span_id(trace, place).to_vec());
                expected.push((ids.0, ids.1, parent.unwrap_or_default()));
            }
        }
        found.sort();
        expected.sort();
        assert_eq!(found, expected);
    }
}
