//! Where the real binaries are: beside the test's own executable, built by the same profile.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context, ensure};
use serde_json::Value;

use crate::exclusive;

/// Variables of the caller's environment that reach the binaries. Any other could change what they do.
const INHERITED: [&str; 3] = ["PATH", "HOME", "TMPDIR"];

/// The folder of the binaries: that of this executable, or the one above if it is cargo's `deps`.
///
/// # Errors
/// If the system does not tell where this executable is.
pub fn bin_dir() -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe().context("cannot find out where this executable is")?;
    let folder = own.parent().context("this executable has no folder")?;
    let above = folder.file_name() == Some(OsStr::new("deps"));
    let folder = if above {
        folder.parent().unwrap_or(folder)
    } else {
        folder
    };
    Ok(folder.to_owned())
}

/// A command for one of the binaries in `folder`, without this process's own settings.
///
/// # Errors
/// If it has not been built.
pub fn command_in(folder: &Path, name: &str) -> anyhow::Result<Command> {
    let path = folder.join(name);
    ensure!(
        path.is_file(),
        "{} is not there: run `make test`, which builds it, or `cargo build --workspace --bins`",
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

/// A command for one of the binaries.
///
/// # Errors
/// If it has not been built.
pub fn command(name: &str) -> anyhow::Result<Command> {
    command_in(&bin_dir()?, name)
}

/// What `cctf` did.
#[derive(Debug)]
pub struct Done {
    /// Exit code; none if a signal ended it.
    pub code: Option<i32>,
    /// All of standard output.
    pub stdout: String,
    /// All of standard error.
    pub stderr: String,
}

impl Done {
    /// Standard output as one JSON value.
    ///
    /// # Errors
    /// If it is none; the message has standard error, too.
    pub fn json(&self) -> anyhow::Result<Value> {
        serde_json::from_str(&self.stdout).with_context(|| format!("{self:?} printed no JSON"))
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
///
/// # Errors
/// If it has not been built or cannot be started.
pub fn cctf<S: AsRef<OsStr>>(args: &[S]) -> anyhow::Result<Done> {
    Ok(command("cctf")?
        .args(args)
        .output()
        .context("cannot start cctf")?
        .into())
}

/// Runs `cctf run` for two seconds into `logs_dir`, under the run id `r`, and returns its report as JSON.
///
/// Holds the machine meanwhile: a row that waits for more than one second for its caller becomes an orphan.
///
/// # Errors
/// If the run was no success.
pub fn short_run(logs_dir: &Path, args: &[&str]) -> anyhow::Result<Value> {
    let _machine = exclusive::machine();
    let mut command = command("cctf")?;
    command.args(["run", "--rate", "40", "--duration", "2s", "--join-window", "1s"]);
    command
        .args(["--run-id", "r", "--format", "json", "--logs-dir"])
        .arg(logs_dir)
        .args(args);
    let done = Done::from(command.output().context("cannot start cctf run")?);
    ensure!(
        done.code == Some(0),
        "cctf run ended with {:?}\n{}\n{}",
        done.code,
        done.stdout,
        done.stderr
    );
    done.json()
}
