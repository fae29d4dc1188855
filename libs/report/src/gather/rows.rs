//! [`read`]: the passes over invocations and calls.

use analyze::stats::group::By;
use analyze::stats::opened::Opened;
use analyze::stats::window::Window;
use analyze::stats::{Options, Stats, stats_of};
use analyze::survey::{Surveyed, survey};
use rundir::ReadError;

/// Passes: the figures; the timeline, the edges and the choice of traces; the rows of the traces.
pub const PASSES: u64 = 3;

/// The figures, and everything else that the rows show. The notes are about both.
///
/// # Errors
/// If a file cannot be read.
pub fn read(
    opened: &Opened,
    threads: usize,
    on_bytes: &mut (dyn FnMut(u64) + Send),
) -> Result<(Stats, Surveyed), ReadError> {
    let options = Options {
        by: By::ALL.to_vec(),
        window: Window::default(),
        lint: true,
        threads,
    };
    let mut done = 0;
    let stats = stats_of(opened, &options, &mut |progress| {
        on_bytes(progress.done - done);
        done = progress.done;
    })?;
    let survey = survey(opened, &stats, threads, &mut *on_bytes)?;
    let mut surveyed = survey.finish(opened, threads, on_bytes)?;
    let notes = state(&stats).into_iter().chain(stats.notes.iter().cloned());
    surveyed.notes.splice(0..0, notes);
    Ok((stats, surveyed))
}

/// What a reader has to know about the rows as a whole.
fn state(stats: &Stats) -> Vec<String> {
    let mut notes = Vec::new();
    if stats.is_open {
        notes.push("the run has not ended: the report has the rows written so far".to_owned());
    }
    if stats.rows == 0 {
        notes.push("the run has no invocations".to_owned());
    }
    if stats.damages.count > 0 {
        notes.push(format!(
            "{} damaged lines are left out of the figures; cctf validate shows what is wrong with them",
            stats.damages.count
        ));
    }
    notes
}
