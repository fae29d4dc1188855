//! The span queue with a scripted transport.

use std::sync::mpsc;

use opentelemetry::trace::{Tracer, TracerProvider};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_sdk::trace::SdkTracerProvider;
use otlp_send::Retry;
use prost::Message;

use super::*;

/// Gives the scripted answers, then accepts everything.
struct Scripted {
    answers: VecDeque<Result<Accepted, Failure>>,
    sent: mpsc::Sender<usize>,
}

impl Transport for Scripted {
    fn send(&mut self, request: Bytes) -> Result<Accepted, Failure> {
        let request = ExportTraceServiceRequest::decode(request).unwrap();
        let scopes = request.resource_spans.iter().flat_map(|of| &of.scope_spans);
        self.sent
            .send(scopes.map(|scope| scope.spans.len()).sum())
            .unwrap();
        self.answers.pop_front().unwrap_or_else(|| accepted(0))
    }
}

fn accepted(rejected: u64) -> Result<Accepted, Failure> {
    Ok(Accepted {
        rejected,
        message: None,
    })
}

fn failed(retry: Retry) -> Result<Accepted, Failure> {
    let error = "away".to_owned();
    Err(Failure { error, retry })
}

struct Fixture {
    provider: SdkTracerProvider,
    counts: Arc<SpanCounts>,
    sent: mpsc::Receiver<usize>,
}

fn bench(
    queue_size: usize,
    batch_size: usize,
    delay: Duration,
    answers: impl Into<VecDeque<Result<Accepted, Failure>>>,
) -> Fixture {
    let (sender, sent) = mpsc::channel();
    let counts = Arc::new(SpanCounts::default());
    let limits = Limits {
        queue_size,
        batch_size,
        schedule_delay: delay,
    };
    let transport = Scripted {
        answers: answers.into(),
        sent: sender,
    };
    let queue = SpanQueue::start(
        limits,
        Clock::start(),
        counts.clone(),
        &Resource::builder_empty().build(),
        transport,
    )
    .unwrap();
    let provider = SdkTracerProvider::builder().with_span_processor(queue).build();
    Fixture {
        provider,
        counts,
        sent,
    }
}

fn make_spans(bench: &Fixture, count: usize) {
    let tracer = bench.provider.tracer("test");
    for _ in 0..count {
        drop(tracer.start("span"));
    }
}

fn fate(bench: &Fixture) -> (u64, u64) {
    (
        bench.counts.exported.load(Ordering::Relaxed),
        bench.counts.dropped.load(Ordering::Relaxed),
    )
}

const LONG: Duration = Duration::from_secs(3600);

#[test]
fn a_full_batch_is_sent_at_once_and_the_rest_at_shutdown() {
    let bench = bench(100, 10, LONG, []);
    make_spans(&bench, 10);
    assert_eq!(bench.sent.recv().unwrap(), 10);
    make_spans(&bench, 3);
    bench.provider.shutdown().unwrap();
    assert_eq!(bench.sent.recv().unwrap(), 3);
    assert_eq!(fate(&bench), (13, 0));
}

#[test]
fn a_failed_export_is_retried_with_the_same_batch() {
    let bench = bench(100, 10, LONG, [failed(Retry::Soon), failed(Retry::Soon)]);
    make_spans(&bench, 4);
    bench.provider.force_flush().unwrap();
    assert_eq!(bench.sent.try_iter().collect::<Vec<_>>(), [4, 4, 4]);
    assert_eq!(fate(&bench), (4, 0));
}

#[test]
fn spans_beyond_the_queue_size_are_dropped_and_counted() {
    let bench = bench(5, 10, LONG, []);
    make_spans(&bench, 8);
    bench.provider.force_flush().unwrap();
    assert_eq!(fate(&bench), (5, 3));
}

#[test]
fn refused_and_rejected_spans_are_counted_as_lost() {
    let bench = bench(100, 10, LONG, [failed(Retry::Never), accepted(2)]);
    make_spans(&bench, 10);
    bench.sent.recv().unwrap();
    make_spans(&bench, 10);
    bench.sent.recv().unwrap();
    bench.provider.force_flush().unwrap();
    assert_eq!(fate(&bench), (8, 12));
}

#[test]
fn at_shutdown_an_unavailable_receiver_costs_spans_but_not_the_exit() {
    let bench = bench(100, 10, LONG, vec![failed(Retry::Soon); 1000]);
    make_spans(&bench, 15);
    assert!(
        bench
            .provider
            .shutdown_with_timeout(Duration::from_millis(50))
            .is_err()
    );
    assert_eq!(fate(&bench), (0, 15));
}

#[test]
fn the_schedule_sends_a_batch_that_does_not_fill() {
    let bench = bench(100, 10, Duration::from_millis(1), []);
    make_spans(&bench, 1);
    assert_eq!(bench.sent.recv().unwrap(), 1);
}
