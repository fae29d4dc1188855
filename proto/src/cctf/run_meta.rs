//! `run_meta.json`: what was run, and what the normalizer counted meanwhile.

use super::milliseconds::Milliseconds;
use super::row::row;
use super::value::{Counters, Text};

row! {
    /// Spans by what became of them: each is in one of these, and their sum is all that came.
    pub struct SpanOutcomes {
        /// Rows of invocations.jsonl and calls.jsonl.
        required rows: u64,
        /// Work inside an invocation, and requests that a second instrumentation had seen.
        required inner: u64,
        /// Neither work nor calls: polls for messages, lookups of names.
        required asides: u64,
        /// Control spans: start and end of a run, placement.
        required control: u64,
        /// Spans that had been received before.
        required duplicates: u64,
        /// Spans that no row could be made of.
        required rejected: u64,
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
    /// What the normalizer counted while the run was open.
    pub struct Counts {
        /// Spans received, each counted once it is certain what became of it.
        required spans: u64,
        /// Metric points received.
        required points: u64,
        /// Log records received; they are not used.
        required logs: u64,
        /// Lines written by file.
        required rows: Counters,
        /// Spans and points that had been received before.
        required duplicates: u64,
        /// Rows written as orphans.
        required orphans: u64,
        /// Rows that came after the run's end.
        required late: u64,
        /// Spans whose node nobody told.
        required unknown_node: u64,
        /// Rows that were written before their time, because the normalizer's memory limit was reached.
        optional evicted: u64,
        /// Spans and points that no row could be made of, by reason.
        required rejected: Counters,
        /// Spans by what became of them.
        optional spans_by_outcome: SpanOutcomes,
    }
}

row! {
    /// The run.
    pub struct RunMeta<'a> {
        /// The run.
        required run_id: Text<'a>,
        /// Requests a second that the driver was asked for.
        nullable rate: f64,
        /// Duration as given, such as `20s`.
        nullable duration: Text<'a>,
        /// Scenario.
        nullable scen: Text<'a>,
        /// Image of the service under load: as the driver told it, else as its modules report it.
        nullable img: Text<'a>,
        /// Commit of the service.
        nullable git_sha: Text<'a>,
        /// Worker slots of an instance of the service under load: as the driver told them, else as the instances report them, if all agree.
        nullable workers: u64,
        /// Endpoint that was driven.
        optional endpoint: Text<'a>,
        /// URL that was driven.
        optional target: Text<'a>,
        /// Body bytes a request.
        optional payload_bytes: u64,
        /// Run that was replayed.
        optional replay_of: Text<'a>,
        /// Seed of the arrival process.
        optional seed: u64,
        /// Number of this folder, from 2 on, where the run is split into parts. Counts, start and end are the part's.
        optional part: u64,
        /// True where a merge took clock_offset_ms of nodes.json from the stamps of each node's rows; absent where they are as recorded.
        optional clocks_aligned: bool,
        /// How long a row waited for the spans that it depends on, ms; absent where that is the default, 15 s.
        optional join_window_ms: Milliseconds,
        /// How long an instance was silent before it counted as stopped, ms; absent where that is the default, 180 s.
        optional stale_after_ms: Milliseconds,
        /// Version of the contract.
        required cctf_version: Text<'a>,
        /// Version of the normalizer.
        required normalizer_version: Text<'a>,
        /// Start of the run, ms since the Unix epoch.
        required started_ts: Milliseconds,
        /// End of the run, ms since the Unix epoch; null until then.
        nullable ended_ts: Milliseconds,
        /// Always unix_utc.
        required time_base: Text<'a>,
        /// What was counted.
        required counts: Counts,
    }
}
