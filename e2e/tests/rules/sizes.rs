//! Sizes that a reader can take in: lines of a file and of a function, characters of a test's name.

use e2e::sources::below;

use crate::assert_none;
use crate::code::functions;

/// Longest file, unit tests at its end not counted.
const LINES_MAX: usize = 400;
/// Longest file with its unit tests.
const LINES_WITH_TESTS_MAX: usize = 500;
/// Longest function that is not part of a test.
const FUNCTION_LINES_MAX: usize = 70;
/// Longest name of a test.
const NAME_MAX: usize = 70;

/// Functions from before the limit, by folder. One that was split is removed from the list.
const LONG_FUNCTIONS: [(&str, &str); 3] = [
    ("normalizer/", "encode_invocation"),
    ("normalizer/", "take_span"),
    ("normalizer/", "write_row"),
];
/// Folders with names of tests from before the limit. One without them is removed from the list.
const LONG_NAMES: [&str; 1] = ["libs/"];

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
fn every_function_fits_on_a_screen() {
    let mut findings = Vec::new();
    let mut is_long = [false; LONG_FUNCTIONS.len()];
    for source in below("", ".rs").unwrap() {
        for function in functions(&source) {
            if function.lines <= FUNCTION_LINES_MAX || function.is_in_tests {
                continue;
            }
            let listed = LONG_FUNCTIONS
                .iter()
                .position(|(folder, name)| source.path.starts_with(folder) && function.name == *name);
            match listed {
                Some(listed) => is_long[listed] = true,
                None => findings.push(format!(
                    "{}: {}: {} lines",
                    source.path, function.name, function.lines
                )),
            }
        }
    }
    assert_none("at most 70 lines a function", &findings);
    let short = LONG_FUNCTIONS.iter().zip(is_long).filter(|(_, is_long)| !is_long);
    let short: Vec<String> = short.map(|(listed, _)| format!("{listed:?}")).collect();
    assert_none("short by now: remove them from LONG_FUNCTIONS", &short);
}

#[test]
fn every_test_has_a_name_that_fits_in_a_line() {
    let mut findings = Vec::new();
    let mut is_long = [false; LONG_NAMES.len()];
    for source in below("", ".rs").unwrap() {
        let tests = functions(&source).into_iter().filter(|function| function.is_test);
        for test in tests.filter(|test| test.name.len() > NAME_MAX) {
            let listed = LONG_NAMES
                .iter()
                .position(|folder| source.path.starts_with(folder));
            match listed {
                Some(listed) => is_long[listed] = true,
                None => findings.push(format!("{}: {}", source.path, test.name)),
            }
        }
    }
    assert_none("at most 70 characters a name", &findings);
    let short = LONG_NAMES.iter().zip(is_long).filter(|(_, is_long)| !is_long);
    let short: Vec<String> = short.map(|(folder, _)| (*folder).to_owned()).collect();
    assert_none("short by now: remove them from LONG_NAMES", &short);
}
