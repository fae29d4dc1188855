//! Measures the time of the pipeline per span, without receiver and disk, for several mixes of spans. The load is that of
//! 50,000 spans/s with the default windows. Traces have 3 SERVER, 3 CLIENT and 2 INTERNAL spans, children come before parents,
//! and every id is new.
//!
//! The measured requests are copies of a few prepared requests, with other ids. If each request were encoded during the
//! measurement, the encoder would displace the pipeline's data from the CPU's caches.
//!
//! `cargo bench -p cctf-normalizer --bench pipeline` measures all mixes. Arguments: names of mixes, `--warm-up` and `--spans`
//! with numbers of spans. The checksum covers all rows, so two builds that print the same one write the same rows.

use std::time::Instant;

use bytes::Bytes;
use cctf_normalizer::journal::{Content, Record, Signal};
use cctf_normalizer::pipeline::{Output, Pipeline, Settings};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message as _;

const SPANS_A_TRACE: usize = 8;
const SPANS_A_SECOND: u64 = 50_000;
/// Number of spans that fill the join window and the dedup window (120 s at 50,000 spans/s).
const WARM_UP_SPANS: u64 = 6_500_000;
const MEASURED_SPANS: u64 = 1_000_000;
const BEGIN_UNIX_NANO: u64 = 1_760_000_000_000_000_000;
/// Number of traces in the copied requests of a mix: one for each of a thousand endpoints.
const TRACES: usize = 1024;

/// The spans of a measurement.
struct Mix {
    name: &'static str,
    spans_a_request: usize,
    /// Number of endpoints of each service.
    endpoints: usize,
    /// Whether each path contains an id, and its route does not.
    ids_in_paths: bool,
    /// Number of addresses of each callee.
    peers: usize,
}

const PLAIN: Mix = Mix {
    name: "plain",
    spans_a_request: 512,
    endpoints: 1,
    ids_in_paths: false,
    peers: 1,
};

const MIXES: &[Mix] = &[
    PLAIN,
    Mix {
        name: "plain-32",
        spans_a_request: 32,
        ..PLAIN
    },
    Mix {
        name: "endpoints-10",
        endpoints: 10,
        ..PLAIN
    },
    Mix {
        name: "endpoints-1000",
        endpoints: 1000,
        ..PLAIN
    },
    Mix {
        name: "ids-in-paths",
        endpoints: 10,
        ids_in_paths: true,
        ..PLAIN
    },
    Mix {
        name: "peers-1000",
        peers: 1000,
        ..PLAIN
    },
    Mix {
        name: "all-vary-32",
        spans_a_request: 32,
        endpoints: 1000,
        ids_in_paths: true,
        peers: 1000,
    },
];

fn text(key: &str, value: &str) -> KeyValue {
    KeyValue {
        key: key.into(),
        value: Some(AnyValue {
            value: Some(Value::StringValue(value.into())),
        }),
        ..Default::default()
    }
}

fn number(key: &str, value: i64) -> KeyValue {
    KeyValue {
        key: key.into(),
        value: Some(AnyValue {
            value: Some(Value::IntValue(value)),
        }),
        ..Default::default()
    }
}

/// Prefix of the ids in the copied requests; a letter and a number follow.
const MARK: [u8; 5] = [0xfa, 0x5a, 0xc3, 0x3c, 0xf1];
const MARKED_LEN: usize = 8;
/// Stands for an id in a path.
const TEXT_MARK: &str = "@@@@@@@@@@@@@@@@";

fn marked(letter: u8, number: usize) -> Vec<u8> {
    let number = (number as u16).to_be_bytes();
    [&MARK[..], &[letter], &number].concat()
}

/// A span of a trace. The trace has a driver's CLIENT, SERVER, INTERNAL, CLIENT, SERVER, INTERNAL, CLIENT, SERVER. Each is the
/// child of the previous one.
fn span(mix: &Mix, trace: usize, at: usize) -> Span {
    let kind = [3, 2, 1, 3, 2, 1, 3, 2][at];
    let id = |at: usize| marked(b'S', trace * SPANS_A_TRACE + at);
    let route = match trace % mix.endpoints {
        0 => "/hash/sha256".to_owned(),
        endpoint => format!("/shop/part-{endpoint}"),
    };
    let path = match mix.ids_in_paths {
        true => format!("{route}/{TEXT_MARK}"),
        false => route.clone(),
    };
    let peer = trace % mix.peers;
    Span {
        trace_id: [marked(b'T', trace), vec![0; 8]].concat(),
        span_id: id(at),
        parent_span_id: if at == 0 { Vec::new() } else { id(at - 1) },
        flags: 0x301,
        name: format!("POST {route}"),
        kind,
        start_time_unix_nano: BEGIN_UNIX_NANO + at as u64 * 1_000_000,
        end_time_unix_nano: BEGIN_UNIX_NANO + 50_000_000 - at as u64 * 1_000_000,
        attributes: vec![
            text("http.request.method", "POST"),
            text("url.path", &path),
            text("http.route", &route),
            text("url.scheme", "http"),
            text(
                "server.address",
                &format!("10.0.{}.{}", peer / 250, 17 + peer % 250),
            ),
            number("server.port", 8080),
            number("http.response.status_code", 200),
            number("http.request.body.size", 8192 + trace as i64),
            number("http.response.body.size", 64),
            text("network.protocol.version", "1.1"),
            text("user_agent.original", "python-requests/2.31.0"),
            text("client.address", "10.0.0.23"),
        ],
        ..Span::default()
    }
}

