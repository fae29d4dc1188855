//! The chain on three nodes over links of known delay, with a normalizer for each node: recorded, replayed, merged and compared.

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use e2e::binaries::{Done, command_in};
use e2e::child::Child;

use super::proxy::Proxy;
use super::site::{Word, compare};
use crate::finding::Finding;

/// Node, stage and path, in the order of a request's path.
const NODES: [(&str, &str, &str); 3] = [
    ("ep0", "endpoint", "/json/validate"),
    ("edge0", "edge", "/blob/gzip"),
    ("cloud0", "cloud", "/kv/set/k1"),
];
/// One-way delays of the links behind the first and the second node, ms.
const DELAYS_MS: [u32; 2] = [5, 20];
const LOAD: [&str; 6] = ["--endpoint", "json", "--rate", "60", "--duration", "40s"];

/// Records and replays the chain, and compares the merged folders.
pub fn check(bin_dir: &Path, _duration: &str) -> anyhow::Result<Vec<Finding>> {
    let scratch = tempfile::tempdir()?;
    let at = |run: &str| scratch.path().join(run);
    let recorded = drive(bin_dir, &at("recorded"), "recorded", "load", &LOAD)?;
    let of = recorded.to_str().context("the folder's name is not UTF-8")?;
    let replayed = drive(bin_dir, &at("replayed"), "replayed", "replay", &[of])?;
    let verdict = compare(bin_dir, &recorded, &replayed)?;
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

/// Starts three nodes, sends requests by a subcommand of `cctf`, stops all, and returns the merged folder.
fn drive(
    bin_dir: &Path,
    folder: &Path,
    run_id: &str,
    subcommand: &str,
    args: &[&str],
) -> anyhow::Result<PathBuf> {
    let proxy = Proxy::start()?;
    let mut normalizers = Vec::new();
    for (node, ..) in NODES {
        normalizers.push(Child::normalizer(
            bin_dir,
            &folder.join(node),
            &["--run-id", run_id],
        )?);
    }
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
        // The load driver is beside the first node.
        next = match index {
            0 => None,
            _ => {
                let origin = proxy.link(node, &own, DELAYS_MS[index - 1])?;
                Some((origin.clone(), format!("{origin}{path}")))
            }
        };
    }
    let target = services.last().context("no service")?.url("listening")?;
    let mut command = command_in(bin_dir, "cctf")?;
    command.arg(subcommand).args(args);
    command.args(["--run-id", run_id, "--format", "json", "--target", &target]);
    command.args(["--otlp-endpoint", &normalizers[0].url("grpc")?]);
    Done::success(subcommand, &mut command)?;
    for child in services.into_iter().rev().chain(normalizers) {
        let ended = child.stop()?;
        ensure!(ended.status.success(), "{}", ended.stderr);
    }
    let merged = folder.join("merged");
    let mut command = command_in(bin_dir, "cctf")?;
    command.arg("merge").arg(&merged);
    command.args(NODES.map(|(node, ..)| folder.join(node).join(run_id)));
    Done::success("merge", &mut command)?;
    Ok(merged)
}
