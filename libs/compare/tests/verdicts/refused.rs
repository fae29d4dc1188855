//! Runs that cannot be compared, and runs for which no number of requests would be enough for a verdict.

use std::fs;
use std::path::Path;

use compare::margins::Margins;
use compare::model::{Comparison, Vote};
use compare::{CompareError, Options};
use rundir::parts::Target;

use crate::chain::{Chain, compare_runs};

fn try_compare(a: &Path, b: &Path) -> Result<Comparison, CompareError> {
    let [a, b] = [a, b].map(|path| Target::Folder(path.to_owned()).find().unwrap().unwrap());
    let options = Options {
        margins: Margins::default(),
        threads: 1,
    };
    compare::compare([(&a.0, &a.1), (&b.0, &b.1)], &options, &mut |_| {})
}

/// The error for the comparison of a run with its replay, in which one file was changed.
fn error_with(files: &[&str], change: impl Fn(&str) -> String) -> String {
    let logs = tempfile::tempdir().unwrap();
    let a = Chain::new(1, 50, 0.5);
    let (of_a, of_b) = (a.write(logs.path()), a.replay(2, 0.05).write(logs.path()));
    for file in files {
        let path = of_b.join("cctf").join(file);
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, change(&text)).unwrap();
    }
    try_compare(&of_a, &of_b).unwrap_err().to_string()
}

#[test]
fn an_invalid_run_meta_is_an_error_and_no_run_without_end() {
    let damaged = error_with(&["run_meta.json"], |_| "{{{".to_owned());
    let negative = error_with(&["run_meta.json"], |text| text.replacen('{', "{\"seed\":-5,", 1));
    for error in [damaged, negative] {
        assert!(error.starts_with("cannot read "), "{error}");
        assert!(error.contains("b/cctf/run_meta.json: "), "{error}");
        assert!(
            error.ends_with("; cctf validate lists what is invalid"),
            "{error}"
        );
    }
}

#[test]
fn a_run_without_valid_lines_states_their_number() {
    let files = ["invocations.jsonl", "calls.jsonl"];
    let error = error_with(&files, |text| text.replace('{', "["));
    let expected = "it has no invocations, because 200 lines are damaged; cctf validate lists them";
    assert!(error.ends_with(expected), "{error}");
    let error = error_with(&files, |_| String::new());
    assert!(
        error.ends_with("it has no invocations; choose a run with rows"),
        "{error}"
    );
}

#[test]
fn an_overloaded_queue_needs_no_number_of_requests() {
    let (a, mut b) = (Chain::new(1, 400, 2.0), Chain::new(2, 400, 2.0));
    (b.id, b.base) = ("b", 1_000_000);
    let comparison = compare_runs(&a, &b);
    let open = || {
        comparison
            .voters
            .iter()
            .filter(|voter| voter.vote == Vote::CannotTell)
    };
    let cause = "the slots are busy for longer than the requests arrive, so the queue never settles";
    assert!(open().any(|voter| voter.needed.is_none() && voter.reason.as_deref() == Some(cause)));
    assert!(open().all(|voter| voter.needed.is_none_or(|needed| needed < 1_000_000_000)));
}
