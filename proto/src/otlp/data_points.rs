//! Views of the points of a metric, by type.

use std::marker::PhantomData;

use super::common::{Attributes, Messages};
use super::wire::{Cursor, FIXED64, VARINT, View, WireError, key};

/// The points of one metric, read when they are iterated.
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
