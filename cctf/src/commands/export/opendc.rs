//! `cctf export opendc`: a workload and a topology for the simulator OpenDC.

use std::process::ExitCode;

use clap::Args;
use export::targets::opendc::OpenDc;

use super::common::{self, CommonArgs, EXIT_CODES};

const AFTER_HELP: &str = "\
OpenDC (https://opendc.org) simulates data centres: which host runs which task, and the energy that this takes. The export has:
  trace/tasks.parquet        a task for each invocation: arrival, duration (ms), cores, their speed (MHz)
  trace/fragments.parquet    one fragment for each task: its duration and mean use of CPUs (MHz)
  topology.json              a host for each node: CPUs, frequency, memory, power
  experiment.json            the input of OpenDC's runner, which names these files
OpenDC counts in whole milliseconds. So a task of less than 1 ms lasts 1 ms in the export, at a lower CPU usage, so that its work
is the same. OpenDC has no slots, no calls between tasks and no networks, and decides itself where tasks run. Use another target if
waits matter.

Examples:
  cctf export opendc logs/latest --out datacentre
  cd datacentre && OpenDCExperimentRunner --experiment-path experiment.json

docs/export/opendc.md describes each field, and names the commit of OpenDC that defines the columns.
";

#[derive(Debug, Clone, Args)]
#[command(args_override_self = true, after_long_help = format!("{AFTER_HELP}\n{EXIT_CODES}"), after_help = "Examples and exit codes: cctf export opendc --help")]
pub struct OpenDcArgs {
    #[command(flatten)]
    common: CommonArgs,
}

pub fn run(args: &OpenDcArgs) -> anyhow::Result<ExitCode> {
    common::run(&args.common, &OpenDc)
}
