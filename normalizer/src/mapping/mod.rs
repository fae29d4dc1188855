//! The mapping: OpenTelemetry's names in, CCTF's fields out. Pure functions over views; the one table is in [`conventions`].

pub mod conventions;
mod identity;
mod points;
mod sampling;
mod span;
mod status;

pub use identity::{Identity, StageTable, UNKNOWN_NODE};
pub use points::{MetricRole, role_of_metric};
pub use span::{MappedSpan, map_span, peer};
