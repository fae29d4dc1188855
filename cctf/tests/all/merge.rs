//! `cctf merge`: its output, the requests that it rejects, and the files that remain after a kill.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

use cctf_proto::cctf::File;
use rundir::validate::{Options, validate};
use tempfile::TempDir;

use crate::{cctf, shards, stderr};

/// Maximum duration of the kills. It is long, because the machine may be loaded.
const KILLING_MAX: Duration = Duration::from_secs(180);

/// The folders of a run that three normalizers recorded. Each folder has the rows of one service.
struct Shards {
    _folder: TempDir,
    tiers: [PathBuf; 3],
}

impl Shards {
    fn new(requests: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        shards::write(folder.path(), |count, _| count >= requests).unwrap();
        let tiers = [0, 1, 2].map(|tier| folder.path().join(format!("tier{tier}")));
        Self {
            _folder: folder,
            tiers,
        }
    }
}

fn merge(out: &Path, inputs: &[PathBuf]) -> Output {
    cctf(&["merge"]).arg(out).args(inputs).output().unwrap()
}

/// All files of a run, as text.
fn files(run: &Path) -> BTreeMap<&'static str, String> {
    let read = |file: &File| fs::read_to_string(run.join("cctf").join(file.name())).unwrap();
    File::ALL.iter().map(|file| (file.name(), read(file))).collect()
}

fn is_valid(run: &Path) -> bool {
    validate(run, Options::default()).unwrap().is_valid()
}

#[test]
fn the_summary_is_printed_as_text_and_as_json() {
    let (shards, logs) = (Shards::new(5), tempfile::tempdir().unwrap());
    let all = logs.path().join("all");
    let done = merge(&all, &shards.tiers);
    let printed = String::from_utf8_lossy(&done.stdout);
    assert!(
        done.status.success() && printed.contains("10 orphans resolved, 0 left"),
        "{printed}{}",
        stderr(&done)
    );
    let again = logs.path().join("again");
    let done = cctf(&["merge", "--format", "json"])
        .arg(&again)
        .args(shards.tiers.iter().rev())
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
    assert_eq!(files(&again), files(&all));
    // The links with the file names of earlier tools exist. Apart from the results, there is nothing else.
    assert_eq!(
        fs::read_to_string(again.join("events.jsonl")).unwrap(),
        files(&again)["invocations.jsonl"]
    );
    assert_eq!(fs::read_dir(logs.path()).unwrap().count(), 2);
}

#[test]
fn an_impossible_merge_is_rejected_and_leaves_nothing() {
    let (shards, logs) = (Shards::new(1), tempfile::tempdir().unwrap());
    let out = logs.path().join("out");
    let [run, other, _] = shards.tiers.clone();
    let meta = other.join("cctf/run_meta.json");
    let renamed = fs::read_to_string(&meta)
        .unwrap()
        .replace("\"run_id\":\"bench\"", "\"run_id\":\"s\"");
    fs::write(&meta, renamed).unwrap();
    let [empty, taken] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let cases = [
        (&*out, vec![run.clone(), run.clone()], "the same folder"),
        (&*out, vec![run.clone(), other.clone()], "--run-id"),
        (&*out, vec![empty.path().to_owned()], "not a run"),
        (taken.path(), vec![run.clone()], "already exists"),
        (&*out, vec!["/nowhere/at/all".into()], "cannot read"),
    ];
    for (out, inputs, why) in cases {
        let done = merge(out, &inputs);
        assert!(
            done.status.code() == Some(2) && stderr(&done).contains(why),
            "{why}: {}",
            stderr(&done)
        );
        assert_eq!(fs::read_dir(logs.path()).unwrap().count(), 0, "{why}");
    }
    let named = cctf(&["merge", "--run-id", "both"])
        .arg(&out)
        .args([run, other])
        .output()
        .unwrap();
    assert!(named.status.success(), "{}", stderr(&named));
    assert!(files(&out)["run_meta.json"].starts_with("{\"run_id\":\"both\""));
}

#[test]
fn an_invalid_row_is_named_and_an_incomplete_last_line_is_left_out() {
    let (shards, logs) = (Shards::new(2), tempfile::tempdir().unwrap());
    let rows = shards.tiers[0].join("cctf/invocations.jsonl");
    let complete = fs::read_to_string(&rows).unwrap();
    fs::write(&rows, complete.clone() + "{\"trace_id\":\"0707").unwrap();
    let (out, bad) = (logs.path().join("out"), logs.path().join("bad"));
    let done = merge(&out, &shards.tiers[..1]);
    let printed = String::from_utf8_lossy(&done.stdout);
    assert!(
        done.status.success() && printed.contains("1 incomplete line left out"),
        "{printed}"
    );
    assert!(is_valid(&out));
    let invalid = complete.replacen("\"kind\":\"server\"", "\"kind\":\"sever\"", 1);
    fs::write(&rows, invalid).unwrap();
    let done = merge(&bad, &shards.tiers[..1]);
    assert!(
        done.status.code() == Some(1) && stderr(&done).contains("field kind is missing or invalid"),
        "{}",
        stderr(&done)
    );
    assert!(!bad.exists());
}

/// The process is killed at many moments. Each time, the folder is either absent or complete, and nothing next to it is a valid
/// run.
#[test]
fn a_kill_leaves_no_incomplete_run_that_is_valid() {
    let (shards, logs) = (Shards::new(400), tempfile::tempdir().unwrap());
    let [out, expected] = ["out", "expected"].map(|name| logs.path().join(name));
    let started = Instant::now();
    assert!(merge(&expected, &shards.tiers).status.success());
    let (duration, expected) = (started.elapsed(), files(&expected));
    let hidden = logs.path().join(".out.partial");
    let mut killed = 0;
    let started = Instant::now();
    for attempt in 0_u32.. {
        let mut child = cctf(&["merge"])
            .arg(&out)
            .args(&shards.tiers)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        // The moments are spread over the duration of a merge on this machine.
        std::thread::sleep(duration * (attempt % 20) / 20);
        child.kill().unwrap();
        child.wait().unwrap();
        if out.exists() {
            assert_eq!(files(&out), expected, "a result that exists is complete");
            fs::remove_dir_all(&out).unwrap();
        } else {
            killed += 1;
        }
        let left = hidden.join("run");
        if left.join("cctf/run_meta.json").exists() && is_valid(&left) {
            assert_eq!(files(&left), expected, "a valid run beside it is complete");
        }
        if attempt >= 40 && (killed >= 10 || started.elapsed() > KILLING_MAX) {
            break;
        }
    }
    assert!(killed > 0, "no merge was killed before its end");
    // The next merge to the same path removes the files that remained.
    assert!(merge(&out, &shards.tiers).status.success());
    assert_eq!(files(&out), expected);
    assert!(!hidden.exists());
}
