//! The project's own names in telemetry, which its producers write and the normalizer reads: attributes, scopes, spans.
//!
//! Names of OpenTelemetry's semantic conventions are in the normalizer's mapping table.

/// Instrumentation scope of control spans. A span of this scope is a message to the normalizer, never an invocation.
pub const CONTROL_SCOPE: &str = "cctf.control";

/// Zero-length control span that reports the start or stop of an instance, or annotates a scaling or migration.
pub const PLACEMENT_SPAN: &str = "cctf.placement";
/// Zero-length control span that the load driver sends when a run starts.
pub const RUN_START_SPAN: &str = "cctf.run.start";
/// Zero-length control span that the load driver sends when a run has ended.
pub const RUN_END_SPAN: &str = "cctf.run.end";
/// Reason for which the normalizer rejects a [`RUN_START_SPAN`] in its answer: another load driver has started the run.
pub const RUN_HAS_DRIVER: &str = "run_has_driver";

/// Run id, on a span or a resource, and in the W3C baggage that passes it between services. String.
pub const RUN_ID: &str = "cctf.run_id";
/// Node id, on a resource. String.
pub const NODE_ID: &str = "cctf.node_id";
/// Stage, on a resource: endpoint, edge, cloud or unknown. String.
pub const STAGE: &str = "cctf.stage";

/// Time at which a worker started processing the request, nanoseconds since the Unix epoch. Integer, on a SERVER span.
pub const START_TIME_UNIX_NANO: &str = "cctf.start_time_unix_nano";
/// CPU time of this request alone, nanoseconds. Integer, on a SERVER span.
pub const CPU_TIME_NS: &str = "cctf.cpu_time_ns";
/// Time in which the request was ready to run but had no CPU, nanoseconds. Integer, on a SERVER span.
pub const CPU_WAIT_NS: &str = "cctf.cpu_wait_ns";
/// Part of the service time spent waiting for downstream calls, nanoseconds. Integer, on a SERVER span.
pub const DOWNSTREAM_TIME_NS: &str = "cctf.downstream_time_ns";
/// Part of the queue time in which a slot was free but its thread waited for a CPU, nanoseconds. Integer, on a SERVER span.
pub const WAKEUP_TIME_NS: &str = "cctf.wakeup_time_ns";
/// Part of the service time spent in the queue for a new slot after releasing the first one, nanoseconds. Integer, on a SERVER span.
pub const SLOT_WAIT_NS: &str = "cctf.slot_wait_ns";
/// Whether the normalizer writes the URL queries of this source's spans. Boolean, or `true` as a string, on a resource.
pub const KEEP_QUERY: &str = "cctf.keep_query";

/// Type of a [`PLACEMENT_SPAN`]: `start`, `stop`, `scale` or `migrate`. String.
pub const PLACEMENT_EVENT: &str = "cctf.placement.event";
/// Worker slots of the instance. Integer, on a start.
pub const WORKERS: &str = "cctf.workers";
/// Maximum length of the queue before the slots. Integer, on a start.
pub const QUEUE_LIMIT: &str = "cctf.queue_limit";
/// `held` or `released`: whether a request keeps its slot during a downstream call. String, on a start.
pub const SLOT_POLICY: &str = "cctf.slot_policy";
/// Running instances of the module after a scale event. Integer.
pub const REPLICAS: &str = "cctf.replicas";
/// Node of origin of a migration. String.
pub const FROM_NODE_ID: &str = "cctf.from_node_id";
/// Reason of a placement event. String.
pub const REASON: &str = "cctf.reason";
/// CPU limit of the instance, in CPUs. Double, on a resource or a start.
pub const CPU_LIMIT: &str = "cctf.cpu_limit";
/// Memory limit of the instance, MiB. Double or integer, on a resource or a start.
pub const MEM_LIMIT_MB: &str = "cctf.mem_limit_mb";

