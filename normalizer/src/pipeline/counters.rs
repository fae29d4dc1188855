//! [`PipelineCounters`]: the pipeline's figures for /metrics and the live page.

/// Counts since the first record of the journal, unless a field states otherwise.
#[derive(Debug, Clone, Default)]
pub struct PipelineCounters {
    pub spans: u64,
    pub points: u64,
    pub logs: u64,
    /// Number of duplicate spans and points.
    pub duplicates: u64,
    /// Spans whose node is unknown.
    pub unknown_node: u64,
    /// Number of unusable spans and points, by reason.
    pub rejected: Vec<(String, u64)>,
    /// Number of runs that are not closed.
    pub runs_open: u64,
    /// Rows written since the process started.
    pub rows_written: u64,
    /// Number of rows that wait.
    pub rows_held: u64,
    /// Spans in the join.
    pub spans_joining: u64,
    /// Number of spans that are remembered, so that duplicates are recognised.
    pub spans_remembered: u64,
    /// Number of rows that were written early because the memory limit was reached.
    pub rows_evicted: u64,
    /// Size of each table, bytes.
    pub memory: Vec<(&'static str, u64)>,
    /// Bytes.
    pub memory_limit: u64,
}
