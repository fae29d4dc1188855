//! `cctf merge`: its output, the requests it rejects, and what is left after a kill.

use std::fs;
use std::path::Path;
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

use crate::cctf;
use crate::folders::{errors, files, folder};
use crate::world::{Made, Step, normalize, spans_of};

/// Maximum duration of the kills. It is generous, because the machine may be loaded.
const KILLING_MAX: Duration = Duration::from_secs(180);

fn merge(args: &[&Path]) -> Output {
    cctf(&["merge"]).args(args).output().unwrap()
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
fn the_summary_is_printed_as_text_and_as_json() {
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
    let printed = String::from_utf8(done.stdout).unwrap();
    assert!(
        done.status.success() && printed.contains("10 orphans resolved, 0 left"),
        "{printed}"
    );
    let other = logs.path().join("again");
    let done = cctf(&["merge"])
        .arg(&other)
        .args([two.path(), one.path()])
        .args(["--format", "json"])
        .output()
        .unwrap();
    let printed: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!(
        (
            printed["resolved"].as_u64(),
            printed["rows"]["invocations.jsonl"].as_u64()
        ),
        (Some(10), Some(15))
    );
    assert_eq!(files(&other), files(&logs.path().join("all")));
    // The links with the file names of earlier tools exist, and there is nothing else beside the results.
    assert_eq!(
        fs::read_to_string(other.join("events.jsonl")).unwrap(),
        files(&other)["invocations.jsonl"]
    );
    assert_eq!(fs::read_dir(logs.path()).unwrap().count(), 2);
}

#[test]
fn an_impossible_merge_is_rejected_and_leaves_nothing() {
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
        let printed = String::from_utf8_lossy(&done.stderr);
        assert!(
            done.status.code() == Some(2) && printed.contains(why),
            "{why}: {printed}"
        );
        assert_eq!(fs::read_dir(logs.path()).unwrap().count(), 0, "{why}");
    }
    let named = cctf(&["merge"])
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
fn an_invalid_row_is_named_and_an_incomplete_last_line_is_left_out() {
    let (run, logs) = (normalize(&some_spans(2)), folder());
    let rows = run.path().join("cctf/invocations.jsonl");
    let whole = fs::read_to_string(&rows).unwrap();
    fs::write(&rows, whole.clone() + "{\"trace_id\":\"0707").unwrap();
    let done = merge(&[&logs.path().join("out"), run.path()]);
    let printed = String::from_utf8(done.stdout).unwrap();
    assert!(
        done.status.success() && printed.contains("1 incomplete lines left out"),
        "{printed}"
    );
    assert_eq!(errors(&logs.path().join("out")), Vec::<String>::new());
    fs::write(
        &rows,
        whole.replacen("\"kind\":\"server\"", "\"kind\":\"sever\"", 1),
    )
    .unwrap();
    let done = merge(&[&logs.path().join("bad"), run.path()]);
    let printed = String::from_utf8_lossy(&done.stderr);
    assert!(
        done.status.code() == Some(1) && printed.contains("field kind is missing or invalid"),
        "{printed}"
    );
    assert!(!logs.path().join("bad").exists());
}

/// Killed at many moments. Each time the folder is either absent or complete, and nothing beside it is a valid run.
#[test]
fn a_kill_leaves_no_incomplete_run_that_is_valid() {
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
        let mut child = cctf(&["merge"])
            .arg(&out)
            .args([one.path(), two.path()])
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        // Spread over the duration of a merge on this machine.
        std::thread::sleep(whole * (attempt % 20) / 20);
        child.kill().unwrap();
        child.wait().unwrap();
        if out.exists() {
            assert_eq!(files(&out), right, "a result that exists is complete");
            fs::remove_dir_all(&out).unwrap();
        } else {
            killed += 1;
        }
        let left = hidden.join("run");
        if left.join("cctf/run_meta.json").exists() && errors(&left).is_empty() {
            assert_eq!(files(&left), right, "a valid run beside it is complete");
        }
        if attempt >= 40 && (killed >= 10 || begun.elapsed() > KILLING_MAX) {
            break;
        }
    }
    assert!(killed > 0, "no merge was killed before its end");
    // The next merge to the same place removes the leftovers.
    assert!(merge(&[&out, one.path(), two.path()]).status.success());
    assert_eq!(files(&out), right);
    assert!(!hidden.exists());
}
