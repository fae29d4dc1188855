//! The binary: reads the command line, then serves or runs the health check.

// These macros panic if a pipe is closed or a disk is full; `stdio` of the crate `cctf-proto` does not.
#![deny(clippy::print_stderr, clippy::print_stdout)]

use std::process::ExitCode;

use cctf_proto::{log_line, stdio};
use tunable_svc::settings::{Command, CommandLine};
use tunable_svc::{healthcheck, server};

/// I/O threads free memory that slots allocated, and vice versa. glibc's allocator takes locks for this.
/// Measured on /hash/sha256: mimalloc serves 2% more requests per CPU-second with tracing, and 3% more without.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Exit code for an invalid flag or variable.
const EXIT_USAGE: u8 = 2;

fn main() -> ExitCode {
    let line = match CommandLine::read(std::env::args_os()) {
        Ok(line) => line,
        Err(error) => return refuse(&error),
    };
    let done = match line.command {
        Some(Command::Healthcheck { admin_listen }) => healthcheck::run(admin_listen),
        None => server::run(line.settings),
    };
    exit_code(done)
}

fn exit_code(done: anyhow::Result<()>) -> ExitCode {
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            log_line!("tunable-svc: {}", cli::describe(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

/// Prints help and version unchanged, and an error as one line.
fn refuse(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() {
        return exit_code(stdio::printed(error.print()).map_err(Into::into));
    }
    let text = error.render().to_string();
    let lines: Vec<&str> = text
        .lines()
        .map(str::trim)
        .take_while(|line| !line.is_empty())
        .collect();
    log_line!(
        "tunable-svc: {}; see --help",
        lines.join(" ").trim_start_matches("error: ")
    );
    ExitCode::from(EXIT_USAGE)
}
