//! Aligns clocks: merges twice, the second time with each node's clock offset subtracted from its timestamps.

use anyhow::Context;
use rundir::UsageError;
use rundir::output::OutFolder;

use crate::inputs::Input;
use crate::model::{Source, Summary};
use crate::progress::Progress;
use crate::session::Session;

/// Folder of the merged run with recorded timestamps, until the aligned one is written.
const RECORDED: &str = "recorded";

/// Merges the folders with their recorded timestamps, which gives the clock offsets. Then subtracts the offsets and merges the
/// result again, so that all values that depend on timestamps are recomputed.
pub fn merge_aligned(
    folder: &OutFolder,
    source: &Source<'_>,
    on_progress: &mut dyn FnMut(Progress),
) -> anyhow::Result<Summary> {
    for input in source.inputs {
        check_not_aligned(input)?;
    }
    let recorded = folder.scratch().join(RECORDED);
    let session = Session::new(folder, recorded.clone())?;
    let (summary, offsets) = session.run(source, on_progress)?;
    let merged = [Input::open(&recorded)?];
    let second = Source {
        inputs: &merged,
        clocks: Some(&offsets),
        ..*source
    };
    let (aligned, _) = Session::new(folder, folder.run())?.run(&second, on_progress)?;
    std::fs::remove_dir_all(&recorded).with_context(|| format!("cannot remove {}", recorded.display()))?;
    Ok(Summary {
        rows: aligned.rows,
        aligned: true,
        ..summary
    })
}

/// Rejects a folder whose timestamps are aligned.
///
/// # Errors
/// A [`UsageError`].
pub fn check_not_aligned(input: &Input) -> anyhow::Result<()> {
    if input.run_meta()?.clocks_aligned == Some(true) {
        return Err(UsageError(format!(
            "cannot align the clocks of {}: they are aligned already; merge the recorded folders",
            input.path.display()
        ))
        .into());
    }
    Ok(())
}
