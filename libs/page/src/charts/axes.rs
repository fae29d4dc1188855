//! [`TimeAxis`] and value axes: ticks at round values, coordinates, and the marks that several charts share.

/// Equal intervals of time from the start of a run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TimeAxis {
    pub buckets: usize,
    /// Width of a bucket in seconds.
    pub bucket_s: f64,
}

/// An event on the time axis, such as a placement.
#[derive(Debug, Clone, PartialEq)]
pub struct Mark {
    /// Seconds since the start.
    pub at_s: f64,
    pub text: String,
}
