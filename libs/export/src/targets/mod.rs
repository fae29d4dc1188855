//! The targets: one file or folder each.

pub mod cloudsim;
pub mod eclypse;
pub mod lqn;
#[cfg(feature = "parquet")]
pub mod opendc;
pub mod otlp;
pub mod perfetto;
pub mod simgrid;
pub mod wfformat;
