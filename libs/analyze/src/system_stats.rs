//! [`read`]: the samples of some metrics in `system_stats.jsonl`.

use cctf_proto::cctf::SystemStat;
use memchr::memmem::Finder;
use rundir::{Ending, Lines, ReadError};

/// Requests in the system of an instance.
pub const IN_FLIGHT: &str = "in_flight";
/// CPU time since the start of the process, seconds, by mode.
pub const PROCESS_CPU: &str = "process.cpu.time";

/// Passes each sample of these metrics to `on_sample`, and the number of each damaged line that names one of them to
/// `on_damage`. Other lines are not decoded, and an incomplete last line is skipped.
///
/// # Errors
/// If the file cannot be read.
pub fn read(
    mut lines: Lines,
    metrics: &[&str],
    mut on_sample: impl FnMut(&SystemStat<'_>),
    mut on_damage: impl FnMut(u64),
) -> Result<(), ReadError> {
    let finders: Vec<Finder<'_>> = metrics.iter().map(Finder::new).collect();
    while let Some(line) = lines.next_line()? {
        if line.ending == Ending::EndOfFile {
            break;
        }
        if !finders.iter().any(|finder| finder.find(line.bytes).is_some()) {
            continue;
        }
        match serde_json::from_slice::<SystemStat<'_>>(line.bytes) {
            Ok(stat) if metrics.contains(&&*stat.metric) => on_sample(&stat),
            Ok(_) => {}
            Err(_) => on_damage(line.number),
        }
    }
    Ok(())
}
