//! Finds the real binaries. They are in the folder of the test's own executable, and built with the same profile.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context, ensure};
use serde_json::Value;

use crate::exclusive;
use crate::host::load::Load;
use crate::sources::root;

/// Variables that binaries inherit. Other variables could change what they do.
const INHERITED: [&str; 3] = ["PATH", "HOME", "TMPDIR"];

/// The folder of this executable. If it is cargo's `deps`, the parent of this folder.
pub fn bin_dir() -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe().context("cannot find this executable")?;
    let folder = own.parent().context("this executable has no folder")?;
    let above = folder.file_name() == Some(OsStr::new("deps"));
    let folder = if above {
        folder.parent().unwrap_or(folder)
    } else {
        folder
    };
    Ok(folder.to_owned())
}

/// A command for a binary in `folder`, with a clean environment.
pub fn command_in(folder: &Path, name: &str) -> anyhow::Result<Command> {
    let path = folder.join(name);
    ensure!(
        path.is_file(),
        "cannot find {}; run `make test`, which builds it, or `cargo build --workspace --bins`",
        path.display()
    );
    let mut command = Command::new(path);
    command.env_clear();
    for name in INHERITED {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    Ok(command)
}

/// A command for a binary in [`bin_dir`].
pub fn command(name: &str) -> anyhow::Result<Command> {
    command_in(&bin_dir()?, name)
}

/// The path of a file in `target/tools`, where `make test-tools` installs the tools of the tests.
pub fn tool(path: &str) -> anyhow::Result<PathBuf> {
    let path = root().join("target/tools").join(path);
    ensure!(
        path.exists(),
        "cannot find {}; run `make test`, which installs it",
        path.display()
    );
    Ok(path)
}

/// Exit code and output of a finished command.
#[derive(Debug)]
pub struct Done {
    /// `None` if a signal ended the command.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Done {
    /// Runs a command of `cctf` until it exits, which must be with exit code 0. `name` is the subcommand, for error messages.
    pub fn success(name: &str, command: &mut Command) -> anyhow::Result<Self> {
        let output = command.output();
        let done = Self::from(output.with_context(|| format!("cannot start cctf {name}"))?);
        ensure!(
            done.code == Some(0),
            "cctf {name} ended with {:?}\n{}\n{}",
            done.code,
            done.stdout,
            done.stderr
        );
        Ok(done)
    }

    /// Standard output as one JSON value.
    pub fn json(&self) -> anyhow::Result<Value> {
        serde_json::from_str(&self.stdout).with_context(|| format!("invalid JSON: {self:?}"))
    }
}

impl From<Output> for Done {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// Runs `cctf` and waits for its end.
pub fn cctf<S: AsRef<OsStr>>(args: &[S]) -> anyhow::Result<Done> {
    Ok(command("cctf")?
        .args(args)
        .output()
        .context("cannot start cctf")?
        .into())
}

/// Join window of a run that stops its normalizer at the end: rows do not wait for it. On a busy machine, a caller can be late
/// by seconds.
pub const LONG_WINDOW: &str = "120s";

/// Runs `cctf run` for two seconds into `logs_dir`, under the run id `r`, and returns its report as JSON.
///
/// Takes the lock of the machine for this time, because other tests would delay its requests.
pub fn short_run(logs_dir: &Path, args: &[&str]) -> anyhow::Result<Value> {
    short_run_beside(0, logs_dir, args)
}

/// As [`short_run`], while this number of threads keeps CPUs busy.
pub fn short_run_beside(busy: usize, logs_dir: &Path, args: &[&str]) -> anyhow::Result<Value> {
    let _machine = exclusive::machine();
    let mut load = Load::new();
    (0..busy).for_each(|_| load.burn());
    let mut command = command("cctf")?;
    command.args([
        "run",
        "--rate",
        "40",
        "--duration",
        "2s",
        "--join-window",
        LONG_WINDOW,
    ]);
    command
        .args(["--run-id", "r", "--format", "json", "--logs-dir"])
        .arg(logs_dir)
        .args(args);
    let done = Done::success("run", &mut command);
    load.finish()?;
    done?.json()
}
