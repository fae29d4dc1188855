//! The binary `cctf`: parses the command line and hands it to one subcommand.

// These macros panic where nobody reads any more, or where a disk is full: `stdio` of the contract crate does not.
#![deny(clippy::print_stderr, clippy::print_stdout)]

mod commands;

use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use cli::ignore_empty_variables;
use commands::{event, load, merge, run, schema, tail, validate};

/// Toolbox for runs: drives real load, keeps its trace as CCTF files, and checks them.
#[derive(Parser)]
#[command(version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Start a normalizer and a service (or a chain of three), drive them, check what they leave behind.
    Run(Box<run::RunArgs>),
    /// Drive one endpoint of a running service with open-loop HTTP load.
    Load(Box<load::LoadArgs>),
    /// Tell that a module was scaled or has moved to another node.
    Event(Box<event::EventArgs>),
    /// Follow the rows of a run as they come.
    Tail(tail::TailArgs),
    /// Check all rules of the contract on a run's folder.
    Validate(validate::ValidateArgs),
    /// Make one run of many folders: normalizers side by side, parts of a run, runs.
    Merge(merge::MergeArgs),
    /// Print the types of a file of the contract for a reader.
    Schema(schema::SchemaArgs),
}

fn main() -> ExitCode {
    let command = ignore_empty_variables(Cli::command())
        .mut_subcommands(|command| ignore_empty_variables(command).mut_subcommands(ignore_empty_variables));
    let parsed = command
        .try_get_matches()
        .and_then(|matches| Cli::from_arg_matches(&matches));
    let cli = match parsed {
        Ok(cli) => cli,
        Err(error) => return commands::help_or_refusal(&error),
    };
    let outcome = match cli.command {
        Command::Run(args) => run::run(&args),
        Command::Load(args) => load::run(&args),
        Command::Event(args) => event::run(&args),
        Command::Tail(args) => tail::run(&args),
        Command::Validate(args) => validate::run(&args),
        Command::Merge(args) => merge::run(&args),
        Command::Schema(args) => schema::run(&args),
    };
    outcome.unwrap_or_else(|error| commands::fail(&error))
}
