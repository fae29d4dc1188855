//! The relations between calls and invocations depend only on the set of spans. Their order, their distribution over requests,
//! and a merge of the folder do not change these relations.

use std::collections::BTreeSet;

use cctf_normalizer::journal::{Content, Record, Signal};
use cctf_normalizer::pipeline::{Output, Pipeline, Settings};
use cctf_proto::cctf::{Call, Flag, Invocation};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use proptest::prelude::*;
use proptest::sample::Index;
use prost::Message;
use tempfile::TempDir;

use crate::folders::{errors, files, folder, merged, write};
use crate::world::{BASE, attribute};

const MS: u64 = 1_000_000;
const WINDOW_MS: u64 = 15_000;
/// Number of traces in a test run. `make fuzz` sets FUZZ_INPUTS. Each trace needs three folders, so it counts as three inputs.
const TRACES: u32 = 256;
const INPUTS_A_TRACE: u32 = 100;

fn traces() -> u32 {
    let inputs = std::env::var("FUZZ_INPUTS").ok();
    inputs.map_or(TRACES, |text| text.parse::<u32>().unwrap() / INPUTS_A_TRACE)
}

/// A span and its source.
#[derive(Debug, Clone)]
struct Made {
    span: Span,
    instance: u8,
    /// Whether its resource names an SDK. SDKs give each span its own id.
    is_of_sdk: bool,
}

/// The random choices from which a span is made.
type Drawn = ((SpanKind, u8, Index, u8), (u32, bool, bool, u64));

fn drawn() -> impl Strategy<Value = Drawn> {
    let kind = prop_oneof![
        4 => Just(SpanKind::Server),
        1 => Just(SpanKind::Consumer),
        2 => Just(SpanKind::Internal),
        1 => Just(SpanKind::Unspecified),
        4 => Just(SpanKind::Client),
        1 => Just(SpanKind::Producer),
    ];
    // The flags about the parent: none, remote, or not remote.
    let flags = prop_oneof![3 => Just(0_u32), 1 => Just(0x300), 1 => Just(0x100)];
    (
        (kind, 0..3_u8, any::<Index>(), 0..12_u8),
        (flags, any::<bool>(), any::<bool>(), 8..12_u64),
    )
}

fn span_id(number: usize) -> Vec<u8> {
    (number as u64 + 1).to_be_bytes().to_vec()
}

/// A trace with roots, parents that never arrive, cycles, ids that a call and its answer share, and second instrumentations.
fn trace() -> impl Strategy<Value = Vec<Made>> {
    prop::collection::vec(drawn(), 1..14).prop_map(|spans| {
        let count = spans.len();
        let mut made = Vec::new();
        for (id, ((kind, instance, parent, chance), (flags, is_of_sdk, is_shared, lasted))) in
            spans.into_iter().enumerate()
        {
            let parent = match chance {
                0 => Some(1_000 + parent.index(3)),
                1 => Some(parent.index(count)),
                2 => None,
                _ if id == 0 => None,
                _ => Some(parent.index(id)),
            };
            let operation = match kind {
                SpanKind::Consumer => vec![attribute("messaging.operation.type", "process")],
                _ => vec![
                    attribute("http.request.method", "GET"),
                    attribute("url.path", "/a"),
                ],
            };
            let span = Span {
                trace_id: vec![7; 16],
                span_id: span_id(id),
                parent_span_id: parent.map_or(Vec::new(), span_id),
                kind: kind.into(),
                name: "work".to_owned(),
                start_time_unix_nano: BASE,
                end_time_unix_nano: BASE + lasted * MS,
                flags,
                attributes: operation,
                ..Span::default()
            };
            made.push(Made {
                span: span.clone(),
                instance,
                is_of_sdk,
            });
            let may_share = kind == SpanKind::Client && !is_of_sdk && flags == 0;
            if may_share && is_shared && parent != Some(id) {
                made.push(Made {
                    span: Span {
                        kind: SpanKind::Server.into(),
                        ..span
                    },
                    instance: (instance + u8::from(chance % 3 > 0)) % 3,
                    is_of_sdk,
                });
            }
        }
        made
    })
}

/// An order of arrival: indices of spans, the milliseconds before each span, and whether the span begins a new request.
type Arrivals = (Vec<usize>, Vec<u64>, Vec<bool>);

