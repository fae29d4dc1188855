//! `cctf export eclypse`: placement in the simulator ECLYPSE.

use std::process::ExitCode;

use clap::Args;
use export::targets::eclypse::Eclypse;

use super::common::{self, CommonArgs, EXIT_CODES};

const AFTER_HELP: &str = "\
ECLYPSE (https://github.com/eclypse-org/eclypse) is a simulator in Python. It checks whether a placement of services on edge and cloud
nodes meets their requirements. It has no queues, so the export is for placement only:
  infrastructure.json    nodes: CPUs, memory (GiB), and the mean time that an invocation on this node needed without waits and
                         calls (ms); links: latency (ms) and bandwidth (Mbit/s)
  application.json       a service for each instance, with the mean number of busy CPUs; interactions between services, with the
                         mean bandwidth (Mbit/s)
  placement.json         the recorded node of each service
  place.py               a program that places the services and prints the requirements that are not met

Examples (require the Python packages eclypse 0.9.1 and pyyaml):
  cctf export eclypse logs/latest --out placement
  python3 placement/place.py                  # the recorded placement
  python3 placement/place.py moved.json       # your own placement: a JSON object with a node for each service

docs/export/eclypse.md describes each field.
";

#[derive(Debug, Clone, Args)]
#[command(args_override_self = true, after_long_help = format!("{AFTER_HELP}\n{EXIT_CODES}"), after_help = "Examples and exit codes: cctf export eclypse --help")]
pub struct EclypseArgs {
    #[command(flatten)]
    common: CommonArgs,
}

pub fn run(args: &EclypseArgs) -> anyhow::Result<ExitCode> {
    common::run(&args.common, &Eclypse)
}
