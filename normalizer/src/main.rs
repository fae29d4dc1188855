//! The binary `cctf-normalizer`: reads the command line, then serves until SIGTERM or SIGINT, or runs a subcommand.

// These macros panic if the reader is gone or the disk is full; `cctf_proto::stdio` returns an error.
#![deny(clippy::print_stderr, clippy::print_stdout)]

use std::path::Path;
use std::process::ExitCode;

use cctf_normalizer::admin::healthcheck;
use cctf_normalizer::config::{Command, CommandLine, Config, ExplicitFlags, first_sentence};
use cctf_normalizer::recovery::replay;
use cctf_normalizer::server::{Addresses, Server};
use cctf_proto::{log_line, stdio};
use clap::error::ErrorKind;
use clap::{CommandFactory as _, FromArgMatches as _};
use cli::ignore_empty_variables;
use tokio::signal::unix::{SignalKind, signal};

/// Exit code for invalid usage.
const EXIT_USAGE: u8 = 2;

fn main() -> ExitCode {
    let command = ignore_empty_variables(CommandLine::command());
    let parsed = command
        .mut_subcommands(ignore_empty_variables)
        .try_get_matches()
        .and_then(|matches| {
            let explicit = ExplicitFlags::from_matches(&matches);
            Ok((CommandLine::from_arg_matches(&matches)?, explicit))
        });
    let (command_line, explicit) = match parsed {
        Ok(parsed) => parsed,
        Err(error) if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) => {
            return exit_code(stdio::print(&error.to_string()).map_err(Into::into));
        }
        Err(error) => {
            log_line!("cctf-normalizer: {}", first_sentence(&error));
            return ExitCode::from(EXIT_USAGE);
        }
    };
    let done = match command_line.command {
        Some(Command::Healthcheck { admin }) => healthcheck(&admin).map_err(Into::into),
        Some(Command::ReplayJournal { journal, config }) => replay_journal(&journal, &config, &explicit),
        None => serve(command_line.config),
    };
    exit_code(done)
}

fn exit_code(done: anyhow::Result<()>) -> ExitCode {
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            log_line!("cctf-normalizer: {error}");
            ExitCode::FAILURE
        }
    }
}

fn replay_journal(journal: &Path, config: &Config, explicit: &ExplicitFlags) -> anyhow::Result<()> {
    let records = replay(journal, config, explicit)?;
    log_line!(
        "cctf-normalizer: replayed {records} records of {} into {}",
        journal.display(),
        config.out_dir.display()
    );
    Ok(())
}

fn serve(config: Config) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(config.receiver_threads)
        .thread_name("receiver")
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let parent_gone = end_of_stdin(config.stop_with_stdin);
        let server = Server::bind(config).await?;
        print_addresses(server.addresses());
        let progress = server.progress();
        server
            .run(async {
                tokio::select! {
                    _ = terminate.recv() => {}
                    _ = interrupt.recv() => {}
                    () = parent_gone => {}
                }
            })
            .await?;
        log_line!(
            "cctf-normalizer: shut down gracefully after {} journal records and {} bytes written",
            progress.records(),
            progress.bytes_written()
        );
        Ok(())
    })
}

/// Resolves when standard input closes. If standard input is not watched, it never resolves.
async fn end_of_stdin(is_watched: bool) {
    if !is_watched {
        return std::future::pending().await;
    }
    let (ended, wait) = tokio::sync::oneshot::channel::<()>();
    // A read of standard input cannot be cancelled. The process ends without waiting for this thread.
    std::thread::spawn(move || {
        // An error counts as the end.
        let _ = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
        drop(ended);
    });
    let _ = wait.await;
}

/// Prints one line of JSON with the ports, for scripts.
fn print_addresses(addresses: Addresses) {
    let Addresses {
        grpc,
        http,
        admin,
        otlp_over_tls,
    } = addresses;
    let scheme = if otlp_over_tls { "https" } else { "http" };
    let line =
        format!(r#"{{"grpc":"{scheme}://{grpc}","http":"{scheme}://{http}","admin":"http://{admin}"}}"#);
    // This is not fatal, because the ports may be known from the flags.
    if let Err(error) = stdio::print_line(&line) {
        log_line!("warning: {error}");
    }
}
