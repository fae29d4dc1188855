//! [`Site`]: a normalizer and services that keep running while runs are recorded, replayed and compared.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use e2e::binaries::{Done, command_in};
use e2e::child::{Child, wait_for};
use serde_json::Value;
use tempfile::TempDir;

/// Exit codes of `cctf compare`.
const SAME: i32 = 0;
const DIFFERS: i32 = 3;
const CANNOT_TELL: i32 = 4;

/// The result of `cctf compare` in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    Same,
    Differs,
    CannotTell,
    /// The comparison is not valid, because the driver was late.
    Void,
}

/// A verdict and its JSON.
pub struct Verdict {
    pub word: Word,
    pub json: Value,
}

impl Verdict {
    /// The first cause or reason as text.
    pub fn cause(&self) -> String {
        let verdict = &self.json["verdict"];
        let undecided = &verdict["reasons"][0];
        let texts = [
            &verdict["causes"][0]["text"],
            &undecided["reason"],
            &verdict["reason"],
        ];
        let text = texts.into_iter().find_map(Value::as_str).unwrap_or_default();
        let of = [&undecided["topic"], &undecided["module"]].map(|value| value.as_str().unwrap_or_default());
        format!("{} {} {text}", of[0], of[1]).trim().to_owned()
    }
}

/// A normalizer with one folder for all runs, and services that send to it.
pub struct Site<'a> {
    bin_dir: &'a Path,
    normalizer: Child,
    services: Vec<Child>,
    logs: TempDir,
}

impl<'a> Site<'a> {
    pub fn start(bin_dir: &'a Path) -> anyhow::Result<Self> {
        let logs = tempfile::tempdir()?;
        let normalizer = Child::normalizer(bin_dir, logs.path(), &["--join-window", "1s"])?;
        Ok(Self {
            bin_dir,
            normalizer,
            services: Vec::new(),
            logs,
        })
    }

    /// The folder of all runs.
    pub fn logs(&self) -> &Path {
        self.logs.path()
    }

    /// URL of the normalizer.
    pub fn otlp(&self) -> anyhow::Result<String> {
        self.normalizer.url("grpc")
    }

    /// Starts a service under the name of a module, and returns its URL.
    pub fn service(&mut self, module: &str, variables: &[(&str, &str)]) -> anyhow::Result<String> {
        let otlp = self.otlp()?;
        let own = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", otlp.as_str()),
            ("MODULE_ID", module),
            ("NODE_ID", module),
            ("STAGE", "edge"),
            ("QUEUE_LIMIT", "100000"),
        ];
        let service = Child::service(self.bin_dir, &[&own, variables].concat())?;
        let url = service.url("listening")?;
        self.services.push(service);
        Ok(url)
    }

    /// Stops all services.
    pub fn stop_services(&mut self) -> anyhow::Result<()> {
        for service in self.services.drain(..) {
            service.stop()?;
        }
        Ok(())
    }

    /// Records a run of `cctf load` with Poisson arrivals at a mean rate per second.
    pub fn record(
        &self,
        run_id: &str,
        url: &str,
        endpoint: &str,
        (rate, duration): (f64, &str),
        more: &[&str],
    ) -> anyhow::Result<PathBuf> {
        let rate = format!("{rate:.1}");
        let load = [
            "--target",
            url,
            "--endpoint",
            endpoint,
            "--rate",
            &rate,
            "--duration",
            duration,
            "--arrivals",
            "poisson",
        ];
        self.send("load", run_id, &[load.as_slice(), more].concat())
    }

    /// Records several endpoints, one after the other, in one run. Each endpoint gets the same `load` for the same
    /// `duration`.
    pub fn record_all(
        &self,
        run_id: &str,
        url: &str,
        endpoints: &str,
        (load, duration): (&[&str], &str),
    ) -> anyhow::Result<PathBuf> {
        let logs = self
            .logs
            .path()
            .to_str()
            .context("the folder's name is not UTF-8")?;
        let further = [
            "--endpoints",
            endpoints,
            "--duration",
            duration,
            "--logs-dir",
            logs,
        ];
        self.send(
            "run",
            run_id,
            &[&["--target", url], load, further.as_slice()].concat(),
        )
    }

    /// Replays a run.
    pub fn replay(&self, of: &Path, run_id: &str, url: &str, args: &[&str]) -> anyhow::Result<PathBuf> {
        let of = of.to_str().context("the folder's name is not UTF-8")?;
        self.send("replay", run_id, &[&[of, "--target", url], args].concat())
    }

    /// Runs a subcommand of `cctf` that sends requests, and returns the folder of its run.
    pub fn send(&self, subcommand: &str, run_id: &str, args: &[&str]) -> anyhow::Result<PathBuf> {
        let mut command = command_in(self.bin_dir, "cctf")?;
        command.args([subcommand, "--run-id", run_id, "--format", "json"]);
        command.args(["--otlp-endpoint", &self.otlp()?]).args(args);
        Done::success(subcommand, &mut command)?;
        let folder = self.logs.path().join(run_id);
        wait_for_end(&folder)?;
        Ok(folder)
    }

    /// The verdict of `cctf compare` on two runs.
    pub fn compare(&self, first: &Path, second: &Path) -> anyhow::Result<Verdict> {
        compare(self.bin_dir, first, second)
    }
}

/// The verdict of `cctf compare` on two runs.
pub fn compare(bin_dir: &Path, first: &Path, second: &Path) -> anyhow::Result<Verdict> {
    let mut command = command_in(bin_dir, "cctf")?;
    command
        .arg("compare")
        .args([first, second])
        .args(["--format", "json"]);
    let done = Done::from(command.output().context("cannot start cctf compare")?);
    let json = done.json().with_context(|| done.stderr.clone())?;
    let word = match (done.code, json["verdict"]["answer"].as_str()) {
        (Some(SAME), _) => Word::Same,
        (Some(DIFFERS), _) => Word::Differs,
        (Some(CANNOT_TELL), Some("void")) => Word::Void,
        (Some(CANNOT_TELL), _) => Word::CannotTell,
        (code, _) => bail!("cctf compare ended with {code:?}: {}", done.stderr),
    };
    Ok(Verdict { word, json })
}

/// Waits until the normalizer has closed a run.
pub fn wait_for_end(folder: &Path) -> anyhow::Result<()> {
    let meta = folder.join("cctf/run_meta.json");
    wait_for(&format!("ended_ts in {}", meta.display()), || {
        let text = std::fs::read_to_string(&meta).unwrap_or_default();
        let meta: Value = serde_json::from_str(&text).unwrap_or_default();
        Ok((!meta["ended_ts"].is_null()).then_some(()))
    })
}
