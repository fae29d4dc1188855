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

fn has_note(comparison: &compare::model::Comparison, text: &str) -> bool {
    comparison.notes.iter().any(|note| note == text)
}

#[test]
fn a_negative_lateness_counts_as_0_and_is_noted() {
    let comparison = compare_changed("calls.jsonl", |_, line| replace_value(line, "lateness_ms", "-5"));
    let note = "B: 400 calls have a negative lateness, which counts as 0; cctf validate shows them";
    assert!(has_note(&comparison, note), "{:?}", comparison.notes);
    let lateness = comparison
        .voters
        .iter()
        .filter(|voter| voter.topic <= Topic::LatenessMax);
    let values: Vec<Option<f64>> = lateness.map(|voter| voter.b).collect();
    assert_eq!(values, [Some(0.0); 2]);
}

/// In the contract, optional fields are absent, but never null.
#[test]
fn a_null_in_an_optional_field_is_a_damaged_line() {
    let comparison = compare_changed("calls.jsonl", |number, line| match number % 100 {
        1 => replace_value(line, "lateness_ms", "null"),
        _ => line.to_owned(),
    });
    let nulls = comparison.b.damaged;
    assert!((1..=8).contains(&nulls), "{nulls}");
    assert!(!matches!(comparison.verdict, Verdict::Same));
}

#[test]
fn rows_with_the_same_ids_are_noted() {
    let comparison = compare_changed("calls.jsonl", |_, line| format!("{line}\n{line}"));
    let note =
        "B: 800 rows repeat the ids of other rows, so their calls may not be found; cctf validate shows them";
    assert!(has_note(&comparison, note), "{:?}", comparison.notes);
    assert!(!matches!(comparison.verdict, Verdict::Same));
}

/// Each change affects only the roots of the replay.
#[test]
fn a_root_at_another_module_method_or_path_is_another_request() {
    let root = |from: &'static str, to: &'static str| {
        let change = move |line: &str| match line.contains("\"module_id\":\"driver\"")
            || line.contains("\"module_id\":\"front\",\"instance_id\":\"front-1\",\"ts_enqueue\"")
        {
            true => line.replace(from, to),
            false => line.to_owned(),
        };
        let logs = tempfile::tempdir().unwrap();
        let a = Chain::new(1, 400, 0.5);
        let (of_a, of_b) = (a.write(logs.path()), a.replay(2, 0.05).write(logs.path()));
        for file in ["calls.jsonl", "invocations.jsonl"] {
            let path = of_b.join("cctf").join(file);
            let text = fs::read_to_string(&path).unwrap();
            let lines = text.lines().map(|line| change(line) + "\n");
            fs::write(&path, lines.collect::<String>()).unwrap();
        }
        compare_folders(&of_a, &of_b)
    };
    for (from, to, expected) in [
        (
            "\"module_id\":\"front\"",
            "\"module_id\":\"other\"",
            "GET /front of front in A, GET /front of other in B",
        ),
        (
            "GET",
            "POST",
            "GET /front of front in A, POST /front of front in B",
        ),
        (
            "\"path\":\"/",
            "\"path\":\"/x",
            "GET /front of front in A, GET /xfront of front in B",
        ),
    ] {
        let comparison = root(from, to);
        let Verdict::Differs { causes } = &comparison.verdict else {
            panic!("{to}: {:?}", comparison.verdict);
        };
        let text = format!("400 requests at another module, method or path: {expected}");
        assert_eq!(causes[0].text, text);
        assert_eq!(comparison.graph.len(), 1, "{:?}", comparison.graph);
        let pairing = &comparison.pairing;
        assert_eq!((pairing.roots, pairing.roots_only_b), (400, 0));
    }
    // A different path does not make it another request, because the route is the same.
    let comparison = root("\"path\":\"/\"", "\"path\":\"/1234\"");
    assert!(comparison.graph.is_empty(), "{:?}", comparison.graph);
}

#[test]
fn rows_that_call_themselves_end_nowhere() {
    // The call that caused each invocation of `back` says that the invocation itself made it.
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
