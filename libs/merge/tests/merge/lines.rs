//! Lines that are not as a normalizer writes them, and many of one stamp.

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use crate::folders::{files, merged};
use crate::world::{Step, normalize, spans_of};

const FILE: &str = "invocations.jsonl";

/// A run of some requests that call a service each.
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

/// Of a long line it is not kept where derived fields belong: that is looked for again.
#[test]
fn a_line_longer_than_places_are_kept_of_is_the_same_line() {
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

/// Derived fields belong elsewhere in the ordered line than in the file's.
#[test]
fn fields_in_another_order_and_spaces_between_them_are_no_other_row() {
    let (plain, other) = (run(), run());
    rewrite(other.path(), |number, line| {
        let is_turned = number % 2 == 0;
        let (without, kind) = (line.replace(",\"kind\":\"server\"", ""), "{\"kind\":\"server\",");
        let turned = without.replacen('{', kind, 1);
        let spaced = line.replace("\",\"", "\" ,\t\"").replace(":null", " : null ");
        if is_turned { turned } else { spaced }
    });
    let without_spaces = merged_lines(other.path())
        .replace("\" ,\t\"", "\",\"")
        .replace(" : null ", ":null");
    assert_eq!(without_spaces, merged_lines(plain.path()));
}

/// More than are sorted in memory at once.
#[test]
fn lines_of_one_stamp_are_in_the_order_of_their_bytes() {
    let run = run();
    rewrite(run.path(), |number, line| {
        let (before, rest) = line.split_once("\"ts_enqueue\":").unwrap();
        let (_, after) = rest.split_once(',').unwrap();
        let stamp = 1_760_000_000_000 + number / 15;
        format!("{before}\"ts_enqueue\":{stamp}.000000,{after}")
    });
    let found = merged_lines(run.path());
    let stamp = |line: &str| line.split_once("\"ts_enqueue\":").unwrap().1[..20].to_owned();
    let mut wanted: Vec<&str> = found.lines().collect();
    wanted.sort_by_key(|line| (stamp(line), (*line).to_owned()));
    assert_eq!(wanted.len(), 40);
    assert_eq!(found.lines().collect::<Vec<_>>(), wanted);
}

/// Rows far from those of their time, so that blocks come and go.
#[test]
fn the_order_of_lines_in_a_file_does_not_matter() {
    let (plain, turned) = (run(), run());
    let path = turned.path().join("cctf").join(FILE);
    let text = fs::read_to_string(&path).unwrap();
    fs::write(
        &path,
        text.lines()
            .rev()
            .map(|line| format!("{line}\n"))
            .collect::<String>(),
    )
    .unwrap();
    assert_eq!(merged_lines(turned.path()), merged_lines(plain.path()));
}
