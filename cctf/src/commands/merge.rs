//! `cctf merge`: merges several run folders into one.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use cctf_merge::{Options, Summary, merge};
use cctf_proto::keys::parse_run_id;
use clap::Args;

use super::cells::{counted, printable};
use super::display::BytesBar;
use super::{DONE, Format, print, print_json};

const AFTER_HELP: &str = "\
The result is what a single normalizer would have written if it had received all the data. The merge sorts the rows (the lines
of the files) by time and drops duplicates. If the parent of a row is missing in the row's own folder, the merge searches the
other folders for it. It also recomputes links, modules and clock offsets. docs/merge.md has every rule.

The merge writes to a hidden folder beside OUT. When the result is complete, it renames this folder to OUT. The disk of OUT needs
free space of up to two and a half times the size of the input folders.

Examples:
  cctf merge logs/all logs/edge0 logs/edge1 logs/cloud0
  cctf merge logs/whole logs/soak logs/soak-0002 logs/soak-0003
  cctf merge logs/day logs/monday logs/tuesday --run-id day --format json | jq .clocks

Exit codes:
  0  the result is at OUT
  1  a file cannot be read or written, or a row is invalid; or the result is at OUT, but the summary cannot be printed
  2  the folders are not runs or cannot be merged, or OUT exists";

#[derive(Debug, Clone, Args)]
#[command(after_help = AFTER_HELP)]
pub struct MergeArgs {
    /// Path to the folder of the result. It must not exist.
    out: PathBuf,
    /// Paths to the folders to merge, in any order: runs, parts of a long run (`<RUN_ID>-0002`), or results of earlier merges.
    #[arg(required = true, value_name = "IN")]
    inputs: Vec<PathBuf>,
    /// Run id of the result. Required if the folders belong to different runs.
    #[arg(long, env = "CCTF_MERGE_RUN_ID", value_name = "ID", value_parser = parse_run_id)]
    run_id: Option<String>,
    /// Subtract each node's estimated clock offset from its timestamps. run_meta.json then has clocks_aligned=true.
    #[arg(long, env = "CCTF_ALIGN_CLOCKS")]
    align_clocks: bool,
    /// Output format of the summary.
    #[arg(long, env = "CCTF_FORMAT", value_enum, default_value = "text")]
    format: Format,
}

pub fn run(args: &MergeArgs) -> anyhow::Result<ExitCode> {
    let options = Options {
        run_id: args.run_id.clone(),
        align_clocks: args.align_clocks,
        ..Options::default()
    };
    let started = Instant::now();
    let bar = BytesBar::new();
    let summary = merge(&args.out, &args.inputs, &options, &mut |progress| {
        bar.show(progress.phase, progress.done, progress.total);
    });
    bar.clear();
    let summary = summary?;
    match args.format {
        Format::Json => print_json(&summary)?,
        Format::Text => print(&text(&summary, started.elapsed().as_secs_f64()))?,
    }
    Ok(ExitCode::from(DONE))
}

fn text(summary: &Summary, seconds: f64) -> String {
    let mut out = String::new();
    for conflict in &summary.conflicts_shown {
        let line = format!(
            "{} of {}: {} is {} and {}; kept {}",
            conflict.file, conflict.of, conflict.field, conflict.kept, conflict.dropped, conflict.kept
        );
        out += &(printable(&line) + "\n");
    }
    if summary.conflicts > summary.conflicts_shown.len() as u64 {
        out += &format!("{} conflicts in all\n", summary.conflicts);
    }
    for (node, clock) in &summary.clocks {
        out += &format!(
            "clock of {}: {:+.6} ms, error at most {:.6} ms\n",
            printable(node),
            clock.offset_ms,
            clock.error_ms
        );
    }
    if summary.open > 0 {
        out += &format!(
            "{} of the runs have not ended, so the result has not ended either\n",
            summary.open
        );
    }
    if summary.torn > 0 {
        out += &format!("{} left out\n", counted(summary.torn, "incomplete line"));
    }
    for note in &summary.cpu_notes {
        out += &format!("regressed CPU times: {note}\n");
    }
    if summary.cpu_damaged > 0 {
        out += &format!(
            "regressed CPU times: {} left out; cctf validate shows what is wrong\n",
            counted(summary.cpu_damaged, "damaged line")
        );
    }
    let (read, written): (u64, u64) = (summary.rows_read.values().sum(), summary.rows.values().sum());
    out += &format!(
        "{}: run {} from {}, {} read, {written} written, {} dropped, {} resolved, {} left{}\n",
        printable(&summary.out.to_string_lossy()),
        summary.run_id,
        counted(summary.folders, "folder"),
        counted(read, "row"),
        counted(summary.duplicates, "duplicate"),
        counted(summary.resolved, "orphan"),
        summary.orphans,
        if summary.aligned { ", clocks aligned" } else { "" },
    );
    out += &format!(
        "{:.1} s, {:.0} MB/s\n",
        seconds,
        summary.bytes_read as f64 / f64::from(1 << 20) / seconds.max(1e-9)
    );
    out
}
