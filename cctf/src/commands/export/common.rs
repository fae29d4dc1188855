//! [`CommonArgs`] and [`run`]: the flags and steps that all targets share which export the plan of a run.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::Ordering;

use clap::Args;
use cli::interrupt;
use export::{Options, Source, Target};

use super::summary::text;
use crate::commands::display::BytesBar;
use crate::commands::plan::whole::read_plan;
use crate::commands::plan::window::WindowFlags;
use crate::commands::run_target::find;
use crate::commands::{DONE, FAILED, Format, UsageError, damages, print, print_json, refuse_existing_out};

/// Exit codes of all targets, for their help.
pub const EXIT_CODES: &str = "\
Exit codes:
  0  the export was written
  1  the export was written, but lines of the run are damaged; or --strict refuses it, or a file cannot be read or written
  2  a flag is invalid, the run does not exist, or OUT exists";

#[derive(Debug, Clone, Args)]
pub struct CommonArgs {
    /// Run id, or path to a run's folder. Default: the newest run.
    #[arg(env = "RUN_ID", value_name = "DIR|RUN_ID")]
    run: Option<String>,
    /// Path to the folder that contains all runs.
    #[arg(long, env = "CCTF_LOGS_DIR", default_value = "logs", value_name = "DIR")]
    logs_dir: PathBuf,
    /// Path to the folder of the export. It must not exist.
    #[arg(long, value_name = "OUT")]
    out: PathBuf,
    #[command(flatten)]
    window: WindowFlags,
    /// Only the first N of the roots that --from and --to select.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
    /// Refuse the export if an assumption can make its results wrong.
    #[arg(long)]
    strict: bool,
    /// Output format of the summary.
    #[arg(long, env = "CCTF_FORMAT", value_enum, default_value = "text")]
    format: Format,
}

impl CommonArgs {
    pub fn logs_dir(&self) -> &Path {
        &self.logs_dir
    }
}

/// Exports a run and prints the summary.
pub fn run<T: Target>(args: &CommonArgs, target: &T) -> anyhow::Result<ExitCode> {
    let window = args.window.window()?;
    // This is checked now, because reading the run takes long. The export checks it again.
    refuse_existing_out(&args.out)?;
    let (run, part) = find(args.run.as_deref(), &args.logs_dir)?;
    let (plan, notes) = read_plan(&run, &part, window)?;
    if plan.counts.roots == 0 {
        let message = "the window has no root: choose another --from or --to";
        return Err(UsageError(message.to_owned()).into());
    }
    let mut source = Source::new(&run, &part, &plan, args.limit)?;
    source.notes = notes;
    let bar = BytesBar::of("roots");
    // From here on, there is a folder that an interrupt must remove.
    let stop = interrupt::stop_flag();
    let options = Options {
        out: &args.out,
        is_strict: args.strict,
    };
    let written = export::run(target, &source, options, &mut |done, total| {
        bar.show("writing", done, total);
        !stop.load(Ordering::Relaxed)
    });
    bar.clear();
    let summary = written?;
    match args.format {
        Format::Text => print(&text(&summary))?,
        Format::Json => print_json(&summary)?,
    }
    let damaged = plan.recorded.notes.damaged_lines;
    damages::show_count(damaged);
    Ok(ExitCode::from(if damaged > 0 { FAILED } else { DONE }))
}
