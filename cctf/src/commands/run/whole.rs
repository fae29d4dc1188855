//! [`whole`]: the steps that all kinds of runs share: preparing the folder, and validating and reporting the run at the end.

use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context;
use cctf_load::clock;
use cctf_load::otlp::export::Delivery;
use cctf_load::record::summary::Summary;
use cctf_proto::log_line;
use cctf_stack::folder;
use cctf_stack::tiers::network::ConfiguredLink;
use cli::interrupt;
use rundir::contents::contents;

use super::args::RunArgs;
use crate::commands::cells::printable;
use crate::commands::run_report::{LinkReport, Report, StandInReport};
use crate::commands::{DONE, FAILED, Format, print, print_json, validate};

/// Maximum number of findings of each rule that are shown if the run's folder is invalid.
const FINDINGS_SHOWN: usize = 5;

/// A run whose processes have ended.
pub(super) struct Driven {
    pub drives: Vec<Summary>,
    pub delivery: Delivery,
    /// The links that were emulated.
    pub links: Vec<ConfiguredLink>,
    /// The stand-ins that executed a recorded run, and notes about them.
    pub stand_ins: Vec<StandInReport>,
    pub notes: Vec<String>,
    /// The reason why a comparison with the recorded run is void.
    pub void_because: Option<String>,
    /// Folder of the recorded run whose requests were sent.
    pub compare_with: Option<String>,
}

/// Calls `drive`, which fills the run's folder. Then validates and reports the run. `drive` gets the run id, the folder of all
/// runs, a folder for the logs of child processes, and the flag that an interrupt sets.
pub(super) fn whole(
    args: &RunArgs,
    drive: impl FnOnce(&str, &Path, &Path, &'static AtomicBool) -> anyhow::Result<Driven>,
) -> anyhow::Result<ExitCode> {
    let stop = interrupt::stop_flag();
    // If this fails, fewer connections are possible, and the summary reports this.
    let _ = clock::raise_file_limit();
    let run_id = args.load.run.run_id_or_now();
    // The folder stays locked until the command ends, when the files are complete.
    let claimed = folder::prepare(&args.logs_dir, &run_id)?;
    let scratch = tempfile::Builder::new()
        .prefix("cctf-run-")
        .tempdir()
        .context("cannot create a temporary folder")?;
    let driven = match drive(&run_id, &claimed.logs_dir, scratch.path(), stop) {
        Ok(driven) => driven,
        Err(error) => {
            let kept = scratch.keep();
            return Err(error.context(format!(
                "run {run_id} failed (the logs of its child processes are in {})",
                kept.display()
            )));
        }
    };
    let run_dir = args.logs_dir.join(&run_id);
    let checked = validate::check(&run_dir, FINDINGS_SHOWN)?;
    let delivery = driven.delivery;
    let report = Report {
        files: contents(&run_dir)?,
        links: LinkReport::look_up(driven.links, &run_dir)?,
        interrupted: stop.load(Ordering::Relaxed),
        spans_made: delivery.made,
        spans_delivered: delivery.delivered,
        broken_rules: checked.errors,
        stand_ins: driven.stand_ins,
        notes: driven.notes,
        void_because: driven.void_because,
        compare_with: driven.compare_with,
        run_id,
        drives: driven.drives,
        run_dir,
    };
    let printed = match args.format {
        Format::Json => print_json(&report),
        Format::Text => print(&format!(
            "{}{}{}",
            report.text(),
            validate::text(&report.run_dir, &checked),
            report.next_steps()
        )),
    };
    let problems = report.problems(&delivery);
    problems
        .iter()
        .for_each(|problem| log_line!("cctf: {}", printable(problem)));
    printed?;
    Ok(ExitCode::from(if problems.is_empty() { DONE } else { FAILED }))
}
