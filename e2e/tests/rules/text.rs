//! Rules for texts: the first line of a file states its purpose, the English is plain, no text announces later work, and no
//! path belongs to a single machine.

use e2e::sources::{all, below, texts};

use crate::assert_none;
use crate::code::is_word;

/// Folders whose absolute paths exist only on one machine.
const MACHINE_FOLDERS: [&str; 5] = ["root", "home", "Users", "work", "tmp"];

#[test]
fn every_file_opens_with_its_job() {
    let sources = below("", ".rs").unwrap();
    let without = sources.iter().filter(|source| !source.text.starts_with("//! "));
    assert_none(
        "the first line of a source is `//! ...`",
        &without.map(|source| source.path.clone()).collect::<Vec<_>>(),
    );
}

#[test]
fn nothing_is_left_for_later() {
    let marks = ["TO", "FIX", "XX"].map(|start| match start {
        "TO" => format!("{start}DO"),
        "FIX" => format!("{start}ME"),
        _ => format!("{start}X"),
    });
    let mut findings = Vec::new();
    for source in all().unwrap() {
        for (number, line) in source.text.lines().enumerate() {
            let words = line.split(|c: char| !c.is_alphanumeric());
            if words
                .into_iter()
                .any(|word| marks.iter().any(|mark| mark == word))
            {
                findings.push(format!("{}:{}: {}", source.path, number + 1, line.trim()));
            }
        }
    }
    assert_none("what is to be done is an issue, not a comment", &findings);
}

#[test]
fn no_path_belongs_to_one_machine() {
    let folders = MACHINE_FOLDERS.map(|folder| format!("/{folder}/"));
    let mut findings = Vec::new();
    for source in texts().unwrap() {
        for (number, line) in source.text.lines().enumerate() {
            let absolute = |folder: &String| {
                let before = line
                    .find(folder.as_str())
                    .map(|at| line[..at].chars().next_back());
                // After a URL or the name of a folder, it is not an absolute path.
                before.is_some_and(|before| {
                    before.is_none_or(|c| !(c.is_alphanumeric() || "}.*_-~".contains(c)))
                })
            };
            if folders.iter().any(absolute) {
                findings.push(format!("{}:{}: {}", source.path, number + 1, line.trim()));
            }
        }
    }
    assert_none("no absolute path of one machine", &findings);
}

/// Words for which plain English has others: report, record, log, state, set explicitly, infer; again. They are written in
/// pieces, so that a search does not find them here.
const REPLACED_WORDS: [&str; 4] = [
    concat!("te", "ll"),
    concat!("te", "lls"),
    concat!("to", "ld"),
    concat!("an", "ew"),
];
/// Values of the contract in the form that code and documents use: a source of `slots_src`, a rule of `cctf validate`, and a
/// verdict of `cctf compare`.
const CONTRACT_VALUES: [&str; 6] = [
    concat!("\"to", "ld\""),
    concat!("`to", "ld`"),
    concat!("workers: to", "ld if"),
    concat!("parent-span-to", "ld"),
    concat!("cannot te", "ll"),
    concat!("Cannot te", "ll"),
];
/// Texts that must not change: history, recorded input, and licences.
const KEPT: [&str; 3] = ["CHANGELOG.md", "LICENSE", "normalizer/tests/golden/"];
/// Texts that existed before this rule. A text that follows the rule has to be removed from the list.
const NOT_CLEAN_YET: [&str; 0] = [];

#[test]
fn text_names_who_reports_records_or_infers() {
    let mut findings = Vec::new();
    let mut is_clean = [true; NOT_CLEAN_YET.len()];
    for source in texts().unwrap() {
        if KEPT.iter().any(|kept| source.path.starts_with(kept)) {
            continue;
        }
        let listed = NOT_CLEAN_YET
            .iter()
            .position(|listed| source.path.starts_with(listed));
        for (number, line) in source.text.lines().enumerate() {
            match listed {
                _ if !has_replaced_word(line) => {}
                Some(listed) => is_clean[listed] = false,
                None => findings.push(format!("{}:{}: {}", source.path, number + 1, line.trim())),
            }
        }
    }
    assert_none(&format!("words to replace: {REPLACED_WORDS:?}"), &findings);
    let clean = NOT_CLEAN_YET
        .iter()
        .zip(is_clean)
        .filter(|(_, is_clean)| *is_clean);
    let clean: Vec<String> = clean.map(|(listed, _)| (*listed).to_owned()).collect();
    assert_none("clean by now: remove them from NOT_CLEAN_YET", &clean);
}

#[test]
fn replaced_words_are_found_as_whole_words() {
    let [word, ..] = REPLACED_WORDS;
    assert!(has_replaced_word(&format!("x {}.", word.to_uppercase())));
    let contract = format!("{} {word}er {word}_x", CONTRACT_VALUES[1]);
    assert!(!has_replaced_word(&contract), "{contract}");
}

fn has_replaced_word(line: &str) -> bool {
    let line = CONTRACT_VALUES
        .iter()
        .fold(line.to_owned(), |line, value| line.replace(value, ""));
    line.split(|c: char| !is_word(c))
        .any(|found| REPLACED_WORDS.iter().any(|word| found.eq_ignore_ascii_case(word)))
}
