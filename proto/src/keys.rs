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
/// Part of the queue time in which a slot was free, nanoseconds: its thread had yet to run. Integer, on a SERVER span.
pub const WAKEUP_TIME_NS: &str = "cctf.wakeup_time_ns";
/// Part of the service time spent queueing again for a slot that had been released, nanoseconds. Integer, on a SERVER span.
pub const SLOT_WAIT_NS: &str = "cctf.slot_wait_ns";
/// Whether the normalizer keeps the URL queries of this source's spans. Boolean, or `true` as text, on a resource.
pub const KEEP_QUERY: &str = "cctf.keep_query";

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

/// Marks an interface whose traffic crosses the machine's edge, whatever its name. Boolean, on a point of `system.network.io`.
pub const NETWORK_EDGE: &str = "cctf.network.edge";

/// Longest run id.
pub const RUN_ID_LEN_MAX: usize = 128;

/// Link to the newest run, beside the runs' folders. No run can have its name.
pub const LATEST_LINK: &str = "latest";

/// Whether a run can have this id, which names its folder: 1 to 128 of `[A-Za-z0-9._-]`. It is no hidden file and no flag,
/// so it begins with neither a dot nor a dash. It is none of the names beside it: not `latest`, in any case, since some
/// file systems do not distinguish it, and not that of a part.
pub fn is_valid_run_id(run_id: &str) -> bool {
    !run_id.is_empty()
        && run_id.len() <= RUN_ID_LEN_MAX
        && !run_id.starts_with(['.', '-'])
        && run_id
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
        && !run_id.eq_ignore_ascii_case(LATEST_LINK)
        && !is_named_as_a_part(run_id)
}

/// `<RUN_ID>-0002` is a folder of the run before the dash. The first thousand parts have a number of four digits that
/// begins with zero; the normalizer distinguishes later ones from runs by what it knows of either.
fn is_named_as_a_part(run_id: &str) -> bool {
    match run_id.as_bytes() {
        [.., b'-', b'0', a, b, c] => [a, b, c].iter().all(|digit| digit.is_ascii_digit()),
        _ => false,
    }
}

/// Parses the run id of a command line or a variable.
///
/// # Errors
/// A sentence that says what a run id can be.
pub fn parse_run_id(text: &str) -> Result<String, String> {
    if is_valid_run_id(text) {
        return Ok(text.to_owned());
    }
    Err(format!(
        "{text:?} cannot be a run id, which names a folder: use 1 to {RUN_ID_LEN_MAX} letters, digits, '.', '_' and '-'; \
         begin with a letter, a digit or '_'; not {LATEST_LINK:?}, and no ending such as -0002"
    ))
}

/// A run id for who was given none: the time, such as `20261123-104500`, and six letters of chance, since many runs can
/// begin in one second.
pub fn default_run_id(time: &str, mut chance: u64) -> String {
    const LETTERS: u64 = 26;
    let letter = |_| {
        let letter = b'a' + (chance % LETTERS) as u8;
        chance /= LETTERS;
        char::from(letter)
    };
    let letters: String = (0..6).map(letter).collect();
    format!("{time}-{letters}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_id_that_could_leave_its_folder_is_refused() {
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
    fn a_run_id_that_is_a_name_of_ours_on_disk_is_refused_in_a_sentence() {
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
                sentence.contains("cannot be a run id") && sentence.contains(bad),
                "{sentence}"
            );
        }
    }

    #[test]
    fn a_default_run_id_is_valid_whatever_chance_says() {
        assert_eq!(default_run_id("20261123-104500", 0), "20261123-104500-aaaaaa");
        for chance in [1, 25, 26, u64::MAX] {
            let run_id = default_run_id("20261123-104500", chance);
            assert!(is_valid_run_id(&run_id) && run_id.len() == 22, "{run_id}");
        }
        assert_ne!(default_run_id("t", 1), default_run_id("t", 26));
    }
}
