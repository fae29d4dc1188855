//! [`write`]: a folder with one placement file for each predicted placement, and the ranking as JSON and as a page.

use std::fs;
use std::path::Path;

use anyhow::Context as _;
use place::model::Report;
use place::ranking::Ranking;
use rundir::output::OutFolder;

use super::page::page;
use crate::commands::UsageError;

/// Name of the ranking in the folder.
const RANKING: &str = "ranking.json";
/// Name of its page.
pub const PAGE: &str = "ranking.html";

fn taken(path: &Path) -> UsageError {
    UsageError(format!(
        "cannot create {}: it already exists; choose another path with --out",
        path.display()
    ))
}

/// Refuses an existing path before anything is simulated.
pub fn check_free(out: Option<&Path>) -> Result<(), UsageError> {
    match out {
        Some(out) if out.symlink_metadata().is_ok() => Err(taken(out)),
        _ => Ok(()),
    }
}

/// Writes the files `1.json`, `2.json` and so on by rank, and names them in the report. Nothing is written without a prediction.
///
/// # Errors
/// If the folder exists or cannot be written.
pub fn write(out: &Path, ranking: &Ranking, report: &mut Report) -> anyhow::Result<()> {
    if ranking.predicted == 0 {
        return Ok(());
    }
    let folder = OutFolder::create(out)?;
    let run = folder.run();
    let write = |name: &str, bytes: &[u8]| {
        let path = run.join(name);
        fs::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()))
    };
    fs::create_dir_all(&run).with_context(|| format!("cannot create {}", run.display()))?;
    let predicted = ranking.ranked.iter().take(ranking.predicted);
    for (number, (ranked, placed)) in (1..).zip(predicted.zip(&mut report.placements)) {
        let name = format!("{number}.json");
        write(&name, &ranked.case.placement.to_json())?;
        placed.file = Some(name);
    }
    let mut text = serde_json::to_vec_pretty(report)?;
    text.push(b'\n');
    write(RANKING, &text)?;
    write(PAGE, page(report).as_bytes())?;
    folder.finish_folder()
}
