//! [`Admission`]: counts the unusable rows of a request, by reason. The receiver uses the counts for its answer; the pipeline
//! skips the same rows by the same rule.

use std::fmt::Write as _;

use super::check::{self, Key};
use super::common::{Attributes, KeyValue};
use super::metrics::{MetricData, MetricsRequest};
use super::span::{Span, SpanPass};
use super::trace::TraceRequest;
use super::wire::{Cursor, View, WireError};
use crate::keys;

/// Reason why a span or a data point cannot be used. A span that ends before it starts can be used; its row is flagged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Rejection {
    /// The trace id does not have 16 bytes.
    TraceIdLength,
    /// The span id does not have 8 bytes.
    SpanIdLength,
    /// The trace id is all zero, which is invalid in W3C trace context.
    TraceIdZero,
    /// The span id is all zero, which is invalid in W3C trace context.
    SpanIdZero,
    /// The parent span id has neither 8 bytes nor 0.
    ParentSpanIdLength,
    /// A timestamp is missing or zero.
    MissingTime,
    /// A timestamp is after the year 2262, the maximum of signed 64-bit nanoseconds.
    TimeOutOfRange,
    /// The run id of the row or of its resource cannot be the name of a folder.
    InvalidRunId,
    /// The span starts a run that another load driver has already started. Only the receiver can know this, and it does not
    /// pass such a span on.
    RunHasDriver,
}

impl Rejection {
    pub const COUNT: usize = 9;

    pub const ALL: [Rejection; Rejection::COUNT] = [
        Rejection::TraceIdLength,
        Rejection::SpanIdLength,
        Rejection::TraceIdZero,
        Rejection::SpanIdZero,
        Rejection::ParentSpanIdLength,
        Rejection::MissingTime,
        Rejection::TimeOutOfRange,
        Rejection::InvalidRunId,
        Rejection::RunHasDriver,
    ];

    /// Name in counts and metrics. It never changes.
    pub fn as_str(self) -> &'static str {
        match self {
            Rejection::TraceIdLength => "trace_id_length",
            Rejection::SpanIdLength => "span_id_length",
            Rejection::TraceIdZero => "trace_id_zero",
            Rejection::SpanIdZero => "span_id_zero",
            Rejection::ParentSpanIdLength => "parent_span_id_length",
            Rejection::MissingTime => "missing_time",
            Rejection::TimeOutOfRange => "time_out_of_range",
            Rejection::InvalidRunId => "invalid_run_id",
            Rejection::RunHasDriver => keys::RUN_HAS_DRIVER,
        }
    }

    /// Explanation for the sender.
    pub fn explanation(self) -> &'static str {
        match self {
            Rejection::TraceIdLength => "a trace id must have 16 bytes",
            Rejection::SpanIdLength => "a span id must have 8 bytes",
            Rejection::TraceIdZero => "a trace id must not be all zero",
            Rejection::SpanIdZero => "a span id must not be all zero",
            Rejection::ParentSpanIdLength => "a parent span id must have 8 bytes, or be empty for a root",
            Rejection::MissingTime => "a span must have a start and an end time, and a data point a time",
            Rejection::TimeOutOfRange => "a timestamp must fit in signed 64-bit nanoseconds since 1970",
            Rejection::InvalidRunId => {
                "cctf.run_id must have 1 to 128 characters of A-Z a-z 0-9 . _ -, must not start with . or -, and must not be \
                 latest or end like the name of a part (-0002)"
            }
            Rejection::RunHasDriver => {
                "another load driver has started this run and has not reported its end; use another run id"
            }
        }
    }
}

/// Counts of the usable and unusable rows of a request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Admission {
    /// Spans or data points in the request, including unusable ones.
    pub rows: u64,
    /// Number of unusable rows by reason, in the order of [`Rejection::ALL`].
    pub rejected: [u64; Rejection::COUNT],
    /// Index of the first unusable row in the request, and its reason.
    pub first: Option<(u64, Rejection)>,
    /// The latest end of a usable span, or time of a usable point, nanoseconds since the Unix epoch; 0 without any.
    pub latest_unix_ns: u64,
}

impl Admission {
    pub fn rejected_total(&self) -> u64 {
        self.rejected.iter().sum()
    }

