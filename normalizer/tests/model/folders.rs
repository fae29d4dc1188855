//! The content of the disk: folders of runs and parts, and the journal's segments.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use cctf_proto::cctf::Part;

pub fn run_folders(logs: &Path) -> Vec<PathBuf> {
    let paths = fs::read_dir(logs).unwrap().map(|entry| entry.unwrap().path());
    paths
        .filter(|path| path.join("cctf").is_dir() && !path.is_symlink())
        .collect()
}

pub fn has_later_part(run: &Path) -> bool {
    let name = run.file_name().unwrap().to_string_lossy().into_owned();
    let (run_id, number) = Part::parse(&name).unwrap_or((&name, 1));
    run.with_file_name(Part::later(run_id, number + 1).folder())
        .is_dir()
}

pub fn is_closed(run: &Path) -> bool {
    let meta = fs::read(run.join("cctf/run_meta.json")).unwrap_or_default();
    let meta: serde_json::Value = serde_json::from_slice(&meta).unwrap_or_default();
    meta["ended_ts"].is_number()
}

pub fn segments(journal: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let paths = fs::read_dir(journal).unwrap().map(|entry| entry.unwrap().path());
    let segments = paths.filter(|path| path.extension().is_some_and(|ending| ending == "segment"));
    segments
        .map(|path| {
            let bytes = fs::read(&path).unwrap();
            (path, bytes)
        })
        .collect()
}
