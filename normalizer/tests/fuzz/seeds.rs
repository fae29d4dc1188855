//! The seeds. The JSON seeds come from golden cases and the Node SDK, and most other seeds are derived from them. The others
//! are protobuf requests of the Python and Node SDKs, and inputs that once caused a failure.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use cctf_normalizer::journal::{Content, Durability, Record, Signal, Store, StoreSettings};
use cctf_normalizer::mapping::MAPPING_VERSION;
use cctf_normalizer::pipeline::{Output, Pipeline, STATE_VERSION, Settings};
use cctf_normalizer::receiver::protobuf_of_json;
use cctf_normalizer::recovery::checkpoint;
use tempfile::TempDir;

pub const SIGNALS: [Signal; 3] = [Signal::Traces, Signal::Metrics, Signal::Logs];
/// Number of requests in a segment, and before a checkpoint.
const REQUESTS_A_SEED: usize = 2;

/// The names and contents of a target's seeds in the repository, sorted.
fn corpus(target: &str) -> Vec<(String, Vec<u8>)> {
    let folder = folder(target);
    let mut seeds: Vec<(String, Vec<u8>)> = fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("cannot read {}: {error}", folder.display()))
        .map(|entry| {
            let path = entry.unwrap().path();
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            (name, fs::read(path).unwrap())
        })
        .collect();
    seeds.sort();
    seeds
}

fn folder(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fuzz/corpus")
        .join(target)
}

/// The seeds of a target.
pub fn of(target: &str) -> Vec<Vec<u8>> {
    corpus(target).into_iter().map(|(_, seed)| seed).collect()
}

/// Checkpoints of earlier versions that are marked as of this version, and checkpoints of this version.
pub fn checkpoints() -> Vec<Vec<u8>> {
    let mut seeds = of("checkpoint");
    for seed in &mut seeds {
        if let Some(version) = seed.get_mut(8..12) {
            version.copy_from_slice(&STATE_VERSION.to_le_bytes());
        }
    }
    seeds.extend(made_of_json().map(|(_, requests)| checkpoint_of(&requests)));
    seeds
}

pub fn settings() -> Settings {
    Settings {
        run_id: "mine".to_owned(),
        join_window: Duration::from_secs(1),
        open_runs_max: 4,
        ..Settings::default()
    }
}

/// The signal of an OTLP/JSON request. The request's only member determines it.
pub fn signal_of(json: &[u8]) -> Signal {
    let has = |member: &str| {
        json.windows(member.len())
            .any(|window| window == member.as_bytes())
    };
    match (has("resourceMetrics"), has("resourceLogs")) {
        (true, _) => Signal::Metrics,
        (_, true) => Signal::Logs,
        _ => Signal::Traces,
    }
}

/// Names and requests of the JSON seeds, some with several requests.
fn made_of_json() -> impl Iterator<Item = (String, Vec<Content>)> {
    let json = corpus("json");
    let groups: Vec<_> = json.chunks(REQUESTS_A_SEED).map(<[_]>::to_vec).collect();
    groups.into_iter().map(|group| {
        let content = |(_, json): &(String, Vec<u8>)| {
            let signal = signal_of(json);
            let body = protobuf_of_json(signal, json).unwrap();
            Content::Request { signal, body }
        };
        (group[0].0.clone(), group.iter().map(content).collect())
    })
}

fn records(requests: &[Content]) -> Vec<Record> {
    let contents = [&[Content::Restart], requests, &[Content::Tick, Content::Shutdown]].concat();
    let times = (1_760_000_000_000_000_000..).step_by(700_000_000);
    let record = |(content, received_unix_ns)| Record {
        received_unix_ns,
        content,
    };
    contents.into_iter().zip(times).map(record).collect()
}

/// A segment of a journal, without the unused space after its records.
fn segment_of(requests: &[Content]) -> Vec<u8> {
    let folder = TempDir::new().unwrap();
    let settings = StoreSettings {
        folder: folder.path().to_owned(),
        durability: Durability::Flush,
        segment_bytes: 64 * 1024,
        keep_raw: false,
        mapping_version: MAPPING_VERSION,
    };
    let mut store = Store::open(settings, Vec::new(), 0, None).unwrap();
    for record in records(requests) {
        store.append(&[record]).unwrap();
    }
    let mut bytes = fs::read(folder.path().join("00000000000000000000.segment")).unwrap();
    let end = bytes
        .iter()
        .rposition(|&byte| byte != 0)
        .map_or(0, |last| last + 1);
    bytes.truncate(end.next_multiple_of(8));
    bytes
}

fn checkpoint_of(requests: &[Content]) -> Vec<u8> {
    let folder = TempDir::new().unwrap();
    let (mut pipeline, mut output) = (Pipeline::new(settings()), Output::default());
    let records = records(requests);
    // A pipeline is empty after a shutdown, so this comes before it.
    for record in &records[..records.len() - 1] {
        pipeline.feed(record, &mut output);
    }
    let lengths = [("mine".to_owned(), Default::default())].into_iter().collect();
    checkpoint::write(folder.path(), 3, &lengths, &pipeline).unwrap();
    fs::read(folder.path().join("checkpoint")).unwrap()
}

/// Derives seeds from the JSON and writes them.
pub fn write_corpora() {
    for (name, json) in corpus("json") {
        let protobuf = protobuf_of_json(signal_of(&json), &json).unwrap();
        write("protobuf", &name, &protobuf);
    }
    for (name, requests) in made_of_json() {
        write("segment", &name, &segment_of(&requests));
        write("checkpoint", &name, &checkpoint_of(&requests));
    }
}

fn write(target: &str, name: &str, bytes: &[u8]) {
    let folder = folder(target);
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join(name).with_extension("bin"), bytes).unwrap();
}
