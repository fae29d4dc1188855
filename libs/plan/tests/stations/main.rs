//! Tests of the work of a run and of its simulated stations.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the failure")]

mod build;
mod failures;
mod files;
mod naive;
mod platform;
mod properties;
mod recorded;
mod rows;
mod theory;
mod work;
