//! The binary `cctf`: parses the command line and hands it to one subcommand.

use std::process::ExitCode;

use cctf::commands::{self, load};
use clap::{Parser, Subcommand};

/// Toolbox for runs: drives real load, keeps its trace as CCTF files, and checks them.
#[derive(Parser)]
#[command(version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Drive one endpoint with open-loop HTTP load.
    Load(load::LoadArgs),
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Load(args) => load::run(&args),
    };
    outcome.unwrap_or_else(|error| commands::fail(&error))
}