/// A request of consecutive traces, split over three services' resources.
fn request(mix: &Mix, first_trace: usize) -> Vec<u8> {
    let traces_a_request = mix.spans_a_request / SPANS_A_TRACE;
    let of_service = |service: usize, places: &[usize]| ResourceSpans {
        resource: Some(Resource {
            attributes: vec![
                text("service.name", &format!("service-{service}")),
                text("service.instance.id", &format!("instance-{service}")),
                text("cctf.node_id", &format!("node-{service}")),
                text("cctf.stage", "cloud"),
            ],
            ..Resource::default()
        }),
        scope_spans: vec![ScopeSpans {
            spans: (first_trace..first_trace + traces_a_request)
                .flat_map(|trace| places.iter().rev().map(move |&at| span(mix, trace, at)))
                .collect(),
            ..ScopeSpans::default()
        }],
        ..ResourceSpans::default()
    };
    let request = ExportTraceServiceRequest {
        resource_spans: vec![
            of_service(3, &[7]),
            of_service(2, &[4, 5, 6]),
            of_service(1, &[0, 1, 2, 3]),
        ],
    };
    request.encode_to_vec()
}

/// A request, and the offsets of the ids in it.
struct Copied {
    request: Vec<u8>,
    ids: Vec<usize>,
    texts: Vec<usize>,
}

impl Copied {
    fn new(request: Vec<u8>) -> Self {
        let places = |mark: &[u8]| {
            (0..request.len())
                .filter(|&at| request[at..].starts_with(mark))
                .collect()
        };
        Self {
            ids: places(&MARK),
            texts: places(TEXT_MARK.as_bytes()),
            request,
        }
    }

    /// A copy of the request, whose ids depend on `number`.
    fn copy(&self, number: u64) -> Bytes {
        let mut request = self.request.clone();
        // Multiplication by an odd number is a bijection, and spreads the ids.
        let spread = |id: u64| (id ^ number << 24).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        for &at in &self.ids {
            let mut marked = [0; MARKED_LEN];
            marked.copy_from_slice(&request[at..at + MARKED_LEN]);
            let fresh = spread(u64::from_be_bytes(marked));
            request[at..at + MARKED_LEN].copy_from_slice(&fresh.to_be_bytes());
        }
        for &at in &self.texts {
            let digits = format!("{:016x}", spread(at as u64));
            request[at..at + TEXT_MARK.len()].copy_from_slice(digits.as_bytes());
        }
        request.into()
    }
}

#[derive(Default)]
struct Figures {
    spans: u64,
    ns: u128,
    bytes: u64,
    rows: u64,
    checksum: u32,
}

fn measure(mix: &Mix, warm_up: u64, measured: u64) -> Figures {
    let traces_a_request = mix.spans_a_request / SPANS_A_TRACE;
    let copied: Vec<_> = (0..TRACES / traces_a_request)
        .map(|at| Copied::new(request(mix, at * traces_a_request)))
        .collect();
    let mut pipeline = Pipeline::new(Settings::default());
    let mut output = Output::default();
    let (mut spans, mut figures) = (0, Figures::default());
    while spans < warm_up + measured {
        let number = spans / mix.spans_a_request as u64;
        let body = copied[number as usize % copied.len()].copy(number);
        let length = body.len() as u64;
        let received_unix_ns = BEGIN_UNIX_NANO + spans * 1_000_000_000 / SPANS_A_SECOND;
        let record = Record {
            received_unix_ns,
            content: Content::Request {
                signal: Signal::Traces,
                body,
            },
        };
        let since = Instant::now();
        pipeline.feed(&record, &mut output);
        let is_measured = spans >= warm_up;
        if is_measured {
            figures.ns += since.elapsed().as_nanos();
            figures.bytes += length;
            figures.spans += mix.spans_a_request as u64;
        }
        for run in output.drain() {
            for (_, lines) in run.appended() {
                figures.checksum = crc32c::crc32c_append(figures.checksum, lines);
                if is_measured {
                    figures.rows += lines.iter().filter(|&&byte| byte == b'\n').count() as u64;
                }
            }
            run.clear();
        }
        spans += mix.spans_a_request as u64;
    }
    figures
}

fn main() {
    let (mut warm_up, mut measured, mut names) = (WARM_UP_SPANS, MEASURED_SPANS, Vec::new());
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut count = |of: &mut u64| match arguments.next().map(|text| text.parse()) {
            Some(Ok(number)) => *of = number,
            _ => panic!("{argument} needs a number of spans"),
        };
        match argument.as_str() {
            "--warm-up" => count(&mut warm_up),
            "--spans" => count(&mut measured),
            // cargo adds it.
            "--bench" => {}
            _ => names.push(argument),
        }
    }
    for mix in MIXES {
        if names.is_empty() || names.iter().any(|name| name == mix.name) {
            let Figures {
                spans,
                ns,
                bytes,
                rows,
                checksum,
            } = measure(mix, warm_up, measured);
            println!(
                "{}: {:.0} ns/span ({} B/span, {rows} rows of {spans} spans, checksum {checksum:08x})",
                mix.name,
                ns as f64 / spans as f64,
                bytes / spans,
            );
        }
    }
}
