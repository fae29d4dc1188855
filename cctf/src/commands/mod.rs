//! The subcommands. Each has its own file, with its flags and a function that returns the exit code.

pub mod anonymise;
mod cells;
pub mod compare;
pub mod completions;
#[cfg(feature = "convert")]
pub mod convert;
pub mod damages;
pub mod display;
mod driver;
pub mod event;
pub mod export;
pub mod flags;
mod follow_rows;
pub mod load;
pub mod ls;
pub mod man;
pub mod merge;
mod otlp;
mod page_file;
pub mod place;
mod placement_event;
pub mod plan;
pub mod replay;
pub mod report;
pub mod run;
mod run_report;
mod run_target;
pub mod schema;
pub mod stats;
pub mod tail;
pub mod trace;
pub mod validate;
pub mod whatif;

use std::path::Path;
use std::process::ExitCode;

use cctf_load::error::DriveError;
use cctf_proto::{log_line, stdio};
use cctf_stack::folder::FolderError;
use otlp_send::TlsError;

/// Everything succeeded.
pub const DONE: u8 = 0;
/// The work failed, or there were losses or findings.
pub const FAILED: u8 = 1;
/// The command line or the environment is invalid, or asks for something impossible.
pub const USAGE: u8 = 2;

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// Readable text.
    Text,
    /// JSON.
    Json,
}

pub use cli::UsageError;

/// Prints a result that ends with a newline.
fn print(result: &str) -> anyhow::Result<()> {
    Ok(stdio::print(result)?)
}

fn print_json(result: &impl serde::Serialize) -> anyhow::Result<()> {
    Ok(stdio::print_line(&serde_json::to_string(result)?)?)
}

/// Prints clap's answer to a command line: help, the version, or an error.
pub fn help_or_refusal(error: &clap::Error) -> ExitCode {
    let written = error.print();
    match stdio::printed(written) {
        Err(unprinted) if !error.use_stderr() => fail(&unprinted.into()),
        _ => ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(USAGE)),
    }
}

/// Prints an error and returns its exit code.
pub fn fail(error: &anyhow::Error) -> ExitCode {
    // File names, and texts from files, must not control the terminal.
    let text = cli::describe(error.as_ref());
    let lines: Vec<String> = text.split('\n').map(cells::printable).collect();
    log_line!("cctf: {}", lines.join("\n"));
    let is_usage = error.chain().any(|cause| {
        cause.is::<UsageError>()
            || cause.is::<TlsError>()
            || matches!(
                cause.downcast_ref(),
                Some(DriveError::Payload(_) | DriveError::RunHasDriver(_))
            )
            || matches!(
                cause.downcast_ref(),
                Some(FolderError::Taken(_) | FolderError::InUse(_))
            )
    });
    ExitCode::from(if is_usage { USAGE } else { FAILED })
}

/// Refuses an existing result before the command does anything that takes long.
pub fn refuse_existing_out(out: &Path) -> Result<(), UsageError> {
    match out.symlink_metadata() {
        Ok(_) => Err(UsageError(format!(
            "cannot create {}: it already exists; choose another path with --out",
            out.display()
        ))),
        Err(_) => Ok(()),
    }
}
