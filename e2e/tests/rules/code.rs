//! Reads source text for the rules: lines of code, the paths in them, functions and tests.

use e2e::sources::Source;

/// Lines of code with their numbers. Comments, and the unit tests at the end, are left out. A `use` is one line.
pub fn code(text: &str) -> impl Iterator<Item = (usize, String)> {
    let mut found: Vec<(usize, String)> = Vec::new();
    let mut in_use = false;
    for (number, line) in (1..).zip(text.lines().take_while(|line| !line.starts_with("#[cfg(test)]"))) {
        let line = line.split("//").next().unwrap_or_default();
        match found.last_mut() {
            Some((_, before)) if in_use => before.push_str(line.trim()),
            _ => found.push((number, line.to_owned())),
        }
        let starts = ["use ", "pub use ", "pub(crate) use "]
            .iter()
            .any(|start| line.trim_start().starts_with(start));
        in_use = (in_use || starts) && !line.contains(';');
    }
    found.into_iter().filter(|(_, line)| !line.trim().is_empty())
}

/// The paths that follow `prefix` in a line. If a list in braces follows, all its entries.
pub fn named(line: &str, prefix: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (index, _) in line.match_indices(prefix) {
        if !line[..index].ends_with(|c: char| is_word(c) || c == ':') {
            collect_paths(&line[index + prefix.len()..], "", &mut found);
        }
    }
    found.retain(|path| !path.is_empty() && !path.ends_with("::"));
    found
}

/// Collects the path at the start of `text`, or the paths of its list in braces. Returns the text after them.
fn collect_paths<'a>(text: &'a str, before: &str, found: &mut Vec<String>) -> &'a str {
    let end = text.find(|c: char| !is_word(c) && c != ':').unwrap_or(text.len());
    let path = format!("{before}{}", &text[..end]);
    let is_list = path.is_empty() || path.ends_with("::");
    let Some(mut rest) = text[end..].strip_prefix('{').filter(|_| is_list) else {
        found.push(path.trim_end_matches(':').to_owned());
        return &text[end..];
    };
    loop {
        rest = collect_paths(rest.trim_start(), &path, found);
        // Skips `as name`.
        rest = &rest[rest.find([',', '}']).unwrap_or(rest.len())..];
        match rest.strip_prefix(',') {
            Some(next) => rest = next,
            None => return rest.strip_prefix('}').unwrap_or(rest),
        }
    }
}

pub fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// A function in a file.
#[derive(Debug, PartialEq, Eq)]
pub struct Function {
    pub name: String,
    /// Number of lines from the first line to the closing brace.
    pub lines: usize,
    /// Whether it has the attribute of a test.
    pub is_test: bool,
    /// Whether it is a test or a helper of tests.
    pub is_in_tests: bool,
}

/// The functions of a file. In files formatted by rustfmt, a function ends with a brace that is indented like its first line.
pub fn functions(source: &Source) -> Vec<Function> {
    let is_test_file = source.path.contains("/tests/") || source.path.ends_with("tests.rs");
    let lines: Vec<&str> = source.text.lines().collect();
    let mut found = Vec::new();
    let (mut is_test, mut is_in_tests) = (false, is_test_file);
    for (index, line) in lines.iter().enumerate() {
        is_in_tests |= line.starts_with("#[cfg(test)]");
        is_test |= ["#[test]", "::test]", "::test("]
            .iter()
            .any(|mark| line.trim_start().starts_with("#[") && line.contains(mark));
        if let Some((indent, name)) = function_start(line) {
            let end = format!("{indent}}}");
            let is_one_line = line.ends_with(['}', ';']);
            let rest = lines[index..]
                .iter()
                .position(|line| is_one_line || line.trim_end() == end);
            found.push(Function {
                name: name.to_owned(),
                lines: rest.map_or(1, |rest| rest + 1),
                is_test,
                is_in_tests,
            });
            is_test = false;
        }
    }
    found
}

/// Indentation and name of the function that starts in a line.
fn function_start(line: &str) -> Option<(&str, &str)> {
    let words = line.trim_start();
    let indent = &line[..line.len() - words.len()];
    let (before, rest) = words.split_at(words.find("fn ")?);
    let is_qualifier = |word: &str| {
        ["const", "async", "unsafe", "extern", "\"C\""].contains(&word)
            || word.starts_with("pub")
            || ["crate)", "super)"].contains(&word)
    };
    let name = rest["fn ".len()..].split(|c: char| !is_word(c)).next()?;
    (before.split_whitespace().all(is_qualifier) && !name.is_empty()).then_some((indent, name))
}

#[test]
fn paths_are_found_in_lists() {
    assert_eq!(
        named("use crate::sink::Sink; f(crate::x)", "crate::"),
        ["sink::Sink", "x"]
    );
    assert_eq!(
        named("use crate::{journal::Record, sink};", "crate::"),
        ["journal::Record", "sink"]
    );
    assert_eq!(
        named(
            "use crate::{a::{B, c::{D as E, F}}, g}; h(acrate::i, super::crate::j)",
            "crate::"
        ),
        ["a::B", "a::c::D", "a::c::F", "g"]
    );
    let tested = "use a::{\n    b,\n    c,\n};\n// d\n#[cfg(test)]\nmod tests {\n use std::fs;\n}\n";
    assert_eq!(
        code(tested).collect::<Vec<_>>(),
        [(1, "use a::{b,c,};".to_owned())]
    );
}

#[test]
fn functions_are_found_with_their_lengths() {
    let text = "impl A {\n    pub fn a(\n    ) {\n        x(|| {\n        });\n    }\n    fn b() {}\n}\n\
                #[test]\nfn c() {\n}\n#[cfg(test)]\nmod tests {\n    pub(crate) async fn d() {\n    }\n}\n";
    let source = Source {
        path: "a.rs".to_owned(),
        text: text.to_owned(),
    };
    let found: Vec<_> = functions(&source)
        .into_iter()
        .map(|found| (found.name, found.lines, found.is_test, found.is_in_tests))
        .collect();
    let expected = [
        ("a", 5, false, false),
        ("b", 1, false, false),
        ("c", 2, true, false),
        ("d", 2, false, true),
    ];
    assert_eq!(
        found,
        expected.map(|(name, lines, test, tests)| (name.to_owned(), lines, test, tests))
    );
}
