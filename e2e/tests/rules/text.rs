//! How sources look: a first line that says the job, a length that can be read in one sitting, nothing left for later.

use e2e::sources::{all, below, texts};

use crate::assert_none;

/// Longest file, unit tests at its end not counted.
const LINES_MAX: usize = 400;
/// Longest file with its unit tests.
const LINES_WITH_TESTS_MAX: usize = 500;
/// Folders whose absolute paths belong to one machine.
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
fn every_file_can_be_read_in_one_sitting() {
    let mut findings = Vec::new();
    for source in below("", ".rs").unwrap() {
        let whole = source.text.lines().count();
        let code = source
            .text
            .lines()
            .take_while(|line| !line.starts_with("#[cfg(test)]"))
            .count();
        if code > LINES_MAX || whole > LINES_WITH_TESTS_MAX {
            findings.push(format!("{}: {whole} lines, {code} before its tests", source.path));
        }
    }
    assert_none("at most 400 lines, 500 with unit tests", &findings);
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
                // In a URL or after a folder's name it is no absolute path.
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

/// Words for which plain English has a better one: report, record, log, state, set explicitly, infer; again.
const WORDS_TO_AVOID: [&str; 4] = ["tell", "tells", "told", "anew"];

#[test]
fn documents_name_who_reports_or_infers() {
    let mut findings = Vec::new();
    for source in below("", ".md").unwrap() {
        // Tables of the contract are generated from the row types.
        let written = source.text.split("<!-- What follows is generated").next();
        for (number, line) in written.unwrap_or_default().lines().enumerate() {
            let mut words = line.split(|c: char| !c.is_alphanumeric()).map(str::to_lowercase);
            if words.any(|word| WORDS_TO_AVOID.contains(&word.as_str())) {
                findings.push(format!("{}:{}: {}", source.path, number + 1, line.trim()));
            }
        }
    }
    assert_none("tell, tells, told, anew", &findings);
}
