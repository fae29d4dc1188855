//! The names that both ends of the telemetry share: attribute keys, span and scope names, headers of our own vocabulary.
//!
//! Names of OpenTelemetry's semantic conventions that only one end reads stay with their reader
//! (the normalizer's mapping table); here is what a producer of ours writes and the normalizer reads.

/// Instrumentation scope of control spans. A span of this scope is a message to the normalizer, never an invocation.
pub const CONTROL_SCOPE: &str = "cctf.control";

/// Zero-length control span that tells an instance's start, stop, or a scale or migrate annotation.
pub const PLACEMENT_SPAN: &str = "cctf.placement";
/// Zero-length control span that the load driver sends when a run starts.
pub const RUN_START_SPAN: &str = "cctf.run.start";
/// Zero-length control span that the load driver sends when a run has ended.
pub const RUN_END_SPAN: &str = "cctf.run.end";

/// Run id: on a span, on a resource, and the member of the W3C baggage that carries it between services. String.
pub const RUN_ID: &str = "cctf.run_id";
/// Node id, on a resource. String.
pub const NODE_ID: &str = "cctf.node_id";
/// Stage, on a resource: endpoint, edge, cloud or unknown. String.
pub const STAGE: &str = "cctf.stage";

/// When a worker took the request up, nanoseconds since the Unix epoch. Integer, on a SERVER span.
pub const START_TIME_UNIX_NANO: &str = "cctf.start_time_unix_nano";
/// CPU time of this request alone, nanoseconds. Integer, on a SERVER span.
pub const CPU_TIME_NS: &str = "cctf.cpu_time_ns";
/// Time the request was ready to run and had no CPU, nanoseconds. Integer, on a SERVER span.
pub const CPU_WAIT_NS: &str = "cctf.cpu_wait_ns";
/// Part of the service time spent waiting for calls to others, nanoseconds. Integer, on a SERVER span.
pub const DOWNSTREAM_TIME_NS: &str = "cctf.downstream_time_ns";

/// What a [`PLACEMENT_SPAN`] tells: `start`, `stop`, `scale` or `migrate`. String.
pub const PLACEMENT_EVENT: &str = "cctf.placement.event";
/// Worker slots of the instance. Integer, on a start.
pub const WORKERS: &str = "cctf.workers";
/// Bound of the queue in front of the slots. Integer, on a start.
pub const QUEUE_LIMIT: &str = "cctf.queue_limit";
/// `held` or `released`: whether a slot is kept while a downstream call is awaited. String, on a start.
pub const SLOT_POLICY: &str = "cctf.slot_policy";
/// Live instances of the module after a scale event. Integer.
pub const REPLICAS: &str = "cctf.replicas";
/// Node that a migrating instance came from. String.
pub const FROM_NODE_ID: &str = "cctf.from_node_id";
/// Why a placement event happened. String.
pub const REASON: &str = "cctf.reason";
/// CPU limit of the instance, in CPUs. Double, on a resource or a start.
pub const CPU_LIMIT: &str = "cctf.cpu_limit";
/// Memory limit of the instance, MiB. Double or integer, on a resource or a start.
pub const MEM_LIMIT_MB: &str = "cctf.mem_limit_mb";

/// Requests per second that the driver was asked for. Double, on a [`RUN_START_SPAN`].
pub const RUN_RATE: &str = "cctf.run.rate";
/// Duration as given, such as `20s`. String, on a [`RUN_START_SPAN`].
pub const RUN_DURATION: &str = "cctf.run.duration";
/// Scenario. String, on a [`RUN_START_SPAN`].
pub const RUN_SCEN: &str = "cctf.run.scen";
/// Image of the service under load. String, on a [`RUN_START_SPAN`].
pub const RUN_IMG: &str = "cctf.run.img";
/// Commit of the service under load. String, on a [`RUN_START_SPAN`].
pub const RUN_GIT_SHA: &str = "cctf.run.git_sha";
/// Endpoint that is driven. String, on a [`RUN_START_SPAN`].
pub const RUN_ENDPOINT: &str = "cctf.run.endpoint";
/// URL that is driven. String, on a [`RUN_START_SPAN`].
pub const RUN_TARGET: &str = "cctf.run.target";
/// Body bytes per request. Integer, on a [`RUN_START_SPAN`].
pub const RUN_PAYLOAD_BYTES: &str = "cctf.run.payload_bytes";
/// Run that is replayed. String, on a [`RUN_START_SPAN`].
pub const RUN_REPLAY_OF: &str = "cctf.run.replay_of";
/// Seed of the arrival process. Integer, on a [`RUN_START_SPAN`].
pub const RUN_SEED: &str = "cctf.run.seed";

/// Logical CPUs of the node. Integer, on a resource.
pub const NODE_CPU_CORES: &str = "cctf.node.cpu_cores";
/// Memory of the node, MiB. Integer or double, on a resource.
pub const NODE_MEM_MB: &str = "cctf.node.mem_mb";
/// CPU frequency of the node, MHz. Integer or double, on a resource.
pub const NODE_CPU_FREQ_MHZ: &str = "cctf.node.cpu_freq_mhz";
/// Million instructions per second and core, told by the operator. Double, on a resource.
pub const NODE_MIPS_PER_CORE: &str = "cctf.node.mips_per_core";
/// Single-core SHA-256 throughput measured at start, MiB/s. Double, on a resource.
pub const NODE_CPU_SCORE: &str = "cctf.node.cpu_score";
/// Power when idle, watts, told by the operator. Double, on a resource.
pub const NODE_POWER_IDLE_W: &str = "cctf.node.power_idle_w";
/// Power at full load, watts, told by the operator. Double, on a resource.
pub const NODE_POWER_MAX_W: &str = "cctf.node.power_max_w";

/// Gauge: requests that wait for a slot.
pub const METRIC_QUEUE_LENGTH: &str = "cctf.server.queue_length";
/// Gauge: worker slots.
pub const METRIC_WORKERS: &str = "cctf.server.workers";

/// Longest run id.
pub const RUN_ID_LEN_MAX: usize = 128;

/// Whether a run id can be a folder's name: only `[A-Za-z0-9._-]`, 1 to 128 characters, no leading dot.
pub fn is_valid_run_id(run_id: &str) -> bool {
    !run_id.is_empty()
        && run_id.len() <= RUN_ID_LEN_MAX
        && !run_id.starts_with('.')
        && run_id
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_id_that_could_leave_its_folder_is_refused() {
        for good in ["20261123-104500", "a", "A.b_c-d", &"x".repeat(128)] {
            assert!(is_valid_run_id(good), "{good}");
        }
        for bad in [
            "",
            ".",
            "..",
            ".hidden",
            "../../etc",
            "a/b",
            "a b",
            "ä",
            &"x".repeat(129),
        ] {
            assert!(!is_valid_run_id(bad), "{bad}");
        }
    }
}
