//! Views of an ExportMetricsServiceRequest: resource metrics, scope metrics, metrics and their data points.

use std::marker::PhantomData;

use super::common::{Attributes, InstrumentationScope, Messages, Pieces, Resource};
use super::wire::{Cursor, FIXED64, LENGTH_DELIMITED, VARINT, View, WireError, key};

/// The bytes of an ExportMetricsServiceRequest.
#[derive(Debug, Clone, Copy)]
pub struct MetricsRequest<'a> {
    request: Cursor<'a>,
}

impl<'a> MetricsRequest<'a> {
    /// Views these bytes; nothing is read yet.
    #[inline]
    pub fn new(bytes: &'a [u8]) -> Self {
        MetricsRequest {
            request: Cursor::new(bytes),
        }
    }

    /// The metrics of one resource after the other.
    #[inline]
    pub fn resource_metrics(&self) -> Messages<'a, ResourceMetrics<'a>> {
        Messages::new(self.request, 1)
    }
}

/// The metrics of one resource.
#[derive(Debug, Clone, Copy)]
pub struct ResourceMetrics<'a> {
    /// What produced the metrics.
    pub resource: Resource<'a>,
    /// Schema of the resource's attributes; empty if unknown.
    pub schema_url: &'a str,
    message: Cursor<'a>,
}

impl<'a> ResourceMetrics<'a> {
    /// The metrics of one scope after the other.
    #[inline]
    pub fn scope_metrics(&self) -> Messages<'a, ScopeMetrics<'a>> {
        Messages::new(self.message, 2)
    }
}

impl<'a> View<'a> for ResourceMetrics<'a> {
    fn parse(message: Cursor<'a>) -> Result<Self, WireError> {
        const RESOURCE: u32 = key(1, LENGTH_DELIMITED);
        const SCHEMA_URL: u32 = key(3, LENGTH_DELIMITED);

        let mut pieces = Pieces::NONE;
        let mut schema_url = "";
        let mut cursor = message;
        while !cursor.is_empty() {
            match cursor.key()? {
                RESOURCE => {
                    let piece = cursor.message()?;
                    pieces.push(piece, cursor);
                }
                SCHEMA_URL => schema_url = cursor.string()?,
                other => cursor.skip(other)?,
            }
        }
        Ok(ResourceMetrics {
            resource: Resource::new(pieces),
            schema_url,
            message,
        })
    }
}

/// The metrics of one instrumentation scope.
#[derive(Debug, Clone, Copy)]
pub struct ScopeMetrics<'a> {
    /// What made the metrics.
    pub scope: InstrumentationScope<'a>,
    /// Schema of the points' attributes; empty if unknown.
    pub schema_url: &'a str,
    message: Cursor<'a>,
}

impl<'a> ScopeMetrics<'a> {
    /// The metrics.
    #[inline]
    pub fn metrics(&self) -> Messages<'a, Metric<'a>> {
        Messages::new(self.message, 2)
    }
}

impl<'a> View<'a> for ScopeMetrics<'a> {
    fn parse(message: Cursor<'a>) -> Result<Self, WireError> {
        const SCOPE: u32 = key(1, LENGTH_DELIMITED);
        const SCHEMA_URL: u32 = key(3, LENGTH_DELIMITED);

        let mut scope = InstrumentationScope::NONE;
        let mut schema_url = "";
        let mut cursor = message;
        while !cursor.is_empty() {
            match cursor.key()? {
                SCOPE => {
                    let piece = cursor.message()?;
                    scope.merge(piece, cursor)?;
                }
                SCHEMA_URL => schema_url = cursor.string()?,
                other => cursor.skip(other)?,
            }
        }
        Ok(ScopeMetrics {
            scope,
            schema_url,
            message,
        })
    }
}

/// Whether the points of a metric tell changes or totals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Temporality {
    /// Not told, or one that is not known.
    Unspecified,
    /// Each point tells the change since the one before.
    Delta,
    /// Each point tells the total since a fixed start.
    Cumulative,
}

/// One metric.
#[derive(Debug, Clone, Copy)]
pub struct Metric<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its unit in UCUM; empty if unknown.
    pub unit: &'a str,
    /// Its points, by type.
    pub data: MetricData<'a>,
}