/// Requests per second that the load driver was configured to send. Double, on a [`RUN_START_SPAN`].
pub const RUN_RATE: &str = "cctf.run.rate";
/// Configured duration, such as `20s`. String, on a [`RUN_START_SPAN`].
pub const RUN_DURATION: &str = "cctf.run.duration";
/// Name of the scenario. String, on a [`RUN_START_SPAN`].
pub const RUN_SCEN: &str = "cctf.run.scen";
/// Image of the service under load. String, on a [`RUN_START_SPAN`].
pub const RUN_IMG: &str = "cctf.run.img";
/// Git commit of the service under load. String, on a [`RUN_START_SPAN`].
pub const RUN_GIT_SHA: &str = "cctf.run.git_sha";
/// Endpoint under load. String, on a [`RUN_START_SPAN`].
pub const RUN_ENDPOINT: &str = "cctf.run.endpoint";
/// URL under load. String, on a [`RUN_START_SPAN`].
pub const RUN_TARGET: &str = "cctf.run.target";
/// Bytes of each request body. Integer, on a [`RUN_START_SPAN`].
pub const RUN_PAYLOAD_BYTES: &str = "cctf.run.payload_bytes";
/// Id of the run that is replayed. String, on a [`RUN_START_SPAN`].
pub const RUN_REPLAY_OF: &str = "cctf.run.replay_of";
/// Speed of the replay. Double, on a [`RUN_START_SPAN`].
pub const RUN_REPLAY_SPEED: &str = "cctf.run.replay_speed";
/// Factor by which the replay scales the recorded load. Double, on a [`RUN_START_SPAN`].
pub const RUN_REPLAY_SCALE: &str = "cctf.run.replay_scale";
/// How the replay scales: `thin`, `overlap` or `squeeze`. String, on a [`RUN_START_SPAN`].
pub const RUN_REPLAY_BY: &str = "cctf.run.replay_by";
/// Start of the replayed part, nanoseconds after the first root of the recorded run. Integer, on a [`RUN_START_SPAN`].
pub const RUN_REPLAY_FROM_NS: &str = "cctf.run.replay_from_ns";
/// End of the replayed part, nanoseconds after the first root of the recorded run. Integer, on a [`RUN_START_SPAN`]; also on a
/// [`RUN_END_SPAN`] if the replay was interrupted.
pub const RUN_REPLAY_TO_NS: &str = "cctf.run.replay_to_ns";
/// Maximum number of requests of the replay. Integer, on a [`RUN_START_SPAN`].
pub const RUN_REPLAY_LIMIT: &str = "cctf.run.replay_limit";
/// `loopback` if the replay has another network than the recorded run. String, on a [`RUN_START_SPAN`].
pub const RUN_REPLAY_NETWORK: &str = "cctf.run.replay_network";
/// Random seed of the arrival process. Integer, on a [`RUN_START_SPAN`].
pub const RUN_SEED: &str = "cctf.run.seed";

/// Time from the scheduled time of a request to its send, nanoseconds. Integer, on the load driver's CLIENT spans.
pub const LATENESS_NS: &str = "cctf.lateness_ns";
/// Trace id of the recorded request that this one replays, in lower-case hex. String, on the load driver's CLIENT spans.
pub const REPLAY_OF_TRACE_ID: &str = "cctf.replay_of.trace_id";
/// Span id of the recorded request that this one replays, in lower-case hex. String, on the load driver's CLIENT spans.
pub const REPLAY_OF_SPAN_ID: &str = "cctf.replay_of.span_id";

/// Logical CPUs of the node. Integer, on a resource.
pub const NODE_CPU_CORES: &str = "cctf.node.cpu_cores";
/// Memory of the node, MiB. Integer or double, on a resource.
pub const NODE_MEM_MB: &str = "cctf.node.mem_mb";
/// CPU frequency of the node, MHz. Integer or double, on a resource.
pub const NODE_CPU_FREQ_MHZ: &str = "cctf.node.cpu_freq_mhz";
/// Million instructions per second and core, as configured by the operator. Double, on a resource.
pub const NODE_MIPS_PER_CORE: &str = "cctf.node.mips_per_core";
/// Single-core SHA-256 throughput measured when the service started, MiB/s. Double, on a resource.
pub const NODE_CPU_SCORE: &str = "cctf.node.cpu_score";
/// Power when idle, watts, as configured by the operator. Double, on a resource.
pub const NODE_POWER_IDLE_W: &str = "cctf.node.power_idle_w";
/// Power at full load, watts, as configured by the operator. Double, on a resource.
pub const NODE_POWER_MAX_W: &str = "cctf.node.power_max_w";

/// Gauge: requests that wait for a slot.
pub const METRIC_QUEUE_LENGTH: &str = "cctf.server.queue_length";
/// Gauge: worker slots.
pub const METRIC_WORKERS: &str = "cctf.server.workers";

