//! Folders with extreme values, damaged lines and rows that contradict each other.

use std::fs;
use std::path::Path;

use compare::model::{Topic, Verdict};

use crate::chain::{Chain, compare_folders};

/// Writes a run and its replay, and changes lines of one file of the replay.
fn compare_changed(file: &str, change: impl Fn(usize, &str) -> String) -> compare::model::Comparison {
    let logs = tempfile::tempdir().unwrap();
    let a = Chain::new(1, 400, 0.5);
    let (of_a, of_b) = (a.write(logs.path()), a.replay(2, 0.05).write(logs.path()));
    let path = of_b.join("cctf").join(file);
    let text = fs::read_to_string(&path).unwrap();
    let lines = text
        .lines()
        .enumerate()
        .map(|(number, line)| change(number, line) + "\n");
    fs::write(&path, lines.collect::<String>()).unwrap();
    compare_folders(&of_a, Path::new(&of_b))
}

#[test]
fn times_at_the_ends_of_their_range_are_no_panic() {
    for value in ["9223372036854.775807", "-9223372036854.775808"] {
        for name in [
            "ts_enqueue",
            "ts_end",
            "queue_time_ms",
            "service_time_ms",
            "rt_ms",
            "net_ms",
        ] {
            let comparison = compare_changed("invocations.jsonl", |number, line| match number % 3 {
                0 => replace_value(line, name, value),
                _ => line.to_owned(),
            });
            serde_json::to_string(&comparison).unwrap();
        }
        for name in ["ts_start", "ts_end", "lateness_ms"] {
            let comparison = compare_changed("calls.jsonl", |number, line| match number % 3 {
                0 => replace_value(line, name, value),
                _ => line.to_owned(),
            });
            serde_json::to_string(&comparison).unwrap();
        }
    }
}

fn replace_value(line: &str, name: &str, value: &str) -> String {
    let key = format!("\"{name}\":");
    let Some((before, after)) = line.split_once(&key) else {
        return line.to_owned();
    };
    let end = after.find([',', '}']).unwrap();
    format!("{before}{key}{value}{}", &after[end..])
}

#[test]
fn damaged_lines_are_counted_and_their_calls_are_missing() {
    let comparison = compare_changed("calls.jsonl", |number, line| match number {
        10 => line[..line.len() / 2].to_owned(),
        _ => line.to_owned(),
    });
    assert_eq!(comparison.b.damaged, 1);
    assert!(
        comparison
            .notes
            .iter()
            .any(|note| note == "B: 1 line is no row and is left out")
    );
    assert!(!matches!(comparison.verdict, Verdict::Same));
}

#[test]
fn rows_that_call_themselves_end_nowhere() {
    // The call of each invocation of `back` says that this invocation made it.
    let comparison = compare_changed("calls.jsonl", |_, line| {
        line.replace(
            "\"ancestor_id\":\"0000000000000002\"",
            "\"ancestor_id\":\"0000000000000064\"",
        )
    });
    let Verdict::Differs { causes } = &comparison.verdict else {
        panic!("{:?}", comparison.verdict);
    };
    assert_eq!(causes[0].topic, Topic::CallGraph);
}

#[test]
fn the_order_of_lines_does_not_matter() {
    let logs = tempfile::tempdir().unwrap();
    let a = Chain::new(1, 400, 0.5);
    let (of_a, of_b) = (a.write(logs.path()), a.replay(2, 0.05).write(logs.path()));
    let before = compare_folders(&of_a, &of_b);
    for file in ["invocations.jsonl", "calls.jsonl"] {
        let path = of_b.join("cctf").join(file);
        let text = fs::read_to_string(&path).unwrap();
        let reversed = text.lines().rev().map(|line| format!("{line}\n"));
        fs::write(&path, reversed.collect::<String>()).unwrap();
    }
    let after = compare_folders(&of_a, &of_b);
    assert_eq!(before.verdict, after.verdict);
    assert_eq!(before.voters, after.voters);
    assert_eq!(before.pairing, after.pairing);
}

#[test]
fn equal_ids_and_texts_of_any_kind_are_no_panic() {
    let comparison = compare_changed("invocations.jsonl", |_, line| {
        let line = replace_value(line, "span_id", "\"00000000000000aa\"");
        replace_value(&line, "module_id", "\"<script>\\u0000\"")
    });
    serde_json::to_string(&comparison).unwrap();
    assert!(!matches!(comparison.verdict, Verdict::Same));
}
