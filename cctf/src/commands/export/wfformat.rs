//! `cctf export wfformat`: a workflow of WfCommons.

use std::process::ExitCode;

use clap::Args;
use export::targets::wfformat::WfFormat;

use super::common::{self, CommonArgs, EXIT_CODES};

const AFTER_HELP: &str = "\
WfCommons (https://wfcommons.org) is a collection of tools for workflows, which are graphs of tasks. WRENCH and other simulators
read the format of these tools, WfFormat. The export is one file in version 1.5 of the format, OUT/workflow.json. The graph contains:
  several tasks for each invocation (a request that an instance processed): one for the instance's own work before each call, and
  one for its own work before the answer
  a task on the machine \"outside\" for each call to a peer without telemetry, such as a database
  a chain of tasks \"arrival\" on the machine \"outside\", so that each request from outside begins at its recorded time
  a file for the body of each request and of each answer
Runtimes are seconds with 9 decimals, avgCPU is percent of one core, sizes are bytes. Network times and waits for slots and CPUs
are left out, because a simulation produces its own. WfFormat has no slots.

Examples:
  cctf export wfformat logs/latest --out workflow
  python3 -c 'import json; print(len(json.load(open(\"workflow/workflow.json\"))[\"workflow\"][\"execution\"][\"tasks\"]))'

docs/export/wfformat.md describes each field, and how to validate the file with the Python package wfcommons.
";

#[derive(Debug, Clone, Args)]
#[command(args_override_self = true, after_long_help = format!("{AFTER_HELP}\n{EXIT_CODES}"), after_help = "Examples and exit codes: cctf export wfformat --help")]
pub struct WfFormatArgs {
    #[command(flatten)]
    common: CommonArgs,
}

pub fn run(args: &WfFormatArgs) -> anyhow::Result<ExitCode> {
    common::run(&args.common, &WfFormat)
}
