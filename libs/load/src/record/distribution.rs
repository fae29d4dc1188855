//! A histogram of times with their exact sum and extremes.

use hdrhistogram::Histogram;

/// Significant digits of the percentiles.
const HISTOGRAM_DIGITS: u8 = 3;
/// Maximum value of the percentiles: a day. Greater values count as a day.
const HISTOGRAM_MAX_NS: u64 = 86_400_000_000_000;
const NS_PER_MS: f64 = 1e6;

#[derive(Debug)]
pub struct Distribution {
    /// `None` only if the constants of the histogram are invalid.
    histogram: Option<Histogram<u64>>,
    sum: u128,
    min: u64,
    max: u64,
    count: u64,
}

impl Distribution {
    pub fn new() -> Self {
        Self {
            histogram: Histogram::new_with_max(HISTOGRAM_MAX_NS, HISTOGRAM_DIGITS).ok(),
            sum: 0,
            min: u64::MAX,
            max: 0,
            count: 0,
        }
    }

    /// Counts one value, nanoseconds.
    pub fn record(&mut self, value: u64) {
        if let Some(histogram) = &mut self.histogram {
            histogram.saturating_record(value);
        }
        self.sum += u128::from(value);
        self.min = self.min.min(value);
        self.max = self.max.max(value);
        self.count += 1;
    }

    /// The quantile in milliseconds; 0 without values.
    pub fn quantile_ms(&self, quantile: f64) -> f64 {
        let value = self
            .histogram
            .as_ref()
            .map_or(0, |histogram| histogram.value_at_quantile(quantile));
        value.clamp(self.min.min(self.max), self.max) as f64 / NS_PER_MS
    }

    /// The exact mean in milliseconds; 0 without values.
    pub fn mean_ms(&self) -> f64 {
        if self.count == 0 {
            0.0
        } else {
            self.sum as f64 / self.count as f64 / NS_PER_MS
        }
    }

    /// The exact minimum in milliseconds; 0 without values.
    pub fn min_ms(&self) -> f64 {
        self.min.min(self.max) as f64 / NS_PER_MS
    }

    /// The exact maximum in milliseconds; 0 without values.
    pub fn max_ms(&self) -> f64 {
        self.max as f64 / NS_PER_MS
    }

    pub fn count(&self) -> u64 {
        self.count
    }
}

impl Default for Distribution {
    fn default() -> Self {
        Self::new()
    }
}
