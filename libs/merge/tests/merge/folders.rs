//! Run folders: written in the form of the sink, merged, read and validated.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use cctf_merge::{Limits, Options, Summary, merge};
use cctf_normalizer::pipeline::RunOutput;
use cctf_proto::cctf::{File, Shape};
use cctf_proto::validate::Severity;
use rundir::validate::{Options as ValidateOptions, validate};
use tempfile::TempDir;

/// A file system in memory, because merges sync their files, which would take time on a disk.
const IN_MEMORY: &str = "/dev/shm";

pub fn folder() -> TempDir {
    if Path::new(IN_MEMORY).is_dir() {
        TempDir::new_in(IN_MEMORY).unwrap()
    } else {
        TempDir::new().unwrap()
    }
}

/// Number of cases: `PROPTEST_CASES`, or a number that takes a few seconds.
pub fn cases() -> u32 {
    let asked = std::env::var("PROPTEST_CASES").ok();
    if let Some(asked) = asked.and_then(|asked| asked.parse().ok()) {
        return asked;
    }
    if Path::new(IN_MEMORY).is_dir() { 64 } else { 8 }
}

/// Writes the output of a pipeline for one run.
pub fn write(dir: &Path, run: &RunOutput) {
    let cctf = dir.join("cctf");
    fs::create_dir_all(&cctf).unwrap();
    for (file, lines) in run.appended().filter(|(file, _)| file.shape() == Shape::Lines) {
        fs::write(cctf.join(file.name()), lines).unwrap();
    }
    for (file, content) in run.replaced() {
        fs::write(cctf.join(file.name()), content).unwrap();
    }
}

/// Limits that are so small that all data goes through temporary files if it can.
pub const TINY: Limits = Limits {
    partition_bytes: 1500,
    spans_bytes: 2500,
    lines_bytes: 1000,
    samples_bytes: 400,
    names_bytes: 1 << 20,
};

/// A merged folder. It is removed when this is dropped.
pub struct Merged {
    _dir: TempDir,
    pub path: PathBuf,
    pub summary: Summary,
}

pub fn merged_with(inputs: &[&Path], options: &Options) -> Merged {
    let dir = folder();
    let path = dir.path().join("out");
    let inputs: Vec<PathBuf> = inputs.iter().map(|input| input.to_path_buf()).collect();
    let summary = merge(&path, &inputs, options, &mut |_| {}).unwrap();
    Merged {
        _dir: dir,
        path,
        summary,
    }
}

pub fn merged(inputs: &[&Path]) -> Merged {
    merged_with(
        inputs,
        &Options {
            limits: TINY,
            ..Options::default()
        },
    )
}

/// All files of a run, as text.
pub fn files(run: &Path) -> BTreeMap<&'static str, String> {
    File::ALL
        .iter()
        .map(|file| {
            (
                file.name(),
                fs::read_to_string(run.join("cctf").join(file.name())).unwrap(),
            )
        })
        .collect()
}

/// Rules that may be broken only if ids occur several times. In these tests, each id occurs once.
const OF_UNIQUE_IDS: [&str; 3] = ["duplicate-identity", "parent-is-nearest", "net-equals-difference"];

/// The errors that `cctf validate` finds, and the warnings that only duplicate ids would explain.
pub fn errors(run: &Path) -> Vec<String> {
    let report = validate(run, ValidateOptions::default()).unwrap();
    let errors = report
        .broken
        .iter()
        .filter(|finding| finding.severity == Severity::Error || OF_UNIQUE_IDS.contains(&finding.rule.id));
    errors
        .map(|finding| {
            format!(
                "{}: {} [{}]",
                finding.file.name(),
                finding.message,
                finding.rule.id
            )
        })
        .collect()
}

/// The first line in which two runs differ.
pub fn difference(one: &Path, other: &Path) -> Option<String> {
    let (one, other) = (files(one), files(other));
    for (name, text) in &one {
        if *text != other[name] {
            let mut pairs = text
                .lines()
                .map(Some)
                .chain([None])
                .zip(other[name].lines().map(Some).chain([None]));
            let first = pairs.find(|(one, other)| one != other);
            return Some(format!(
                "{name}:\n  {:?}\n  {:?}",
                first.and_then(|pair| pair.0),
                first.and_then(|pair| pair.1)
            ));
        }
    }
    None
}
