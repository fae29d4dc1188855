//! [`Answer`]: the means that LINE computes for the chain at another rate. The export of the known recording contains a layered
//! queueing network and the program that solves it with LINE.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::Context;
use e2e::binaries::{Done, command_in, tool};
use serde_json::Value;

use super::program::finish;

/// Mean values of a solved network.
pub struct Answer {
    results: Value,
}

impl Answer {
    /// Exports the recording, and solves its network at `rate` requests a second.
    pub fn of(bin_dir: &Path, known: &Path, rate: f64, folder: &Path) -> anyhow::Result<Self> {
        let out = folder.join("lqn");
        let mut command = command_in(bin_dir, "cctf")?;
        command.args(["export", "lqn"]).arg(known).arg("--out").arg(&out);
        Done::success("export", &mut command)?;
        let mut solve = Command::new(tool("line/bin/python")?);
        solve
            .arg(out.join("solve.py"))
            .args(["--rate", &rate.to_string()]);
        finish(&mut solve)?;
        let path = out.join("results.json");
        let text = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        Ok(Self {
            results: serde_json::from_slice(&text)?,
        })
    }

    /// A mean of a module, milliseconds.
    pub fn mean_ms(&self, module: &str, field: &str) -> f64 {
        let stations = self.results["stations"].as_array();
        let station = stations.and_then(|list| list.iter().find(|station| station["module"] == module));
        station
            .and_then(|station| station[field].as_f64())
            .unwrap_or(f64::NAN)
    }
}
