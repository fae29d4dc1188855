//! [`Telemetry`]: the spans of this program, and their export over OTLP.

use std::mem::take;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, ensure};
use e2e::otlp::{attribute, export, now_unix_ns, request_of};
use http::StatusCode;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode as SpanStatusCode;
use opentelemetry_proto::tonic::trace::v1::{Span, Status};
use prost::Message as _;

/// Pause between two exports.
const EXPORT_EVERY: Duration = Duration::from_millis(100);
/// Maximum number of spans that wait for an export: half a minute of the highest load in the tests. If there are more, no
/// receiver accepts spans.
const SPANS_MAX: usize = 65_536;

/// Spans that have ended and wait for their export.
pub struct Telemetry {
    resource: Resource,
    endpoint: String,
    waiting: Mutex<Vec<Span>>,
    /// Locked during an export, so that the last export begins after all others have ended.
    exporting: Mutex<()>,
}

impl Telemetry {
    pub fn new(name: &str, endpoint: String) -> Self {
        let attributes = [
            attribute("service.name", name),
            attribute("service.instance.id", &format!("{name}-1")),
        ];
        Self {
            resource: Resource {
                attributes: attributes.to_vec(),
                ..Resource::default()
            },
            endpoint,
            waiting: Mutex::default(),
            exporting: Mutex::default(),
        }
    }

    /// Ends a span at the current time.
    pub fn end(&self, mut span: Span) {
        span.end_time_unix_nano = now_unix_ns();
        self.waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(span);
    }

    /// Sends all spans that have ended.
    pub fn export(&self) -> anyhow::Result<()> {
        let _exporting = self.exporting.lock().unwrap_or_else(PoisonError::into_inner);
        let spans = take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
        ensure!(spans.len() <= SPANS_MAX, "too many spans for the receiver");
        if spans.is_empty() {
            return Ok(());
        }
        let body = request_of(Some(self.resource.clone()), spans).encode_to_vec();
        export(&self.endpoint, body)?.context("the receiver refused spans")?;
        Ok(())
    }

    /// Exports spans until the process ends. If an export fails, it ends the process, because a recording without some of its
    /// spans is useless.
    pub fn export_forever(&self) {
        loop {
            std::thread::sleep(EXPORT_EVERY);
            if let Err(error) = self.export() {
                eprintln!("branches: {error:#}");
                std::process::exit(1);
            }
        }
    }
}

/// An attribute with a number.
pub fn number(key: &str, value: i64) -> KeyValue {
    KeyValue {
        value: Some(AnyValue {
            value: Some(Value::IntValue(value)),
        }),
        ..attribute(key, "")
    }
}

/// Adds the status of an HTTP request to its span.
pub fn statuses(span: &mut Span, status: StatusCode) {
    let code = number("http.response.status_code", status.as_u16().into());
    span.attributes.push(code);
    if status.is_server_error() {
        span.attributes.push(attribute("error.type", status.as_str()));
        span.status = Some(Status {
            code: SpanStatusCode::Error.into(),
            ..Status::default()
        });
    }
}

/// A new id, which is not 0.
pub fn new_id() -> u64 {
    /// The step is odd, so no value repeats until all values have occurred.
    const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
    static NEXT: AtomicU64 = AtomicU64::new(0);
    // The first value depends on the time and the process id, so that processes create different ids.
    if NEXT.load(Ordering::Relaxed) == 0 {
        let seed = now_unix_ns().wrapping_mul(STEP) ^ u64::from(std::process::id()) << 32;
        let _ = NEXT.compare_exchange(0, seed | 1, Ordering::Relaxed, Ordering::Relaxed);
    }
    // SplitMix64 spreads the counter over all bits.
    let mut id = NEXT.fetch_add(STEP, Ordering::Relaxed);
    id = (id ^ id >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    id = (id ^ id >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    (id ^ id >> 31).max(1)
}
