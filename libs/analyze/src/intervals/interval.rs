//! An interval, or the reason why there is none.

/// A confidence interval. All figures have the unit of the values.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// The mean, or the quantile within half of a bucket: 1/128 of its size.
    pub estimate: f64,
    /// For a quantile, none if fewer than one of the values may lie below the lower end.
    pub low: Option<f64>,
    /// For a quantile, none if fewer than one of the values may lie above the upper end: the run does not bound it.
    pub high: Option<f64>,
    /// Number of independent values that would give an interval of this width. At most the number of values.
    pub effective_sample_size: f64,
}

/// Why values give no interval.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum NoInterval {
    #[error("invalid level or quantile: both are above 0 and below 1")]
    InvalidRequest,
    #[error("{count} values are infinite or no number")]
    NotFinite { count: u64 },
    #[error("{values} values are too few; {needed} are needed")]
    TooFew { values: u64, needed: u64 },
    /// The run is shorter than [`super::RELAXATIONS_MIN`] relaxation times of its queue.
    #[error("too short: {relaxations:.0} relaxation times of 200 needed")]
    TooShort { relaxations: f64 },
    /// The queue is unknown, and the values are worth too few independent ones.
    #[error("too short: an effective sample size of {size:.0} of {needed:.0} needed")]
    TooDependent { size: f64, needed: f64 },
    /// The time is too short to be divided.
    #[error("too short: {batches} intervals of 1 ms or more of {needed} needed")]
    TooBrief { batches: usize, needed: usize },
    /// Equal values do not show how far others may lie.
    #[error("all values are equal")]
    Constant,
}

impl NoInterval {
    /// The reason in two words, for a table; `None` for a request that has no answer.
    pub fn words(&self) -> Option<&'static str> {
        match self {
            Self::TooShort { .. } | Self::TooDependent { .. } | Self::TooBrief { .. } => Some("too short"),
            Self::TooFew { .. } => Some("too few"),
            Self::Constant => Some("all equal"),
            Self::InvalidRequest | Self::NotFinite { .. } => None,
        }
    }
}
