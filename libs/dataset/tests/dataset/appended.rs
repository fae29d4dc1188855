//! Runs that are added to a data set.

use std::collections::BTreeMap;
use std::fs;
use std::num::NonZero;
use std::path::Path;

use dataset::export::{Options, export};
use dataset::index::Index;
use rundir::UsageError;

use crate::fixture::{Logs, call, export_runs, files, input, small};

fn appending() -> Options {
    Options {
        append: true,
        ..small()
    }
}

/// All files in a folder and its subfolders, with their contents.
fn contents(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if path.is_dir() {
            let inner = contents(&path).into_iter();
            found.extend(inner.map(|(inner, text)| (format!("{name}/{inner}"), text)));
        } else {
            found.insert(name, fs::read(&path).unwrap());
        }
    }
    found
}

#[test]
fn runs_added_later_are_those_of_one_export() {
    let logs = Logs::new();
    let runs = ["a", "b"].map(|name| logs.run(name, &[("calls.jsonl", &call(3, 1, 4))]));
    let (whole, grown) = (logs.path("whole"), logs.path("grown"));
    export_runs(&whole, &[&runs[0], &runs[1]], &small()).unwrap();
    export_runs(&grown, &[&runs[0]], &small()).unwrap();
    let summary = export_runs(&grown, &[&runs[1]], &appending()).unwrap();
    assert_eq!((summary.runs.len(), summary.runs_in_all), (1, 2));
    assert_eq!(contents(&grown), contents(&whole));
}

#[test]
fn a_failed_addition_leaves_the_data_set_as_it_was() {
    let logs = Logs::new();
    let runs = ["a", "b"].map(|name| logs.run(name, &[("calls.jsonl", &call(3, 1, 4))]));
    let out = logs.path("data");
    export_runs(&out, &[&runs[0]], &small()).unwrap();
    let before = contents(&out);
    // The user interrupts at the first report of the progress.
    let long: String = (0..9000).map(|span| call(5, span, 4)).collect();
    let long = logs.run("long", &[("calls.jsonl", &long)]);
    let inputs = [input(&long).unwrap()];
    let stopped = export(&out, &inputs, &appending(), &mut |_, _| false).unwrap_err();
    assert_eq!(stopped.to_string(), "interrupted");
    assert_eq!(contents(&out), before);
    // A file has the path of the last table's folder. When the export finds it, it has already moved the folders of the other
    // tables.
    fs::rename(out.join("run_meta"), logs.path("aside")).unwrap();
    fs::write(out.join("run_meta"), "").unwrap();
    let error = export_runs(&out, &[&runs[1]], &appending())
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with("cannot create") && error.ends_with("run_meta"),
        "{error}"
    );
    fs::remove_file(out.join("run_meta")).unwrap();
    fs::rename(logs.path("aside"), out.join("run_meta")).unwrap();
    assert_eq!(contents(&out), before);
}

#[test]
fn folders_of_a_killed_addition_are_replaced() {
    let logs = Logs::new();
    let runs = ["a", "b"].map(|name| logs.run(name, &[("calls.jsonl", &call(3, 1, 4))]));
    let out = logs.path("data");
    export_runs(&out, &[&runs[0]], &small()).unwrap();
    let left = out.join("calls/run_id=b/bucket=007");
    fs::create_dir_all(&left).unwrap();
    fs::write(left.join("part-0.parquet"), "half of a fi").unwrap();
    export_runs(&out, &[&runs[1]], &appending()).unwrap();
    assert_eq!(files(&out.join("calls/run_id=b")).len(), 1);
    assert!(!left.exists());
    assert_eq!(Index::read(&out).unwrap().runs.len(), 2);
}

#[test]
fn runs_are_added_only_to_a_data_set_of_this_layout() {
    let logs = Logs::new();
    let run = logs.run("a", &[]);
    let out = logs.path("data");
    let refused = |options: &Options| {
        let error = export_runs(&out, &[&run], options).unwrap_err();
        assert!(error.is::<UsageError>(), "{error:?}");
        error.to_string()
    };
    assert!(refused(&appending()).contains("create one without --append"));
    assert!(!out.exists());
    export_runs(&out, &[&run], &small()).unwrap();
    let sentence = refused(&appending());
    assert!(
        sentence.contains("a run in ") && sentence.contains("same run id a"),
        "{sentence}"
    );
    let buckets = Options {
        buckets: NonZero::new(8),
        ..appending()
    };
    assert!(refused(&buckets).contains("it has 1 buckets; leave out --buckets"));
    let index = out.join("index.json");
    let text = fs::read_to_string(&index).unwrap();
    for (from, to, wanted) in [
        ("\"layout\": 1", "\"layout\": 2", "another layout"),
        ("\"layout\": 1", "\"layout\": ", "its index.json is invalid"),
        ("\"buckets\": 1", "\"buckets\": 3", "another layout"),
        ("\"name\": \"pid\"", "\"name\": \"pids\"", "other columns"),
    ] {
        fs::write(&index, text.replace(from, to)).unwrap();
        let sentence = refused(&appending());
        assert!(sentence.contains(wanted), "{sentence}");
    }
}
