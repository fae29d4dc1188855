//! `cctf export cloudsim`: a project for the simulator CloudSim Plus.

use std::process::ExitCode;

use clap::Args;
use export::targets::cloudsim::CloudSim;

use super::common::{self, CommonArgs, EXIT_CODES};

const AFTER_HELP: &str = "\
CloudSim Plus (https://cloudsimplus.org) simulates clouds in Java. The export is a Maven project that simulates each instance of
the run as a virtual machine (VM). The VM has one processing element for each slot of the instance, and processes the recorded
requests first come, first served. To see how waits change, change slots, speeds or arrivals in these files:
  stations.csv                   instances with their slots
  swf/N.swf                      requests of instance N in the Standard Workload Format, in microseconds
  src/main/java/Stations.java    the simulation
Each instance is simulated independently of the others: its requests arrive at the recorded times, and its calls last as long as
recorded. For a simulation in which a slower instance also delays its callers, use cctf plan or the target simgrid.

Examples (require Java 17 and Maven; Maven downloads CloudSim Plus 8.5.7):
  cctf export cloudsim logs/latest --out stations
  mvn -q -f stations/pom.xml compile exec:java       # prints a table, and writes stations/results.csv

docs/export/cloudsim.md describes each field.
";

#[derive(Debug, Clone, Args)]
#[command(args_override_self = true, after_long_help = format!("{AFTER_HELP}\n{EXIT_CODES}"), after_help = "Examples and exit codes: cctf export cloudsim --help")]
pub struct CloudSimArgs {
    #[command(flatten)]
    common: CommonArgs,
}

pub fn run(args: &CloudSimArgs) -> anyhow::Result<ExitCode> {
    common::run(&args.common, &CloudSim)
}
