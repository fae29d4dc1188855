//! `cctf run`: starts a normalizer and services, sends load, and validates the files.
//!
//! - [`args`]: the flags; [`stand_in_flags`]: the flags of `--stand-in`.
//! - [`load`]: starts one service, a chain or an application, and sends load to endpoints. [`drives`]: the actions during the
//!   load.
//! - [`stand_in`]: starts stand-ins for a recorded run. [`whole`]: the steps that `load` and `stand_in` share.

mod args;
mod drives;
mod load;
mod stand_in;
mod stand_in_flags;
mod whole;

use std::process::ExitCode;

pub use args::RunArgs;

pub fn run(args: &RunArgs) -> anyhow::Result<ExitCode> {
    args.stand_ins.check()?;
    match &args.stand_ins.stand_in {
        Some(recorded) => stand_in::run(args, recorded),
        None => load::run(args),
    }
}
