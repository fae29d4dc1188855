//! The program `cctf merge`: what it says, what it refuses, and what a kill leaves.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[allow(dead_code, reason = "shared with the tests of the merge itself")]
#[path = "../../libs/merge/tests/merge/folders.rs"]
mod folders;
#[allow(dead_code, reason = "shared with the tests of the merge itself")]
#[path = "../../libs/merge/tests/merge/world.rs"]
mod world;

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use folders::{errors, files, folder};
use world::{Made, Step, normalize, spans_of};

/// Generous: a loaded machine is no fault.
const PATIENCE: Duration = Duration::from_secs(180);

fn cctf() -> Command {
    Command::new(env!("CARGO_BIN_EXE_cctf"))
}

fn merge(args: &[&Path]) -> Output {
    cctf().arg("merge").args(args).output().unwrap()
}

fn some_spans(requests: usize) -> Vec<Made> {
    let call = |to| Step::Call {
        to,
        there: 1,
        back: 2,
        sent: 1,
        lost: false,
        answer: vec![Step::Outside(1)],
    };
    spans_of(&vec![vec![call(1), Step::Inner(vec![call(2)])]; requests], [0; 3])
}

#[test]
fn what_was_merged_is_told_for_people_and_for_programs() {
    let (spans, logs) = (some_spans(5), folder());
    let [one, two] = [0, 1].map(|shard| {
        normalize(
            &spans
                .iter()
                .filter(|made| (made.service == 0) == (shard == 0))
                .cloned()
                .collect::<Vec<_>>(),
        )
    });
    let done = merge(&[&logs.path().join("all"), one.path(), two.path()]);
    let told = String::from_utf8(done.stdout).unwrap();
    assert!(
        done.status.success() && told.contains("10 orphans resolved, 0 left"),
        "{told}"
    );
    let other = logs.path().join("again");
    let done = cctf()
        .arg("merge")
        .arg(&other)
        .args([two.path(), one.path()])
        .args(["--format", "json"])
        .output()
        .unwrap();
    let told: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!(
        (
            told["resolved"].as_u64(),
            told["rows"]["invocations.jsonl"].as_u64()
        ),
        (Some(10), Some(15))
    );
    assert_eq!(files(&other), files(&logs.path().join("all")));
    // The names of the earlier tooling are there, too, and nothing else is beside the results.
    assert_eq!(
        fs::read_to_string(other.join("events.jsonl")).unwrap(),
        files(&other)["invocations.jsonl"]
    );
    assert_eq!(fs::read_dir(logs.path()).unwrap().count(), 2);
}

#[test]
fn what_cannot_be_merged_is_refused_and_leaves_nothing() {
    let (run, logs) = (normalize(&some_spans(1)), folder());
    let out = logs.path().join("out");
    let other = normalize(&some_spans(1));
    let meta = other.path().join("cctf/run_meta.json");
    let renamed = fs::read_to_string(&meta)
        .unwrap()
        .replace("\"run_id\":\"r\"", "\"run_id\":\"s\"");
    fs::write(&meta, renamed).unwrap();
    let empty = folder();
    let taken = folder();
    let cases: [(&[&Path], &str); 5] = [
        (&[&out, run.path(), run.path()], "the same folder"),
        (&[&out, run.path(), other.path()], "--run-id"),
        (&[&out, empty.path()], "is not a run"),
        (&[taken.path(), run.path()], "already exists"),
        (&[&out, Path::new("/nowhere/at/all")], "cannot read"),
    ];
    for (args, why) in cases {
        let done = merge(args);
        let told = String::from_utf8_lossy(&done.stderr);
        assert!(
            done.status.code() == Some(2) && told.contains(why),
            "{why}: {told}"
        );
        assert_eq!(fs::read_dir(logs.path()).unwrap().count(), 0, "{why}");
    }
    let named = cctf()
        .arg("merge")
        .arg(&out)
        .args([run.path(), other.path()])
        .args(["--run-id", "both"])
        .output()
        .unwrap();
    assert!(
        named.status.success(),
        "{}",
        String::from_utf8_lossy(&named.stderr)
    );
    assert!(files(&out)["run_meta.json"].starts_with("{\"run_id\":\"both\""));
}

#[test]
fn a_row_that_cannot_be_used_is_named_and_half_a_line_at_the_end_is_left_out() {
    let (run, logs) = (normalize(&some_spans(2)), folder());
    let rows = run.path().join("cctf/invocations.jsonl");
    let whole = fs::read_to_string(&rows).unwrap();
    fs::write(&rows, whole.clone() + "{\"trace_id\":\"0707").unwrap();
    let done = merge(&[&logs.path().join("out"), run.path()]);
    let told = String::from_utf8(done.stdout).unwrap();
    assert!(
        done.status.success() && told.contains("1 half lines left out"),
        "{told}"
    );
    assert_eq!(errors(&logs.path().join("out")), Vec::<String>::new());
    fs::write(
        &rows,
        whole.replacen("\"kind\":\"server\"", "\"kind\":\"sever\"", 1),
    )
    .unwrap();
    let done = merge(&[&logs.path().join("bad"), run.path()]);
    let told = String::from_utf8_lossy(&done.stderr);
    assert!(
        done.status.code() == Some(1) && told.contains("kind is missing or not as the contract has it"),
        "{told}"
    );
    assert!(!logs.path().join("bad").exists());
}

/// Killed at many moments; each time the folder is either not there or whole, and what is left beside it is no run.
#[test]
fn a_kill_leaves_nothing_that_validates_falsely() {
    let (one, two, logs) = (normalize(&some_spans(400)), normalize(&some_spans(300)), folder());
    let out = logs.path().join("out");
    let started = Instant::now();
    assert!(
        merge(&[&logs.path().join("right"), one.path(), two.path()])
            .status
            .success()
    );
    let (whole, right) = (started.elapsed(), files(&logs.path().join("right")));
    let hidden = logs.path().join(".out.partial");
    let mut killed = 0;
    let begun = Instant::now();
    for attempt in 0_u32.. {
        let mut child = cctf()
            .arg("merge")
            .arg(&out)
            .args([one.path(), two.path()])
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        // Spread over the time that a merge takes here, whatever that is.
        std::thread::sleep(whole * (attempt % 20) / 20);
        child.kill().unwrap();
        child.wait().unwrap();
        if out.exists() {
            assert_eq!(files(&out), right, "a result that appeared is whole");
            fs::remove_dir_all(&out).unwrap();
        } else {
            killed += 1;
        }
        let left = hidden.join("run");
        if left.join("cctf/run_meta.json").exists() && errors(&left).is_empty() {
            assert_eq!(files(&left), right, "what is left and valid is whole");
        }
        if attempt >= 40 && (killed >= 10 || begun.elapsed() > PATIENCE) {
            break;
        }
    }
    assert!(killed > 0, "no merge was killed before its end");
    // The next merge to the same place takes away what is left.
    assert!(merge(&[&out, one.path(), two.path()]).status.success());
    assert_eq!(files(&out), right);
    assert!(!hidden.exists());
}
