//! Views of the points of a metric, by type.

use std::marker::PhantomData;

use super::common::{Attributes, Messages};
use super::wire::{Cursor, FIXED64, VARINT, View, WireError, key};

/// The points of one metric. Iteration parses them.
#[derive(Debug, Clone, Copy)]
pub struct DataPoints<'a, P> {
    message: Cursor<'a>,
    point: PhantomData<fn() -> P>,
}

#[allow(private_bounds, reason = "which messages have views is decided in this crate")]
impl<'a, P: View<'a>> DataPoints<'a, P> {
    #[inline]
    pub(super) fn new(message: Cursor<'a>) -> Self {
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

/// A number in OTLP.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Number {
    /// A signed integer.
    Int(i64),
    /// A floating-point number, possibly NaN or infinite.
    Double(f64),
}

impl Number {
    /// The number as a double. Integers beyond 2^53 are rounded.
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
    /// Start of a sum, nanoseconds since the Unix epoch; zero if unknown.
    pub start_time_unix_nano: u64,
    /// Time of the value, nanoseconds since the Unix epoch.
    pub time_unix_nano: u64,
    pub value: Option<Number>,
    /// Bit 0: no value was recorded.
    pub flags: u32,
    message: Cursor<'a>,
}

impl<'a> NumberDataPoint<'a> {
    /// The attributes, which identify the series within the metric.
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

/// A point of a histogram: the fields that all distributions have.
pub type HistogramDataPoint<'a> = DistributionDataPoint<'a, 9, 10, false>;
/// A point of an exponential histogram: the fields that all distributions have.
pub type ExponentialHistogramDataPoint<'a> = DistributionDataPoint<'a, 1, 10, false>;
/// A point of a summary: the fields that all distributions have. Its sum is never missing.
pub type SummaryDataPoint<'a> = DistributionDataPoint<'a, 7, 8, true>;

/// A point of a distribution. In the fields that are read, the three types differ only in two field numbers, and in whether
/// a missing sum is zero (in a summary) or unknown.
#[derive(Debug, Clone, Copy)]
pub struct DistributionDataPoint<'a, const ATTRIBUTES: u32, const FLAGS: u32, const HAS_SUM: bool> {
    /// Start of the interval, nanoseconds since the Unix epoch; zero if unknown.
    pub start_time_unix_nano: u64,
    /// End of the interval, nanoseconds since the Unix epoch.
    pub time_unix_nano: u64,
    /// Number of values.
    pub count: u64,
    /// Sum of the values, if reported.
    pub sum: Option<f64>,
    /// Bit 0: no value was recorded.
    pub flags: u32,
    message: Cursor<'a>,
}

impl<'a, const ATTRIBUTES: u32, const FLAGS: u32, const HAS_SUM: bool>
    DistributionDataPoint<'a, ATTRIBUTES, FLAGS, HAS_SUM>
{
    /// The attributes, which identify the series within the metric.
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
