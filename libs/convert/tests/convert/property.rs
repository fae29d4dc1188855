//! Random traces in every format give the same rows: what differs between the formats is in none of the spans.

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::Folder;
use crate::world::{BEGIN_US, Span, jaeger, lines, otlp, zipkin};

const KINDS: [&str; 5] = ["server", "client", "internal", "producer", "consumer"];
const SERVICES: [&str; 3] = ["front", "stock", "mail"];
const TRACES: u64 = 4;

/// A span of a trace, by numbers below the lengths of the lists.
type Drawn = (u64, prop::sample::Index, bool, usize, usize, u64, u64, bool);

fn spans(drawn: Vec<Drawn>) -> Vec<Span> {
    let mut spans: Vec<Span> = Vec::new();
    for (number, (trace, parent, is_root, kind, service, begin, duration_us, failed)) in (1..).zip(drawn) {
        let trace_id = 1 << 100 | u128::from(trace);
        let same: Vec<u64> = spans
            .iter()
            .filter(|span| span.trace_id == trace_id)
            .map(|span| span.id)
            .collect();
        spans.push(Span {
            trace_id,
            id: number,
            parent: (!is_root && !same.is_empty()).then(|| same[parent.index(same.len())]),
            kind: KINDS[kind],
            name: "work",
            service: SERVICES[service],
            begin_us: BEGIN_US + begin,
            duration_us,
            attributes: vec![
                ("http.request.method", json!("GET")),
                ("http.response.status_code", json!(204)),
            ],
            failed,
        });
    }
    spans
}

fn by_trace(spans: &[Span]) -> Vec<Vec<Span>> {
    let of = |trace: u64| {
        spans
            .iter()
            .filter(move |span| span.trace_id as u64 == trace)
            .cloned()
    };
    let traces = (0..TRACES).map(|trace| of(trace).collect::<Vec<_>>());
    traces.filter(|spans| !spans.is_empty()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn random_traces_have_the_same_rows_in_every_format(
        drawn in prop::collection::vec(
            (0..TRACES, any::<prop::sample::Index>(), prop::bool::weighted(0.1), 0..KINDS.len(), 0..SERVICES.len(), 0..1_000_000_u64, 1..100_000_u64, any::<bool>()),
            1..30,
        ),
    ) {
        let spans = spans(drawn);
        let folder = Folder::create();
        let traces: Vec<Value> = by_trace(&spans).iter().map(|spans| jaeger(spans)).collect();
        let forms = [
            ("otlp", lines([otlp(&spans)])),
            ("jaeger", json!({"data": traces}).to_string()),
            ("zipkin", lines(spans.iter().map(zipkin))),
        ];
        let converted = forms.map(|(name, text)| {
            let converted = folder.convert(&[folder.write(&format!("{name}.json"), text)], name).unwrap();
            (converted.damages(), converted.requests())
        });
        prop_assert_eq!(&converted[0].0.len(), &0);
        prop_assert_eq!(&converted[1], &converted[0]);
        prop_assert_eq!(&converted[2], &converted[0]);
    }
}
