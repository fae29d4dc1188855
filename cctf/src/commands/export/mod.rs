//! `cctf export`: writes recorded runs in the formats of simulators and viewers. Each target has its own file.
//!
//! [`common`] has the flags and steps that targets share; [`summary`] is the printed text.

mod cloudsim;
mod common;
mod eclypse;
mod lqn;
#[cfg(feature = "parquet")]
mod opendc;
mod otlp;
#[cfg(feature = "parquet")]
mod parquet;
mod perfetto;
mod simgrid;
mod summary;
mod wfformat;

use std::process::ExitCode;

use clap::{Args, Subcommand};

use common::EXIT_CODES;

const AFTER_HELP: &str = "\
Examples:
  cctf export perfetto logs/latest --out timeline     # for the viewer https://ui.perfetto.dev
  cctf export otlp logs/latest --otlp-endpoint http://127.0.0.1:4317   # to Jaeger, Tempo or a Collector
  cctf export wfformat logs/latest --out workflow
  cctf export cloudsim logs/latest --out stations
  cctf export simgrid logs/latest --out simulation    # a simulation that writes its results as a run
  cctf export lqn logs/latest --out network           # a model for LINE, which solves equations for mean queues and response times
  cctf export parquet logs/latest --out data          # one or more runs, for SQL and data frames

Each target has a page in docs/export. The page states the source and the unit of each field, what is lost, and how to use the
export. If the target needs a value that a run does not state, the export assumes a value. The command prints its assumptions and
writes them to OUT/assumptions.json. With --strict, the command refuses the export if an assumption can make results wrong.

Two targets are exceptions. otlp assumes nothing, but lists what is lost; it can also send the run instead of writing OUT.
parquet has neither assumptions nor --strict, and can add runs to an existing OUT.";

#[derive(Debug, Clone, Args)]
#[command(after_help = format!("{AFTER_HELP}\n\n{EXIT_CODES}"))]
pub struct ExportArgs {
    #[command(subcommand)]
    target: Target,
}

#[derive(Debug, Clone, Subcommand)]
enum Target {
    /// A Maven project for the simulator CloudSim Plus, with a workload file for each instance.
    Cloudsim(cloudsim::CloudSimArgs),
    /// An application, an infrastructure and the recorded placement for the simulator ECLYPSE.
    Eclypse(eclypse::EclypseArgs),
    /// A layered queueing network for the analytic solver LINE, with a program that solves it.
    Lqn(lqn::LqnArgs),
    /// Tasks, fragments and hosts for OpenDC, a simulator of data centres, in Parquet files.
    #[cfg(feature = "parquet")]
    Opendc(opendc::OpenDcArgs),
    /// A data set of Parquet files with one or more runs, for DuckDB, polars, pandas and Spark.
    #[cfg(feature = "parquet")]
    Parquet(parquet::ParquetArgs),
    /// The run as OTLP, written to a file or sent to a receiver: for Jaeger, Tempo, a Collector.
    Otlp(otlp::OtlpArgs),
    /// A timeline for the trace viewer Perfetto: a track for each slot, arrows for calls, counters.
    Perfetto(perfetto::PerfettoArgs),
    /// Hosts, services and their work for the simulator SimGrid, with programs that simulate them.
    Simgrid(simgrid::SimgridArgs),
    /// A workflow in the format of WfCommons (WfFormat 1.5): a graph of tasks with runtimes, CPU use, files and machines.
    Wfformat(wfformat::WfFormatArgs),
}

pub fn run(args: &ExportArgs) -> anyhow::Result<ExitCode> {
    match &args.target {
        Target::Cloudsim(args) => cloudsim::run(args),
        Target::Eclypse(args) => eclypse::run(args),
        Target::Lqn(args) => lqn::run(args),
        #[cfg(feature = "parquet")]
        Target::Opendc(args) => opendc::run(args),
        #[cfg(feature = "parquet")]
        Target::Parquet(args) => parquet::run(args),
        Target::Otlp(args) => otlp::run(args),
        Target::Perfetto(args) => perfetto::run(args),
        Target::Simgrid(args) => simgrid::run(args),
        Target::Wfformat(args) => wfformat::run(args),
    }
}
