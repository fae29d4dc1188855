//! A chain on three nodes over links with a known delay. Each node has its own normalizer. The run is recorded, replayed,
//! merged and compared.
//!
//! The replay uses the same processes as the recording. New processes have other caches, files and memory. Their means can
//! differ by more than the allowed margin: for `/kv/set`, 0.157 ms was measured in one process and 0.195 ms in the next.
//!
//! Each request uses a CPU time that does not depend on the speed of the machine. `/json/validate`, `/blob/gzip` and `/kv/set` need
//! more or less CPU time when the speed of a virtual machine changes. With them, the verdict on 35,000 requests was *cannot tell*:
//! mean CPU times were 6 to 18% lower in the replay.

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use e2e::binaries::{Done, command_in};
use e2e::child::Child;
use serde_json::Value;

use super::proxy::Proxy;
use super::site::{Word, compare, wait_for_end};
use crate::finding::Finding;

/// Node and stage, in the order of a request's path.
const NODES: [(&str, &str); 3] = [("ep0", "endpoint"), ("edge0", "edge"), ("cloud0", "cloud")];
/// Request to each node. Longer work has waits for a CPU that vary by about their margin: with 2 ms, one of two verdicts was
/// *cannot tell* for this reason. For shorter work, the margin of 2% is hardly more than the change of the CPU time of HTTP and
/// telemetry (some 0.1 ms) with the machine's speed.
const WORK: &str = "/work?cpu_ms=1.7&resp_kb=8";
/// One-way delays of the links behind the first and the second node, ms.
const DELAYS_MS: [u32; 2] = [5, 20];
/// Slots of each service. A request holds a slot of the first node for some 60 ms, because the slot is held during calls, so 80
/// requests/s occupy 5 slots on average. Services that hold a thread during calls have thread pools of such a size.
/// `SLOT_POLICY=released` needs no more slots than CPUs, but then simulated waits are not exact.
const WORKERS: &str = "16";
/// Load that uses a quarter of two CPUs. Arrivals are random. At a constant rate, every answer would come back at the same time
/// after the latest arrival, so answers would meet new requests on the CPU either always or never.
const LOAD: [&str; 6] = ["--endpoint", WORK, "--rate", "80", "--arrivals", "poisson"];
const DURATION: &str = "160s";
/// Length of the load before the recording. It brings connections and caches into the state of a service that has
/// run for some time.
const WARM_UP: &str = "20s";
/// Maximum 99th percentile of the lateness of the recorded sends. `cctf compare` has the same maximum for the replay.
const LATENESS_P99_MAX_MS: f64 = 5.0;

/// Records and replays the chain, and compares the merged folders.
pub fn check(bin_dir: &Path, _duration: &str) -> anyhow::Result<Vec<Finding>> {
    let scratch = tempfile::tempdir()?;
    let nodes = Nodes::start(bin_dir, scratch.path())?;
    nodes.load("warm-up", WARM_UP)?;
    let summary = nodes.load("recorded", DURATION)?;
    // All requests from outside go to the first node.
    let recorded = nodes.folder(0, "recorded");
    wait_for_end(&recorded)?;
    let of = recorded.to_str().context("the folder's name is not UTF-8")?;
    nodes.send("replayed", "replay", &[of])?;
    nodes.stop()?;
    let [recorded, replayed] = ["recorded", "replayed"].map(|run| merge(bin_dir, scratch.path(), run));
    let (recorded, rows) = recorded?;
    let mut findings = sound(&summary, &rows);
    let verdict = compare(bin_dir, &recorded, &replayed?.0)?;
    let differences = verdict.json["graph"].as_array().map_or(usize::MAX, Vec::len);
    findings.extend([
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
    ]);
    Ok(findings)
}

/// Whether the recording is of a chain that keeps up with its load: by the summary of the load, and by the numbers of merged rows. A
/// replay of any other chain has late and refused requests of its own.
fn sound(summary: &Value, rows: &Value) -> Vec<Finding> {
    let number = |value: &Value| value.as_f64().unwrap_or(f64::NAN);
    let requests = number(&summary["requests"]);
    let invocations = requests * NODES.len() as f64;
    vec![
        Finding::between(
            "chain over links of 5 and 20 ms: recorded invocations on all nodes",
            number(&rows["invocations.jsonl"]),
            (invocations, invocations),
            "",
        ),
        Finding::between(
            "chain over links of 5 and 20 ms: recorded requests answered with 200",
            number(&summary["statuses"]["200"]),
            (requests, requests),
            "",
        ),
        Finding::at_most(
            "chain over links of 5 and 20 ms: unsent requests of the recording",
            number(&summary["unsent"]),
            0.0,
            "",
        ),
        Finding::at_most(
            "chain over links of 5 and 20 ms: lateness of the recording, p99",
            number(&summary["lateness_ms"]["p99"]),
            LATENESS_P99_MAX_MS,
            "ms",
        ),
    ]
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
        for (index, (node, stage)) in NODES.into_iter().enumerate().rev() {
            let telemetry = normalizers[index].url("grpc")?;
            let mut variables = vec![
                ("MODULE_ID", node),
                ("NODE_ID", node),
                ("STAGE", stage),
                ("WORKERS", WORKERS),
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
                    Some((origin.clone(), format!("{origin}{WORK}")))
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

    /// Sends [`LOAD`] for some time.
    fn load(&self, run_id: &str, duration: &str) -> anyhow::Result<Value> {
        self.send(run_id, "load", &[&LOAD[..], &["--duration", duration]].concat())
    }

    /// Sends requests to the first node by a subcommand of `cctf`. Returns its summary.
    fn send(&self, run_id: &str, subcommand: &str, args: &[&str]) -> anyhow::Result<Value> {
        let target = self.services.last().context("no service")?.url("listening")?;
        let mut command = command_in(self.bin_dir, "cctf")?;
        command.arg(subcommand).args(args);
        command.args(["--run-id", run_id, "--format", "json", "--target", &target]);
        command.args(["--otlp-endpoint", &self.normalizers[0].url("grpc")?]);
        Done::success(subcommand, &mut command)?.json()
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

/// Merges the folders of all nodes. Returns the folder of the result, and its numbers of rows by file.
fn merge(bin_dir: &Path, scratch: &Path, run_id: &str) -> anyhow::Result<(PathBuf, Value)> {
    let merged = scratch.join(format!("merged-{run_id}"));
    let mut command = command_in(bin_dir, "cctf")?;
    command.arg("merge").arg(&merged).args(["--format", "json"]);
    command.args(NODES.map(|(node, ..)| scratch.join(node).join(run_id)));
    let mut summary = Done::success("merge", &mut command)?.json()?;
    Ok((merged, summary["rows"].take()))
}
