//! Files that are damaged, missing, empty or still growing.

use std::fs;

use proptest::prelude::*;
use report::gather::{GatherError, Options, gather};
use report::model::RunData;

use super::run::{Call, Folder, Invocation, T0, meta};

fn has_note(data: &RunData, start: &str) {
    assert!(
        data.notes.iter().any(|note| note.starts_with(start)),
        "{start}: {:?}",
        data.notes
    );
}

fn error_of(folder: &Folder) -> GatherError {
    let (run, part) = folder.target().find().unwrap().unwrap();
    let options = Options {
        threads: 2,
        validates_large_runs: false,
    };
    gather(&run, &part, &options, &mut |_| {}).unwrap_err()
}

#[test]
fn a_damaged_line_is_left_out_and_counted() {
    let folder = Folder::new();
    let rows = [
        Invocation::default().line(),
        "{\"trace_id\":\n".to_owned(),
        Invocation::default().line(),
    ];
    folder.write("invocations.jsonl", &rows.concat());
    folder.write("calls.jsonl", &(Call::default().line() + "[]\n"));
    folder.write("placement_events.jsonl", "{}\n");
    let data = folder.gather();
    assert_eq!(data.timeline.run.buckets[0].calls, 2);
    assert_eq!(data.edges.iter().map(|edge| edge.calls).sum::<u64>(), 3);
    assert_eq!(data.stats.damages.count, 3);
    has_note(&data, "3 damaged lines are left out of the figures");
    has_note(&data, "1 damaged line of placement_events.jsonl is left out");
    assert!(data.validation.errors > 0 && !data.validation.findings.is_empty());
    assert_eq!(data.validation.unchecked, None);
}

#[test]
fn a_missing_file_is_a_sentence() {
    let folder = Folder::new();
    folder.invocations(&[Invocation::default()]);
    for file in [
        "calls.jsonl",
        "host_metrics.jsonl",
        "placement_events.jsonl",
        "system_stats.jsonl",
        "module_inventory.json",
        "run_meta.json",
        "nodes.json",
        "links.json",
        "link_metrics.jsonl",
    ] {
        fs::remove_file(folder.path(file)).unwrap();
    }
    let data = folder.gather();
    assert_eq!(data.timeline.run.buckets[0].calls, 1);
    assert!(data.meta.is_none() && data.hosts.is_empty() && data.events.is_empty());
    for note in [
        "r has no calls.jsonl",
        "the run has no host_metrics.jsonl, so CPU and memory",
        "the run has no placement_events.jsonl, so starts",
        "no samples of in_flight",
        "no valid module_inventory.json",
        "r has no run_meta.json",
        "r has no nodes.json, so CPUs",
        "r has no links.json, so its links",
        "the run has no link_metrics.jsonl, so the traffic",
    ] {
        has_note(&data, note);
    }
}

#[test]
fn invalid_small_files_and_damaged_samples_are_named() {
    let folder = Folder::new();
    folder.invocations(&[Invocation::default()]);
    for file in ["nodes.json", "links.json", "module_inventory.json"] {
        folder.write(file, "[{\n");
    }
    // A damaged line is counted once, although several figures are computed from its file.
    folder.write(
        "system_stats.jsonl",
        "{\"metric\":\"in_flight\"}\n{\"metric\":\"process.cpu.time\"}\nX\n",
    );
    folder.write("host_metrics.jsonl", "{}\n");
    folder.write("link_metrics.jsonl", "X\n{}\n");
    let data = folder.gather();
    assert_eq!(data.stats.damages.count, 4, "{:?}", data.stats.damages);
    for note in [
        "4 damaged lines are left out of the figures",
        "r has an invalid nodes.json",
        "r has an invalid links.json",
        "no valid module_inventory.json",
        "2 damaged lines of link_metrics.jsonl are left out",
    ] {
        has_note(&data, note);
    }
}

#[test]
fn a_run_without_invocations_jsonl_has_no_report() {
    let folder = Folder::new();
    fs::remove_file(folder.path("invocations.jsonl")).unwrap();
    let error = error_of(&folder).to_string();
    assert!(
        error.starts_with("cannot make a report of ") && error.contains("has no invocations.jsonl; "),
        "{error}"
    );
}

#[test]
fn a_file_that_cannot_be_read_is_an_error() {
    let folder = Folder::new();
    fs::remove_file(folder.path("host_metrics.jsonl")).unwrap();
    fs::create_dir(folder.path("host_metrics.jsonl")).unwrap();
    let error = error_of(&folder).to_string();
    assert!(error.contains("host_metrics.jsonl"), "{error}");
}

