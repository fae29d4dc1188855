//! `cctf anonymise`: other commands give the same figures for the result, and every invalid use gives one clear sentence.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use cctf_proto::cctf::File;
use serde_json::Value;
use tempfile::TempDir;

use crate::compare::made::{RECORDED, REPLAYED};
use crate::{cctf, recorded, shards, stderr};

/// A folder of runs, in which the commands run.
struct Logs(TempDir);

impl Logs {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn command(&self, args: &[&str]) -> Output {
        let mut command = cctf(args);
        command.env("CCTF_LOGS_DIR", ".").current_dir(self.0.path());
        command.output().unwrap()
    }

    fn done(&self, args: &[&str]) -> String {
        let output = self.command(args);
        assert_eq!(output.status.code(), Some(0), "{args:?}: {}", stderr(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    fn json(&self, args: &[&str]) -> Value {
        let output = self.command(&[args, &["--format", "json"]].concat());
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{args:?}: {}", stderr(&output)))
    }

    /// Anonymises a run with the key that all runs of this folder share.
    fn anonymise(&self, run: &str, out: &str) {
        let mut args = vec!["anonymise", run, "--key", "key", "--out", out];
        if !self.path("key").exists() {
            args.push("--new-key");
        }
        self.done(&args);
    }
}

/// Fields that are points in time. They are shifted; other times are relative to them.
const SHIFTED: [&str; 4] = ["first_root_ts", "first_ns", "last_ns", "started_ms"];

/// A JSON value without its texts. Lists of objects are sorted, because some tables are sorted by name.
fn figures(value: &Value, is_sorted: bool) -> Value {
    match value {
        Value::String(_) => Value::Null,
        Value::Array(items) => {
            let mut items: Vec<Value> = items.iter().map(|item| figures(item, is_sorted)).collect();
            if is_sorted {
                items.sort_by_cached_key(Value::to_string);
            }
            items.into()
        }
        Value::Object(fields) => fields
            .iter()
            .filter(|(name, _)| !SHIFTED.contains(&name.as_str()))
            .map(|(name, value)| (name.clone(), figures(value, is_sorted)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
        other => other.clone(),
    }
}

#[test]
fn a_run_without_names_is_valid_and_has_the_same_figures() {
    let logs = Logs::new();
    // The files are smaller than the blocks that are read in parallel: in larger files, the order of rows depends on their
    // bytes.
    recorded::write(&logs.path("r"), 4_000, recorded::RATE).unwrap();
    logs.anonymise("r", "s");
    for (run, file) in [
        ("r", File::Invocations),
        ("s", File::Invocations),
        ("s", File::Calls),
    ] {
        let size = fs::metadata(logs.path(run).join("cctf").join(file.name()))
            .unwrap()
            .len();
        assert!(size < 4 << 20, "{size}");
    }
    let text = logs.done(&["validate", "s"]);
    assert!(text.starts_with("valid: no broken rules in "), "{text}");
    for flags in [
        &["--by", "module,endpoint,node,link"][..],
        &["--cpu"],
        &["--lint"],
    ] {
        let [before, after] = ["r", "s"].map(|run| logs.json(&[&["stats", run], flags].concat()));
        assert_ne!(before, after, "the names differ");
        assert_eq!(figures(&before, true), figures(&after, true), "{flags:?}");
    }
}

#[test]
fn a_plan_without_names_has_the_same_work_in_the_same_order() {
    let logs = Logs::new();
    recorded::write(&logs.path("r"), 5_000, recorded::RATE).unwrap();
    logs.anonymise("r", "s");
    let [before, after] = ["r", "s"].map(|run| {
        let plan = format!("{run}.jsonl");
        logs.done(&["plan", run, "--out", &plan]);
        fs::read_to_string(logs.path(&plan)).unwrap()
    });
    assert_eq!(before.lines().count(), after.lines().count());
    for (before, after) in before.lines().zip(after.lines()) {
        let [mut before, mut after] =
            [before, after].map(|line| serde_json::from_str::<Value>(line).unwrap());
        for line in [&mut before, &mut after] {
            drop(line.as_object_mut().unwrap().remove("recorded_start_ms"));
        }
        assert_eq!(figures(&before, false), figures(&after, false));
    }
}

#[test]
fn a_comparison_of_runs_without_names_has_the_same_verdict() {
    let logs = Logs::new();
    for run in [RECORDED, REPLAYED] {
        run.write(logs.0.path());
    }
    for (run, out) in [("before", "a"), ("after", "b")] {
        logs.anonymise(run, out);
    }
    let [named, anonymous] = [["before", "after"], ["a", "b"]].map(|[a, b]| logs.json(&["compare", a, b]));
    assert_eq!(named["verdict"], anonymous["verdict"]);
    assert_eq!(figures(&named, true), figures(&anonymous, true));
    // The run and its result have no names in common, but all figures.
    logs.done(&["anonymise", "before", "--key", "key", "--out", "c"]);
    let [recorded, result] = ["before", "a"].map(|run| logs.json(&["compare", run, "c"]));
    assert_ne!(
        recorded["verdict"]["answer"], result["verdict"]["answer"],
        "{recorded}"
    );
}

/// Lines of the files, sorted, and entries of the lists.
fn rows(run: &Path) -> BTreeMap<&'static str, Vec<String>> {
    let lines = |file: &File| {
        let text = fs::read_to_string(run.join("cctf").join(file.name())).unwrap();
        let mut lines: Vec<String> = text
            .lines()
            .map(|line| line.trim_end_matches(',').to_owned())
            .collect();
        lines.sort();
        lines
    };
    File::ALL.iter().map(|file| (file.name(), lines(file))).collect()
}

#[test]
fn a_merge_of_results_is_the_result_of_a_merge() {
    let logs = Logs::new();
    shards::write(logs.0.path(), |count, _| count >= 200).unwrap();
    logs.done(&["merge", "all", "tier0", "tier1", "tier2"]);
    logs.anonymise("all", "anonymous");
    for tier in 0..3 {
        logs.anonymise(&format!("tier{tier}"), &format!("anonymous{tier}"));
    }
    logs.done(&["merge", "merged", "anonymous0", "anonymous1", "anonymous2"]);
    assert_eq!(rows(&logs.path("merged")), rows(&logs.path("anonymous")));
}

#[test]
fn the_summary_says_what_was_done_and_which_endpoints_are_rare() {
    let logs = Logs::new();
    RECORDED.write(logs.0.path());
    let calls = logs.path("before/cctf/calls.jsonl");
    let mut lines = fs::read(&calls).unwrap();
    lines.extend_from_slice(b"{}\n");
    fs::write(&calls, lines).unwrap();
    let args = [
        "anonymise",
        "before",
        "--key",
        "key",
        "--new-key",
        "--k",
        "1000000",
        "--out",
        "s",
    ];
    let text = logs.done(&args);
    for part in [
        "1 unreadable row left out; cctf validate of the recorded run shows what is wrong",
        "have fewer than 1000000 invocations. Whoever knows the application may recognise",
        "Anonymised run: s\n",
        "names and addresses",
    ] {
        let part = part.replace(
            "have",
            if text.contains("1 endpoint has") {
                "has"
            } else {
                "have"
            },
        );
        assert!(text.contains(&part), "{part} is not in:\n{text}");
    }
    let found = logs.json(&["anonymise", "before", "--key", "key", "--k", "1", "--out", "t"]);
    assert_eq!(
        (&found["damaged"], &found["rare_endpoints"]["endpoints"]),
        (&1.into(), &0.into())
    );
    assert_eq!(found["folders"], serde_json::json!(["t"]));
    assert!(found["replaced"]["names"].as_u64() > Some(0), "{found}");
}

#[test]
fn invalid_use_has_one_sentence_and_writes_nothing() {
    let logs = Logs::new();
    RECORDED.write(logs.0.path());
    fs::write(logs.path("open"), (0..32).collect::<Vec<u8>>()).unwrap();
    fs::write(logs.path("short"), "secret").unwrap();
    for key in ["open", "short"] {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = if key == "open" { 0o644 } else { 0o600 };
        fs::set_permissions(logs.path(key), fs::Permissions::from_mode(mode)).unwrap();
    }
    logs.anonymise("before", "done");
    for (args, expected) in [
        (
            ["none", "key", "new"],
            "cannot find run ./none: it does not exist",
        ),
        (
            ["before", "none", "new"],
            "it does not exist; make one with --new-key",
        ),
        (
            ["before", "open", "new"],
            "other users can read it; run chmod 600 ",
        ),
        (
            ["before", "short", "new"],
            "it has 6 bytes, and a key has at least 32",
        ),
        (
            ["before", "key", "done"],
            "cannot create done: it already exists; choose another path",
        ),
        (
            ["before", "key", "before"],
            "cannot create before: it already exists; choose another path",
        ),
        (["key/", "key", "new"], "cannot read key/"),
    ] {
        let [run, key, out] = args;
        let output = logs.command(&["anonymise", run, "--key", key, "--out", out]);
        let text = stderr(&output);
        assert!(
            text.contains(expected) && text.lines().count() == 1,
            "{args:?}: {text}"
        );
        assert!(matches!(output.status.code(), Some(1 | 2)), "{args:?}: {text}");
        assert!(!logs.path("new").exists() && !logs.path(".new.partial").exists());
    }
    // No result, no new key.
    for out in ["done", "key/none"] {
        let args = [
            "anonymise",
            "before",
            "--key",
            "unused",
            "--new-key",
            "--out",
            out,
        ];
        assert!(!logs.command(&args).status.success(), "{out}");
        assert!(!logs.path("unused").exists(), "{out}");
    }
    let again = logs.command(&["anonymise", "before", "--key", "key", "--new-key", "--out", "new"]);
    assert!(
        stderr(&again).contains("it already exists; leave out --new-key"),
        "{}",
        stderr(&again)
    );
}
