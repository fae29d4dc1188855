//! Views of an ExportMetricsServiceRequest: resource metrics, scope metrics and metrics. [`DataPoints`] views their points.

use super::common::{InstrumentationScope, Messages, Pieces, Resource};
pub use super::data_points::{
    DataPoints, DistributionDataPoint, ExponentialHistogramDataPoint, HistogramDataPoint, Number,
    NumberDataPoint, SummaryDataPoint,
};
use super::wire::{Cursor, LENGTH_DELIMITED, VARINT, View, WireError, key};

/// The bytes of an ExportMetricsServiceRequest.
#[derive(Debug, Clone, Copy)]
pub struct MetricsRequest<'a> {
    request: Cursor<'a>,
}

impl<'a> MetricsRequest<'a> {
    /// Views these bytes without reading them.
    #[inline]
    pub fn new(bytes: &'a [u8]) -> Self {
        MetricsRequest {
            request: Cursor::new(bytes),
        }
    }

    /// Iterates over the resources.
    #[inline]
    pub fn resource_metrics(&self) -> Messages<'a, ResourceMetrics<'a>> {
        Messages::new(self.request, 1)
    }
}

/// The metrics of one resource.
#[derive(Debug, Clone, Copy)]
pub struct ResourceMetrics<'a> {
    /// The source of the metrics.
    pub resource: Resource<'a>,
    /// Schema of the resource's attributes; empty if unknown.
    pub schema_url: &'a str,
    message: Cursor<'a>,
}

impl<'a> ResourceMetrics<'a> {
    /// Iterates over the scopes.
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
    /// The library that created the metrics.
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

/// Meaning of the points of a sum or histogram.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Temporality {
    /// Missing or unknown.
    Unspecified,
    /// Each point is the change since the previous point.
    Delta,
    /// Each point is the total since a fixed start.
    Cumulative,
}

/// One metric.
#[derive(Debug, Clone, Copy)]
pub struct Metric<'a> {
    pub name: &'a str,
    /// The unit in UCUM. Empty if it is unknown.
    pub unit: &'a str,
    pub data: MetricData<'a>,
}

/// The points of a metric, by type.
#[derive(Debug, Clone, Copy)]
pub enum MetricData<'a> {
    /// No data, or an unknown type.
    Empty,
    /// Values at an instant.
    Gauge(DataPoints<'a, NumberDataPoint<'a>>),
    /// Values that add up.
    Sum {
        points: DataPoints<'a, NumberDataPoint<'a>>,
        temporality: Temporality,
        /// Whether the total never decreases.
        is_monotonic: bool,
    },
    /// Distributions in buckets with explicit bounds.
    Histogram {
        points: DataPoints<'a, HistogramDataPoint<'a>>,
        temporality: Temporality,
    },
    /// Distributions in buckets with exponential bounds.
    ExponentialHistogram {
        points: DataPoints<'a, ExponentialHistogramDataPoint<'a>>,
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

/// Temporality and monotonicity, which have the same field numbers in sums and histograms.
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
