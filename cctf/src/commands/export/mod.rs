//! `cctf export`: a recorded run in the format of a simulator or a viewer. One file for each target.
//!
//! [`common`] has the flags and steps that they share, [`summary`] the printed text.

mod common;
mod perfetto;
mod summary;

use std::process::ExitCode;

use clap::{Args, Subcommand};

const AFTER_HELP: &str = "\
Examples:
  cctf export perfetto logs/latest --out chain-perfetto     # a timeline for https://ui.perfetto.dev

Each target has a page in docs/export, with the origin of each field, units, what is lost, and how to run the result.
What an export assumes, because the run does not state it, is printed and is in OUT/assumptions.json; --strict refuses to write
an export whose results can be wrong because of it.";

#[derive(Debug, Clone, Args)]
#[command(after_help = AFTER_HELP)]
pub struct ExportArgs {
    #[command(subcommand)]
    target: Target,
}

#[derive(Debug, Clone, Subcommand)]
enum Target {
    /// A timeline for the trace viewer Perfetto: a track for each slot, arrows for calls, counters.
    Perfetto(perfetto::PerfettoArgs),
}

pub fn run(args: &ExportArgs) -> anyhow::Result<ExitCode> {
    match &args.target {
        Target::Perfetto(args) => perfetto::run(args),
    }
}
