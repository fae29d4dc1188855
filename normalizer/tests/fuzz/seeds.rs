//! Where inputs begin: OTLP/JSON requests that are committed, and what this version makes of them.

use std::fs;
use std::path::Path;
use std::time::Duration;

use cctf_normalizer::checkpoint;
use cctf_normalizer::journal::{Content, Durability, Record, Signal, Store, StoreSettings};
use cctf_normalizer::mapping::MAPPING_VERSION;
use cctf_normalizer::pipeline::{Output, Pipeline, Settings};
use cctf_normalizer::receiver::protobuf_of_json;

pub const SIGNALS: [Signal; 3] = [Signal::Traces, Signal::Metrics, Signal::Logs];
const JSON: [&str; 3] = [
    include_str!("corpus/traces.json"),
    include_str!("corpus/metrics.json"),
    include_str!("corpus/logs.json"),
];

pub fn json() -> Vec<Vec<u8>> {
    JSON.iter().map(|text| text.as_bytes().to_vec()).collect()
}

pub fn protobuf() -> Vec<Vec<u8>> {
    SIGNALS
        .iter()
        .zip(JSON)
        .map(|(&signal, text)| protobuf_of_json(signal, text.as_bytes()).unwrap().to_vec())
        .collect()
}

pub fn settings() -> Settings {
    Settings {
        run_id: "mine".to_owned(),
        join_window: Duration::from_secs(1),
        open_runs_max: 4,
        ..Settings::default()
    }
}

pub fn records() -> Vec<Record> {
    let contents = SIGNALS
        .iter()
        .zip(protobuf())
        .map(|(&signal, body)| Content::Request {
            signal,
            body: body.into(),
        });
    [Content::Restart]
        .into_iter()
        .chain(contents)
        .chain([Content::Tick, Content::Shutdown])
        .zip(1_700_000_000_000_000_000..)
        .map(|(content, received_unix_nano)| Record {
            received_unix_nano,
            content,
        })
        .collect()
}

/// A segment of a journal, without the room behind its records.
pub fn segments(folder: &Path) -> Vec<Vec<u8>> {
    let settings = StoreSettings {
        folder: folder.to_owned(),
        durability: Durability::Fsync,
        segment_bytes: 16 * 1024,
        keep_raw: false,
        mapping_version: MAPPING_VERSION,
    };
    let mut store = Store::open(settings, Vec::new(), 0, None).unwrap();
    for record in records() {
        store.append(&[record]).unwrap();
    }
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    paths.map(|path| fs::read(path).unwrap()).collect()
}

pub fn checkpoints(folder: &Path) -> Vec<Vec<u8>> {
    let mut pipeline = Pipeline::new(settings());
    let mut output = Output::default();
    let mut checkpoints = Vec::new();
    for (record, sequence) in records().iter().zip(0..) {
        pipeline.feed(record, &mut output);
        let lengths = [("mine".to_owned(), Default::default())].into_iter().collect();
        checkpoint::write(folder, sequence, &lengths, &pipeline).unwrap();
        checkpoints.push(fs::read(folder.join("checkpoint")).unwrap());
    }
    checkpoints
}
