//! `cctf merge`: merges several run folders into one.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use cctf_merge::{Bucket, BucketSummary, Options, Progress, Summary, merge, merge_bucket, merge_rests};
use cctf_proto::keys::parse_run_id;
use clap::Args;
use cli::interrupt;

use super::cells::{counted, printable};
use super::display::BytesBar;
use super::{DONE, Format, print, print_json};

const AFTER_HELP: &str = "\
The result is what a single normalizer would have written if it had received all the data. docs/merge.md lists the few exceptions,
and every rule. The merge sorts the rows (the lines of the files) by time and drops duplicates. If the parent of a row is missing
in the row's own folder, the merge searches the other folders for the parent. The merge also recomputes links, modules and clock
offsets.

The merge writes to a hidden folder beside OUT. When the result is complete, it renames this folder to OUT. The disk of OUT needs
free space of up to two and a half times the size of the input folders.

Many machines can share a merge. The traces are divided into N buckets by trace id. With --bucket i/N, a machine reads all
folders IN, and merges the invocations and calls of one bucket. Then --rests reads all buckets, and writes the rest of the result,
which depends on all of them. With --rows, --rests also merges the invocations and calls, and OUT has the same bytes as the result
of a merge on one machine. Aligning clocks takes two rounds, because each offset depends on the calls of all buckets.
docs/merge.md has the commands of both rounds.

Examples:
  cctf merge logs/all logs/edge0 logs/edge1 logs/cloud0
  cctf merge logs/whole logs/soak logs/soak-0002 logs/soak-0003
  cctf merge logs/day logs/monday logs/tuesday --run-id day --format json | jq .clocks
  cctf merge buckets/0 logs/edge0 logs/cloud0 --bucket 0/2    # on one machine
  cctf merge buckets/1 logs/edge0 logs/cloud0 --bucket 1/2    # on another one
  cctf merge logs/all logs/edge0 logs/cloud0 --rests buckets/* --rows

Exit codes:
  0  the result is at OUT
  1  a file cannot be read or written, or a row is invalid; or the result is at OUT, but the summary cannot be printed
  2  the folders are not runs or cannot be merged, a bucket is missing or belongs to another merge, or OUT exists";

#[derive(Debug, Clone, Args)]
#[command(after_help = AFTER_HELP)]
pub struct MergeArgs {
    /// Path to the folder of the result. It must not exist.
    out: PathBuf,
    /// Paths to the folders to merge: runs, parts of a long run (`<RUN_ID>-0002`), or results of earlier merges. Their order does
    /// not matter, but must be the same for all buckets and for --rests.
    #[arg(required = true, value_name = "IN")]
    inputs: Vec<PathBuf>,
    /// Run id of the result. Required if the folders belong to different runs.
    #[arg(long, env = "CCTF_MERGE_RUN_ID", value_name = "ID", value_parser = parse_run_id)]
    run_id: Option<String>,
    /// Subtract each node's estimated clock offset from its timestamps. run_meta.json then has clocks_aligned=true. A merge
    /// on many machines needs a first round without this flag (see below).
    #[arg(long, env = "CCTF_ALIGN_CLOCKS")]
    align_clocks: bool,
    /// Merge only the traces of bucket i of N, a power of two up to 512. OUT is then not a run, but an input of --rests.
    #[arg(long, value_name = "i/N", conflicts_with_all = ["rests", "rows"])]
    bucket: Option<Bucket>,
    /// Write the rest of the result, which depends on all buckets: everything except invocations and calls. Before this flag, name the
    /// same folders IN, in the same order, as for the buckets. --align-clocks takes two rounds of buckets and rests: in the second
    /// one, IN is the folder that --rests of the first round wrote.
    #[arg(long, value_name = "BUCKET", num_args = 1..)]
    rests: Vec<PathBuf>,
    /// With --rests: also merge the invocations and calls of all buckets, so that OUT is a run.
    #[arg(long, requires = "rests")]
    rows: bool,
    /// Output format of the summary.
    #[arg(long, env = "CCTF_FORMAT", value_enum, default_value = "text")]
    format: Format,
}

pub fn run(args: &MergeArgs) -> anyhow::Result<ExitCode> {
    let options = Options {
        run_id: args.run_id.clone(),
        align_clocks: args.align_clocks,
        stop: Some(interrupt::stop_flag()),
        ..Options::default()
    };
    let started = Instant::now();
    let bar = BytesBar::new();
    let mut on_progress = |progress: Progress| bar.show(progress.phase, progress.done, progress.total);
    if let Some(bucket) = args.bucket {
        let summary = merge_bucket(&args.out, &args.inputs, bucket, &options, &mut on_progress);
        bar.clear();
        let summary = summary?;
        match args.format {
            Format::Json => print_json(&summary)?,
            Format::Text => print(&bucket_text(&summary, started.elapsed().as_secs_f64()))?,
        }
        return Ok(ExitCode::from(DONE));
    }
    let summary = match args.rests.is_empty() {
        true => merge(&args.out, &args.inputs, &options, &mut on_progress),
        false => merge_rests(
            &args.out,
            &args.inputs,
            &args.rests,
            args.rows,
            &options,
            &mut on_progress,
        ),
    };
    bar.clear();
    let summary = summary?;
    match args.format {
        Format::Json => print_json(&summary)?,
        Format::Text => {
            let mut text = text(&summary, started.elapsed().as_secs_f64());
            if !args.rests.is_empty() && !args.rows {
                text += "the result has no invocations and no calls: they are in the buckets, and --rows merges them\n";
            }
            print(&text)?;
        }
    }
    Ok(ExitCode::from(DONE))
}

fn bucket_text(summary: &BucketSummary, seconds: f64) -> String {
    let written: u64 = summary.rows.values().sum();
    let all = summary.rows_read + summary.rows_skipped;
    format!(
        "{}: bucket {}/{} of run {} from {}, {} of {} in this bucket, {written} written, {} dropped, {} resolved, {} left, {} for --rests{}\n\
         {:.1} s, {:.0} MB/s\n",
        printable(&summary.out.to_string_lossy()),
        summary.bucket,
        summary.of,
        summary.run_id,
        counted(summary.folders, "folder"),
        summary.rows_read,
        counted(all, "row"),
        counted(summary.duplicates, "duplicate"),
        counted(summary.resolved, "orphan"),
        summary.orphans,
        counted(summary.bytes_handed, "byte"),
        if summary.aligned { ", clocks aligned" } else { "" },
        seconds,
        summary.bytes_read as f64 / f64::from(1 << 20) / seconds.max(1e-9),
    )
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