    /// The reasons that occurred, with their numbers of unusable rows.
    pub fn reasons(&self) -> impl Iterator<Item = (Rejection, u64)> + '_ {
        Rejection::ALL
            .into_iter()
            .zip(self.rejected)
            .filter(|(_, count)| *count > 0)
    }

    /// Message of the partial success; `None` if all rows can be used.
    pub fn message(&self) -> Option<String> {
        let (number, reason) = self.first?;
        let mut message = format!("{} of {} rows cannot be used", self.rejected_total(), self.rows);
        for (index, (reason, count)) in self.reasons().enumerate() {
            let separator = if index == 0 { ": " } else { ", " };
            // Writing to a String cannot fail.
            let _ = write!(message, "{separator}{} {count}", reason.as_str());
        }
        let _ = write!(
            message,
            "; the first, at index {number}: {}",
            reason.explanation()
        );
        Some(message)
    }

    /// Rejects the first row, which was counted as usable before.
    pub fn reject_first(&mut self, reason: Rejection) {
        self.rejected[reason as usize] += 1;
        self.first = Some((0, reason));
    }

    /// Counts a row that ended at `ended_unix_ns`.
    #[inline]
    pub(super) fn count(&mut self, rejection: Option<Rejection>, ended_unix_ns: u64) {
        match rejection {
            Some(reason) => {
                self.rejected[reason as usize] += 1;
                self.first.get_or_insert((self.rows, reason));
            }
            None => self.latest_unix_ns = self.latest_unix_ns.max(ended_unix_ns),
        }
        self.rows += 1;
    }
}

/// Checks an ExportTraceServiceRequest like [`check_trace_request`](super::check::check_trace_request), and counts its spans
/// and the unusable ones in the same pass.
pub fn admit_trace_request(bytes: &[u8]) -> Result<Admission, WireError> {
    check::check_trace_envelope(bytes)?;
    let mut admission = Admission::default();
    for resource_spans in TraceRequest::new(bytes).resource_spans() {
        let resource_spans = resource_spans?;
        let resource_run_id_ok = is_run_id_ok(&resource_spans.resource.attributes());
        for scope_spans in resource_spans.scope_spans() {
            for span in scope_spans?.span_messages() {
                admit_span(span?, resource_run_id_ok, &mut admission)?;
            }
        }
    }
    Ok(admission)
}

/// Checks a whole span and counts it. Returns whether it can be used.
#[inline]
pub(super) fn admit_span(
    span: Cursor<'_>,
    resource_run_id_ok: bool,
    admission: &mut Admission,
) -> Result<bool, WireError> {
    let mut pass = Checking {
        run_id_ok: resource_run_id_ok,
    };
    let span = Span::parse_with(span, &mut pass)?;
    let rejection = reject_span_of_run(&span, pass.run_id_ok);
    admission.count(rejection, span.end_time_unix_nano);
    Ok(rejection.is_none())
}

/// Checks each whole span, and the run ids in it.
struct Checking {
    run_id_ok: bool,
}

impl<'a> SpanPass<'a> for Checking {
    #[inline]
    fn attribute(&mut self, attribute: Cursor<'a>) -> Result<(), WireError> {
        match KeyValue::usual_key(attribute) {
            Some(key) if key != keys::RUN_ID.as_bytes() => {}
            Some(_) => self.run_id_ok &= is_attribute_ok(attribute),
            None => {
                check::span::attribute(attribute)?;
                self.run_id_ok &= is_attribute_ok(attribute);
            }
        }
        Ok(())
    }

    #[inline]
    fn link(&mut self, link: Cursor<'a>) -> Result<(), WireError> {
        check::span::link(link)
    }

    #[inline]
    fn status(&mut self, status: Cursor<'a>) -> Result<(), WireError> {
        check::span::status(status)
    }

    #[inline]
    fn other(&mut self, span: &mut Cursor<'a>, key: Key) -> Result<(), WireError> {
        *span = check::span::field(*span, key)?;
        Ok(())
    }
}

/// Checks an ExportMetricsServiceRequest like [`check_metrics_request`](check::check_metrics_request), and counts its data
/// points and the unusable ones.
pub fn admit_metrics_request(bytes: &[u8]) -> Result<Admission, WireError> {
    check::check_metrics_request(bytes)?;
    let mut admission = Admission::default();
    for resource_metrics in MetricsRequest::new(bytes).resource_metrics() {
        let resource_metrics = resource_metrics?;
        let run_id_ok = is_run_id_ok(&resource_metrics.resource.attributes());
        for scope_metrics in resource_metrics.scope_metrics() {
            for metric in scope_metrics?.metrics() {
                admit_metric(&metric?.data, run_id_ok, &mut admission)?;
            }
        }
    }
    Ok(admission)
}

