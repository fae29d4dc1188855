//! Which rows of a request cannot be used, and why: counted for the answer, skipped by the pipeline, by the same rule.

use std::fmt::Write as _;

use super::check::{self, Key};
use super::common::{Attributes, KeyValue};
use super::metrics::{MetricData, MetricsRequest};
use super::span::{Span, SpanPass};
use super::trace::TraceRequest;
use super::wire::{Cursor, View, WireError};
use crate::keys;

/// Why a span or a data point cannot be used. The end before the start is no reason: such a row is written, flagged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Rejection {
    /// The trace id has not 16 bytes.
    TraceIdLength,
    /// The span id has not 8 bytes.
    SpanIdLength,
    /// The trace id is all zero, which W3C trace context makes invalid.
    TraceIdZero,
    /// The span id is all zero, which W3C trace context makes invalid.
    SpanIdZero,
    /// The parent span id has neither 8 bytes nor none.
    ParentSpanIdLength,
    /// A time stamp is missing or zero.
    MissingTime,
    /// A time stamp is after the year 2262: beyond what signed 64-bit nanoseconds hold.
    TimeOutOfRange,
    /// The run id, the row's own or its resource's, cannot be the name of a run's folder.
    InvalidRunId,
}

impl Rejection {
    /// How many reasons there are.
    pub const COUNT: usize = 8;

    /// All reasons, in the order of their numbers.
    pub const ALL: [Rejection; Rejection::COUNT] = [
        Rejection::TraceIdLength,
        Rejection::SpanIdLength,
        Rejection::TraceIdZero,
        Rejection::SpanIdZero,
        Rejection::ParentSpanIdLength,
        Rejection::MissingTime,
        Rejection::TimeOutOfRange,
        Rejection::InvalidRunId,
    ];

    /// The reason's name in counts and metrics. It never changes.
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
        }
    }

    /// The reason in a sentence, for who sent the row.
    pub fn explanation(self) -> &'static str {
        match self {
            Rejection::TraceIdLength => "a trace id has to be 16 bytes long",
            Rejection::SpanIdLength => "a span id has to be 8 bytes long",
            Rejection::TraceIdZero => "a trace id must not be all zero",
            Rejection::SpanIdZero => "a span id must not be all zero",
            Rejection::ParentSpanIdLength => "a parent span id has to be 8 bytes long, or empty for a root",
            Rejection::MissingTime => "a span needs start and end time, a data point its time",
            Rejection::TimeOutOfRange => "a time stamp has to be in signed 64-bit nanoseconds since 1970",
            Rejection::InvalidRunId => {
                "cctf.run_id has to be a string of 1 to 128 characters A-Z a-z 0-9 . _ -, begin with neither . nor -, \
                 and be no name beside the runs: latest, x-0002"
            }
        }
    }
}

/// What of a request can be used.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Admission {
    /// Spans or data points in the request, the unusable included.
    pub rows: u64,
    /// Unusable ones by reason, in the order of [`Rejection::ALL`].
    pub rejected: [u64; Rejection::COUNT],
    /// The first unusable one: number in the request, from 0, and why.
    pub first: Option<(u64, Rejection)>,
}

impl Admission {
    /// How many rows cannot be used.
    pub fn rejected_total(&self) -> u64 {
        self.rejected.iter().sum()
    }

    /// Rejected rows by reason, without the reasons that did not occur.
    pub fn reasons(&self) -> impl Iterator<Item = (Rejection, u64)> + '_ {
        Rejection::ALL
            .into_iter()
            .zip(self.rejected)
            .filter(|(_, count)| *count > 0)
    }

    /// What a partial success tells the client; `None` if every row can be used.
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
            "; the first is row {number} from 0: {}",
            reason.explanation()
        );
        Some(message)
    }

    #[inline]
    fn count(&mut self, rejection: Option<Rejection>) {
        if let Some(reason) = rejection {
            self.rejected[reason as usize] += 1;
            self.first.get_or_insert((self.rows, reason));
        }
        self.rows += 1;
    }
}

/// Checks an ExportTraceServiceRequest as [`check_trace_request`](super::check::check_trace_request) does, and counts
/// its spans and those that cannot be used: both in one pass over the spans.
pub fn admit_trace_request(bytes: &[u8]) -> Result<Admission, WireError> {
    check::check_trace_envelope(bytes)?;
    let mut admission = Admission::default();
    for resource_spans in TraceRequest::new(bytes).resource_spans() {
        let resource_spans = resource_spans?;
        let resource_run_id_ok = is_run_id_ok(&resource_spans.resource.attributes());
        for scope_spans in resource_spans.scope_spans() {
            for span in scope_spans?.span_messages() {
                let mut pass = Checking {
                    run_id_ok: resource_run_id_ok,
                };
                let span = Span::parse_with(span?, &mut pass)?;
                admission.count(reject_span_of_run(&span, pass.run_id_ok));
            }
        }
    }
    Ok(admission)
}

/// Checks all of a span, and its run ids.
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

/// Checks an ExportMetricsServiceRequest as [`check_metrics_request`](check::check_metrics_request) does, and counts its
/// data points and those that cannot be used.
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
                admission.count(reject_point(point?.time_unix_nano, run_id_ok));
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

/// Why this span cannot be used, if it cannot. `resource_run_id_ok` is [`is_run_id_ok`] of its resource.
#[inline]
pub fn reject_span(span: &Span<'_>, resource_run_id_ok: bool) -> Option<Rejection> {
    reject_span_of_run(span, true)
        .or_else(|| reject_run_id(resource_run_id_ok && is_run_id_ok(&span.attributes())))
}

/// [`reject_span`] for who has read the attributes already: `run_id_ok` says whether [`is_run_id_ok`] holds for the
/// attributes of the span and those of its resource.
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

/// Why a data point of this time cannot be used, if it cannot. `resource_run_id_ok` is [`is_run_id_ok`] of its resource.
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

#[inline]
fn reject_time(unix_ns: u64) -> Option<Rejection> {
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

/// Whether these attributes name no run, or each run that they name can be a folder's name. Attributes that cannot be
/// read (which a checked request has not) are not all right.
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
