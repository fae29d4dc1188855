//! `cctf man`: manual pages with the same text as the help.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, Command};
use clap_mangen::{Man, generate_to};

use super::{DONE, print};

const AFTER_HELP: &str = "\
Examples:
  cctf man | man -l -
  cctf man --out ~/.local/share/man/man1 && man cctf-trace

Exit codes:
  0  the pages were written
  1  a page or standard output cannot be written
  2  invalid flag";

#[derive(Debug, Clone, Args)]
#[command(after_help = AFTER_HELP)]
pub struct ManArgs {
    /// Path to a folder for the pages of all subcommands; created if missing. Default: print the page of cctf itself.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// `command` is the whole command line of this program.
pub fn run(args: &ManArgs, command: Command) -> anyhow::Result<ExitCode> {
    match &args.out {
        Some(folder) => {
            let written = fs::create_dir_all(folder).and_then(|()| generate_to(command, folder));
            written.with_context(|| format!("cannot write pages to {}", folder.display()))?;
        }
        None => {
            let mut page = Vec::new();
            // The pages in the folder also do not include the help command.
            let command = command.disable_help_subcommand(true);
            Man::new(command).render(&mut page)?;
            print(&String::from_utf8(page)?)?;
        }
    }
    Ok(ExitCode::from(DONE))
}
