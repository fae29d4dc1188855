//! `placement_events.jsonl`: starts and stops of instances, scaling and migrations of modules.

use super::invocations::Stage;
use super::milliseconds::Milliseconds;
use super::row::row;
use super::value::{Text, one_of};

one_of! {
    /// Type of an event. Starts and stops define the lives of instances; scale and migrate annotate the run.
    PlacementKind {
        /// An instance started.
        Start = "start",
        /// An instance stopped.
        Stop = "stop",
        /// The number of a module's running instances changed.
        Scale = "scale",
        /// An instance of a module stopped on one node and one started on another.
        Migrate = "migrate",
    }
}

row! {
    /// One placement event.
    pub struct PlacementEvent<'a> {
        /// Time of the event, ms since the Unix epoch.
        required ts: Milliseconds => time,
        /// Application of the module.
        nullable app_id: Text<'a> => name,
        /// Id of the module.
        required module_id: Text<'a> => name,
        /// Id of the instance. Null if an operator reported scale or migrate for the module as a whole.
        nullable instance_id: Text<'a> => name,
        /// Node of the event. For migrate, the destination.
        required node_id: Text<'a> => name,
        /// Type of the event.
        required event: PlacementKind => keep,
        /// Stage of the node.
        required stage: Stage => keep,
        /// True if the normalizer inferred the event from telemetry; false if it was reported.
        required inferred: bool => keep,
        /// Number of worker slots.
        optional workers: u64 => keep,
        /// Maximum length of the queue before the slots.
        optional queue_limit: u64 => keep,
        /// held or released: whether a request keeps its slot during a downstream call.
        optional slot_policy: Text<'a> => known(SLOT_POLICY),
        /// Running instances of the module after a scale event.
        optional replicas: u64 => keep,
        /// For migrate, the node of origin.
        optional from_node_id: Text<'a> => name,
        /// Container image.
        optional image: Text<'a> => text,
        /// CPU limit, in CPUs.
        optional cpu_limit: f64 => keep,
        /// Memory limit, MiB.
        optional mem_limit_mb: f64 => keep,
        /// Reason of the event.
        optional reason: Text<'a> => known(PLACEMENT_REASON),
    }
}
