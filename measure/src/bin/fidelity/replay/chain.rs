//! A chain on three nodes over links with a known delay. Each node has its own normalizer. The run is recorded, replayed,
//! merged and compared.
//!
//! The replay uses the same processes as the recording. New processes have other caches, files and memory. Their means can
//! differ by more than the allowed margin: for `/kv/set`, 0.157 ms was measured in one process and 0.195 ms in the next.

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use e2e::binaries::{Done, command_in};
use e2e::child::Child;

use super::proxy::Proxy;
use super::site::{Word, compare, wait_for_end};
use crate::finding::Finding;

/// Node, stage and path, in the order of a request's path.
const NODES: [(&str, &str, &str); 3] = [
    ("ep0", "endpoint", "/json/validate"),
    ("edge0", "edge", "/blob/gzip"),
    ("cloud0", "cloud", "/kv/set/k1"),
];
/// One-way delays of the links behind the first and the second node, ms.
const DELAYS_MS: [u32; 2] = [5, 20];
/// Bodies with which each service time is long enough that 2% of it are more than the noise of a clock and of a cache, and as many
/// requests as the interval of the shortest service time needs: 3,600 were too few.
const LOAD: [&str; 8] = [
    "--endpoint",
    "json",
    "--rate",
    "200",
    "--duration",
    "60s",
    "--size",
    "50000",
];
/// Requests before the recording. They bring connections, caches and the database into the state of a service that has run for
/// some time.
const WARM_UP: [&str; 8] = [
    "--endpoint",
    "json",
    "--rate",
    "200",
    "--duration",
    "10s",
    "--size",
    "50000",
];

/// Records and replays the chain, and compares the merged folders.
pub fn check(bin_dir: &Path, _duration: &str) -> anyhow::Result<Vec<Finding>> {
    let scratch = tempfile::tempdir()?;
    let nodes = Nodes::start(bin_dir, scratch.path())?;
    nodes.send("warm-up", "load", &WARM_UP)?;
    nodes.send("recorded", "load", &LOAD)?;
    // All requests from outside go to the first node.
    let recorded = nodes.folder(0, "recorded");
    wait_for_end(&recorded)?;
    let of = recorded.to_str().context("the folder's name is not UTF-8")?;
    nodes.send("replayed", "replay", &[of])?;
    nodes.stop()?;
    let [recorded, replayed] = ["recorded", "replayed"].map(|run| merge(bin_dir, scratch.path(), run));
    let verdict = compare(bin_dir, &recorded?, &replayed?)?;
    let differences = verdict.json["graph"].as_array().map_or(usize::MAX, Vec::len);
    Ok(vec![
        Finding::at_most(
            "chain over links of 5 and 20 ms: differences of the call graph",
            differences as f64,
            0.0,
            "",
        ),
        Finding::new(
            "chain over links of 5 and 20 ms: the replay is",
            format!("{:?}: {}", verdict.word, verdict.cause()),
            "Same".to_owned(),
            verdict.word == Word::Same,
        ),
    ])
}

/// The three nodes, each with its normalizer, and the links between them.
struct Nodes<'a> {
    bin_dir: &'a Path,
    scratch: &'a Path,
    normalizers: Vec<Child>,
    /// Services from the last node to the first.
    services: Vec<Child>,
    _proxy: Proxy,
}

impl<'a> Nodes<'a> {
    fn start(bin_dir: &'a Path, scratch: &'a Path) -> anyhow::Result<Self> {
        let proxy = Proxy::start()?;
        let normalizers = NODES
            .iter()
            .map(|(node, ..)| Child::normalizer(bin_dir, &scratch.join(node), &["--join-window", "1s"]))
            .collect::<anyhow::Result<Vec<_>>>()?;
        let mut services: Vec<Child> = Vec::new();
        let mut next: Option<(String, String)> = None;
        for (index, (node, stage, path)) in NODES.into_iter().enumerate().rev() {
            let telemetry = normalizers[index].url("grpc")?;
            let mut variables = vec![
                ("MODULE_ID", node),
                ("NODE_ID", node),
                ("STAGE", stage),
                ("WORKERS", "2"),
                ("OTEL_EXPORTER_OTLP_ENDPOINT", telemetry.as_str()),
            ];
            if let Some((origin, url)) = &next {
                variables.extend([("DEFAULT_NEXT_URL", url.as_str()), ("NEXT_URL_ALLOW", origin)]);
            }
            let service = Child::service(bin_dir, &variables)?;
            let own = service.url("listening")?;
            services.push(service);
            // The load driver is on the first node.
            next = match index {
                0 => None,
                _ => {
                    let origin = proxy.link(node, &own, DELAYS_MS[index - 1])?;
                    Some((origin.clone(), format!("{origin}{path}")))
                }
            };
        }
        Ok(Self {
            bin_dir,
            scratch,
            normalizers,
            services,
            _proxy: proxy,
        })
    }

    /// Sends requests to the first node by a subcommand of `cctf`.
    fn send(&self, run_id: &str, subcommand: &str, args: &[&str]) -> anyhow::Result<()> {
        let target = self.services.last().context("no service")?.url("listening")?;
        let mut command = command_in(self.bin_dir, "cctf")?;
        command.arg(subcommand).args(args);
        command.args(["--run-id", run_id, "--format", "json", "--target", &target]);
        command.args(["--otlp-endpoint", &self.normalizers[0].url("grpc")?]);
        Done::success(subcommand, &mut command)?;
        Ok(())
    }

    /// The folder of a run that one node's normalizer wrote.
    fn folder(&self, node: usize, run_id: &str) -> PathBuf {
        self.scratch.join(NODES[node].0).join(run_id)
    }

    /// Stops all processes. All files are complete then.
    fn stop(self) -> anyhow::Result<()> {
        for child in self.services.into_iter().rev().chain(self.normalizers) {
            let ended = child.stop()?;
            ensure!(ended.status.success(), "{}", ended.stderr);
        }
        Ok(())
    }
}

fn merge(bin_dir: &Path, scratch: &Path, run_id: &str) -> anyhow::Result<PathBuf> {
    let merged = scratch.join(format!("merged-{run_id}"));
    let mut command = command_in(bin_dir, "cctf")?;
    command.arg("merge").arg(&merged);
    command.args(NODES.map(|(node, ..)| scratch.join(node).join(run_id)));
    Done::success("merge", &mut command)?;
    Ok(merged)
}
