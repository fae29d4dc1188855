//! `cctf convert`: makes runs of telemetry that other tools recorded.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use cctf_proto::keys::parse_run_id;
use cctf_proto::log_line;
use clap::Args;
use cli::interrupt;
use convert::inputs::files;
use convert::tally::{Format, Tally};
use convert::{Options, RunSummary, Summary, convert};

use super::cells::{counted, printable, table};
use super::display::BytesBar;
use super::{DONE, FAILED, Format as Printed, print, print_json};

const AFTER_HELP: &str = "\
Formats, recognised by their content:
  otlp    files of the OpenTelemetry Collector's file exporter (JSON lines, protobuf, zstd); OTLP requests as JSON documents
  jaeger  JSON of Jaeger's UI (\"Download Results\") and of its API (/api/traces)
  zipkin  JSON of Zipkin's API, version 2 (/api/v2/traces, or one span a line)
  alibaba2021, alibaba2022
          Alibaba's microservice data sets: call graphs, nodes, instances and rates, as CSV or in archives
  azure2021
          the trace of invocations of Azure Functions (January 2021), as CSV

An input can be a file, a folder, a pattern in quotes, or - for standard input. Files can be compressed with gzip or zstd, and packed
in tar archives. Files can be in any order, and one file can contain several formats.

The conversion uses the same mapping as the normalizer. Spans without a run id get the id of --run-id. If the files have several
runs, OUT has a folder for each. A record that cannot be converted is left out: the summary shows its place and the reason.
docs/convert.md describes the fields of each format, and what a format cannot express.

The call graphs of Alibaba lack rows, and their rpc ids, which state who called whom, can be wrong. The conversion infers who called
whom from ids, names and times. A row whose caller remains unknown is flagged orphan; the summary counts what was inferred.

The result appears at OUT when it is complete. Until then, its files are in a hidden folder beside OUT. The disk needs up to two
and a half times the size of the result.

Examples:
  cctf convert traces.json metrics.json --out logs/shop
  cctf convert /var/log/otel --out logs/monday --run-id monday
  curl -s 'http://jaeger:16686/api/traces?service=front&limit=1000' | cctf convert - --out logs/front
  cctf convert 'dump-*.json.zst' archive.tar.gz --out logs/dump --summary json | jq .damages
  cctf convert data/MSResource data/MSCallGraph --out logs/alibaba

Exit codes:
  0  the result is at OUT
  1  the result is at OUT, but some records are left out; or nothing can be converted, or a file cannot be read or written
  2  a flag is invalid, an input does not exist, or OUT exists";

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Input {
    Otlp,
    Jaeger,
    Zipkin,
    #[value(name = "alibaba2021")]
    Alibaba2021,
    #[value(name = "alibaba2022")]
    Alibaba2022,
    #[value(name = "azure2021")]
    Azure2021,
}

#[derive(Debug, Clone, Args)]
#[command(after_long_help = AFTER_HELP, after_help = "Formats, examples and exit codes: cctf convert --help")]
pub struct ConvertArgs {
    /// Paths to files or folders, patterns with * and ?, or - for standard input.
    #[arg(required = true, value_name = "INPUT")]
    inputs: Vec<String>,
    /// Path to the folder of the result. It must not exist.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Convert only records of this format, and ignore all others. Default: all formats, recognised by their content.
    #[arg(long, value_name = "NAME", value_enum)]
    format: Option<Input>,
    /// Run id for telemetry without a run id. Default: the name of DIR.
    #[arg(long, env = "CCTF_CONVERT_RUN_ID", value_name = "ID", value_parser = parse_run_id)]
    run_id: Option<String>,
    /// Output format of the summary.
    #[arg(
        long,
        env = "CCTF_FORMAT",
        value_name = "FORMAT",
        value_enum,
        default_value = "text"
    )]
    summary: Printed,
}

