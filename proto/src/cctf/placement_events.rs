//! `placement_events.jsonl`: where instances started, stopped, scaled and moved.

use super::invocations::Stage;
use super::milliseconds::Milliseconds;
use super::row::row;
use super::value::{Text, one_of};

one_of! {
    /// What happened. Start and stop define instances; scale and migrate annotate.
    PlacementKind {
        /// An instance began to live.
        Start = "start",
        /// An instance ceased to live.
        Stop = "stop",
        /// The number of a module's live instances changed.
        Scale = "scale",
        /// A module's instance went away on one node while one started on another.
        Migrate = "migrate",
    }
}

row! {
    /// One placement event.
    pub struct PlacementEvent<'a> {
        /// When, ms since the Unix epoch.
        required ts: Milliseconds,
        /// The application.
        nullable app_id: Text<'a>,
        /// The module.
        required module_id: Text<'a>,
        /// The instance. Null where an operator told scale or migrate of the module and named none.
        nullable instance_id: Text<'a>,
        /// The node; for migrate, the one moved to.
        required node_id: Text<'a>,
        /// What happened.
        required event: PlacementKind,
        /// The node's stage.
        required stage: Stage,
        /// Whether it was concluded from telemetry rather than told.
        required inferred: bool,
        /// Worker slots.
        optional workers: u64,
        /// Bound of the queue in front of the slots.
        optional queue_limit: u64,
        /// held or released.
        optional slot_policy: Text<'a>,
        /// Live instances of the module after a scale event.
        optional replicas: u64,
        /// The node moved from.
        optional from_node_id: Text<'a>,
        /// Container image.
        optional image: Text<'a>,
        /// CPU limit, CPUs.
        optional cpu_limit: f64,
        /// Memory limit, MiB.
        optional mem_limit_mb: f64,
        /// Why.
        optional reason: Text<'a>,
    }
}
