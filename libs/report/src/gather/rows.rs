//! [`read`]: the passes over invocations and calls.

use analyze::stats::cells::OTHER_NAME;
use analyze::stats::group::{By, Group};
use analyze::stats::opened::Opened;
use analyze::stats::window::Window;
use analyze::stats::{Options, Stats, stats_of};
use analyze::survey::{Surveyed, survey};
use page::number::{counted, exact};
use rundir::ReadError;

/// Number of passes. The first computes the figures. The second computes the timeline and the edges, and chooses traces. The
/// third reads the rows of these traces.
pub const PASSES: u64 = 3;

/// Reads the figures and all other data that comes from invocations and calls. Adds notes about the two files.
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

/// Notes about the rows as a whole.
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
            "{} left out of the figures; cctf validate shows what is wrong",
            counted(stats.damages.count, "damaged line is", "damaged lines are")
        ));
    }
    notes.extend(overused(stats));
    notes
}

/// A note about modules that were busier than their slots allow, even with rounding: the inventory or the times are wrong.
fn overused(stats: &Stats) -> Option<String> {
    const ROUNDING: f64 = 1.01;
    let is_overused = |group: &&Group| group.utilisation().is_some_and(|busy| busy > ROUNDING);
    let modules = stats.groups.iter().filter(|group| group.by == By::Module);
    let mut found = modules.filter(is_overused);
    let first = found.next()?.key.module_id.as_deref().unwrap_or(OTHER_NAME);
    let names = match found.count() as u64 {
        0 => first.to_owned(),
        1 => format!("{first} and one other module"),
        others => format!("{first} and {} other modules", exact(others)),
    };
    Some(format!(
        "{names} used more slots than the instances reported: utilisation above 100%"
    ))
}