pub fn run(args: &ConvertArgs) -> anyhow::Result<ExitCode> {
    let inputs = files(&args.inputs)?;
    let started = Instant::now();
    let bar = BytesBar::new();
    let options = Options {
        run_id: args.run_id.clone(),
        format: args.format.map(|format| match format {
            Input::Otlp => Format::Otlp,
            Input::Jaeger => Format::Jaeger,
            Input::Zipkin => Format::Zipkin,
            Input::Alibaba2021 => Format::Alibaba2021,
            Input::Alibaba2022 => Format::Alibaba2022,
            Input::Azure2021 => Format::Azure2021,
        }),
        // Only from here on is there a folder to remove.
        stop: interrupt::stop_flag(),
    };
    let converted = convert(&args.out, &inputs, &options, &mut |progress| {
        bar.show(progress.phase, progress.done, progress.total);
    });
    bar.clear();
    let summary = converted?;
    let damages = &summary.tally.damages;
    for damage in &damages.shown {
        log_line!(
            "cctf: {}: {}",
            printable(&damage.place.to_string()),
            printable(&damage.reason)
        );
    }
    match args.summary {
        Printed::Text => print(&text(&summary, started.elapsed().as_secs_f64()))?,
        Printed::Json => print_json(&summary)?,
    }
    let (left_out, rejected) = (damages.count, rejected(&summary));
    if left_out + rejected > 0 {
        let records = counted(left_out, "record");
        log_line!(
            "cctf: left out: {records} that cannot be converted, and {rejected} spans or points that cannot be used"
        );
    }
    Ok(ExitCode::from(if left_out + rejected > 0 {
        FAILED
    } else {
        DONE
    }))
}

/// Number of unusable spans and points.
fn rejected(summary: &Summary) -> u64 {
    let of_files = summary.tally.rejected.values().map(|rejected| rejected.count);
    let of_runs = summary.runs.iter().flat_map(|run| by_run(run, &summary.tally));
    of_files.sum::<u64>() + of_runs.map(|(_, count)| count).sum::<u64>()
}

/// What a run could not take, for reasons that the records do not show: they depend on other records.
fn by_run<'s>(run: &'s RunSummary, tally: &'s Tally) -> impl Iterator<Item = (&'s String, u64)> {
    let rejected = run.rejected.iter().map(|(reason, &count)| (reason, count));
    rejected.filter(move |(reason, _)| !tally.rejected.contains_key(reason.as_str()))
}

fn text(summary: &Summary, seconds: f64) -> String {
    let tally = &summary.tally;
    let mut out = String::new();
    // Writing to a String cannot fail.
    for (name, assumed) in &tally.assumed {
        let first = printable(&assumed.first.to_string());
        let _ = writeln!(
            out,
            "assumed: {} {} (first: {first}): {name}",
            assumed.count, assumed.meaning
        );
    }
    for (reason, rejected) in &tally.rejected {
        let first = printable(&rejected.first.to_string());
        let _ = writeln!(
            out,
            "left out: {} {reason} (first: {first}): {}",
            rejected.count, rejected.meaning
        );
    }
    for run in &summary.runs {
        for (reason, count) in by_run(run, tally) {
            let _ = writeln!(out, "left out: {count} {reason}, of run {}", run.run_id);
        }
    }
    let rows = |run: &RunSummary, file: &str| run.rows.get(file).copied().unwrap_or(0).to_string();
    let lines: Vec<[String; 6]> = summary
        .runs
        .iter()
        .map(|run| {
            [
                run.run_id.clone(),
                rows(run, "invocations.jsonl"),
                rows(run, "calls.jsonl"),
                run.duplicates.to_string(),
                run.orphans.to_string(),
                printable(&run.folder.to_string_lossy()),
            ]
        })
        .collect();
    let heads = ["run", "invocations", "calls", "duplicates", "orphans", "folder"];
    out += &table(heads, &lines, &[1, 2, 3, 4]);
    let formats: Vec<&str> = tally.records.keys().map(|format| format.name()).collect();
    let _ = writeln!(
        out,
        "{}: {}, {:.1} MB of {}: {}, {}, {}; {seconds:.1} s",
        printable(&summary.out.to_string_lossy()),
        counted(tally.files, "file"),
        tally.bytes as f64 / 1e6,
        formats.join(" and "),
        counted(tally.spans, "span"),
        counted(tally.points, "metric point"),
        counted(tally.logs, "log record"),
    );
    if let [run, ..] = &summary.runs[..] {
        let folder = cli::shell::quoted(&run.folder.to_string_lossy());
        let _ = writeln!(out, "next: cctf stats {folder}, cctf report {folder}");
    }
    out
}
