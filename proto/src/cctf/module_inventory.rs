//! `module_inventory.json`: the application's modules, how they are served and whom they call.

use super::row::row;
use super::value::{Text, one_of};

one_of! {
    /// A module's place in the call graph.
    ModuleType {
        /// Calls and is not called.
        Source = "SOURCE",
        /// Is called and does not call.
        Sink = "SINK",
        /// Both, or neither.
        Module = "MODULE",
    }
}

one_of! {
    /// Where a figure comes from.
    MeasureSource {
        /// From the module's own invocations.
        Measured = "measured",
        /// From its process's CPU time, shared out over the invocations that ended meanwhile.
        Estimated = "estimated",
    }
}

one_of! {
    /// Where the number of slots comes from.
    SlotSource {
        /// The instance told it.
        Told = "told",
        /// The greatest overlap of service times where a queue was seen.
        Inferred = "inferred",
    }
}

row! {
    /// What a module may use.
    pub struct Resources {
        /// CPUs.
        nullable cpu: f64,
        /// Memory, MiB.
        nullable mem_mb: f64,
    }
}

row! {
    /// One instance of a module.
    pub struct Instance<'a> {
        /// The instance.
        required instance_id: Text<'a>,
        /// Its node.
        required node_id: Text<'a>,
        /// Requests that it serves at once.
        nullable workers: u64,
        /// Bound of the queue in front of the slots.
        optional queue_limit: u64,
        /// held or released: whether a slot is kept while a downstream call is awaited.
        optional slot_policy: Text<'a>,
        /// Where workers comes from.
        optional slots_src: SlotSource,
    }
}

row! {
    /// Percentiles of a time, ms.
    pub struct Percentiles {
        /// Median, ms.
        required p50: f64,
        /// 95th percentile, ms.
        required p95: f64,
        /// 99th percentile, ms.
        required p99: f64,
    }
}

row! {
    /// What was asked of a module under one method and route.
    pub struct Endpoint<'a> {
        /// Method or operation.
        nullable method: Text<'a>,
        /// Route; the path where no route was told.
        nullable route: Text<'a>,
        /// Invocations.
        required calls: u64,
        /// Service time.
        optional service_ms: Percentiles,
        /// Mean CPU time of an invocation, ms.
        optional cpu_ms_mean: f64,
        /// Mean body bytes received.
        optional bytes_in_mean: f64,
        /// Mean body bytes sent.
        optional bytes_out_mean: f64,
    }
}

row! {
    /// Calls of a module to one other.
    pub struct ModuleCall<'a> {
        /// The module called.
        required to: Text<'a>,
        /// Calls for each invocation of this module. Null for a source that has no invocations.
        nullable per_invocation: f64,
        /// Mean body bytes of a call, both ways.
        optional bytes_mean: f64,
    }
}

row! {
    /// One module.
    pub struct Module<'a> {
        /// The application.
        nullable app_id: Text<'a>,
        /// The module.
        required module_id: Text<'a>,
        /// Its name for people.
        required name: Text<'a>,
        /// Its place in the call graph.
        required module_type as "type": ModuleType,
        /// What it may use; null when nobody told.
        nullable resources: Resources,
        /// service.version.
        optional version: Text<'a>,
        /// Programming language.
        optional language: Text<'a>,
        /// Container image.
        optional image: Text<'a>,
        /// True for a peer that sends no telemetry of its own.
        optional external: bool,
        /// Its instances.
        optional instances: Vec<Instance<'a>>,
        /// Mean CPU time of an invocation, ms.
        optional cpu_ms_mean: f64,
        /// Where cpu_ms_mean comes from.
        optional cpu_src: MeasureSource,
        /// What was asked of it.
        optional endpoints: Vec<Endpoint<'a>>,
        /// Whom it called.
        optional calls: Vec<ModuleCall<'a>>,
    }
}
