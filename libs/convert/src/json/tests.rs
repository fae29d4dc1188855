//! The splitter: which records it finds, where, and how it goes on behind damage, at every size of the pieces it reads.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::io::{self, Read};

use proptest::prelude::*;

use super::grammar::BRACKETS_MAX;
use super::*;

/// Returns at most `piece` bytes at a time.
struct Pieces<'t> {
    rest: &'t [u8],
    piece: usize,
}

impl Read for Pieces<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let bytes = self.piece.min(out.len()).min(self.rest.len());
        let (now, later) = self.rest.split_at(bytes);
        out[..bytes].copy_from_slice(now);
        self.rest = later;
        Ok(bytes)
    }
}

/// The line and bytes of each record, and the line and reason of each damage.
fn split(text: &str) -> Vec<(u64, String)> {
    let in_pieces = |piece| {
        let mut source = Source::new(Box::new(Pieces {
            rest: text.as_bytes(),
            piece,
        }));
        let mut splitter = Splitter::new();
        let mut found = Vec::new();
        while let Some(next) = splitter.next(&mut source) {
            let (begin, text) = match next {
                Found::Record(record) => {
                    let json = std::str::from_utf8(splitter.record()).unwrap().to_owned();
                    let from = usize::try_from(record.begin.byte).unwrap();
                    assert!(text[from..].starts_with(&json), "{json} is not at byte {from}");
                    (record.begin, json)
                }
                Found::Damage(begin, reason) => (begin, format!("! {reason}")),
            };
            found.push((begin.line.unwrap(), text));
        }
        found
    };
    let whole = in_pieces(usize::MAX);
    for piece in [1, 2, 3, 7] {
        assert_eq!(in_pieces(piece), whole, "pieces of {piece} bytes");
    }
    whole
}

/// What was found, without reasons.
fn short(text: &str) -> Vec<(u64, String)> {
    let cut = |found: String| match found.starts_with('!') {
        true => "!".to_owned(),
        false => found,
    };
    split(text)
        .into_iter()
        .map(|(line, found)| (line, cut(found)))
        .collect()
}

fn expected(found: &[(u64, &str)]) -> Vec<(u64, String)> {
    found
        .iter()
        .map(|&(line, text)| (line, text.to_owned()))
        .collect()
}

#[test]
fn documents_arrays_and_containers_are_split_into_records() {
    let cases: [(&str, &[(u64, &str)]); 9] = [
        (
            "{\"id\":1}\n\n{\"id\":[2]}",
            &[(1, "{\"id\":1}"), (3, "{\"id\":[2]}")],
        ),
        (
            "[{\"a\":{}}, [1], 2 ,\"x\"]",
            &[(1, "{\"a\":{}}"), (1, "[1]"), (1, "2"), (1, "\"x\"")],
        ),
        (
            "{\n \"total\": 0,\n \"data\": [\n  {\"a\": 1},\n  {}\n ],\n \"errors\": null\n}",
            &[(4, "{\"a\": 1}"), (5, "{}")],
        ),
        (
            "{\"resourceSpans\":[{\"x\":1}],\"resourceLogs\":[{\"y\":2}]}",
            &[(1, "{\"x\":1}"), (1, "{\"y\":2}")],
        ),
        ("{\"a\":{\"data\":[1]}}", &[(1, "{\"a\":{\"data\":[1]}}")]),
        ("{\"data\":{\"b\":1}}", &[(1, "{\"data\":{\"b\":1}}")]),
        (
            "{\"a\":\"\\\"}{[\\\\\"}{\"b\":1}",
            &[(1, "{\"a\":\"\\\"}{[\\\\\"}"), (1, "{\"b\":1}")],
        ),
        ("\u{feff}\u{1e}{}\n\u{1e}[]", &[(1, "{}")]),
        ("", &[]),
    ];
    for (text, found) in cases {
        assert_eq!(split(text), expected(found), "{text}");
    }
}

#[test]
fn a_broken_line_is_named_and_the_next_line_is_read() {
    let broken = [
        "{\"a\":[1",
        "{\"a\":\"cut",
        "{\"a\":1]",
        "{\"a\" 1}",
        "{\"a\":x}",
        "{,}",
        "text",
        "}",
    ];
    for line in broken {
        let text = format!("{{\"n\":1}}\n{line}\n{{\"n\":3}}\n{{\"n\":4}}\n");
        let found = short(&text);
        let wanted = [(1, "{\"n\":1}"), (2, "!"), (3, "{\"n\":3}"), (4, "{\"n\":4}")];
        assert_eq!(found, expected(&wanted), "{line}");
    }
}

