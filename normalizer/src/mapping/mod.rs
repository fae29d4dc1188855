//! The mapping from OpenTelemetry's names to CCTF's fields: pure functions that borrow from an OTLP message, and one table of names
//! in [`conventions`].

pub mod conventions;
mod encoded;
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
/// change that gives different rows for some records; otherwise `tests/all/golden_rows.rs` fails. After a crash, a normalizer
/// without `--remap` refuses a journal of another version, because the recomputed rows would differ from those in the files.
pub const MAPPING_VERSION: u32 = 8;

pub use encoded::EncodedFields;
pub use failure::failure;
pub use identity::{Identity, StageTable, UNKNOWN_NODE};
pub use links::links;
pub use points::{MetricRole, is_counted_disk, is_counted_interface, role_of_metric};
pub use query::query;
pub use slots::{AttributeSlots, convention_of, is_blank};
pub use span::{
    MappedSpan, body_sizes, http_path, http_status, is_connect, map_span, peer, service_and_method,
};
pub use url::has_path;
