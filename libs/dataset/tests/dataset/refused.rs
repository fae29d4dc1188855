//! Runs that cannot be exported: the user gets one sentence, and no file is left.

use std::fs;
use std::num::NonZero;
use std::path::Path;

use dataset::export::Options;
use rundir::UsageError;

use crate::fixture::{Logs, call, export_runs, meta, small};

/// The error with which an export is refused.
fn refused(out: &Path, runs: &[&Path], options: &Options) -> String {
    let error = export_runs(out, runs, options).unwrap_err();
    assert!(error.is::<UsageError>(), "{error:?}");
    let sentence = error.to_string();
    assert!(!sentence.contains('\n'), "{sentence}");
    let parent = fs::read_dir(out.parent().unwrap()).unwrap();
    let left = parent.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert_eq!(left.filter(|name| name.contains("data")).count(), 0);
    sentence
}

#[test]
fn a_run_that_cannot_be_joined_or_named_is_refused_with_a_remedy() {
    let logs = Logs::new();
    let out = logs.path("data");
    let run = logs.run("r", &[]);
    fs::remove_file(run.join("cctf/calls.jsonl")).unwrap();
    let sentence = refused(&out, &[&run], &small());
    let has = |text: &str| sentence.contains(text);
    assert!(has("has no calls.jsonl") && has("restore the file"), "{sentence}");
    for name in ["a/b", "k=v", "..", "latest"] {
        let run = logs.run("named", &[("run_meta.json", &meta(name))]);
        let sentence = refused(&out, &[&run], &small());
        let has = |text: &str| sentence.contains(text);
        assert!(has(&format!("{name:?}")) && has("--run-id ID"), "{sentence}");
    }
}

#[test]
fn two_runs_of_one_id_are_refused() {
    let logs = Logs::new();
    let out = logs.path("data");
    let first = logs.run("r", &[]);
    let second = logs.run("copied", &[("run_meta.json", &meta("r"))]);
    let sentence = refused(&out, &[&first, &second], &small());
    assert!(sentence.contains("same run id r: cctf merge OUT"), "{sentence}");
    let sentence = refused(&out, &[&first, &first], &small());
    assert!(sentence.contains("named twice"), "{sentence}");
}

#[test]
fn a_run_that_is_being_recorded_is_refused_and_an_open_one_noted() {
    let logs = Logs::new();
    let out = logs.path("data");
    let open = meta("r").replace("\"ended_ts\":9.000000", "\"ended_ts\":null");
    let files = [("run_meta.json", &*open), ("calls.jsonl", &call(1, 1, 1))];
    let run = logs.run("r", &files);
    let lock = fs::File::create(run.join(".lock")).unwrap();
    lock.lock().unwrap();
    let sentence = refused(&out, &[&run], &small());
    let wanted = "being recorded; repeat the command after its end";
    assert!(sentence.contains(wanted), "{sentence}");
    lock.unlock().unwrap();
    let summary = export_runs(&out, &[&run], &small()).unwrap();
    assert_eq!(summary.runs[0].ended_ns, None);
    let note = &summary.notes[0];
    assert!(note.starts_with("r has not ended"), "{note}");
}

#[test]
fn an_existing_path_and_a_wrong_number_of_buckets_are_refused() {
    let logs = Logs::new();
    let run = logs.run("r", &[]);
    for buckets in [3, 1024] {
        let options = Options {
            buckets: NonZero::new(buckets),
            ..small()
        };
        let sentence = refused(&logs.path("data"), &[&run], &options);
        assert!(sentence.contains("power of two from 1 to 512"), "{sentence}");
    }
    let out = logs.path("out");
    fs::create_dir(&out).unwrap();
    let sentence = refused(&out, &[&run], &small());
    assert!(
        sentence.contains("already exists; choose another path"),
        "{sentence}"
    );
    fs::remove_dir(&out).unwrap();
    export_runs(&out, &[&run], &small()).unwrap();
    let sentence = refused(&out, &[&run], &small());
    assert!(
        sentence.contains("add the runs to it with --append"),
        "{sentence}"
    );
}
