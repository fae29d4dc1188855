//! The result of a regression, or the reason why there is none.

/// CPU time of the endpoints of one process.
#[derive(Debug, Clone, PartialEq)]
pub struct Regression {
    /// Number of intervals.
    pub intervals: usize,
    /// Share of the variance of the CPU time that the requests explain, 0 to 1.
    pub r_squared: f64,
    /// Share of the CPU time that requests used. The rest is the idle cost.
    pub share_of_requests: f64,
    /// Idle cost: CPU seconds per second without requests.
    pub idle: f64,
    /// Endpoints in the order of their numbers. The last one may be [`super::OTHER`].
    pub endpoints: Vec<Endpoint>,
}

/// One endpoint.
#[derive(Debug, Clone, PartialEq)]
pub struct Endpoint {
    pub requests: u64,
    pub cpu: Result<Estimate, NoEstimate>,
}

/// CPU seconds of a request, with a 95% interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    pub mean: f64,
    /// Lower end of the interval. It is at least 0.
    pub low: f64,
    pub high: f64,
    /// Half of the interval's width before it was cut at 0.
    pub half_width: f64,
}

/// The reason why an endpoint has no estimate.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum NoEstimate {
    #[error("no requests")]
    NoRequests,
    /// There are too few intervals with requests, so the mean has no normal distribution.
    #[error("requests in {intervals} intervals of {needed} needed")]
    TooFew { intervals: usize, needed: usize },
    /// The endpoint's count depends too closely on the counts of other endpoints.
    #[error("not separable: its requests come in step with others (variance inflation {inflation:.0})")]
    InStep { inflation: f64 },
    #[error("not separable: the interval is too wide")]
    TooWide(Estimate),
}

/// The reason why a process has no estimates.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum NoRegression {
    #[error("{intervals} samples of process.cpu.time of {needed} needed")]
    TooShort { intervals: usize, needed: usize },
    #[error("process.cpu.time does not grow")]
    NoCpu,
    #[error("process.cpu.time often falls, so it is not cumulative")]
    NotCumulative,
}
