//! Tests of the program `cctf` as a process: its commands, exit codes and output.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the failure")]

mod anonymise;
mod compare;
mod connections;
mod disk;
mod event;
mod export;
mod export_bad_input;
mod export_parquet;
mod export_simgrid;
mod folders;
mod load;
mod ls;
mod merge;
mod output;
mod pause;
mod plan;
#[allow(dead_code, reason = "also a program, whose main is not used here")]
#[path = "../../examples/recorded/main.rs"]
mod recorded;
mod recorded_run;
mod replay;
mod report;
mod run;
mod servers;
#[allow(dead_code, reason = "also a program, whose main is not used here")]
#[path = "../../examples/shards.rs"]
mod shards;
mod shell;
mod stats;
mod stats_cpu;
mod stats_lint;
mod tail_traces;
mod trace;
mod unreadable;

use std::process::{Command, Output};

/// `cctf` with these arguments, but without the environment of this process.
fn cctf(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cctf"));
    command.env_clear().args(args);
    command
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
