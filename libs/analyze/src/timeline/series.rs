//! [`Timeline`]: figures in equal intervals of time.

use crate::stats::cells::Key;
use crate::stats::figures::Time;

/// Maximum number of buckets.
pub const BUCKETS_MAX: usize = 120;

/// Figures in equal intervals of time. An invocation counts where its `ts_start` is, as in the windows of `cctf stats`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Timeline {
    /// First `ts_start`, nanoseconds since the Unix epoch.
    pub begin_ns: i64,
    /// Last `ts_end`, nanoseconds since the Unix epoch. It is in the last bucket.
    pub end_ns: i64,
    /// Width of a bucket: 1, 2 or 5 times a power of ten nanoseconds. At most [`BUCKETS_MAX`] cover the run.
    pub bucket_ns: u64,
    /// The whole run.
    pub run: Series,
    /// Modules, those with the most response time first. Later ones have no bins.
    pub modules: Vec<(Key, Series)>,
    /// Endpoints with the most response time. Only that time has bins.
    pub endpoints: Vec<(Key, Series)>,
}

/// A bucket for each interval.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Series {
    pub buckets: Vec<Bucket>,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct Bucket {
    pub calls: u64,
    pub errors: u64,
    /// In the order of [`Time::ALL`].
    pub times: [BucketTime; Time::ALL.len()],
    /// Mean of the sampled requests in the system: the sum of the means of the instances. An instance without a sample in the
    /// bucket counts with its last samples before, until its last one.
    pub in_flight: Option<f64>,
    /// Share of the slots that were busy. The busy time of a request is spread evenly over the time in which it was processed.
    pub utilisation: Option<f64>,
}

/// The known values of one time in a bucket.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct BucketTime {
    pub count: u64,
    pub sum_ns: u128,
    /// Number of values by bin of [`crate::coarse`], in the order of the bins. Empty if only count and sum are kept.
    pub bins: Vec<(u16, u32)>,
}