/// The points of a metric, by type.
#[derive(Debug, Clone, Copy)]
pub enum MetricData<'a> {
    /// No data, or a type that is not known.
    Empty,
    /// Values at an instant.
    Gauge(DataPoints<'a, NumberDataPoint<'a>>),
    /// Values that add up.
    Sum {
        /// The points.
        points: DataPoints<'a, NumberDataPoint<'a>>,
        /// Whether they tell changes or totals.
        temporality: Temporality,
        /// Whether the total never falls.
        is_monotonic: bool,
    },
    /// Distributions in buckets with given bounds.
    Histogram {
        /// The points.
        points: DataPoints<'a, HistogramDataPoint<'a>>,
        /// Whether they tell changes or totals.
        temporality: Temporality,
    },
    /// Distributions in buckets with exponential bounds.
    ExponentialHistogram {
        /// The points.
        points: DataPoints<'a, ExponentialHistogramDataPoint<'a>>,
        /// Whether they tell changes or totals.
        temporality: Temporality,
    },
    /// Distributions as quantiles.
    Summary(DataPoints<'a, SummaryDataPoint<'a>>),
}

impl<'a> View<'a> for Metric<'a> {
    fn parse(mut message: Cursor<'a>) -> Result<Self, WireError> {
        const NAME: u32 = key(1, LENGTH_DELIMITED);
        const UNIT: u32 = key(3, LENGTH_DELIMITED);
        const GAUGE: u32 = key(5, LENGTH_DELIMITED);
        const SUM: u32 = key(7, LENGTH_DELIMITED);
        const HISTOGRAM: u32 = key(9, LENGTH_DELIMITED);
        const EXPONENTIAL_HISTOGRAM: u32 = key(10, LENGTH_DELIMITED);
        const SUMMARY: u32 = key(11, LENGTH_DELIMITED);

        let mut metric = Metric {
            name: "",
            unit: "",
            data: MetricData::Empty,
        };
        while !message.is_empty() {
            match message.key()? {
                NAME => metric.name = message.string()?,
                UNIT => metric.unit = message.string()?,
                GAUGE => metric.data = MetricData::Gauge(DataPoints::new(message.message()?)),
                SUM => metric.data = sum(message.message()?)?,
                HISTOGRAM => {
                    let message = message.message()?;
                    let (temporality, _) = aggregation(message)?;
                    metric.data = MetricData::Histogram {
                        points: DataPoints::new(message),
                        temporality,
                    };
                }
                EXPONENTIAL_HISTOGRAM => {
                    let message = message.message()?;
                    let (temporality, _) = aggregation(message)?;
                    metric.data = MetricData::ExponentialHistogram {
                        points: DataPoints::new(message),
                        temporality,
                    };
                }
                SUMMARY => metric.data = MetricData::Summary(DataPoints::new(message.message()?)),
                other => message.skip(other)?,
            }
        }
        Ok(metric)
    }
}

fn sum(message: Cursor<'_>) -> Result<MetricData<'_>, WireError> {
    let (temporality, is_monotonic) = aggregation(message)?;
    Ok(MetricData::Sum {
        points: DataPoints::new(message),
        temporality,
        is_monotonic,
    })
}

/// Temporality and monotonicity, which sums and histograms carry in the same fields.
fn aggregation(mut message: Cursor<'_>) -> Result<(Temporality, bool), WireError> {
    const TEMPORALITY: u32 = key(2, VARINT);
    const IS_MONOTONIC: u32 = key(3, VARINT);

    let mut temporality = Temporality::Unspecified;
    let mut is_monotonic = false;
    while !message.is_empty() {
        match message.key()? {
            TEMPORALITY => {
                temporality = match message.varint()? as u32 {
                    1 => Temporality::Delta,
                    2 => Temporality::Cumulative,
                    _ => Temporality::Unspecified,
                }
            }
            IS_MONOTONIC => is_monotonic = message.varint()? != 0,
            other => message.skip(other)?,
        }
    }
    Ok((temporality, is_monotonic))
}

/// The points of one metric, read when they are iterated.
#[derive(Debug, Clone, Copy)]
pub struct DataPoints<'a, P> {
    message: Cursor<'a>,
    point: PhantomData<fn() -> P>,
}

#[allow(private_bounds, reason = "which messages have views is decided in this crate")]
impl<'a, P: View<'a>> DataPoints<'a, P> {
    #[inline]
    fn new(message: Cursor<'a>) -> Self {
        DataPoints {
            message,
            point: PhantomData,
        }
    }

    /// Iterates over the points.
    #[inline]
    pub fn iter(&self) -> Messages<'a, P> {
        Messages::new(self.message, 1)
    }
}

/// A number as OTLP has it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Number {
    /// A signed integer.
    Int(i64),
    /// A floating-point number, possibly NaN or infinite.
    Double(f64),
}

impl Number {
    /// As a double; integers beyond 2^53 are rounded.
    #[inline]
    pub fn as_f64(self) -> f64 {
        match self {
            Number::Int(value) => value as f64,
            Number::Double(value) => value,
        }
    }
}

