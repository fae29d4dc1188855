//! Buckets and their rests together equal one merge, to the byte.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use cctf_merge::{Bucket, Options, merge, merge_bucket, merge_rests};
use proptest::prelude::*;
use tempfile::TempDir;

use crate::folders::{TINY, cases, errors, folder};
use crate::synthetic;
use crate::world::{Made, SERVICES, Step, normalize, requests, spans_of};

/// Numbers of buckets that are tried.
const BUCKETS: [u16; 4] = [1, 2, 4, 16];

fn tiny() -> Options {
    Options {
        limits: TINY,
        ..Options::default()
    }
}

/// All files below a folder, by path; of a link, its target.
pub fn tree(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = PathBuf::from(path.file_name().unwrap());
        if path.is_symlink() {
            let target = fs::read_link(&path).unwrap();
            found.insert(name, target.into_os_string().into_encoded_bytes());
        } else if path.is_dir() {
            found.extend(
                tree(&path)
                    .into_iter()
                    .map(|(below, bytes)| (name.join(below), bytes)),
            );
        } else {
            found.insert(name, fs::read(&path).unwrap());
        }
    }
    found
}

/// The first file, and the first of its lines, in which two folders differ.
fn difference(one: &Path, other: &Path) -> Option<String> {
    let (one, other) = (tree(one), tree(other));
    let names = |tree: &BTreeMap<PathBuf, Vec<u8>>| tree.keys().cloned().collect::<Vec<_>>();
    if names(&one) != names(&other) {
        return Some(format!("{:?}\n{:?}", names(&one), names(&other)));
    }
    let (name, bytes) = one.iter().find(|(name, bytes)| other[*name] != **bytes)?;
    let lines = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes).into_owned();
        text.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let (ours, theirs) = (lines(bytes), lines(&other[name]));
    let first = ours.iter().zip(&theirs).find(|(ours, theirs)| ours != theirs);
    Some(format!(
        "{}: {} and {} lines\n{first:#?}",
        name.display(),
        ours.len(),
        theirs.len()
    ))
}

/// Makes all buckets of the folders below `at`.
pub fn buckets(inputs: &[PathBuf], of: u16, at: &Path, options: &Options) -> Vec<PathBuf> {
    (0..of)
        .map(|index| {
            let bucket: Bucket = format!("{index}/{of}").parse().unwrap();
            let out = at.join(format!("bucket-{index}"));
            merge_bucket(&out, inputs, bucket, options, &mut |_| {}).unwrap();
            out
        })
        .collect()
}

/// What buckets and their rests make of the folders.
fn in_buckets(inputs: &[PathBuf], of: u16, at: &Path, options: &Options) -> PathBuf {
    let made = buckets(inputs, of, at, options);
    let out = at.join("whole");
    merge_rests(&out, inputs, &made, true, options, &mut |_| {}).unwrap();
    out
}

/// The same with aligned clocks, in two rounds.
fn in_aligned_buckets(inputs: &[PathBuf], of: u16, at: &Path, options: &Options) -> PathBuf {
    let align = Options {
        align_clocks: true,
        ..options.clone()
    };
    let recorded = buckets(inputs, of, at, options);
    let (rests, aligned, out) = (at.join("rests"), at.join("aligned"), at.join("whole"));
    merge_rests(&rests, inputs, &recorded, false, options, &mut |_| {}).unwrap();
    let made: Vec<PathBuf> = (0..of)
        .map(|index| {
            let bucket: Bucket = format!("{index}/{of}").parse().unwrap();
            let out = aligned.join(index.to_string());
            let inputs = [rests.clone(), recorded[usize::from(index)].clone()];
            merge_bucket(&out, &inputs, bucket, &align, &mut |_| {}).unwrap();
            out
        })
        .collect();
    merge_rests(
        &out,
        std::slice::from_ref(&rests),
        &made,
        true,
        &align,
        &mut |_| {},
    )
    .unwrap();
    out
}

/// Checks that the folders give the same in any number of buckets.
fn check(inputs: &[PathBuf], options: &Options) -> Result<(), TestCaseError> {
    let at = folder();
    let one = at.path().join("one");
    merge(&one, inputs, options, &mut |_| {}).unwrap();
    let aligned = at.path().join("aligned");
    let align = Options {
        align_clocks: true,
        ..options.clone()
    };
    merge(&aligned, inputs, &align, &mut |_| {}).unwrap();
    for of in BUCKETS {
        let recorded = in_buckets(inputs, of, &at.path().join(format!("in-{of}")), options);
        let differs = difference(&one, &recorded);
        prop_assert!(differs.is_none(), "{of}: {}", differs.unwrap_or_default());
        let twice = in_aligned_buckets(inputs, of, &at.path().join(format!("aligned-in-{of}")), options);
        let differs = difference(&aligned, &twice);
        prop_assert!(
            differs.is_none(),
            "aligned, {of}: {}",
            differs.unwrap_or_default()
        );
    }
    Ok(())
}

