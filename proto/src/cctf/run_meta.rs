//! `run_meta.json`: parameters of the run, and what the normalizer counted.

use super::milliseconds::Milliseconds;
use super::row::row;
use super::value::{Counters, Text};

row! {
    /// Spans by outcome. Each span has exactly one outcome, so the sum is the number of spans received.
    pub struct SpanOutcomes {
        /// Spans with a row in invocations.jsonl or calls.jsonl.
        required rows: u64 => keep,
        /// Work inside of an invocation, and requests reported again by a second instrumentation.
        required inner: u64 => keep,
        /// Spans that are neither work nor calls, such as polls for messages and DNS lookups.
        required asides: u64 => keep,
        /// Control spans: start and end of a run, placement events.
        required control: u64 => keep,
        /// Duplicates of spans received before.
        required duplicates: u64 => keep,
        /// Invalid spans.
        required rejected: u64 => keep,
    }
}

impl SpanOutcomes {
    /// All spans.
    pub fn total(&self) -> u64 {
        [
            self.rows,
            self.inner,
            self.asides,
            self.control,
            self.duplicates,
            self.rejected,
        ]
        .into_iter()
        .fold(0, u64::saturating_add)
    }
}

row! {
    /// What the normalizer counted for the run, or for the part if the run is split.
    pub struct Counts {
        /// Spans received. A span is counted as soon as its outcome is certain.
        required spans: u64 => keep,
        /// Metric points received.
        required points: u64 => keep,
        /// Log records received. They are not used.
        required logs: u64 => keep,
        /// Lines written, by file.
        required rows: Counters => known(FILE_NAME),
        /// Duplicates of spans and metric points received before.
        required duplicates: u64 => keep,
        /// Rows with the flag orphan.
        required orphans: u64 => keep,
        /// Rows with the flag late.
        required late: u64 => keep,
        /// Spans whose node was not reported.
        required unknown_node: u64 => keep,
        /// Rows written early because the memory limit of the normalizer was reached.
        optional evicted: u64 => keep,
        /// Invalid spans and metric points, by reason.
        required rejected: Counters => known(REASON),
        /// Spans by outcome.
        optional spans_by_outcome: SpanOutcomes => inner,
    }
}

row! {
    /// Parameters and counts of the run.
    pub struct RunMeta<'a> {
        /// Id of the run.
        required run_id: Text<'a> => run_id,
        /// Requests per second that the load driver was configured to send.
        nullable rate: f64 => keep,
        /// Configured duration, such as `20s`.
        nullable duration: Text<'a> => known(DURATION),
        /// Name of the scenario.
        nullable scen: Text<'a> => text,
        /// Image of the service under load, as reported by the load driver, else by the modules.
        nullable img: Text<'a> => text,
        /// Git commit of the service under load.
        nullable git_sha: Text<'a> => text,
        /// Worker slots of each instance of the service under load, as reported by the load driver, else by the instances if all agree.
        nullable workers: u64 => keep,
        /// Endpoint under load.
        optional endpoint: Text<'a> => path,
        /// URL under load.
        optional target: Text<'a> => url,
        /// Bytes of each request body.
        optional payload_bytes: u64 => keep,
        /// Id of the run that was replayed.
        optional replay_of: Text<'a> => run_id,
        /// Speed of the replay: 2 divides the recorded times by 2.
        optional replay_speed: f64 => keep,
        /// Factor by which the replay scaled the number of requests or their rate.
        optional replay_scale: f64 => keep,
        /// How the replay scaled: thin, overlap or squeeze.
        optional replay_by: Text<'a> => known(REPLAY_BY),
        /// Start of the replayed part, ms after the first root of the recorded run. Absent for its start.
        optional replay_from_ms: Milliseconds => keep,
        /// End of the replayed part, ms after the first root of the recorded run. Absent for its end.
        optional replay_to_ms: Milliseconds => keep,
        /// Maximum number of requests of the replay. Absent for all.
        optional replay_limit: u64 => keep,
        /// loopback: the replay's processes ran on one machine, without the delays of the recorded links. Absent otherwise.
        optional replay_network: Text<'a> => known(REPLAY_NETWORK),
        /// Simulator that produced the run, with its version and settings. Absent for a run of real processes.
        optional simulated_by: Text<'a> => text,
        /// Formats of the telemetry from which `cctf convert` made the run, separated by commas: otlp, jaeger, zipkin, alibaba2021, alibaba2022, azure2021. Absent for a run that was received.
        optional converted_from: Text<'a> => known(CONVERTED_FROM),
        /// Name of the first converted file, and number of the others.
        optional converted_files: Text<'a> => text,
        /// Coarsest resolution of the timestamps in the converted formats, ms.
        optional converted_resolution_ms: Milliseconds => keep,
        /// What the conversion assumed because the telemetry does not state it, each with the number of spans or rows.
        optional converted_assumptions: Counters => known(ASSUMPTION),
        /// Random seed of the arrival process.
        optional seed: u64 => keep,
        /// Number of this part, from 2 on, if the run is split. Counts, start and end are those of the part.
        optional part: u64 => keep,
        /// True if a merge subtracted clock_offset_ms of nodes.json from the timestamps of each node. Absent if timestamps are as recorded.
        optional clocks_aligned: bool => keep,
        /// Join window, ms: maximum time that a row waits for the spans it depends on. Absent for the default of 15 s.
        optional join_window_ms: Milliseconds => keep,
        /// Silence after which an instance is considered stopped, ms. Absent for the default of 180 s.
        optional stale_after_ms: Milliseconds => keep,
        /// Version of CCTF.
        required cctf_version: Text<'a> => known(VERSION),
        /// Version of the normalizer.
        required normalizer_version: Text<'a> => known(VERSION),
        /// Start of the run, ms since the Unix epoch.
        required started_ts: Milliseconds => time,
        /// End of the run, ms since the Unix epoch. Null until then.
        nullable ended_ts: Milliseconds => time,
        /// Always unix_utc.
        required time_base: Text<'a> => known(TIME_BASE),
        /// Counts of received data and of rows.
        required counts: Counts => inner,
    }
}

impl<'a> RunMeta<'a> {
    /// A run with no further facts, for rows that are not written by a normalizer.
    pub fn new(run_id: &'a str, [started_ts, ended_ts]: [Milliseconds; 2], counts: Counts) -> Self {
        Self {
            run_id: run_id.into(),
            rate: None,
            duration: None,
            scen: None,
            img: None,
            git_sha: None,
            workers: None,
            endpoint: None,
            target: None,
            payload_bytes: None,
            replay_of: None,
            replay_speed: None,
            replay_scale: None,
            replay_by: None,
            replay_from_ms: None,
            replay_to_ms: None,
            replay_limit: None,
            replay_network: None,
            simulated_by: None,
            converted_from: None,
            converted_files: None,
            converted_resolution_ms: None,
            converted_assumptions: None,
            seed: None,
            part: None,
            clocks_aligned: None,
            join_window_ms: None,
            stale_after_ms: None,
            cctf_version: "1".into(),
            normalizer_version: "0".into(),
            started_ts,
            ended_ts: Some(ended_ts),
            time_base: "unix_utc".into(),
            counts,
        }
    }
}
