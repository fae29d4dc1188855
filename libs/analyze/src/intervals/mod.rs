//! Confidence intervals for means and quantiles of dependent values, such as the waits of one queue in order of time.

pub mod student;
