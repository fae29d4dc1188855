//! The targets: one file or folder each.

pub mod perfetto;
