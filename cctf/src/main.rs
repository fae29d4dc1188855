//! The binary `cctf`: parses the command line and runs one subcommand.

// These macros panic if the reader is gone or the disk is full; `stdio` of the contract crate does not.
#![deny(clippy::print_stderr, clippy::print_stdout)]

mod commands;

use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use cli::ignore_empty_variables;

#[cfg(feature = "convert")]
use commands::convert;
use commands::{
    anonymise, compare, completions, event, export, load, ls, man, merge, place, plan, replay, report, run,
    schema, stats, tail, trace, validate, whatif,
};

const AFTER_HELP: &str = "\
A run is one recorded experiment. Its folder contains JSON files with the requests, calls and metrics of the services. The
normalizer, a separate program, writes these files from the OpenTelemetry data that it receives. CCTF is the name of the file
format, and docs/cctf.md describes the format. To try out cctf:
  cctf run
  cctf ls
  cctf tail logs/latest --from-start --no-follow
  cctf stats logs/latest
  cctf report logs/latest
  cctf validate logs/latest";

/// Record, follow, check and merge runs in CCTF, a file format for request traces.
#[derive(Parser)]
#[command(version, arg_required_else_help = true, after_help = AFTER_HELP)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run a local experiment: start the normalizer and the services, send load, stop them, and validate the files.
    Run(Box<run::RunArgs>),
    /// Send HTTP load at a given rate to one endpoint of a running service.
    Load(Box<load::LoadArgs>),
    /// Send the requests of a recorded run again to live services, at the recorded times.
    Replay(Box<replay::ReplayArgs>),
    /// Write the plan of a recorded run for simulators: when requests arrive, the work of each service, and the order of calls.
    Plan(plan::PlanArgs),
    /// Rank placements of a recorded run's modules (services) on nodes by predicted response times.
    Place(Box<place::PlaceArgs>),
    /// Predict what a change does to a recorded run: other nodes, speeds, links, slots, or more load.
    Whatif(Box<whatif::WhatifArgs>),
    /// Write a recorded run in the format of another tool, such as a simulator or a viewer.
    Export(export::ExportArgs),
    /// Record that a module (one service of an application) was scaled or migrated.
    Event(Box<event::EventArgs>),
    /// Show the rows of a run as they are written.
    Tail(tail::TailArgs),
    /// List the runs in a folder.
    Ls(ls::LsArgs),
    /// Show one trace as a tree of invocations and calls.
    Trace(trace::TraceArgs),
    /// Print the figures of a run by module, endpoint, node or link: rates, times, utilisation, errors.
    Stats(stats::StatsArgs),
    /// Write one offline HTML page that shows a run, or compares two.
    Report(report::ReportArgs),
    /// Decide whether two runs are the same workload, such as a recorded run and its replay, and show what differs.
    Compare(compare::CompareArgs),
    /// Check whether a run's folder follows all rules of CCTF.
    Validate(validate::ValidateArgs),
    /// Merge several run folders into one.
    Merge(merge::MergeArgs),
    /// Convert telemetry of other tools to runs: files of the OpenTelemetry Collector, Jaeger, Zipkin, Alibaba and Azure.
    #[cfg(feature = "convert")]
    Convert(convert::ConvertArgs),
    /// Copy a run with hashes instead of names and with shifted times, so that you can share the copy.
    Anonymise(anonymise::AnonymiseArgs),
    /// Print the schema of a CCTF file, for tools such as DuckDB.
    Schema(schema::SchemaArgs),
    /// Print a completion script for your shell, for cctf's commands and flags.
    Completions(completions::CompletionsArgs),
    /// Print the manual page, or write the pages of all subcommands.
    Man(man::ManArgs),
}

fn main() -> ExitCode {
    let command = ignore_empty_variables(Cli::command())
        .mut_subcommands(|command| ignore_empty_variables(command).mut_subcommands(ignore_empty_variables));
    let parsed = command
        .try_get_matches()
        .and_then(|matches| Cli::from_arg_matches(&matches));
    let cli = match parsed {
        Ok(cli) => cli,
        Err(error) => return commands::help_or_refusal(&error),
    };
    let outcome = match cli.command {
        Command::Run(args) => run::run(&args),
        Command::Load(args) => load::run(&args),
        Command::Replay(args) => replay::run(&args),
        Command::Plan(args) => plan::run(&args),
        Command::Place(args) => place::run(&args),
        Command::Whatif(args) => whatif::run(&args),
        Command::Export(args) => export::run(&args),
        Command::Event(args) => event::run(&args),
        Command::Tail(args) => tail::run(&args),
        Command::Ls(args) => ls::run(&args),
        Command::Trace(args) => trace::run(&args),
        Command::Stats(args) => stats::run(&args),
        Command::Report(args) => report::run(&args),
        Command::Compare(args) => compare::run(&args),
        Command::Validate(args) => validate::run(&args),
        Command::Merge(args) => merge::run(&args),
        #[cfg(feature = "convert")]
        Command::Convert(args) => convert::run(&args),
        Command::Anonymise(args) => anonymise::run(&args),
        Command::Schema(args) => schema::run(&args),
        Command::Completions(args) => completions::run(&args, Cli::command()),
        Command::Man(args) => man::run(&args, Cli::command()),
    };
    outcome.unwrap_or_else(|error| commands::fail(&error))
}