fn arrivals(count: usize) -> impl Strategy<Value = Arrivals> {
    let indices: Vec<usize> = (0..count).collect();
    (
        Just(indices).prop_shuffle(),
        prop::collection::vec(0..2_500_u64, count),
        prop::collection::vec(any::<bool>(), count),
    )
}

fn request_of(spans: &[&Made]) -> Content {
    let resource_of = |made: &Made| {
        let name = format!("svc{}", made.instance);
        let mut attributes = vec![
            attribute("service.name", &name),
            attribute("service.instance.id", &name),
            attribute("cctf.node_id", "edge0"),
        ];
        if made.is_of_sdk {
            attributes.push(attribute("telemetry.sdk.language", "go"));
        }
        Resource {
            attributes,
            ..Resource::default()
        }
    };
    let resource_spans = spans.iter().map(|made| ResourceSpans {
        resource: Some(resource_of(made)),
        scope_spans: vec![ScopeSpans {
            spans: vec![made.span.clone()],
            ..ScopeSpans::default()
        }],
        ..ResourceSpans::default()
    });
    let request = ExportTraceServiceRequest {
        resource_spans: resource_spans.collect(),
    };
    Content::Request {
        signal: Signal::Traces,
        body: request.encode_to_vec().into(),
    }
}

/// The folder of a normalizer that receives all spans within one window, and then no span for two windows.
fn normalize(spans: &[Made], (order, steps, begins): &Arrivals) -> TempDir {
    let mut pipeline = Pipeline::new(Settings {
        run_id: "r".to_owned(),
        ..Settings::default()
    });
    let (mut output, dir) = (Output::default(), folder());
    let mut feed = |at_ms: u64, content| {
        let received_unix_ns = BASE + (60_000 + at_ms) * MS;
        pipeline.feed(
            &Record {
                received_unix_ns,
                content,
            },
            &mut output,
        );
    };
    let (mut now, mut request) = (0, Vec::new());
    for (index, &span) in order.iter().enumerate() {
        if begins[index] && !request.is_empty() {
            feed(now, request_of(&request));
            request.clear();
            now = (now + steps[index]).min(WINDOW_MS - 1);
        }
        request.push(&spans[span]);
    }
    feed(now, request_of(&request));
    for at in (now + 1_000..=now + 2 * WINDOW_MS + 2_000).step_by(1_000) {
        feed(at, Content::Tick);
    }
    feed(now + 2 * WINDOW_MS + 3_000, Content::Shutdown);
    for run in output.drain() {
        write(dir.path(), run);
    }
    dir
}

/// Span, kind and ancestor of each row, and whether it is an orphan.
fn rows(dir: &std::path::Path) -> BTreeSet<String> {
    let files = files(dir);
    let invocations = files["invocations.jsonl"].lines().map(|line| {
        let row: Invocation<'_> = serde_json::from_str(line).unwrap();
        let is_orphan = row.flags.unwrap_or_default().has(Flag::Orphan);
        format!("{} {:?}: {:?} {is_orphan}", row.span_id, row.kind, row.parent_id)
    });
    let calls = files["calls.jsonl"].lines().map(|line| {
        let row: Call<'_> = serde_json::from_str(line).unwrap();
        let is_orphan = row.flags.unwrap_or_default().has(Flag::Orphan);
        format!(
            "{} {:?}: {:?} {is_orphan}",
            row.span_id, row.kind, row.ancestor_id
        )
    });
    invocations.chain(calls).collect()
}

fn two_orders() -> impl Strategy<Value = (Vec<Made>, Arrivals, Arrivals)> {
    trace().prop_flat_map(|spans| {
        let count = spans.len();
        (Just(spans), arrivals(count), arrivals(count))
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: traces(), ..ProptestConfig::default() })]

    #[test]
    fn neither_order_nor_merge_changes_who_called_whom((spans, one, other) in two_orders()) {
        let (one, other) = (normalize(&spans, &one), normalize(&spans, &other));
        let expected = rows(one.path());
        prop_assert_eq!(&rows(other.path()), &expected);
        prop_assert_eq!(errors(one.path()), Vec::<String>::new());
        prop_assert_eq!(&rows(&merged(&[one.path()]).path), &expected, "merged");
    }
}