fn admit_metric(data: &MetricData<'_>, run_id_ok: bool, admission: &mut Admission) -> Result<(), WireError> {
    macro_rules! admit {
        ($points:expr) => {
            for point in $points.iter() {
                let time_unix_nano = point?.time_unix_nano;
                admission.count(reject_point(time_unix_nano, run_id_ok), time_unix_nano);
            }
        };
    }
    match data {
        MetricData::Empty => {}
        MetricData::Gauge(points) | MetricData::Sum { points, .. } => admit!(points),
        MetricData::Histogram { points, .. } => admit!(points),
        MetricData::ExponentialHistogram { points, .. } => admit!(points),
        MetricData::Summary(points) => admit!(points),
    }
    Ok(())
}

/// The reason why this span cannot be used, if there is one. `resource_run_id_ok` is [`is_run_id_ok`] of its resource.
#[inline]
pub fn reject_span(span: &Span<'_>, resource_run_id_ok: bool) -> Option<Rejection> {
    reject_span_of_run(span, true)
        .or_else(|| reject_run_id(resource_run_id_ok && is_run_id_ok(&span.attributes())))
}

/// Like [`reject_span`], for callers that have already read the attributes. `run_id_ok` states whether [`is_run_id_ok`] is true
/// for the span and for its resource.
#[inline]
pub fn reject_span_of_run(span: &Span<'_>, run_id_ok: bool) -> Option<Rejection> {
    let Some((trace_id_head, trace_id_tail)) = halves(span.trace_id) else {
        return Some(Rejection::TraceIdLength);
    };
    let Some(span_id) = number(span.span_id) else {
        return Some(Rejection::SpanIdLength);
    };
    if trace_id_head | trace_id_tail == 0 {
        return Some(Rejection::TraceIdZero);
    }
    if span_id == 0 {
        return Some(Rejection::SpanIdZero);
    }
    if !matches!(span.parent_span_id.len(), 0 | SPAN_ID_LEN) {
        return Some(Rejection::ParentSpanIdLength);
    }
    reject_time(span.start_time_unix_nano)
        .or_else(|| reject_time(span.end_time_unix_nano))
        .or_else(|| reject_run_id(run_id_ok))
}

/// The reason why a data point with this time cannot be used, if there is one. `resource_run_id_ok` is [`is_run_id_ok`] of its
/// resource.
#[inline]
pub fn reject_point(time_unix_nano: u64, resource_run_id_ok: bool) -> Option<Rejection> {
    reject_time(time_unix_nano).or_else(|| reject_run_id(resource_run_id_ok))
}

const SPAN_ID_LEN: usize = 8;

#[inline]
fn number(bytes: &[u8]) -> Option<u64> {
    <[u8; SPAN_ID_LEN]>::try_from(bytes).ok().map(u64::from_le_bytes)
}

#[inline]
fn halves(bytes: &[u8]) -> Option<(u64, u64)> {
    let (head, tail) = bytes.split_at_checked(8)?;
    Some((number(head)?, number(tail)?))
}

/// The reason why a row with this time cannot be used, if there is one.
#[inline]
pub(super) fn reject_time(unix_ns: u64) -> Option<Rejection> {
    match unix_ns {
        0 => Some(Rejection::MissingTime),
        1..=MAX_UNIX_NANO => None,
        _ => Some(Rejection::TimeOutOfRange),
    }
}

const MAX_UNIX_NANO: u64 = i64::MAX as u64;

#[inline]
fn reject_run_id(is_ok: bool) -> Option<Rejection> {
    (!is_ok).then_some(Rejection::InvalidRunId)
}

/// Whether every run id in these attributes is valid. False if the attributes cannot be parsed, which does not happen in a
/// checked request.
#[inline]
pub fn is_run_id_ok(attributes: &Attributes<'_>) -> bool {
    attributes
        .iter()
        .all(|attribute| attribute.is_ok_and(|key_value| is_pair_ok(&key_value)))
}

#[inline(never)]
fn is_attribute_ok(attribute: Cursor<'_>) -> bool {
    KeyValue::parse(attribute).is_ok_and(|key_value| is_pair_ok(&key_value))
}

#[inline]
fn is_pair_ok(KeyValue { key, value }: &KeyValue<'_>) -> bool {
    *key != keys::RUN_ID || value.as_str().is_some_and(keys::is_valid_run_id)
}
