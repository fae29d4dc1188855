//! The targets: one file or folder each.

pub mod cloudsim;
pub mod eclypse;
pub mod perfetto;
pub mod wfformat;
pub mod simgrid;
