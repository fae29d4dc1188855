//! Checks that no input creates a folder that `cctf validate` refuses. The input is random: requests of traces and metrics with
//! all known keys and hostile values. They go to several runs and parts, with control spans, restarts and changed settings.
//!
//! `make fuzz` does the same for any number of requests.

use crate::support::folders::Folders;
use crate::support::hostile::{self, BASE_UNIX_NANO, Choices};
use crate::support::scenario;
use cctf_normalizer::journal::{Content, Record};
use cctf_normalizer::pipeline::{Output, Pipeline};
use cctf_proto::cctf::{File, LINE_BYTES_MAX, TEXT_BYTES_MAX};
use proptest::prelude::*;
use proptest::test_runner::{FileFailurePersistence, RngSeed};
use tempfile::TempDir;

/// Length of the longest text. It is much longer than a field can be, and much shorter than a message can be.
const LONGEST: usize = 100_000;
/// Maximum number of records in a case.
const RECORDS_MAX: usize = 14;
/// Maximum number of random numbers for a case. A request takes some hundred.
const NUMBERS_MAX: usize = 1_500;

/// The folders that the normalizer writes for requests that are generated from `numbers`.
fn folders_of(numbers: &[u16], is_shown: bool) -> Folders {
    let mut numbers = numbers.iter().copied();
    let mut next = || u64::from(numbers.next().unwrap_or(0));
    let count_of = |choices: &mut Choices<'_>| choices.below(RECORDS_MAX);
    scenario::folders_of(&mut Choices(&mut next), count_of, |unix_ns, content| {
        if is_shown {
            hostile::show(unix_ns, content);
        }
    })
}

fn in_memory() -> TempDir {
    match std::path::Path::new("/dev/shm").is_dir() {
        true => TempDir::new_in("/dev/shm").unwrap(),
        false => TempDir::new().unwrap(),
    }
}

/// Such a row was once possible: a `data:` URL as a path gave a line of 9 MiB, which `cctf merge` refused.
#[test]
fn no_text_gives_a_line_that_a_reader_refuses() {
    let mut pipeline = Pipeline::new(cctf_normalizer::pipeline::Settings::default());
    let (mut output, mut folders) = (Output::default(), Folders::default());
    let signal = cctf_normalizer::journal::Signal::Traces;
    let body = hostile::longest_texts(LONGEST).into();
    for content in [Content::Request { signal, body }, Content::Shutdown] {
        let record = Record {
            received_unix_ns: BASE_UNIX_NANO,
            content,
        };
        pipeline.feed(&record, &mut output);
        folders.take(&mut output);
    }
    assert_eq!(folders.errors(in_memory().path()), "");
    for file in [File::Invocations, File::Calls] {
        let lines = folders.lines("run", file);
        let [line] = lines[..] else {
            panic!("{} rows", lines.len())
        };
        assert!(line.len() < LINE_BYTES_MAX / 8, "{} bytes", line.len());
        let row: serde_json::Value = serde_json::from_slice(line).unwrap();
        // An instance without an id is named after its module and node.
        let texts = row.as_object().unwrap().iter();
        let longest = texts.max_by_key(|(_, value)| value.as_str().map_or(0, str::len));
        let (field, text) = longest.unwrap();
        assert!(text.as_str().unwrap().len() <= 2 * TEXT_BYTES_MAX + 1, "{field}");
        let module = row["module_id"].as_str().unwrap();
        assert_eq!(module, "\u{1}".repeat(TEXT_BYTES_MAX));
        let flags = row["flags"].to_string();
        assert!(flags.contains("truncated"), "{flags}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 3_000,
        max_shrink_iters: 20_000,
        // Every test run has the same cases. `make fuzz` has others.
        rng_seed: RngSeed::Fixed(1),
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/all/contract/seeds.txt"
        )))),
        ..ProptestConfig::default()
    })]

    #[test]
    fn no_requests_give_a_folder_that_validate_refuses(
        numbers in proptest::collection::vec(any::<u16>(), 0..NUMBERS_MAX)
    ) {
        let errors = folders_of(&numbers, false).errors(in_memory().path());
        if !errors.is_empty() && std::env::var_os("CONTRACT_SHOWN").is_some() {
            folders_of(&numbers, true);
        }
        prop_assert!(errors.is_empty(), "{errors}");
    }
}
