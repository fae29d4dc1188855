//! Estimates the CPU time of a request at each endpoint by non-negative regression, from the CPU time of a process and its
//! requests.
//!
//! The CPU time between two samples of a process is the sum of two parts: the CPU time of the requests to each endpoint, and an
//! idle cost per second. docs/statistics.md has the method, its sources and measured accuracy, and the cases without a result.
//!
//! - [`Accumulator`]: one process's samples and requests, in bounded memory.
//! - [`Regression`], [`Estimate`], [`NoEstimate`], [`NoRegression`]: the result, or the reason why there is none.
//! - [`interval`]: the time between samples; [`design`]: turns intervals into weighted equations; [`least_squares`]: solves
//!   them; [`errors`]: computes standard errors.

mod accumulator;
mod design;
mod errors;
mod interval;
mod least_squares;
mod result;

pub use accumulator::{Accumulator, ENDPOINTS_MAX, INTERVALS_MAX, OTHER};
pub use result::{Endpoint, Estimate, NoEstimate, NoRegression, Regression};