#[test]
fn a_line_that_goes_on_validly_ends_as_a_record_of_its_own() {
    // The array of the first line takes the second line, which is a whole document of its own.
    let found = split("{\"resourceSpans\":[\n{\"resourceSpans\":[1]}\n{\"n\":3}\n");
    assert_eq!(found[0], (2, "{\"resourceSpans\":[1]}".to_owned()));
    assert!(
        found[1].0 == 1 && found[1].1.contains("noticed in line 3"),
        "{found:?}"
    );
    assert_eq!(found[2], (3, "{\"n\":3}".to_owned()));
}

#[test]
fn a_damaged_element_leaves_the_others_of_an_indented_array() {
    let text = "{\n  \"data\": [\n    {\"a\": 1},\n    {\"a\": },\n    {\"a\":\n      {\"b\": 3}\n    },\n    {\"a\": 4}\n  ]\n}\n{\"z\":1}\n";
    let wanted = [
        (3, "{\"a\": 1}"),
        (1, "!"),
        (5, "{\"a\":\n      {\"b\": 3}\n    }"),
        (8, "{\"a\": 4}"),
        (11, "{\"z\":1}"),
    ];
    assert_eq!(short(text), expected(&wanted));
    let wanted = [(2, "{\"a\":1}"), (1, "!"), (4, "{\"a\":3}")];
    assert_eq!(
        short("[\n{\"a\":1},\n{\"a\":},\n{\"a\":3}\n]\n"),
        expected(&wanted)
    );
}

#[test]
fn a_document_cut_in_half_is_named_by_its_first_line() {
    let found = split("{\"n\":1}\n{\"data\":[{\"a\":1},\n{\"a\":");
    assert_eq!(found[..2], expected(&[(1, "{\"n\":1}"), (2, "{\"a\":1}")]));
    let [.., (2, reason)] = &found[..] else {
        panic!("{found:?}");
    };
    assert!(
        reason.contains("cut off") && reason.contains("line 3"),
        "{reason}"
    );
}

#[test]
fn too_long_and_too_deep_records_are_left_out_alone() {
    let long = "x".repeat(RECORD_BYTES_MAX);
    let text = format!("[{{\"a\":\"{long}\"}},{{\"b\":1}}]");
    let mut source = Source::new(Box::new(text.as_bytes()));
    let mut splitter = Splitter::new();
    let Some(Found::Damage(_, reason)) = splitter.next(&mut source) else {
        panic!("the record is accepted");
    };
    assert!(reason.contains("64 MiB"), "{reason}");
    assert!(matches!(splitter.next(&mut source), Some(Found::Record(_))));
    assert_eq!(splitter.record(), b"{\"b\":1}");

    let deep = format!("{}\n{{}}", "[".repeat(BRACKETS_MAX + 1));
    assert_eq!(short(&deep), expected(&[(1, "!"), (2, "{}")]));
}

#[test]
fn the_keys_of_a_record_are_those_of_its_own_level() {
    let keys = |text: &str| {
        let mut splitter = Splitter::new();
        let found = splitter.next(&mut Source::new(Box::new(text.as_bytes())));
        let Some(Found::Record(record)) = found else {
            panic!("{found:?}");
        };
        record
    };
    let inner = keys("{\"data\":[{\"spans\":[{\"traceId\":1}],\"processes\":{\"id\":{}}}]}");
    assert_eq!(inner.container, Some(Container::Data));
    assert!(inner.keys.has(&[Keys::SPANS, Keys::PROCESSES]));
    assert!(!inner.keys.has(&[Keys::TRACE_ID]) && !inner.keys.has(&[Keys::ID]));
    let listed = keys("[[{\"traceId\":\"1\",\"id\":\"2\"}]]");
    assert!(listed.keys.has(&[Keys::TRACE_ID, Keys::ID]) && listed.container.is_none());
}

proptest! {
    /// In pieces of one byte, the grammar reads everything. In one piece, it reads what the fast way leaves.
    #[test]
    fn the_fast_way_finds_what_the_grammar_finds(
        begin in prop::sample::select(vec!["", "[", "{\"data\":[", "{\"data\":[{\"a\":[", "{\"a\":{"]),
        tokens in prop::collection::vec(
            prop::sample::select(vec!["{", "}", "[", "]", ",", ":", "\"ab\"", "\"a\\\"\"", "\"", "12", "null", " ", "\n", "\\"]),
            0..40,
        ),
    ) {
        split(&[begin, &tokens.concat()].concat());
    }
}
