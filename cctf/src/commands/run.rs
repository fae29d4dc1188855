//! `cctf run`: starts a normalizer and services, sends load, and validates the files.
//!
//! [`args`] has the flags. [`load`] starts one service, a chain or an application, and loads endpoints; [`drives`] has the actions
//! during that. [`whole`] is what both have in common.

mod args;
mod drives;
mod load;
mod whole;

use std::process::ExitCode;

pub use args::RunArgs;

pub fn run(args: &RunArgs) -> anyhow::Result<ExitCode> {
    load::run(args)
}
