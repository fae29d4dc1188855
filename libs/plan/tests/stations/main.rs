//! Tests of the work of a run and of its simulated stations.

mod build;
mod files;
mod naive;
mod properties;
mod recorded;
mod rows;
mod theory;
mod work;
