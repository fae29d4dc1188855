//! The mapping: OpenTelemetry's names in, CCTF's fields out. Pure functions over views; the one table is in [`conventions`].

pub mod conventions;
mod failure;
mod identity;
mod links;
mod points;
mod query;
mod sampling;
mod slots;
mod span;
mod status;
mod url;

/// Version of all that decides which rows the same records make: this mapping, the join and the pipeline. It is raised
/// with every change that makes other rows of some records; then a journal that ends in a crash is refused, because its
/// rows would be made again, and would differ. `tests/golden/rows` reminds of it.
pub const MAPPING_VERSION: u32 = 7;

pub use failure::failure;
pub use identity::{Identity, StageTable, UNKNOWN_NODE};
pub use links::links;
pub use points::{MetricRole, is_counted_disk, is_counted_interface, role_of_metric};
pub use query::query;
pub use slots::AttributeSlots;
pub use span::{MappedSpan, map_span, peer};
