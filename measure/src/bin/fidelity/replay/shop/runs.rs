//! [`Shop`]: runs of the shop and of its stand-ins. Each run starts its own processes.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use e2e::binaries::{Done, command_in, tool};
use e2e::ports::free_ports;
use e2e::sources::root;
use serde_json::json;
use tempfile::TempDir;

use super::super::proxy::Proxy;
use super::super::site::{Verdict, compare};

/// Load with so low a rate that requests rarely wait: a checkout and its mail take some 130 ms with the stock far away, and 50
/// ms otherwise.
const LOAD: [&str; 6] = ["--endpoints", "/checkout", "--rate", "8", "--duration", "75s"];
/// One-way delay between the stock and the services that call it.
pub const ONE_WAY_MS: u32 = 20;
const MOVED: &str = "stock";
/// Nodes whose services call the stock, and the node of the service that the stock calls.
const CALLERS: [&str; 2] = ["ep0", "edge0"];
const CALLED: &str = "cloud0";

/// The folder of all runs, and the proxy in front of the far stock.
pub struct Shop<'a> {
    bin_dir: &'a Path,
    logs: TempDir,
    proxy: Proxy,
}

impl<'a> Shop<'a> {
    pub fn start(bin_dir: &'a Path) -> anyhow::Result<Self> {
        Ok(Self {
            bin_dir,
            logs: tempfile::tempdir()?,
            proxy: Proxy::start()?,
        })
    }

    /// Records the shop itself. If `is_far`, all calls to the stock pass a proxy that delays them.
    pub fn record(&self, run_id: &str, is_far: bool) -> anyhow::Result<PathBuf> {
        let mut command = command_in(self.bin_dir, "cctf")?;
        command.env("SHOP_LOGS", self.logs.path().join(format!("{run_id}-logs")));
        if is_far {
            let [port] = free_ports()?;
            let url = format!("http://127.0.0.1:{port}");
            command.env("STOCK_PORT", port.to_string());
            command.env("STOCK_URL", self.proxy.link(MOVED, &url, ONE_WAY_MS)?);
        }
        command.args(["run", "--run-id", run_id]).args(LOAD);
        command.arg("--application").arg(root().join("examples/start"));
        self.run(command, run_id)
    }

    /// Repeats a recording by stand-ins. If `is_far`, the stock's stand-in has its own node in a network of namespaces.
    pub fn repeat(&self, run_id: &str, of: &Path, is_far: bool) -> anyhow::Result<PathBuf> {
        let mut command = command_in(self.bin_dir, "cctf")?;
        command.args(["run", "--run-id", run_id, "--stand-in"]).arg(of);
        if is_far {
            let path = self.logs.path().join("placement.json");
            fs::write(&path, placement().to_string()).context("cannot write the placement")?;
            command.arg("--placement").arg(path).arg("--netns");
            command.arg("--toxiproxy").arg(tool("bin/toxiproxy-server")?);
        }
        self.run(command, run_id)
    }

    fn run(&self, mut command: std::process::Command, run_id: &str) -> anyhow::Result<PathBuf> {
        command
            .args(["--format", "json", "--logs-dir"])
            .arg(self.logs.path());
        Done::success("run", &mut command)?;
        Ok(self.logs.path().join(run_id))
    }

    /// The verdict of `cctf compare` on two runs.
    pub fn compare(&self, first: &Path, second: &Path) -> anyhow::Result<Verdict> {
        compare(self.bin_dir, first, second)
    }
}

/// A placement: the stock is on a node that is far from its callers, and near the service that it calls.
fn placement() -> serde_json::Value {
    let far = "far0";
    let near = json!({"u": far, "v": CALLED, "delay_ms": 0});
    let links = CALLERS.map(|caller| json!({"u": caller, "v": far, "delay_ms": ONE_WAY_MS}));
    let links: Vec<_> = links.into_iter().chain([near]).collect();
    json!({
        "modules": {MOVED: {"node": far}},
        "nodes": {far: {"stage": "cloud"}},
        "links": links,
    })
}
