//! `cctf completions`: prints a completion script for a shell.

use std::process::ExitCode;

use clap::{Args, Command};
use clap_complete::{Shell, generate};

use super::{DONE, print};

const AFTER_HELP: &str = "\
Examples:
  In this shell only:
    source <(cctf completions bash)
  In every new shell, for bash and for fish:
    cctf completions bash > ~/.local/share/bash-completion/completions/cctf
    cctf completions fish > ~/.config/fish/completions/cctf.fish

Exit codes:
  0  the script was printed
  1  standard output cannot be written
  2  unknown shell";

#[derive(Debug, Clone, Args)]
#[command(after_help = AFTER_HELP)]
pub struct CompletionsArgs {
    /// Shell that runs the script.
    shell: Shell,
}

/// `command` is the whole command line of this program.
pub fn run(args: &CompletionsArgs, mut command: Command) -> anyhow::Result<ExitCode> {
    let name = command.get_name().to_owned();
    let mut script = Vec::new();
    generate(args.shell, &mut command, name, &mut script);
    print(&String::from_utf8(script)?)?;
    Ok(ExitCode::from(DONE))
}
