//! [`finish`]: runs a third-party program to its end.

use std::process::Command;

use anyhow::{Context, ensure};
use e2e::binaries::Done;

/// Runs a program, which must succeed.
pub fn finish(command: &mut Command) -> anyhow::Result<()> {
    let output = command
        .output()
        .with_context(|| format!("cannot start {command:?}: run scripts/setup simgrid"))?;
    let done = Done::from(output);
    ensure!(
        done.code == Some(0),
        "{command:?}: {}{}",
        done.stdout,
        done.stderr
    );
    Ok(())
}
