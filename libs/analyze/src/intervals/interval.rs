//! An interval, or the reason why there is none.

/// A confidence interval. All figures have the unit of the values.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// The mean, or the quantile. A quantile is exact to half of a bucket, which is 1/128 of its size.
    pub estimate: f64,
    /// Lower end. If a quantile's lower end would have fewer than one of the values below it, it is 0 if no value is negative,
    /// and otherwise `None`.
    pub low: Option<f64>,
    /// Upper end. `None` if a quantile's upper end would have fewer than one of the values above it, because the run then shows
    /// no bound.
    pub high: Option<f64>,
    /// Number of independent values that would give an interval of this width. At most the number of values.
    pub effective_sample_size: f64,
}

/// The reason why there is no interval.
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
    /// The queue is unknown, and the values are as informative as too few independent values.
    #[error("too short: an effective sample size of {size:.0} of {needed:.0} needed")]
    TooDependent { size: f64, needed: f64 },
    /// The period is too short to be divided into batches.
    #[error("too short: {batches} intervals of 1 ms or more of {needed} needed")]
    TooBrief { batches: usize, needed: usize },
    /// All values are equal, so they do not show how far others may be.
    #[error("all values are equal")]
    Constant,
}

impl NoInterval {
    /// The reason in two words, for a table. `None` if the figure itself is unknown.
    pub fn words(&self) -> Option<&'static str> {
        match self {
            Self::TooShort { .. } | Self::TooDependent { .. } | Self::TooBrief { .. } => Some("too short"),
            Self::TooFew { .. } => Some("too few"),
            Self::Constant => Some("all equal"),
            Self::InvalidRequest | Self::NotFinite { .. } => None,
        }
    }
}
