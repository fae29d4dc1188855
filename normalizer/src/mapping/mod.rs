//! The mapping from OpenTelemetry's names to CCTF's fields: pure functions over views, and one table in [`conventions`].

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

/// Version of all code that determines the rows for given records: this mapping, the join and the pipeline. Raise it with every
/// change that gives different rows for some records. Then a journal that ended with a crash is refused, because its recomputed
/// rows would differ. `tests/all/golden_rows.rs` fails if raising it was forgotten.
pub const MAPPING_VERSION: u32 = 8;

pub use failure::failure;
pub use identity::{Identity, StageTable, UNKNOWN_NODE};
pub use links::links;
pub use points::{MetricRole, is_counted_disk, is_counted_interface, role_of_metric};
pub use query::query;
pub use slots::{AttributeSlots, convention_of, is_blank};
pub use span::{
    MappedSpan, body_sizes, http_path, http_status, is_connect, map_span, peer, service_and_method,
};
pub use url::path as path_of_url;
