//! [`Exported`]: an export for SimGrid and its drivers. The driver in C++ is built once. The one in Python runs in the system's
//! Python.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use e2e::binaries::{Done, cctf};
use serde_json::Value;
use tempfile::TempDir;

/// Flags with which all times except waiting times are the recorded ones.
pub const AS_RECORDED: [&str; 4] = ["--cpu", "recorded", "--network", "recorded"];

/// The system's Python. Its package of SimGrid is made for this version.
const PYTHON: &str = "/usr/bin/python3";

/// The driver. It is built from the files of an export, like a user would build it.
static DRIVER: LazyLock<TempDir> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    super::synthetic::synthetic(&run, 0);
    let export = folder.path().join("export");
    export_to(&run, &export, &[]);
    let build = folder.path().join("build");
    let configure = ["-S", "export/cpp", "-B", "build"];
    succeed(Command::new("cmake").args(configure).current_dir(folder.path()));
    succeed(Command::new("cmake").arg("--build").arg(&build));
    folder
});

/// An export and its summary.
pub struct Exported {
    folder: TempDir,
    summary: Value,
}

impl Exported {
    pub fn new(run: &Path, flags: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let summary = export_to(run, &folder.path().join("export"), flags);
        Self { folder, summary }
    }

    /// The path of a file of the export.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("export").join(name)
    }

    pub fn count(&self, name: &str) -> u64 {
        self.summary["counts"][name].as_u64().unwrap()
    }

    /// Simulates with the driver in C++. Returns the folder of the simulated run.
    pub fn replay(&self, run_id: &str, flags: &[&str]) -> PathBuf {
        self.run(
            &mut Command::new(DRIVER.path().join("build/replay")),
            run_id,
            flags,
        )
    }

    /// Like [`Exported::replay`], with the driver in Python.
    pub fn replay_in_python(&self, run_id: &str, flags: &[&str]) -> PathBuf {
        self.run(
            Command::new(PYTHON).arg(self.path("python/replay.py")),
            run_id,
            flags,
        )
    }

    fn run(&self, command: &mut Command, run_id: &str, flags: &[&str]) -> PathBuf {
        let out = self.folder.path().join(run_id);
        succeed(command.arg(self.path("")).arg("--out").arg(&out).args(flags));
        out
    }
}

/// Exports a run. Returns the summary.
fn export_to(run: &Path, out: &Path, flags: &[&str]) -> Value {
    let [run, out] = [run, out].map(|path| path.to_string_lossy().into_owned());
    let args = ["export", "simgrid", &run, "--out", &out, "--format", "json"];
    let args: Vec<&str> = args.iter().copied().chain(flags.iter().copied()).collect();
    let done = cctf(&args).unwrap();
    assert_eq!(done.code, Some(0), "{}\n{}", done.stdout, done.stderr);
    done.json().unwrap()
}

fn succeed(command: &mut Command) {
    let output = command.output();
    let done = Done::from(output.unwrap_or_else(|error| {
        panic!("cannot start {command:?}: {error}; run make test, which installs it")
    }));
    assert_eq!(
        done.code,
        Some(0),
        "{command:?}\n{}\n{}",
        done.stdout,
        done.stderr
    );
}
