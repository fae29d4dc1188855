//! A client that sends each trace in two requests, repeats each until it is acknowledged, and knows the expected rows.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use e2e::child::wait_for;
use e2e::otlp;
use e2e::rows::{self, text};
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use prost::Message as _;
use serde_json::Value;

/// Number of traces in a request.
const TRACES: u64 = 5;
/// Time until a request is repeated.
const RETRY_AFTER: Duration = Duration::from_millis(50);

/// A thread that sends traces until [`Client::finish`], and then until all are acknowledged.
pub struct Client {
    stop: Arc<AtomicBool>,
    acknowledged: Arc<AtomicU64>,
    thread: JoinHandle<u64>,
}

/// Span ids of one trace: the first invocation, its call, and the called invocation.
fn ids(trace: u64) -> [u64; 3] {
    [3 * trace + 1, 3 * trace + 2, 3 * trace + 3]
}

fn span(trace: u64, place: usize) -> Span {
    let ids = ids(trace);
    let kind = if place == 1 {
        SpanKind::Client
    } else {
        SpanKind::Server
    };
    let parent = place
        .checked_sub(1)
        .map_or(Vec::new(), |parent| ids[parent].to_be_bytes().to_vec());
    Span {
        trace_id: u128::from(trace + 1).to_be_bytes().to_vec(),
        span_id: ids[place].to_be_bytes().to_vec(),
        parent_span_id: parent,
        kind: kind.into(),
        // Only the last span has the is-remote flag, so the normalizer has to find the parents of the others.
        flags: if place == 2 { 0x300 } else { 0x100 },
        ..otlp::span(1)
    }
}

impl Client {
    /// Sends traces to `url`. The two halves of a trace are separate requests. The callee's half is sent first.
    pub fn start(url: String) -> Self {
        let (stop, acknowledged) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let thread = std::thread::spawn({
            let (stop, acknowledged) = (Arc::clone(&stop), Arc::clone(&acknowledged));
            move || {
                let mut next = 0;
                while !stop.load(Ordering::Relaxed) {
                    let traces = next..next + TRACES;
                    let callees = traces.clone().map(|trace| span(trace, 2)).collect();
                    let callers = traces
                        .flat_map(|trace| [span(trace, 0), span(trace, 1)])
                        .collect();
                    for spans in [callees, callers] {
                        let body = otlp::request(spans).encode_to_vec();
                        // Like an exporter, the client repeats the request until it is accepted.
                        while !matches!(otlp::export(&url, body.clone()), Ok(Ok(_))) {
                            std::thread::sleep(RETRY_AFTER);
                        }
                    }
                    next += TRACES;
                    acknowledged.store(next, Ordering::Relaxed);
                }
                next
            }
        });
        Self {
            stop,
            acknowledged,
            thread,
        }
    }

    /// Number of acknowledged traces.
    pub fn acknowledged(&self) -> u64 {
        self.acknowledged.load(Ordering::Relaxed)
    }

    /// Waits until `traces` more traces are acknowledged.
    pub fn wait_for_more(&self, traces: u64) {
        let wanted = self.acknowledged() + traces;
        wait_for("acknowledged traces", || {
            Ok((self.acknowledged() >= wanted).then_some(()))
        })
        .unwrap();
    }

    /// Stops the client. Returns the number of acknowledged traces.
    pub fn finish(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

/// Waits for the rows of `traces` traces, and asserts that each span is there once, with its caller.
pub fn assert_whole(run_dir: &Path, traces: u64) {
    assert_whole_in(&[run_dir], traces);
}

/// Like [`assert_whole`], for several folders, each of which has a part of the rows.
pub fn assert_whole_in(run_dirs: &[&Path], traces: u64) {
    let read = |file: &str| -> Vec<Value> {
        let of = |run_dir: &&Path| rows::lines(&run_dir.join("cctf").join(file)).unwrap_or_default();
        run_dirs.iter().flat_map(of).collect()
    };
    wait_for("all rows", || {
        Ok((read("invocations.jsonl").len() as u64 >= 2 * traces
            && read("calls.jsonl").len() as u64 >= traces)
            .then_some(()))
    })
    .unwrap();
    let (invocations, calls) = (read("invocations.jsonl"), read("calls.jsonl"));
    let found: BTreeSet<_> = invocations
        .iter()
        .chain(&calls)
        .map(|row| text(row, "span_id").unwrap())
        .collect();
    let wanted: BTreeSet<String> = (0..traces).flat_map(ids).map(|id| format!("{id:016x}")).collect();
    let lost = wanted.iter().filter(|id| !found.contains(id.as_str())).count();
    let duplicated = invocations.len() + calls.len() - found.len();
    println!("{traces} traces acknowledged, {lost} spans lost, {duplicated} duplicated");
    assert_eq!((lost, duplicated, found.len()), (0, 0, wanted.len()));
    for row in &invocations {
        assert!(row["flags"].is_null(), "{row}");
        let id = u64::from_str_radix(text(row, "span_id").unwrap(), 16).unwrap();
        let parent = id.is_multiple_of(3).then(|| format!("{:016x}", id - 2));
        assert_eq!(text(row, "parent_id"), parent.as_deref(), "{row}");
    }
}
