//! [`read`]: reads the samples of some metrics from `system_stats.jsonl`.

use cctf_proto::cctf::SystemStat;
use rundir::{Lines, ReadError};

/// Number of requests in the system of an instance.
pub const IN_FLIGHT: &str = "in_flight";
/// CPU time since the start of the process, seconds, by mode.
pub const PROCESS_CPU: &str = "process.cpu.time";

/// Passes each sample of these metrics to `on_sample`, and the number of each damaged line to `on_damage`. All lines are
/// decoded, because a damaged line may not even have the name of its metric. An incomplete last line is skipped.
///
/// # Errors
/// If the file cannot be read.
pub fn read(
    lines: Lines,
    metrics: &[&str],
    mut on_sample: impl FnMut(&SystemStat<'_>),
    on_damage: impl FnMut(u64),
) -> Result<(), ReadError> {
    let on_row = |line: &[u8]| {
        let Ok(stat) = serde_json::from_slice::<SystemStat<'_>>(line) else {
            return false;
        };
        if metrics.contains(&&*stat.metric) {
            on_sample(&stat);
        }
        true
    };
    lines.each_row(on_row, on_damage)
}