/// The folders of one normalizer a tier.
fn tiers(spans: &[Made]) -> Vec<TempDir> {
    let of = |service: usize| -> Vec<Made> {
        let of_service = spans.iter().filter(|made| made.service == service);
        of_service.cloned().collect()
    };
    (0..SERVICES)
        .map(|service| normalize(&of(service)))
        .filter(|dir| dir.path().join("cctf/run_meta.json").exists())
        .collect()
}

fn paths(folders: &[TempDir]) -> Vec<PathBuf> {
    folders.iter().map(|dir| dir.path().to_owned()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases() / 4, ..ProptestConfig::default() })]

    /// Callers are in other folders, and one clock is 3 s ahead.
    #[test]
    fn buckets_of_tiers_equal_one_merge(requests in requests()) {
        let folders = tiers(&spans_of(&requests, [0, 3_000_000_000, 0]));
        check(&paths(&folders), &tiny())?;
    }
}

/// A folder with requests, a copy of it, and one with an earlier part of them: duplicates, and lives of instances.
#[test]
fn buckets_of_overlapping_folders_equal_one_merge() {
    let call = |lost| Step::Call {
        to: 1,
        there: 1,
        back: 2,
        sent: 2,
        lost,
        answer: vec![
            Step::Outside(1),
            Step::Message {
                to: 2,
                handled: vec![],
            },
        ],
    };
    let requests: Vec<Vec<Step>> = (0..40_u32)
        .map(|number| vec![call(number.is_multiple_of(7)), Step::Inner(vec![call(false)])])
        .collect();
    let (all, early) = (
        spans_of(&requests, [0; SERVICES]),
        spans_of(&requests[..9], [0; SERVICES]),
    );
    let mut folders = vec![normalize(&all), normalize(&all), normalize(&early)];
    folders.extend(tiers(&early));
    fs::write(
        folders[0].path().join("events_client.jsonl"),
        "{\"timestamp\":\"2026-01-01T00:00:00Z\"}\n",
    )
    .unwrap();
    check(&paths(&folders), &tiny()).unwrap();
    check(&paths(&folders), &Options::default()).unwrap();
}

/// More endpoints and calls of a link than a merge keeps; rows that no inventory describes.
#[test]
fn buckets_of_rows_beyond_all_bounds_equal_one_merge() {
    let folders = synthetic::folders();
    check(&paths(&folders), &Options::default()).unwrap();
    // The rows do exceed the bounds, already in one of two buckets.
    let at = folder();
    let made = buckets(&paths(&folders), 2, at.path(), &Options::default());
    let handed = |name: &str| fs::read_to_string(made[0].join(name)).unwrap();
    assert!(handed("unlisted.jsonl").lines().count() > 100);
    let statistics = handed("statistics.jsonl");
    for kind in [
        "recorded_calls",
        "recorded_behind",
        "behind",
        "unanswered",
        "clock",
    ] {
        assert!(statistics.contains(&format!("{{\"{kind}\":")), "{kind}");
    }
    let seconds = handed("link_seconds.jsonl");
    assert!(
        seconds.lines().count() > 3,
        "more than one line for a second and pair"
    );
    let one = buckets(&paths(&folders), 1, &at.path().join("1"), &Options::default());
    let samples = fs::read_to_string(one[0].join("link_samples.jsonl")).unwrap();
    assert!(samples.contains("\"further\""));
}

/// The bucket of a trace is that of `cctf export parquet`: the last digits of its id.
#[test]
fn each_bucket_has_the_traces_of_its_number() {
    let run = normalize(&spans_of(&vec![vec![Step::Outside(0)]; 11], [0; SERVICES]));
    let at = folder();
    let made = buckets(&[run.path().to_owned()], 4, at.path(), &tiny());
    for (index, bucket) in made.iter().enumerate() {
        let rows = fs::read_to_string(bucket.join("invocations.jsonl")).unwrap();
        assert!(!rows.is_empty());
        for row in rows.lines() {
            let row: cctf_proto::cctf::Invocation<'_> = serde_json::from_str(row).unwrap();
            assert_eq!(usize::from(row.trace_id.0[15] % 4), index);
        }
    }
    let whole = at.path().join("whole");
    merge_rests(
        &whole,
        &[run.path().to_owned()],
        &made,
        true,
        &tiny(),
        &mut |_| {},
    )
    .unwrap();
    assert_eq!(errors(&whole), Vec::<String>::new());
}
