//! Merges of the expected files of the normalizer's golden cases: each folder by itself, and all parts of a run.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use cctf_proto::cctf::{File, Part, RunMeta, Shape};
use tempfile::TempDir;

use crate::folders::{errors, files, folder, merged};

/// The runs of each case, in folders in the form of the sink.
fn cases() -> BTreeMap<String, (TempDir, Vec<PathBuf>)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../normalizer/tests/golden");
    let mut cases = BTreeMap::new();
    for case in fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path()) {
        let (logs, mut runs) = (folder(), Vec::new());
        for run in fs::read_dir(case.join("expected")).into_iter().flatten() {
            let run = run.unwrap();
            let cctf = logs.path().join(run.file_name()).join("cctf");
            fs::create_dir_all(&cctf).unwrap();
            for file in File::ALL {
                match fs::read(run.path().join(file.name())) {
                    Ok(content) => fs::write(cctf.join(file.name()), content).unwrap(),
                    Err(_) if file.shape() == Shape::Lines => fs::write(cctf.join(file.name()), "").unwrap(),
                    Err(_) => {}
                }
            }
            runs.push(logs.path().join(run.file_name()));
        }
        runs.sort();
        cases.insert(
            case.file_name().unwrap().to_string_lossy().into_owned(),
            (logs, runs),
        );
    }
    assert!(cases.len() > 50);
    cases
}

fn sorted(text: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    lines
}

#[test]
fn a_peer_that_is_a_module_by_its_name_stays_one() {
    let (_logs, runs) = cases().remove("peers_that_are_modules_by_name").unwrap();
    let inventory = |run: &Path| fs::read_to_string(run.join("cctf/module_inventory.json")).unwrap();
    let alone = merged(&[&runs[0]]);
    assert_eq!(inventory(&alone.path), inventory(&runs[0]));
}

/// A merge changes only values that the normalizer did not know when it wrote the rows.
#[test]
fn a_folder_merged_alone_keeps_its_rows_and_breaks_no_new_rule() {
    for (case, (_logs, runs)) in cases() {
        for run in runs {
            let alone = merged(&[&run]);
            let before: BTreeSet<String> = errors(&run).into_iter().collect();
            // The parent may be in another part. This part is not next to the result.
            let is_elsewhere = |error: &String| case.starts_with("rolled_") && error.contains("-known]");
            let broken = errors(&alone.path).into_iter();
            let broken: Vec<String> = broken
                .filter(|error| !before.contains(error) && !is_elsewhere(error))
                .collect();
            assert!(broken.is_empty(), "{case}: {broken:?}");
            let (recorded, made) = (files(&run), files(&alone.path));
            for file in [
                "placement_events.jsonl",
                "host_metrics.jsonl",
                "system_stats.jsonl",
            ] {
                // A later part by itself lacks the start that its first event continues.
                if file != "placement_events.jsonl" || !case.starts_with("rolled_") {
                    assert_eq!(sorted(&recorded[file]), sorted(&made[file]), "{case}: {file}");
                }
            }
            for file in ["invocations.jsonl", "calls.jsonl"] {
                assert_eq!(
                    recorded[file].lines().count(),
                    made[file].lines().count(),
                    "{case}: {file}"
                );
            }
        }
    }
}

/// Rows that two folders contain count as duplicates in the result. The number of spans in the result is the sum of both.
#[test]
fn spans_stay_accounted_for_if_duplicates_are_dropped() {
    let cases = cases();
    let (logs, runs) = &cases["spans_counted_by_outcome"];
    let left = runs.iter().find(|run| run.ends_with("left")).unwrap();
    let copy = logs.path().join("copy");
    fs::create_dir_all(copy.join("cctf")).unwrap();
    for (file, content) in files(left) {
        fs::write(copy.join("cctf").join(file), content).unwrap();
    }
    let twice = merged(&[left, &copy]);
    assert_eq!(errors(&twice.path), Vec::<String>::new());
    let counts = |run: &Path| {
        let meta = &files(run)["run_meta.json"];
        serde_json::from_str::<RunMeta<'_>>(meta).unwrap().counts
    };
    let (one, two) = (counts(left), counts(&twice.path));
    let (of_one, of_two) = (one.spans_by_outcome.unwrap(), two.spans_by_outcome.unwrap());
    assert!(of_one.rows > 0 && of_one.inner > 0 && of_one.asides > 0 && of_one.control > 0);
    assert_eq!(two.spans, 2 * one.spans);
    assert_eq!(of_two.rows, of_one.rows);
    assert_eq!(of_two.duplicates, 2 * of_one.duplicates + of_one.rows);
    assert_eq!(of_two.inner, 2 * of_one.inner);
}

/// Each part begins with an `already_running` start for each live instance. None of these starts begins a life.
#[test]
fn the_parts_of_a_run_merged_equal_the_unsplit_run() {
    let mut checked = 0;
    for (case, (_logs, runs)) in cases() {
        let name = |run: &PathBuf| run.file_name().unwrap().to_string_lossy().into_owned();
        let split = runs
            .iter()
            .map(name)
            .find_map(|run| Part::parse(&run).map(|(run_id, _)| run_id.to_owned()));
        let Some(split) = split else { continue };
        // A separate run can have the same form of name.
        let start = format!("{{\"run_id\":\"{split}\"");
        let is_part = |run: &PathBuf| files(run)["run_meta.json"].starts_with(&start);
        let runs: Vec<PathBuf> = runs.into_iter().filter(is_part).collect();
        if runs.len() < 2 {
            continue;
        }
        checked += 1;
        let together = merged(&runs.iter().map(PathBuf::as_path).collect::<Vec<_>>());
        assert_eq!(errors(&together.path), Vec::<String>::new(), "{case}");
        let made = files(&together.path);
        let lines = |file: &str| {
            runs.iter()
                .map(|run| files(run)[file].lines().count())
                .sum::<usize>()
        };
        for file in ["invocations.jsonl", "calls.jsonl"] {
            assert_eq!(made[file].lines().count(), lines(file), "{case}: {file}");
        }
        let starts = made["placement_events.jsonl"]
            .lines()
            .filter(|line| line.contains("\"event\":\"start\""));
        let mut instances: Vec<&str> = starts
            .map(|line| line.split("\"instance_id\":").nth(1).unwrap())
            .collect();
        instances
            .iter_mut()
            .for_each(|rest| *rest = rest.split(',').next().unwrap());
        let all = instances.len();
        instances.sort_unstable();
        instances.dedup();
        assert_eq!(
            instances.len(),
            all,
            "{case}: an instance that started once has one start"
        );
        assert!(!made["run_meta.json"].contains("\"part\""), "{case}");
    }
    assert!(checked >= 3, "{checked}");
}
