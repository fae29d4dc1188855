//! CCTF out: the row types, one file each, with their JSON encoders, readers and schemas.
//!
//! Each row type is declared once with [`row!`](crate::cctf::row), which generates its encoder, reader and field table.

mod bounds;
mod calls;
mod decode;
mod digits;
mod driver_events;
mod files;
mod host_metrics;
mod ids;
mod invocations;
mod known;
mod link_metrics;
mod links;
mod milliseconds;
mod module_inventory;
mod nodes;
mod part;
mod placement_events;
mod reason;
mod row;
mod run_meta;
pub mod schema;
mod system_stats;
mod treatment;
mod value;

pub use bounds::{ATTRIBUTES_BYTES_MAX, LINE_BYTES_MAX, LINKS_MAX, TEXT_BYTES_MAX, WHOLE_BYTES_MAX, bounded};
pub use calls::Call;
pub use decode::{Decode, Encoded, decode};
pub use driver_events::{DriverEvent, OriginalCode};
pub use files::{FILE_LINKS, File, Shape};
pub use host_metrics::HostMetric;
pub use ids::{SpanId, TraceId};
pub use invocations::{ERROR_STATUS, Flag, Flags, Invocation, SpanKind, SpanLink, Stage, is_error};
pub use known::{ALREADY_RUNNING, ATTRIBUTE, CONVERSION_ASSUMPTIONS, GRPC_CODES, Known, NO_ANSWER};
pub use link_metrics::LinkMetric;
pub use links::{Link, LinkSource};
pub use milliseconds::Milliseconds;
pub use module_inventory::{
    Endpoint, EndpointCpuSource, Instance, MeasureSource, Module, ModuleCall, ModuleType, Percentiles,
    Resources, SlotSource,
};
pub use nodes::Node;
pub use part::Part;
pub use placement_events::{PlacementEvent, PlacementKind};
pub use reason::reason;
pub use row::{Field, Presence, Row, field_index, push_field};
pub use run_meta::{Counts, RunMeta, SpanOutcomes};
pub use system_stats::SystemStat;
pub use treatment::{Replacer, Treat, Treatment, Untreatable};
pub use value::{Counters, JsonObject, Kind, Text, Value, push_json_string};