#[test]
fn an_empty_run_has_an_empty_timeline() {
    let folder = Folder::new();
    let data = folder.gather();
    assert_eq!((data.stats.rows, data.timeline.run.buckets.len()), (0, 0));
    assert!(data.edges.is_empty() && data.traces.is_empty() && data.timeline.modules.is_empty());
    has_note(&data, "the run has no invocations");
}

#[test]
fn a_growing_run_has_its_complete_lines() {
    let folder = Folder::new();
    let torn = Invocation::default().line();
    folder.write(
        "invocations.jsonl",
        &(Invocation::default().line() + &torn[..torn.len() - 9]),
    );
    folder.write("host_metrics.jsonl", "{\"ts_ms\":17");
    folder.write("run_meta.json", &meta("r", 1, None));
    let data = folder.gather();
    assert_eq!((data.stats.rows, data.timeline.run.buckets[0].calls), (1, 1));
    assert_eq!(data.stats.damages.count, 0);
    assert!(data.stats.is_open && data.meta.as_ref().unwrap().ended_ns.is_none());
    assert_eq!(data.meta.unwrap().started_ns as u64, T0);
    assert!(
        !data.notes.iter().any(|note| note.contains("damaged")),
        "{:?}",
        data.notes
    );
    has_note(&folder.gather(), "the run has not ended");
}

#[test]
fn a_run_of_orphans_shows_no_trace() {
    let folder = Folder::new();
    folder.invocations(&[Invocation {
        is_orphan: true,
        ..Invocation::default()
    }]);
    let data = folder.gather();
    assert!(data.traces.is_empty());
    has_note(&data, "no root invocation has a response time");
}

/// Bytes and their positions. A position is a fraction of the text's length.
fn bytes() -> impl Strategy<Value = Vec<(f64, u8)>> {
    let byte = prop_oneof![
        any::<u8>(),
        prop::sample::select(b"\"{}[],:\n0123456789-".to_vec())
    ];
    prop::collection::vec((0.0..1.0_f64, byte), 1..12)
}

fn damaged(text: String, bytes: &[(f64, u8)]) -> Vec<u8> {
    let mut text = text.into_bytes();
    for (position, byte) in bytes {
        let at = (text.len() as f64 * position) as usize;
        text[at] = *byte;
    }
    text
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_is_damaged_each_row_is_in_one_bucket(bytes in bytes(), more in bytes()) {
        let folder = Folder::new();
        let rows = (1..8).map(|number| Invocation {
            trace: number / 2,
            span: number,
            parent: number / 3,
            call: number * 10,
            enqueue: number << 28,
            ..Invocation::default()
        });
        let calls = (1..8).map(|number| Call {
            trace: number / 2,
            span: number * 10,
            peer: "m:80",
            ..Call::default()
        });
        let rows: String = rows.map(|row| row.line()).collect();
        let calls: String = calls.map(|row| row.line()).collect();
        fs::write(folder.path("invocations.jsonl"), damaged(rows, &bytes)).unwrap();
        fs::write(folder.path("calls.jsonl"), damaged(calls, &more)).unwrap();
        let data = folder.gather();
        let counted: u64 = data.timeline.run.buckets.iter().map(|bucket| bucket.calls).sum();
        prop_assert_eq!(counted, data.stats.rows);
        let of_modules = data.timeline.modules.iter().flat_map(|(_, series)| &series.buckets);
        prop_assert_eq!(of_modules.map(|bucket| bucket.calls).sum::<u64>(), data.stats.rows);
    }
}

#[test]
fn a_row_with_a_wrong_clock_is_counted_and_does_not_stretch_the_timeline() {
    let folder = Folder::new();
    let row = |number: u64| Invocation {
        enqueue: number * 100_000_000,
        ..Invocation::default()
    };
    let mut rows: Vec<Invocation> = (0..40).map(row).collect();
    // This row starts two minutes after the run, which takes five seconds.
    rows.push(row(1250));
    let data = folder.invocations(&rows).gather();
    assert_eq!(data.stats.outside, 1);
    let buckets = &data.timeline.run.buckets;
    assert_eq!(buckets.iter().map(|bucket| bucket.calls).sum::<u64>(), 41);
    let length_ns = data.timeline.end_ns - data.timeline.begin_ns;
    assert!(length_ns <= 66_000_000_000, "{length_ns}");
    has_note(&data, "over time, what is more than a minute outside of the run");
    has_note(&data, "1 invocation starts more than a minute before started_ts");
    // If there are many such rows, run_meta.json may be wrong.
    rows.extend((1251..1270).map(row));
    let data = folder.invocations(&rows).gather();
    assert_eq!(data.stats.outside, 20);
    assert!(data.timeline.end_ns - data.timeline.begin_ns > 100_000_000_000);
    assert!(!data.notes.iter().any(|note| note.starts_with("over time")));
}
