//! [`Timeline`]: figures in equal time intervals (buckets).

use crate::stats::cells::Key;
use crate::stats::figures::Time;

/// Maximum number of buckets.
pub const BUCKETS_MAX: usize = 120;

/// Figures in equal time intervals. An invocation counts in the bucket of its `ts_start`, as in the windows of `cctf stats`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Timeline {
    /// First `ts_start`, nanoseconds since the Unix epoch.
    pub begin_ns: i64,
    /// Last `ts_end`, nanoseconds since the Unix epoch. It is in the last bucket.
    pub end_ns: i64,
    /// Width of a bucket: 1, 2 or 5 times a power of ten nanoseconds, so that at most [`BUCKETS_MAX`] buckets cover the run.
    pub bucket_ns: u64,
    /// The whole run.
    pub run: Series,
    /// Modules, sorted by descending total response time. Only the first ones have bins.
    pub modules: Vec<(Key, Series)>,
    /// Endpoints with the most total response time. Only their response times have bins.
    pub endpoints: Vec<(Key, Series)>,
}

/// One bucket for each time interval.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Series {
    pub buckets: Vec<Bucket>,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct Bucket {
    pub calls: u64,
    pub errors: u64,
    /// Figures of each kind of time, in the order of [`Time::ALL`].
    pub times: [BucketTime; Time::ALL.len()],
    /// Mean of the sampled number of requests in the system, summed over the instances. If an instance has no sample in the
    /// bucket, its previous samples count, up to its last one.
    pub in_flight: Option<f64>,
    /// Share of busy slots. The busy time of a request is spread evenly over its service time.
    pub utilisation: Option<f64>,
}

/// The known values of one time, in one bucket.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct BucketTime {
    pub count: u64,
    pub sum_ns: u128,
    /// Number of values in each bin of [`crate::coarse`], sorted by bin. Empty if only count and sum are kept.
    pub bins: Vec<(u16, u32)>,
}