/// Marks an interface whose traffic enters or leaves the machine, whatever its name. Boolean, on a point of `system.network.io`.
pub const NETWORK_EDGE: &str = "cctf.network.edge";

/// Maximum length of a run id, bytes.
pub const RUN_ID_LEN_MAX: usize = 128;

/// Symbolic link to the newest run, beside the run folders. No run can have this name.
pub const LATEST_LINK: &str = "latest";

/// Whether a run can have this id, which is the name of its folder: 1 to 128 characters of `[A-Za-z0-9._-]`. It does not start
/// with a dot (a hidden file) or a dash (a flag). It is not [`LATEST_LINK`] in upper or lower case, which some file systems
/// do not distinguish, and not the name of a part.
pub fn is_valid_run_id(run_id: &str) -> bool {
    !run_id.is_empty()
        && run_id.len() <= RUN_ID_LEN_MAX
        && !run_id.starts_with(['.', '-'])
        && run_id
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
        && !run_id.eq_ignore_ascii_case(LATEST_LINK)
        && !has_name_of_part(run_id)
}

/// Whether the text is the name of a part: `<RUN_ID>-0002` is a part of the run before the dash. The numbers of the first
/// thousand parts have four digits and start with zero. A later part can have the same name as a run; the normalizer then
/// decides by the runs that it knows.
fn has_name_of_part(run_id: &str) -> bool {
    match run_id.as_bytes() {
        [.., b'-', b'0', a, b, c] => [a, b, c].iter().all(|digit| digit.is_ascii_digit()),
        _ => false,
    }
}

/// Parses a run id from a command line or an environment variable.
///
/// # Errors
/// A description of valid run ids.
pub fn parse_run_id(text: &str) -> Result<String, String> {
    if is_valid_run_id(text) {
        return Ok(text.to_owned());
    }
    Err(format!(
        "invalid run id {text:?}: use 1 to {RUN_ID_LEN_MAX} letters, digits, '.', '_' and '-', starting with a letter, a digit \
         or '_'; not {LATEST_LINK:?}, and no ending such as -0002"
    ))
}

/// The default run id: the time, such as `20261123-104500`, and six random letters, because several runs can start in the
/// same second.
pub fn default_run_id(time: &str, mut random: u64) -> String {
    const LETTERS: u64 = 26;
    let letter = |_| {
        let letter = b'a' + (random % LETTERS) as u8;
        random /= LETTERS;
        char::from(letter)
    };
    let letters: String = (0..6).map(letter).collect();
    format!("{time}-{letters}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn run_ids_that_could_leave_their_folder_are_refused() {
        let longest = "x".repeat(128);
        for good in [
            "20261123-104500",
            "20261123-104500-kqtzab",
            "a",
            "A.b_c-d",
            "latest-2",
            "nightly-2026",
            "x-00002",
            "x0002",
            &longest,
        ] {
            assert!(is_valid_run_id(good), "{good}");
            assert_eq!(parse_run_id(good).as_deref(), Ok(good));
        }
        let too_long = "x".repeat(129);
        for bad in [
            "",
            ".",
            "..",
            ".hidden",
            "../../etc",
            "a/b",
            "a b",
            "ä",
            "a\0",
            &too_long,
        ] {
            assert!(!is_valid_run_id(bad), "{bad}");
        }
    }

    #[test]
    fn reserved_run_ids_are_refused_with_an_explanation() {
        for bad in [
            "latest",
            "LATEST",
            "Latest",
            ".journal",
            "-x",
            "--run-id",
            "-",
            "soak-0002",
            "soak-0001",
            "a-b-0999",
            "-0002",
        ] {
            let sentence = parse_run_id(bad).unwrap_err();
            assert!(
                sentence.contains("invalid run id") && sentence.contains(bad),
                "{sentence}"
            );
        }
    }

    #[test]
    fn every_default_run_id_is_valid() {
        assert_eq!(default_run_id("20261123-104500", 0), "20261123-104500-aaaaaa");
        for random in [1, 25, 26, u64::MAX] {
            let run_id = default_run_id("20261123-104500", random);
            assert!(is_valid_run_id(&run_id) && run_id.len() == 22, "{run_id}");
        }
        assert_ne!(default_run_id("t", 1), default_run_id("t", 26));
    }
}
