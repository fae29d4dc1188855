//! `module_inventory.json`: the modules of the application, their instances, endpoints and calls.

use super::row::row;
use super::value::{Text, one_of};

one_of! {
    /// Position of a module in the call graph.
    ModuleType {
        /// Calls others and is not called.
        Source = "SOURCE",
        /// Is called and does not call others.
        Sink = "SINK",
        /// Both, or neither.
        Module = "MODULE",
    }
}

one_of! {
    /// Source of a figure.
    MeasureSource {
        /// Measured for each invocation of the module.
        Measured = "measured",
        /// Estimated: CPU time of the process, divided among the invocations that ended in the same interval.
        Estimated = "estimated",
    }
}

one_of! {
    /// Source of an endpoint's CPU time that was not measured. It is a type of its own, because earlier readers know only the
    /// two sources of a module.
    EndpointCpuSource {
        /// CPU time of the process, regressed on the numbers of requests to its endpoints.
        Regressed = "regressed",
    }
}

one_of! {
    /// Source of the number of slots.
    SlotSource {
        /// Reported by the instance.
        Reported = "told",
        /// Inferred: the maximum number of simultaneous invocations while a queue existed.
        Inferred = "inferred",
    }
}

row! {
    /// Resource limits of a module.
    pub struct Resources {
        /// CPU limit, in CPUs.
        nullable cpu: f64 => keep,
        /// Memory limit, MiB.
        nullable mem_mb: f64 => keep,
    }
}

row! {
    /// One instance of a module.
    pub struct Instance<'a> {
        /// Id of the instance.
        required instance_id: Text<'a> => name,
        /// Node of the instance.
        required node_id: Text<'a> => name,
        /// Maximum number of requests processed at the same time.
        nullable workers: u64 => keep,
        /// Maximum length of the queue before the slots.
        optional queue_limit: u64 => keep,
        /// held or released: whether a request keeps its slot during a downstream call.
        optional slot_policy: Text<'a> => known(SLOT_POLICY),
        /// Source of workers: told if the instance reported it, inferred if it was derived from overlapping invocations.
        optional slots_src: SlotSource => keep,
    }
}

row! {
    /// Percentiles of a time, ms.
    pub struct Percentiles {
        /// Median, ms.
        required p50: f64 => keep,
        /// 95th percentile, ms.
        required p95: f64 => keep,
        /// 99th percentile, ms.
        required p99: f64 => keep,
    }
}

row! {
    /// Requests to a module with one method and route.
    pub struct Endpoint<'a> {
        /// Method or operation.
        nullable method: Text<'a> => known(METHOD),
        /// Route, or the path if no route was reported.
        nullable route: Text<'a> => path,
        /// Number of invocations.
        required calls: u64 => keep,
        /// Percentiles of the service time.
        optional service_ms: Percentiles => inner,
        /// Mean CPU time of an invocation, ms.
        optional cpu_ms_mean: f64 => keep,
        /// Mean bytes of the body received.
        optional bytes_in_mean: f64 => keep,
        /// Mean bytes of the body sent.
        optional bytes_out_mean: f64 => keep,
        /// Source of cpu_ms_mean. Absent if measured for each invocation.
        optional cpu_src: EndpointCpuSource => keep,
        /// Lower end of the 95% interval of a regressed cpu_ms_mean, ms.
        optional cpu_ms_low: f64 => keep,
        /// Upper end of the 95% interval of a regressed cpu_ms_mean, ms.
        optional cpu_ms_high: f64 => keep,
    }
}

row! {
    /// Calls of a module to one other module.
    pub struct ModuleCall<'a> {
        /// Id of the called module.
        required to: Text<'a> => name,
        /// Mean number of calls per invocation of the calling module. Null if it has no invocations.
        nullable per_invocation: f64 => keep,
        /// Mean bytes of both bodies of a call.
        optional bytes_mean: f64 => keep,
    }
}

row! {
    /// One module.
    pub struct Module<'a> {
        /// Application of the module.
        nullable app_id: Text<'a> => name,
        /// Id of the module.
        required module_id: Text<'a> => name,
        /// Display name.
        required name: Text<'a> => name,
        /// Position in the call graph: a SOURCE only calls, a SINK is only called, a MODULE is anything else.
        required module_type as "type": ModuleType => keep,
        /// Resource limits. Null if not reported.
        nullable resources: Resources => inner,
        /// Version (service.version).
        optional version: Text<'a> => text,
        /// Programming language.
        optional language: Text<'a> => known(LANGUAGE),
        /// Container image.
        optional image: Text<'a> => text,
        /// True for a peer that sends no telemetry.
        optional external: bool => keep,
        /// Instances of the module.
        optional instances: Vec<Instance<'a>> => inner,
        /// Mean CPU time of an invocation, ms.
        optional cpu_ms_mean: f64 => keep,
        /// Source of cpu_ms_mean: measured for each invocation, or estimated from the CPU time of the process.
        optional cpu_src: MeasureSource => keep,
        /// Requests by endpoint.
        optional endpoints: Vec<Endpoint<'a>> => inner,
        /// Calls by called module.
        optional calls: Vec<ModuleCall<'a>> => inner,
    }
}
