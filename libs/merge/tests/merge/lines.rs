//! Lines in a form that normalizers do not write, and many lines with the same timestamp.

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use crate::folders::{files, merged};
use crate::world::{Step, normalize, spans_of};

const FILE: &str = "invocations.jsonl";

/// A run of requests. Each calls one service.
fn run() -> TempDir {
    let call = Step::Call {
        to: 1,
        there: 1,
        back: 1,
        sent: 1,
        lost: false,
        answer: Vec::new(),
    };
    normalize(&spans_of(&vec![vec![call]; 20], [0; 3]))
}

fn rewrite(run: &Path, how: impl Fn(usize, &str) -> String) {
    let path = run.join("cctf").join(FILE);
    let text = fs::read_to_string(&path).unwrap();
    let lines = text
        .lines()
        .enumerate()
        .map(|(number, line)| how(number, line) + "\n");
    fs::write(&path, lines.collect::<String>()).unwrap();
}

fn merged_lines(run: &Path) -> String {
    files(&merged(&[run]).path)[FILE].clone()
}

/// The offsets of derived fields in such a long line are not stored. They are searched for a second time.
#[test]
fn a_line_too_long_for_its_offsets_is_written_the_same() {
    let (plain, long) = (run(), run());
    let path = |line: &str| {
        line.replace(
            "\"path\":\"/x\"",
            &format!("\"path\":\"/{}\"", "x".repeat(70_000)),
        )
    };
    rewrite(long.path(), |_, line| path(line));
    let wanted = path(&merged_lines(plain.path()));
    assert!(wanted.len() > 20 * 70_000);
    assert!(merged_lines(long.path()) == wanted);
}

/// The derived fields have other offsets in the ordered line than in the file.
#[test]
fn order_of_fields_and_spaces_do_not_change_the_row() {
    let (plain, other) = (run(), run());
    rewrite(other.path(), |number, line| {
        let is_reordered = number % 2 == 0;
        let (without, kind) = (line.replace(",\"kind\":\"server\"", ""), "{\"kind\":\"server\",");
        let reordered = without.replacen('{', kind, 1);
        let spaced = line.replace("\",\"", "\" ,\t\"").replace(":null", " : null ");
        if is_reordered { reordered } else { spaced }
    });
    let without_spaces = merged_lines(other.path())
        .replace("\" ,\t\"", "\",\"")
        .replace(" : null ", ":null");
    assert_eq!(without_spaces, merged_lines(plain.path()));
}

/// These are more lines than the merge sorts in memory.
#[test]
fn lines_with_one_timestamp_are_sorted_by_their_bytes() {
    let run = run();
    rewrite(run.path(), |number, line| {
        let (before, rest) = line.split_once("\"ts_enqueue\":").unwrap();
        let (_, after) = rest.split_once(',').unwrap();
        let timestamp = 1_760_000_000_000 + number / 15;
        format!("{before}\"ts_enqueue\":{timestamp}.000000,{after}")
    });
    let found = merged_lines(run.path());
    let timestamp = |line: &str| line.split_once("\"ts_enqueue\":").unwrap().1[..20].to_owned();
    let mut wanted: Vec<&str> = found.lines().collect();
    wanted.sort_by_key(|line| (timestamp(line), (*line).to_owned()));
    assert_eq!(wanted.len(), 40);
    assert_eq!(found.lines().collect::<Vec<_>>(), wanted);
}

/// Rows are far from other rows with similar timestamps, so that blocks in memory are replaced.
#[test]
fn the_order_of_lines_in_a_file_does_not_matter() {
    let (plain, reversed) = (run(), run());
    let path = reversed.path().join("cctf").join(FILE);
    let text = fs::read_to_string(&path).unwrap();
    fs::write(
        &path,
        text.lines()
            .rev()
            .map(|line| format!("{line}\n"))
            .collect::<String>(),
    )
    .unwrap();
    assert_eq!(merged_lines(reversed.path()), merged_lines(plain.path()));
}
