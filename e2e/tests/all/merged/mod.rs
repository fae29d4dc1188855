//! `cctf merge` of several normalizers' folders gives the folder of one normalizer that received all data. The telemetry comes
//! from a real chain of services.
//!
//! Needs the binary of `make collector`, which `make test` builds.

pub mod chain;
mod compare;

use std::path::Path;

use e2e::binaries::bin_dir;
use e2e::child::{Child, wait_for};
use e2e::collector::Collector;
use e2e::ports::free_ports;

use self::chain::{NODES, REQUESTS, Tee};

/// Id of the run in all normalizers.
pub const RUN: &str = "r";

/// The node of the Collector that distributes traces. It also sends its host's metrics.
const SHARDING: &str = "sharding0";

/// A normalizer with a join window that is longer than the test.
fn normalizer(out_dir: &Path) -> Child {
    let flags = ["--run-id", RUN, "--join-window", "120s"];
    Child::normalizer(&bin_dir().unwrap(), out_dir, &flags).unwrap()
}

/// Stops a normalizer. Before its end, it writes the rows that were waiting.
fn stop(normalizer: Child) {
    let ended = normalizer.stop().unwrap();
    assert!(ended.status.success(), "{}", ended.stderr);
}

/// Number of spans or points that normalizers have acknowledged.
fn received(normalizers: &[Child], signal: &str) -> f64 {
    let of = |normalizer: &Child| normalizer.metric("cctf_received_rows_total", signal).unwrap();
    normalizers.iter().map(of).sum()
}

/// This test fails if the first tier's folder is left out of the merge.
#[test]
fn a_normalizer_a_tier_merged_is_the_one_that_saw_everything() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let all = normalizer(&at("all"));
    let tiers = NODES.map(|(node, _)| normalizer(&at(node)));
    let tees = NODES.map(|(node, _)| at(&format!("tee-{node}")));
    let tees: Vec<Tee> = tees
        .iter()
        .zip(&tiers)
        .map(|(folder, tier)| Tee::start(folder, tier, &all))
        .collect();
    chain::drive(std::array::from_fn(|tier| tees[tier].url()));
    drop(tees);
    // The callers of two thirds of the invocations are in other parts.
    tiers.into_iter().for_each(stop);
    stop(all);
    let parts = NODES.map(|(node, _)| at(node).join(RUN));
    for (part, (node, _)) in parts.iter().zip(NODES) {
        compare::assert_only_of_node(part, node);
    }
    compare::assert_merged_is(&parts, &at("all").join(RUN), None, folder.path());
}

/// This test fails if one shard's folder is left out of the merge.
#[test]
fn two_shards_by_trace_merged_are_the_unsharded_run() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let all = normalizer(&at("all"));
    let shards = ["one", "two"].map(|name| normalizer(&at(name)));
    let second = shards[1].address("grpc").unwrap().to_string();
    let inner = free_ports::<2>().unwrap().map(|port| format!("127.0.0.1:{port}"));
    let attributes = format!("cctf.node_id={SHARDING},cctf.stage=edge");
    let variables = [
        ("NORMALIZER_ENDPOINT_2", second.as_str()),
        ("OTELCOL_SHARD_1", &inner[0]),
        ("OTELCOL_SHARD_2", &inner[1]),
        // The normalizer that receives all other data does not get the metrics of this Collector's host. They are recognised by
        // their node.
        ("OTEL_RESOURCE_ATTRIBUTES", attributes.as_str()),
        ("OTELCOL_HOST_INTERVAL", "24h"),
    ];
    std::fs::create_dir(at("sharding")).unwrap();
    let first = shards[0].address("grpc").unwrap().port();
    let mut sharding = Collector::new(&at("sharding"), first, &variables)
        .unwrap()
        .with_configuration("otel-collector.scale.yaml");
    sharding.start().unwrap();
    let tee = Tee::start_to(&at("tee"), sharding.grpc().port(), &all);
    chain::drive(std::array::from_fn(|_| tee.url()));
    drop(tee);
    // The shards have received all data that the queues had accepted.
    for (signal, taken) in [("traces", "spans"), ("metrics", "metric_points")] {
        let metric = format!("otelcol_receiver_accepted_{taken}");
        wait_for(signal, || {
            let taken = sharding.metric_of(&metric, "receiver=\"otlp/")?;
            Ok((taken > 0.0 && received(&shards, signal) >= taken).then_some(()))
        })
        .unwrap();
    }
    let all = [all];
    assert_eq!(received(&shards, "traces"), received(&all, "traces"));
    let [all] = all;
    drop(sharding);
    shards.into_iter().for_each(stop);
    stop(all);
    let parts = ["one", "two"].map(|name| at(name).join(RUN));
    let of_parts = parts.each_ref().map(|part| compare::traces(part));
    assert!(of_parts[0].is_disjoint(&of_parts[1]), "a trace is on both shards");
    let traces = of_parts.map(|traces| traces.len());
    assert_eq!(traces.iter().sum::<usize>(), REQUESTS);
    assert!(
        traces.iter().all(|&traces| traces > 0),
        "{traces:?}: one shard has nothing"
    );
    compare::assert_merged_is(&parts, &at("all").join(RUN), Some(SHARDING), folder.path());
}
