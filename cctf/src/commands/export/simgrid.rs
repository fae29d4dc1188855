//! `cctf export simgrid`: writes a platform, stations and work for the simulator SimGrid, with programs that simulate them.

use std::process::ExitCode;

use clap::Args;
use export::targets::simgrid::{Arrivals, SimGrid};
use plan::plan::Window;

use super::common::{self, CommonArgs, EXIT_CODES};
use crate::commands::plan::whole::read_plan;
use crate::commands::run_target::find;

const AFTER_HELP: &str = "\
SimGrid (https://simgrid.org) is a simulator of distributed systems. The export has:
  the platform: hosts with speeds and CPUs, and the links between them
  the stations: for each instance its node, number of slots (concurrent requests), slot policy and queue limit
  the work: arrivals, times with and without CPU, and calls, each with a list of the calls that must end before this call starts
  two programs that simulate the run: one in C++ for runs of any size, one in Python for experiments with a part of a run
The programs write the simulated run as CCTF, so that cctf compare and cctf report read it:
  cctf export simgrid chain --out chain-simgrid
  cmake -S chain-simgrid/cpp -B chain-simgrid/build && cmake --build chain-simgrid/build
  chain-simgrid/build/replay chain-simgrid --out logs/chain-simulated
  cctf compare chain chain-simulated
To try other nodes, slots or policies, change chain-simgrid/stations.tsv or chain-simgrid/platform.xml before the simulation.

With --arrivals, the simulation predicts another run of the same application. Requests arrive as in that other run. Each request has
the work that a request to the same endpoint had in the exported run.
  cctf export simgrid quiet --arrivals busy --out prediction

docs/export/simgrid.md describes each field, what is lost, and how accurate predictions were.
";

#[derive(Debug, Clone, Args)]
#[command(args_override_self = true, after_long_help = format!("{AFTER_HELP}\n{EXIT_CODES}"), after_help = "Examples and exit codes: cctf export simgrid --help")]
pub struct SimgridArgs {
    #[command(flatten)]
    common: CommonArgs,
    /// A second run, whose arrivals replace those of the exported run. Each request has the work that a request to the same endpoint
    /// had in the exported run.
    #[arg(long, value_name = "DIR|RUN_ID")]
    arrivals: Option<String>,
}

pub fn run(args: &SimgridArgs) -> anyhow::Result<ExitCode> {
    let arrivals = match &args.arrivals {
        None => None,
        Some(name) => {
            let (run, part) = find(Some(name), args.common.logs_dir())?;
            let (plan, _) = read_plan(&run, &part, Window::default())?;
            Some(Arrivals::of(run.id(), &plan))
        }
    };
    common::run(&args.common, &SimGrid { arrivals })
}
