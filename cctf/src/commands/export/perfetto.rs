//! `cctf export perfetto`: a timeline for the trace viewer Perfetto.

use std::process::ExitCode;

use clap::Args;
use export::targets::perfetto::Perfetto;

use super::common::{self, CommonArgs, EXIT_CODES};

const AFTER_HELP: &str = "\
Perfetto (https://perfetto.dev) is a viewer for traces, and a database for SQL queries on them. The export is one file,
OUT/trace.pftrace. Open it at https://ui.perfetto.dev, which reads the file in the browser and uploads nothing. The file has:
  a group for each node, with a group for each instance on the node
  in the group of an instance: a track for each slot (a thread that processes one request at a time), with the requests and their
  calls; tracks for waits in the queue, and for calls that overlap other calls
  an arrow from each call to the invocation (the processed request) that it caused
  counters: CPU usage of nodes (percent), requests in flight and queue lengths of instances
All times are the recorded ones, in nanoseconds since the Unix epoch. The clocks of nodes are not corrected, so an arrow can point
backwards. The run does not state which slot processed a request. The export assigns the free slot with the lowest number.

Examples:
  cctf export perfetto logs/latest --out timeline
  One minute of a long run:
    cctf export perfetto gzip-60 --from 1m --to 2m --out minute

docs/export/perfetto.md describes each field.
";

#[derive(Debug, Clone, Args)]
#[command(args_override_self = true, after_long_help = format!("{AFTER_HELP}\n{EXIT_CODES}"), after_help = "Examples and exit codes: cctf export perfetto --help")]
pub struct PerfettoArgs {
    #[command(flatten)]
    common: CommonArgs,
}

pub fn run(args: &PerfettoArgs) -> anyhow::Result<ExitCode> {
    common::run(&args.common, &Perfetto)
}
