//! Two normalizers behind one Collector (`otel-collector.scale.yaml`): each trace is completely on one of them, even if any
//! process is killed.

use std::collections::BTreeMap;
use std::path::Path;

use e2e::collector::Collector;
use e2e::ports::free_ports;
use e2e::rows::{self, text};

use super::client::{self, Client};
use super::processes::Normalizer;

/// Number of traces between two kills.
const BETWEEN: u64 = 40;

/// For each trace, the shard of each of its rows.
fn shards_of_traces(shards: &[&Path]) -> BTreeMap<String, Vec<usize>> {
    let mut found: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (number, shard) in shards.iter().enumerate() {
        for file in ["invocations.jsonl", "calls.jsonl"] {
            for row in rows::lines(&shard.join("cctf").join(file)).unwrap_or_default() {
                found
                    .entry(text(&row, "trace_id").unwrap().to_owned())
                    .or_default()
                    .push(number);
            }
        }
    }
    found
}

/// This test fails with `routing_key: service`: all traces are then on one shard.
#[test]
fn each_trace_is_whole_on_one_shard_and_what_is_killed_costs_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut shards = ["one", "two"].map(|name| Normalizer::new(&folder.path().join(name), &[]));
    shards.iter_mut().for_each(Normalizer::start);
    let second = format!("127.0.0.1:{}", shards[1].port());
    let inner = free_ports::<2>().unwrap().map(|port| format!("127.0.0.1:{port}"));
    let variables = [
        ("NORMALIZER_ENDPOINT_2", second.as_str()),
        ("OTELCOL_SHARD_1", &inner[0]),
        ("OTELCOL_SHARD_2", &inner[1]),
    ];
    let mut collector = Collector::new(folder.path(), shards[0].port(), &variables)
        .unwrap()
        .with_configuration("otel-collector.scale.yaml");
    collector.start().unwrap();
    let client = Client::start(collector.url());
    client.wait_for_more(BETWEEN);
    for (number, shard) in shards.iter_mut().enumerate() {
        println!("kill -9 of shard {number} after {} traces", client.acknowledged());
        shard.kill();
        // The Collector's queue keeps the data of this shard. The other shard continues.
        client.wait_for_more(BETWEEN);
        shard.start();
        client.wait_for_more(BETWEEN);
    }
    println!("kill -9 of the Collector after {} traces", client.acknowledged());
    collector.kill();
    collector.start().unwrap();
    client.wait_for_more(BETWEEN);
    let traces = client.finish();

    let folders = shards.each_ref().map(Normalizer::run_dir);
    let folders = folders.each_ref().map(|folder| folder.as_path());
    client::assert_whole_in(&folders, traces);
    let mut of_shard = [0, 0];
    for (trace, found) in shards_of_traces(&folders) {
        let whole = found.len() == 3 && found.iter().all(|shard| *shard == found[0]);
        assert!(whole, "trace {trace} is on shards {found:?}");
        of_shard[found[0]] += 1;
    }
    println!("{traces} traces: {of_shard:?} of each shard, none split");
    let fewest = of_shard.iter().min().unwrap();
    assert!(fewest * 4 > traces, "one shard has nearly all: {of_shard:?}");
}