/// One value of a gauge or a sum.
#[derive(Debug, Clone, Copy)]
pub struct NumberDataPoint<'a> {
    /// Since when a sum counts, nanoseconds since the Unix epoch; zero if unknown.
    pub start_time_unix_nano: u64,
    /// When the value was taken, nanoseconds since the Unix epoch.
    pub time_unix_nano: u64,
    /// The value, if there is one.
    pub value: Option<Number>,
    /// Bit 0: no value was recorded.
    pub flags: u32,
    message: Cursor<'a>,
}

impl<'a> NumberDataPoint<'a> {
    /// What sets its series apart from the others of the metric.
    #[inline]
    pub fn attributes(&self) -> Attributes<'a> {
        Attributes::new(self.message, 7)
    }
}

impl<'a> View<'a> for NumberDataPoint<'a> {
    #[inline]
    fn parse(message: Cursor<'a>) -> Result<Self, WireError> {
        const START_TIME: u32 = key(2, FIXED64);
        const TIME: u32 = key(3, FIXED64);
        const AS_DOUBLE: u32 = key(4, FIXED64);
        const AS_INT: u32 = key(6, FIXED64);
        const FLAGS: u32 = key(8, VARINT);

        let mut point = NumberDataPoint {
            start_time_unix_nano: 0,
            time_unix_nano: 0,
            value: None,
            flags: 0,
            message,
        };
        let mut cursor = message;
        while !cursor.is_empty() {
            match cursor.key()? {
                START_TIME => point.start_time_unix_nano = cursor.fixed64()?,
                TIME => point.time_unix_nano = cursor.fixed64()?,
                AS_DOUBLE => point.value = Some(Number::Double(f64::from_bits(cursor.fixed64()?))),
                AS_INT => point.value = Some(Number::Int(cursor.fixed64()?.cast_signed())),
                FLAGS => point.flags = cursor.varint()? as u32,
                other => cursor.skip(other)?,
            }
        }
        Ok(point)
    }
}

/// One point of a histogram: what all distributions have in common.
pub type HistogramDataPoint<'a> = DistributionDataPoint<'a, 9, 10, false>;
/// One point of an exponential histogram: what all distributions have in common.
pub type ExponentialHistogramDataPoint<'a> = DistributionDataPoint<'a, 1, 10, false>;
/// One point of a summary: what all distributions have in common. Its sum is always there.
pub type SummaryDataPoint<'a> = DistributionDataPoint<'a, 7, 8, true>;

/// One point of a distribution. The three types differ, in what is read of them, in two field numbers and in
/// whether a sum that is left out is zero (a summary's) or not known.
#[derive(Debug, Clone, Copy)]
pub struct DistributionDataPoint<'a, const ATTRIBUTES: u32, const FLAGS: u32, const HAS_SUM: bool> {
    /// Since when it counts, nanoseconds since the Unix epoch; zero if unknown.
    pub start_time_unix_nano: u64,
    /// When it was taken, nanoseconds since the Unix epoch.
    pub time_unix_nano: u64,
    /// How many values it stands for.
    pub count: u64,
    /// Their sum, if told.
    pub sum: Option<f64>,
    /// Bit 0: no value was recorded.
    pub flags: u32,
    message: Cursor<'a>,
}

impl<'a, const ATTRIBUTES: u32, const FLAGS: u32, const HAS_SUM: bool>
    DistributionDataPoint<'a, ATTRIBUTES, FLAGS, HAS_SUM>
{
    /// What sets its series apart from the others of the metric.
    #[inline]
    pub fn attributes(&self) -> Attributes<'a> {
        Attributes::new(self.message, ATTRIBUTES)
    }
}

impl<'a, const ATTRIBUTES: u32, const FLAGS: u32, const HAS_SUM: bool> View<'a>
    for DistributionDataPoint<'a, ATTRIBUTES, FLAGS, HAS_SUM>
{
    fn parse(message: Cursor<'a>) -> Result<Self, WireError> {
        const START_TIME: u32 = key(2, FIXED64);
        const TIME: u32 = key(3, FIXED64);
        const COUNT: u32 = key(4, FIXED64);
        const SUM: u32 = key(5, FIXED64);

        let mut point = DistributionDataPoint {
            start_time_unix_nano: 0,
            time_unix_nano: 0,
            count: 0,
            sum: HAS_SUM.then_some(0.0),
            flags: 0,
            message,
        };
        let mut cursor = message;
        while !cursor.is_empty() {
            match cursor.key()? {
                START_TIME => point.start_time_unix_nano = cursor.fixed64()?,
                TIME => point.time_unix_nano = cursor.fixed64()?,
                COUNT => point.count = cursor.fixed64()?,
                SUM => point.sum = Some(f64::from_bits(cursor.fixed64()?)),
                other if other == key(FLAGS, VARINT) => point.flags = cursor.varint()? as u32,
                other => cursor.skip(other)?,
            }
        }
        Ok(point)
    }
}
