//! [`write`]: a folder with one placement file for each predicted placement, and the ranking as JSON and as a page.

use std::fs;
use std::path::Path;

use anyhow::Context as _;
use place::model::Report;
use place::ranking::Ranking;
use rundir::output::{OutFolder, write_whole};

use super::page::page;

/// Name of the ranking in the folder.
const RANKING: &str = "ranking.json";
/// Name of its page.
pub const PAGE: &str = "ranking.html";

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
    let write = |name: &str, bytes: &[u8]| write_whole(&run.join(name), bytes);
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
