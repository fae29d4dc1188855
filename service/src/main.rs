//! The binary: reads the command line, and serves or asks a running service whether it is ready.

// These macros panic where nobody reads any more, or where a disk is full: `stdio` of the contract crate does not.
#![deny(clippy::print_stderr, clippy::print_stdout)]

use std::process::ExitCode;

use cctf_proto::{log_line, stdio};
use tunable_svc::settings::{Command, CommandLine};
use tunable_svc::{healthcheck, server};

/// What an I/O thread allocates for a request a slot frees, and the other way round, which glibc's allocator takes locks for.
/// Measured on /hash/sha256: 2% more requests per CPU-second with tracing, 3% without.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A flag or variable that cannot be used.
const EXIT_USAGE: u8 = 2;

fn main() -> ExitCode {
    let line = match CommandLine::read(std::env::args_os()) {
        Ok(line) => line,
        Err(error) => return refuse(&error),
    };
    let done = match line.command {
        Some(Command::Healthcheck { admin_listen }) => healthcheck::ask(admin_listen),
        None => server::run(line.settings),
    };
    exit_code(done)
}

fn exit_code(done: anyhow::Result<()>) -> ExitCode {
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            log_line!("tunable-svc: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Help and version are printed as they are; an error is one sentence.
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
