//! `cctf compare`: exit codes for its verdicts, its formats, and input that is missing, invalid, unfinished or damaged.

pub mod made;

use std::fs;
use std::path::Path;
use std::process::{Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::{cctf, stderr};
use made::{MODULE, Made, RECORDED, REPLAYED};

/// A folder of runs.
struct Logs(TempDir);

impl Logs {
    fn with(runs: &[Made<'_>]) -> Self {
        let logs = tempfile::tempdir().unwrap();
        runs.iter().for_each(|run| run.write(logs.path()));
        Self(logs)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Runs `cctf compare` in the folder of all runs.
    fn command(&self, args: &[&str]) -> Output {
        let compare = ["compare", "--logs-dir", "."];
        cctf(&compare)
            .args(args)
            .current_dir(self.path())
            .output()
            .unwrap()
    }

    /// The output of a comparison. The exit code must be `code`.
    fn compare(&self, flags: &[&str], code: i32) -> String {
        let done = self.command(&[&["before", "after"], flags].concat());
        assert_eq!(done.status.code(), Some(code), "{}", stderr(&done));
        String::from_utf8(done.stdout).unwrap()
    }

    fn json(&self, code: i32) -> Value {
        serde_json::from_str(&self.compare(&["--format", "json"], code)).unwrap()
    }

    fn file(&self, run: &str, file: &str) -> std::path::PathBuf {
        self.path().join(run).join("cctf").join(file)
    }
}

#[test]
fn a_replay_on_the_same_machine_is_the_same_with_code_0() {
    let logs = Logs::with(&[RECORDED, REPLAYED]);
    let text = logs.compare(&[], 0);
    assert!(text.starts_with("same: "), "{text}");
    assert!(
        text.contains("Paired request by request: 4,000 requests"),
        "{text}"
    );
}

/// `logs/latest` is a link. The second run changes its target.
#[test]
fn a_run_is_not_compared_with_itself_under_another_name() {
    let logs = Logs::with(&[RECORDED]);
    std::os::unix::fs::symlink("before", logs.path().join("latest")).unwrap();
    for args in [["latest", "before"], ["before", "before"]] {
        let done = logs.command(&args);
        assert_eq!(done.status.code(), Some(2), "{}", stderr(&done));
        assert!(
            stderr(&done).contains("both are the run before"),
            "{}",
            stderr(&done)
        );
    }
}

#[test]
fn longer_services_differ_with_code_3_and_are_the_first_cause() {
    let slower = Made {
        service_factor: 1.2,
        ..REPLAYED
    };
    let logs = Logs::with(&[RECORDED, slower]);
    let text = logs.compare(&[], 3);
    assert!(
        text.starts_with(&format!("differs: mean service time of {MODULE} +59")),
        "{text}"
    );
    assert_eq!(logs.json(3)["verdict"]["causes"][0]["topic"], "service_mean");
    // With wider margins, no difference between the same runs is large enough to count.
    let wide = "service_mean = 1\ncpu_mean = 1\nresponse_p50 = 1\nresponse_p95 = 1\nunexplained_wait_p50 = 1\n\
                unexplained_wait_p95 = 1\nunexplained_wait_p99 = 1\n";
    fs::write(logs.path().join("wide.toml"), wide).unwrap();
    let text = logs.compare(&["--margins", "wide.toml"], 0);
    assert!(text.starts_with("same: "), "{text}");
}

#[test]
fn too_few_requests_cannot_decide_with_code_4() {
    let few = |made| Made { requests: 12, ..made };
    let logs = Logs::with(&[few(RECORDED), few(REPLAYED)]);
    let text = logs.compare(&[], 4);
    assert!(
        text.starts_with("cannot te") && text.contains("What would decide"),
        "{text}"
    );
}

#[test]
fn a_late_driver_makes_the_verdict_void_with_code_4() {
    let late = Made {
        late_ns: 400_000_000,
        ..REPLAYED
    };
    let logs = Logs::with(&[RECORDED, late]);
    let text = logs.compare(&[], 4);
    assert!(text.starts_with("void: "), "{text}");
    assert_eq!(logs.json(4)["verdict"]["answer"], "void");
}

#[test]
fn a_late_recording_does_not_make_its_replay_void() {
    let late = Made {
        late_ns: 400_000_000,
        ..RECORDED
    };
    let logs = Logs::with(&[late, REPLAYED]);
    let done = logs.command(&["before", "after"]);
    let text = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(
        !text.starts_with("void") && text.contains("lateness maximum"),
        "{text}"
    );
}

#[test]
fn runs_without_originals_are_compared_by_module() {
    let independent = Made {
        replays: None,
        ..REPLAYED
    };
    let logs = Logs::with(&[RECORDED, independent]);
    let done = logs.command(&["before", "after"]);
    let text = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(matches!(done.status.code(), Some(0 | 3 | 4)), "{}", stderr(&done));
    assert!(
        text.contains("Not paired: figures are compared by module and endpoint"),
        "{text}"
    );
}

#[test]
fn the_json_has_its_documented_fields_and_is_the_same_each_time() {
    let logs = Logs::with(&[RECORDED, REPLAYED]);
    let first = logs.compare(&["--format", "json"], 0);
    assert_eq!(first, logs.compare(&["--format", "json"], 0));
    let found: Value = serde_json::from_str(&first).unwrap();
    let fields: Vec<&String> = found.as_object().unwrap().keys().collect();
    let page = include_str!("../../../../docs/compare.md");
    for field in &fields {
        assert!(
            page.contains(&format!("`{field}`")),
            "docs/compare.md lacks {field}"
        );
    }
    assert_eq!(fields.len(), 14, "{fields:?}");
    assert_eq!(
        (&found["version"], &found["false_alarms"]),
        (&Value::from(1), &Value::Null)
    );
    assert_eq!(found["verdict"], serde_json::json!({ "answer": "same" }));
    for field in [
        "topic",
        "module",
        "a",
        "b",
        "difference",
        "margin",
        "interval",
        "vote",
    ] {
        assert!(found["voters"][0].get(field).is_some(), "{field}");
    }
}

#[test]
fn what_cannot_be_compared_is_refused_with_code_2() {
    let logs = Logs::with(&[RECORDED, REPLAYED]);
    fs::write(logs.path().join("bad.toml"), "servce_mean = 0.1\n").unwrap();
    for (args, part) in [
        (&["before", "other"][..], "cannot find run"),
        (&["before"], "required"),
        (
            &["before", "after", "--margins", "bad.toml"],
            "unknown margin \"servce_mean\"",
        ),
        (
            &["before", "after", "--margins", "none.toml"],
            "cannot read none.toml",
        ),
        (&["before", "after", "--out", "x.html"], "add --format html"),
        (
            &["before", "after", "--format", "html", "--out", "bad.toml"],
            "is not an HTML page",
        ),
        (&["before", "after", "--format", "xml"], "invalid value"),
    ] {
        let done = logs.command(args);
        assert_eq!(done.status.code(), Some(2), "{args:?} {}", stderr(&done));
        assert!(stderr(&done).contains(part), "{args:?} {}", stderr(&done));
        assert!(done.stdout.is_empty());
    }
    assert!(!logs.path().join("x.html").exists());
}

#[test]
fn a_run_that_cannot_be_read_has_code_1() {
    let logs = Logs::with(&[RECORDED, REPLAYED]);
    fs::remove_file(logs.file("after", "invocations.jsonl")).unwrap();
    let done = logs.command(&["before", "after"]);
    assert_eq!(done.status.code(), Some(1), "{}", stderr(&done));
    assert!(
        stderr(&done).contains("it has no invocations"),
        "{}",
        stderr(&done)
    );
}

#[test]
fn unfinished_runs_and_damaged_lines_are_noted() {
    let open = Made {
        has_ended: false,
        ..REPLAYED
    };
    let logs = Logs::with(&[RECORDED, open]);
    let path = logs.file("before", "calls.jsonl");
    let calls = fs::read_to_string(&path).unwrap();
    fs::write(&path, calls + "no row\n").unwrap();
    let text = logs.compare(&[], 0);
    assert!(text.contains("note: B: the run has not ended"), "{text}");
    assert!(text.contains("note: A: 1 "), "{text}");
}

#[test]
fn the_page_has_the_verdict_and_no_name_in_it_is_markup() {
    let logs = Logs::with(&[RECORDED, REPLAYED]);
    let text = logs.compare(&["--format", "html"], 0);
    assert!(
        text.starts_with("same: ") && text.contains("/compare.html: 2 runs, "),
        "{text}"
    );
    let page = fs::read_to_string(logs.path().join("compare.html")).unwrap();
    assert!(
        page.len() <= 500_000 && page.ends_with("</html>\n"),
        "{}",
        page.len()
    );
    let verdict = page.find("id=\"verdict-voters\"").unwrap();
    assert!(verdict < page.find("id=\"comparison\"").unwrap());
    assert!(!page.contains(MODULE) && page.contains("front&lt;b&gt;"));
    let again = logs.compare(&["--format", "html", "--out", "compare.html"], 0);
    assert_eq!(again, text);
}

#[test]
fn earlier_replays_of_the_run_are_stated_beside_the_verdict() {
    let logs = Logs::with(&[RECORDED, REPLAYED]);
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    let pair = |verdict: &str| {
        serde_json::json!({
            "host": host.trim(), "replay_of": "before", "runs": ["x", "y"], "verdict": verdict, "at": "2026-11-29T16:00:00Z",
        })
    };
    let mut pairs = vec![pair("same"); 39];
    pairs.push(pair("differs"));
    let file = logs.path().join("false-alarms.json");
    fs::write(
        &file,
        serde_json::json!({ "version": 1, "pairs": pairs }).to_string(),
    )
    .unwrap();
    let text = logs.compare(&[], 0);
    assert!(
        text.contains("On this machine, 1 of 40 pairs of replays of run `before` differed although nothing was changed, 39 were"),
        "{text}"
    );
    let found = &logs.json(0)["false_alarms"];
    assert_eq!(
        (&found["differs"], &found["same"]),
        (&Value::from(1), &Value::from(39))
    );
    // A damaged file changes no verdict.
    fs::write(&file, "{").unwrap();
    let text = logs.compare(&[], 0);
    assert!(text.contains("note: cannot read ./false-alarms.json: "), "{text}");
}

#[test]
fn a_closed_standard_output_keeps_the_verdict_and_a_full_one_is_an_error() {
    let logs = Logs::with(&[RECORDED, REPLAYED]);
    let run = |stdout: Stdio| {
        let mut command = cctf(&["compare", "before", "after", "--logs-dir", "."]);
        command
            .current_dir(logs.path())
            .stdout(stdout)
            .stderr(Stdio::piped());
        command.spawn().unwrap().wait_with_output().unwrap()
    };
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let closed = run(writer.into());
    assert_eq!((closed.status.code(), &*stderr(&closed)), (Some(0), ""));
    let full = run(fs::File::options().write(true).open("/dev/full").unwrap().into());
    assert_eq!(full.status.code(), Some(1));
    assert!(
        stderr(&full).contains("cannot write to standard output"),
        "{}",
        stderr(&full)
    );
}
