//! CPU time of a request by endpoint, from the CPU time of a process and its requests: non-negative regression.
//!
//! Between two samples of a process's CPU time, its growth is the sum of what each endpoint's requests used and of an idle cost
//! for each second. docs/statistics.md has the method, its sources, its measured accuracy, and when it gives no answer.
//!
//! - [`Accumulator`]: one process's samples and requests, in bounded memory.
//! - [`Regression`], [`Estimate`], [`NoEstimate`], [`NoRegression`]: the result, or the reason why there is none.
//! - [`interval`]: the time between samples; [`design`]: the intervals as weighted equations; [`least_squares`]: their non-negative solution; [`errors`]: standard errors.

mod accumulator;
mod design;
mod errors;
mod interval;
mod least_squares;
mod result;

pub use accumulator::{Accumulator, ENDPOINTS_MAX, INTERVALS_MAX, OTHER};
pub use result::{Endpoint, Estimate, NoEstimate, NoRegression, Regression};
