//! `cctf export lqn`: a layered queueing network for the solver LINE.

use std::process::ExitCode;

use clap::Args;
use export::targets::lqn::Lqn;

use super::common::{self, CommonArgs, EXIT_CODES};

const AFTER_HELP: &str = "\
A layered queueing network (LQN) is an analytic model: equations instead of a simulation. LINE
(https://line-solver.sourceforge.net), a Python package, solves the model. For a few instances, this takes seconds. The solution has
mean queue lengths, utilisations and response times, also for another load. The export has:
  model.lqnx       the network in the XML format of LQNS: nodes are processors, instances are tasks with their slots, endpoints are
                   entries with mean CPU time, mean time without CPU, and mean numbers of calls
  recorded.json    the module, instance and endpoint of each element, and what the run recorded of them
  solve.py         solves the network, and prints the predicted figures beside the recorded ones
The network has only mean values. LINE therefore assumes exponential service times and Poisson arrivals. Use LINE's results as a
yardstick for simulations, not as a replacement: with regular service times, queues are shorter than LINE predicts.

Examples (require the Python package line-solver 3.0.8.0):
  cctf export lqn logs/latest --out network
  python3 network/solve.py                # at the recorded rate; also writes network/results.json
  python3 network/solve.py --rate 80      # at 80 requests a second from outside

docs/export/lqn.md describes each field, and what is lost.
";

#[derive(Debug, Clone, Args)]
#[command(args_override_self = true, after_long_help = format!("{AFTER_HELP}\n{EXIT_CODES}"), after_help = "Examples and exit codes: cctf export lqn --help")]
pub struct LqnArgs {
    #[command(flatten)]
    common: CommonArgs,
}

pub fn run(args: &LqnArgs) -> anyhow::Result<ExitCode> {
    common::run(&args.common, &Lqn)
}
