//! `cctf export parquet`: writes recorded runs as a data set of partitioned Parquet files.

use std::fmt::Write as _;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::Ordering;
use std::time::Instant;

use cctf_proto::log_line;
use clap::Args;
use cli::{interrupt, shell};
use dataset::export::{Options, Summary, export};
use dataset::index::RunTable;
use dataset::runs::Input;

use crate::commands::cells::{counted, printable, table};
use crate::commands::display::BytesBar;
use crate::commands::run_target::find;
use crate::commands::{DONE, FAILED, Format, print, print_json};

const AFTER_HELP: &str = "\
Examples:
  cctf export parquet logs/latest --out data
  cctf export parquet monday tuesday --out data --append
  cd data && duckdb -init duckdb.sql
    SELECT module_id, count(*), quantile_disc(rt_ms, 0.99) FROM invocations GROUP BY ALL;

DATASET has a folder for each file of CCTF, with a subfolder for each run: nodes/run_id=RUN/part-0.parquet and so on. Invocations and
calls are also divided into buckets: invocations/run_id=RUN/bucket=000/part-0.parquet and so on. The trace id decides the bucket, so
all invocations and calls of a trace are in buckets of the same number. Within a bucket, rows are sorted by trace and time.
Times and durations are integers in nanoseconds, in columns *_ns. duckdb.sql and spark.sql have views with the columns of the JSON
files, so that the same query works on the data set and on the JSON files. index.json lists the column types, and for each run its
start, its end and its numbers of rows.
docs/export/parquet.md describes each column, and how DuckDB, polars, pandas and Spark read the data set.

The export includes all parts (folders) of a long run. Its temporary files need up to the size of the largest run. They are beside
DATASET or, with --append, in a hidden folder in DATASET. A new data set gets its name only when it is complete.

Exit codes:
  0  the runs are in the data set
  1  the runs are in the data set, but damaged lines are left out; or a file cannot be read or written
  2  a flag is invalid, a run does not exist or cannot be exported, DATASET exists without --append, or DATASET is
     missing with --append";

#[derive(Debug, Clone, Args)]
#[command(after_long_help = AFTER_HELP, after_help = "Examples and exit codes: cctf export parquet --help")]
pub struct ParquetArgs {
    /// Run ids, or paths to runs' folders.
    #[arg(required = true, value_name = "DIR|RUN_ID")]
    runs: Vec<String>,
    /// Path to the folder that contains all runs.
    #[arg(long, env = "CCTF_LOGS_DIR", default_value = "logs", value_name = "DIR")]
    logs_dir: PathBuf,
    /// Path to the folder of the data set: a new folder or, with --append, an existing data set.
    #[arg(long, value_name = "DATASET")]
    out: PathBuf,
    /// Add the runs to an existing data set.
    #[arg(long)]
    append: bool,
    /// Number of buckets of a new data set: a power of two, at most 512. A bucket is a folder with some of the traces. Default:
    /// one bucket for every 512 MiB of invocations and calls.
    #[arg(long, value_name = "N", conflicts_with = "append")]
    buckets: Option<NonZero<u16>>,
    /// Output format of the summary.
    #[arg(long, env = "CCTF_FORMAT", value_enum, default_value = "text")]
    format: Format,
}

pub fn run(args: &ParquetArgs) -> anyhow::Result<ExitCode> {
    let inputs: Vec<Input> = args
        .runs
        .iter()
        .map(|named| {
            let (run, part) = find(Some(named), &args.logs_dir)?;
            Input::open(&run, &part)
        })
        .collect::<anyhow::Result<_>>()?;
    let options = Options {
        append: args.append,
        buckets: args.buckets,
        ..Options::default()
    };
    let started = Instant::now();
    let bar = BytesBar::new();
    // From here on, there is a folder that an interrupt must remove.
    let stop = interrupt::stop_flag();
    let written = export(&args.out, &inputs, &options, &mut |done, total| {
        bar.show("writing", done, total);
        !stop.load(Ordering::Relaxed)
    });
    bar.clear();
    let summary = written?;
    for damage in &summary.damages.shown {
        let path = printable(&damage.path.to_string_lossy());
        log_line!("cctf: {path}:{}: {}", damage.line, damage.reason);
    }
    match args.format {
        Format::Text => print(&text(&summary, started.elapsed().as_secs_f64()))?,
        Format::Json => print_json(&summary)?,
    }
    let damaged = summary.damages.count;
    if damaged > 0 {
        let lines = counted(damaged, "damaged line");
        let (are, them) = if damaged == 1 {
            ("is", "it")
        } else {
            ("are", "them")
        };
        log_line!(
            "cctf: {lines} {are} left out of the data set; cctf validate shows what is wrong with {them}"
        );
    }
    Ok(ExitCode::from(if damaged > 0 { FAILED } else { DONE }))
}

fn text(summary: &Summary, seconds: f64) -> String {
    let mut out = String::new();
    for note in &summary.notes {
        // Writing to a String cannot fail.
        let _ = writeln!(out, "note: {}", printable(note));
    }
    let mut rows = Vec::new();
    for run in &summary.runs {
        if run.cut_lines > 0 {
            let lines = counted(run.cut_lines, "incomplete line");
            let _ = writeln!(
                out,
                "note: {lines} at the end of files of {} left out",
                run.run_id
            );
        }
        for (name, table) in &run.tables {
            let RunTable {
                rows: count,
                files,
                bytes,
                ..
            } = table;
            let size = format!("{:.1}", *bytes as f64 / 1e6);
            rows.push([
                run.run_id.clone(),
                name.clone(),
                count.to_string(),
                files.to_string(),
                size,
            ]);
        }
    }
    out += &table(["run", "table", "rows", "files", "MB"], &rows, &[2, 3, 4]);
    let written: u64 = summary
        .runs
        .iter()
        .flat_map(|run| run.tables.values())
        .map(|table| table.bytes)
        .sum();
    let path = std::path::absolute(&summary.out).unwrap_or_else(|_| summary.out.clone());
    let (read, written) = (summary.bytes_read as f64 / 1e6, written as f64 / 1e6);
    let _ = writeln!(
        out,
        "{}: {}, {} in all, {}; {read:.1} MB of JSON are {written:.1} MB of Parquet; {seconds:.1} s",
        printable(&path.to_string_lossy()),
        counted(summary.runs.len(), "run"),
        summary.runs_in_all,
        counted(summary.buckets.get(), "bucket"),
    );
    let _ = writeln!(out, "to query it: {}", query(&path));
    out
}

fn query(path: &Path) -> String {
    let path = shell::quoted(&path.to_string_lossy());
    format!("cd {path} && duckdb -init duckdb.sql; docs/export/parquet.md has polars, pandas and Spark")
}
