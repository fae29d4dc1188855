//! `cctf export wfformat`: a workflow of WfCommons.

use std::process::ExitCode;

use clap::Args;
use export::targets::wfformat::WfFormat;

use super::common::{self, CommonArgs, EXIT_CODES};

const AFTER_HELP: &str = "\
WfCommons (https://wfcommons.org) is a collection of tools for workflows: graphs of tasks. WRENCH and other simulators read its
format, WfFormat. The export is one file in version 1.5, OUT/workflow.json. Each root with everything below it is a part of the
graph:
  an invocation becomes several tasks: one for its own work before each call, and one for its own work before the answer;
  a call to something that sends no telemetry, such as a database, is a task on the machine \"outside\";
  a chain of tasks \"arrival\" on that machine makes each root begin at its recorded time;
  bodies of requests and answers are files.
Runtimes are seconds with 9 decimals, avgCPU is percent of one core, sizes are bytes. The file has neither
network times nor waits for slots and CPUs, because these arise again in a simulation. WfFormat has no slots.

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
