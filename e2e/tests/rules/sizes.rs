//! Maximum sizes: lines of a file and of a function, and characters of a test's name.

use e2e::sources::below;

use crate::assert_none;
use crate::code::functions;

/// Maximum length of a file without the unit tests at its end.
const LINES_MAX: usize = 400;
/// Maximum length of a file with its unit tests.
const LINES_WITH_TESTS_MAX: usize = 500;
/// Maximum length of a function that is not part of a test.
const FUNCTION_LINES_MAX: usize = 70;
/// Maximum length of a test's name.
const NAME_MAX: usize = 70;

/// Folders with files that were above the limit when it was introduced. A folder without such files has to be removed from the
/// list.
const LONG_FILES: [&str; 0] = [];
/// Functions that were above the limit when it was introduced, by folder. A function that is now shorter has to be removed from
/// the list.
const LONG_FUNCTIONS: [(&str, &str); 0] = [];
/// Folders with names of tests that were above the limit when it was introduced. A folder without such names has to be removed
/// from the list.
const LONG_NAMES: [&str; 0] = [];

/// Finds things that are above a limit and not in the list of exceptions, and exceptions that are not needed any more.
struct Exceptions<T: 'static> {
    listed: &'static [T],
    is_needed: Vec<bool>,
    findings: Vec<String>,
}

impl<T: std::fmt::Debug> Exceptions<T> {
    fn new(listed: &'static [T]) -> Self {
        Self {
            listed,
            is_needed: vec![false; listed.len()],
            findings: Vec::new(),
        }
    }

    /// Records a thing that is above its limit.
    fn note(&mut self, is_it: impl Fn(&T) -> bool, finding: String) {
        match self.listed.iter().position(is_it) {
            Some(entry) => self.is_needed[entry] = true,
            None => self.findings.push(finding),
        }
    }

    fn assert_none(self, rule: &str) {
        assert_none(rule, &self.findings);
        let entries = self.listed.iter().zip(self.is_needed);
        let left: Vec<String> = entries
            .filter(|(_, is_needed)| !is_needed)
            .map(|(entry, _)| format!("{entry:?}"))
            .collect();
        assert_none("exceptions that are no longer needed: remove them", &left);
    }
}

#[test]
fn every_file_can_be_read_in_one_sitting() {
    let mut exceptions = Exceptions::new(&LONG_FILES);
    for source in below("", ".rs").unwrap() {
        let whole = source.text.lines().count();
        let code = source
            .text
            .lines()
            .take_while(|line| !line.starts_with("#[cfg(test)]"))
            .count();
        if code > LINES_MAX || whole > LINES_WITH_TESTS_MAX {
            exceptions.note(
                |folder| source.path.starts_with(folder),
                format!("{}: {whole} lines, {code} before its tests", source.path),
            );
        }
    }
    exceptions.assert_none("at most 400 lines, 500 with unit tests");
}

#[test]
fn every_function_fits_on_a_screen() {
    let mut exceptions = Exceptions::new(&LONG_FUNCTIONS);
    for source in below("", ".rs").unwrap() {
        for function in functions(&source) {
            if function.lines > FUNCTION_LINES_MAX && !function.is_in_tests {
                exceptions.note(
                    |(folder, name)| source.path.starts_with(folder) && function.name == *name,
                    format!("{}: {}: {} lines", source.path, function.name, function.lines),
                );
            }
        }
    }
    exceptions.assert_none("at most 70 lines a function");
}

#[test]
fn every_test_has_a_name_that_fits_in_a_line() {
    let mut exceptions = Exceptions::new(&LONG_NAMES);
    for source in below("", ".rs").unwrap() {
        let tests = functions(&source).into_iter().filter(|function| function.is_test);
        for test in tests.filter(|test| test.name.len() > NAME_MAX) {
            exceptions.note(
                |folder| source.path.starts_with(folder),
                format!("{}: {}", source.path, test.name),
            );
        }
    }
    exceptions.assert_none("at most 70 characters a name");
}
