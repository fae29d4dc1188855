//! Every change that creates other rows from the same records must raise the mapping version. `golden/rows` contains the
//! version, and a checksum of each golden case's rows. When `expected` is right and the version is raised, `CCTF_BLESS=1 cargo
//! test -p cctf-normalizer --test all golden_rows::` writes `golden/rows` again.
//!
//! These tests fail if a field of `invocations.jsonl` is left out, even if `expected` is regenerated.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use cctf_normalizer::mapping::MAPPING_VERSION;

fn children(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

/// The checksum of each case's lines.
fn checksums(golden: &Path) -> BTreeMap<String, u32> {
    let cases = children(golden).into_iter().filter(|case| case.is_dir());
    let checksum = |case: PathBuf| {
        let mut checksum = 0;
        let runs = children(&case.join("expected"));
        let files = runs.iter().flat_map(|run| children(run));
        for file in files.filter(|file| file.extension().is_some_and(|ending| ending == "jsonl")) {
            let name = file.strip_prefix(&case).unwrap().to_string_lossy().into_owned();
            checksum = crc32c::crc32c_append(checksum, name.as_bytes());
            checksum = crc32c::crc32c_append(checksum, &fs::read(&file).unwrap());
        }
        (case.file_name().unwrap().to_string_lossy().into_owned(), checksum)
    };
    cases.map(checksum).collect()
}

#[test]
fn other_rows_have_another_version_of_the_mapping() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let kept = golden.join("rows");
    let text = fs::read_to_string(&kept).unwrap_or_default();
    let mut lines = text.lines();
    let version = lines
        .next()
        .and_then(|line| line.strip_prefix("mapping version "));
    let version: u32 = version.map_or(0, |version| version.parse().unwrap());
    let known: BTreeMap<&str, u32> = lines
        .map(|line| line.split_once(' ').unwrap())
        .map(|(checksum, case)| (case, u32::from_str_radix(checksum, 16).unwrap()))
        .collect();
    let now = checksums(&golden);
    let changed: Vec<&String> = now
        .iter()
        .filter(|(case, checksum)| known.get(case.as_str()).is_some_and(|known| known != *checksum))
        .map(|(case, _)| case)
        .collect();
    assert!(
        changed.is_empty() || version != MAPPING_VERSION,
        "rows have changed in {changed:?}: raise MAPPING_VERSION in normalizer/src/mapping/mod.rs, so that a journal that ends \
         in a crash is refused"
    );
    let mut wanted = format!("mapping version {MAPPING_VERSION}\n");
    for (case, checksum) in &now {
        wanted.push_str(&format!("{checksum:08x} {case}\n"));
    }
    if std::env::var_os("CCTF_BLESS").is_some() {
        fs::write(&kept, &wanted).unwrap();
    }
    assert!(
        fs::read_to_string(&kept).unwrap_or_default() == wanted,
        "cases or the version are new: write tests/golden/rows with CCTF_BLESS=1"
    );
}
