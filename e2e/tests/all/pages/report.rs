//! Reports of recorded runs with good and with bad data: each report is one small file that sends no requests and can be used.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::LazyLock;

use e2e::binaries::{Done, bin_dir, cctf, command, short_run};
use e2e::child::{Child, wait_for};
use e2e::otlp::{export, now_unix_ns};
use prost::Message;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::spans::{self, HOSTILE, PLAIN};
use super::{check, file_url};

/// Checks of a page that differs from other pages only in missing data.
const SOME_CHECKS: [&str; 9] = [
    "axe, light",
    "width of 390",
    "names",
    "keyboard",
    "no JavaScript",
    "window by mouse",
    "window by keyboard",
    "ends of the window",
    "traces",
];
/// Maximum size of a report. It does not depend on the run.
const BYTES_MAX: u64 = 500_000;
const SECOND: u64 = 1_000_000_000;

/// A run of the chain with several endpoints.
static CHAIN: LazyLock<TempDir> = LazyLock::new(|| {
    let logs = tempfile::tempdir().unwrap();
    short_run(logs.path(), &["--endpoints", "json,gzip,kvset", "--chain"]).unwrap();
    logs
});

/// A minute of requests to services with hostile names. All are sent together, with timestamps in the past.
static HOSTILE_RUN: LazyLock<TempDir> = LazyLock::new(|| recorded(&HOSTILE, 240, |_| {}));

/// A run of `traces` requests within a minute. `during` is called with the folder of all runs while the normalizer still runs.
fn recorded(names: &[&str; 4], traces: u64, during: impl FnOnce(&Path)) -> TempDir {
    let logs = tempfile::tempdir().unwrap();
    let flags = ["--run-id", "r", "--join-window", "1s"];
    let normalizer = Child::normalizer(&bin_dir().unwrap(), logs.path(), &flags).unwrap();
    let url = normalizer.url("grpc").unwrap();
    let begin = now_unix_ns() - 60 * SECOND;
    for count in 1..=traces {
        let body = spans::trace(names, count, begin + count * 60 * SECOND / (traces + 1));
        let answer = export(&url, body.encode_to_vec()).unwrap().unwrap();
        assert_eq!(answer.partial_success, None);
    }
    if traces > 0 {
        wait_for("the rows of all traces", || {
            let rows = fs::read_to_string(logs.path().join("r/cctf/invocations.jsonl")).unwrap_or_default();
            Ok((rows.lines().count() as u64 >= 2 * traces).then_some(()))
        })
        .unwrap();
    }
    during(logs.path());
    let ended = normalizer.stop().unwrap();
    assert!(ended.status.success(), "{}", ended.stderr);
    logs
}

/// Creates a report of these runs. Returns the path of its file.
fn report(runs: &[&Path], flags: &[&str], out: &TempDir) -> PathBuf {
    let file = out.path().join("report.html");
    let mut command = command("cctf").unwrap();
    command
        .arg("report")
        .args(runs)
        .args(flags)
        .arg("--out")
        .arg(&file);
    let done = Done::from(command.output().unwrap());
    assert_eq!(done.code, Some(0), "{}\n{}", done.stdout, done.stderr);
    let bytes = fs::metadata(&file).unwrap().len();
    assert!(bytes <= BYTES_MAX, "the report has {bytes} bytes");
    let left: Vec<_> = fs::read_dir(out.path()).unwrap().collect();
    assert_eq!(left.len(), 1, "only the report is left: {left:?}");
    file
}

/// The command that prints the figures of a window of this run.
fn stats_of(run: &Path) -> Value {
    let binary = bin_dir().unwrap().join("cctf");
    json!([binary, "stats", run, "--by", "module", "--format", "json"])
}

#[test]
fn a_report_of_a_chain_is_brushed_and_its_traces_are_opened() {
    let run = CHAIN.path().join("r");
    let out = tempfile::tempdir().unwrap();
    let file = report(&[&run], &[], &out);
    check(&json!({
        "kind": "report",
        "url": file_url(&file),
        "texts": ["edge0", "cloud0", "/json/validate"],
        "stats": stats_of(&run),
    }));
}

#[test]
fn hostile_names_are_text_in_a_report() {
    let run = HOSTILE_RUN.path().join("r");
    let out = tempfile::tempdir().unwrap();
    let file = report(&[&run], &[], &out);
    check(&json!({
        "kind": "report",
        "url": file_url(&file),
        "names": HOSTILE,
        "stats": stats_of(&run),
    }));
}

#[test]
fn two_runs_stand_side_by_side() {
    let (chain, hostile) = (CHAIN.path().join("r"), HOSTILE_RUN.path().join("r"));
    let out = tempfile::tempdir().unwrap();
    let against = hostile.to_string_lossy();
    let file = report(&[&chain], &["--against", &against], &out);
    // The runs have no common module. The page must say so instead of showing a comparison.
    check(
        &json!({ "kind": "report", "url": file_url(&file), "names": HOSTILE, "only": SOME_CHECKS, "stats": stats_of(&chain) }),
    );
    let again = recorded(&PLAIN, 120, |_| {});
    let other = recorded(&PLAIN, 120, |_| {});
    let against = other.path().join("r");
    let file = report(
        &[&again.path().join("r")],
        &["--against", &against.to_string_lossy()],
        &out,
    );
    check(
        &json!({ "kind": "report", "url": file_url(&file), "texts": PLAIN, "stats": stats_of(&again.path().join("r")) }),
    );
}

#[test]
fn a_verdict_on_two_runs_stands_above_their_report() {
    let (first, second) = (recorded(&PLAIN, 120, |_| {}), recorded(&PLAIN, 120, |_| {}));
    let out = tempfile::tempdir().unwrap();
    let file = out.path().join("compare.html");
    let mut command = command("cctf").unwrap();
    command
        .arg("compare")
        .args([first.path().join("r"), second.path().join("r")])
        .args(["--format", "html", "--out"])
        .arg(&file);
    let done = Done::from(command.output().unwrap());
    assert!(
        matches!(done.code, Some(0 | 3 | 4)),
        "{}\n{}",
        done.stdout,
        done.stderr
    );
    assert!(fs::metadata(&file).unwrap().len() <= BYTES_MAX);
    check(
        &json!({ "kind": "report", "url": file_url(&file), "only": SOME_CHECKS, "texts": ["Voters", PLAIN[0]], "stats": stats_of(&first.path().join("r")) }),
    );
}

#[test]
fn the_report_of_an_empty_run_says_what_is_missing() {
    let logs = recorded(&PLAIN, 0, |logs| {
        fs::create_dir_all(logs.join("empty/cctf")).unwrap()
    });
    let run = logs.path().join("empty");
    fs::write(run.join("cctf/invocations.jsonl"), "").unwrap();
    let out = tempfile::tempdir().unwrap();
    let file = report(&[&run], &[], &out);
    check(
        &json!({ "kind": "report", "url": file_url(&file), "charts": false, "only": SOME_CHECKS, "texts": ["no invocations"] }),
    );
}

/// A copy of the hostile run in which every tenth line is cut in half.
fn damaged(into: &Path) -> PathBuf {
    let (from, run) = (HOSTILE_RUN.path().join("r/cctf"), into.join("damaged"));
    fs::create_dir_all(run.join("cctf")).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        let cut = text.lines().enumerate().map(|(number, line)| {
            let half = line.floor_char_boundary(line.len() / 2);
            let kept = if number % 10 == 9 { &line[..half] } else { line };
            format!("{kept}\n")
        });
        fs::write(
            run.join("cctf").join(path.file_name().unwrap()),
            cut.collect::<String>(),
        )
        .unwrap();
    }
    run
}

#[test]
fn the_report_of_a_damaged_run_counts_the_lines_left_out() {
    let logs = tempfile::tempdir().unwrap();
    let run = damaged(logs.path());
    let out = tempfile::tempdir().unwrap();
    let file = out.path().join("report.html");
    let mut command = command("cctf").unwrap();
    command.arg("report").arg(&run).arg("--out").arg(&file);
    let done = Done::from(command.output().unwrap());
    assert_eq!(done.code, Some(1), "{}\n{}", done.stdout, done.stderr);
    assert!(done.stderr.contains("invocations.jsonl:10: "), "{}", done.stderr);
    check(
        &json!({ "kind": "report", "url": file_url(&file), "names": HOSTILE, "only": SOME_CHECKS, "texts": ["damaged"] }),
    );
}

#[test]
fn a_run_in_progress_has_a_report_too() {
    let out = tempfile::tempdir().unwrap();
    recorded(&PLAIN, 60, |logs| {
        let run = logs.join("r");
        let file = report(&[&run], &[], &out);
        check(
            &json!({ "kind": "report", "url": file_url(&file), "only": SOME_CHECKS, "texts": PLAIN, "stats": stats_of(&run) }),
        );
    });
}

/// Files of a folder and their content.
fn content(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut all: Vec<_> = entries
        .map(|path| (path.clone(), fs::read(&path).unwrap()))
        .collect();
    all.sort();
    all
}

#[test]
fn an_interrupted_report_leaves_the_older_file_and_no_other() {
    // The file has many more rows than are read before the signal arrives.
    const COPIES: usize = 200;
    let logs = tempfile::tempdir().unwrap();
    let run = logs.path().join("large");
    fs::create_dir_all(run.join("cctf")).unwrap();
    let rows = fs::read(HOSTILE_RUN.path().join("r/cctf/invocations.jsonl")).unwrap();
    let path = run.join("cctf/invocations.jsonl");
    fs::write(&path, rows.repeat(COPIES)).unwrap();
    let out = tempfile::tempdir().unwrap();
    fs::write(out.path().join("report.html"), "<!doctype html>\nolder").unwrap();
    let before = content(out.path());
    let mut command = command("cctf").unwrap();
    command
        .arg("report")
        .arg(&run)
        .arg("--out")
        .arg(out.path().join("report.html"));
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    let mut process = command.spawn().unwrap();
    let opened = format!("/proc/{}/fd", process.id());
    wait_for("a report that reads", || {
        let files = fs::read_dir(&opened).into_iter().flatten().flatten();
        let reads = files
            .map(|file| fs::read_link(file.path()))
            .any(|file| file.is_ok_and(|file| file == path));
        assert_eq!(process.try_wait().unwrap(), None, "it ended before the signal");
        Ok(reads.then_some(()))
    })
    .unwrap();
    let id = libc::pid_t::try_from(process.id()).unwrap();
    // SIGINT would not work: a process that a shell starts in the background ignores it.
    // SAFETY: kill only sends a signal, to the child that this test started and has not waited for.
    assert_eq!(unsafe { libc::kill(id, libc::SIGTERM) }, 0);
    let done = Done::from(process.wait_with_output().unwrap());
    assert_eq!(done.code, None, "{}", done.stderr);
    assert!(
        content(out.path()) == before,
        "{:?}",
        fs::read_dir(out.path()).unwrap().collect::<Vec<_>>()
    );
}

#[test]
fn a_report_of_nothing_is_one_sentence_and_no_file() {
    let logs = tempfile::tempdir().unwrap();
    let out = logs.path().join("report.html").to_string_lossy().into_owned();
    let folder = logs.path().to_string_lossy().into_owned();
    fs::create_dir(logs.path().join("bare")).unwrap();
    let bare = logs.path().join("bare").to_string_lossy().into_owned();
    for wrong in [
        &["report", "--logs-dir", &folder, "--out", &out][..],
        &["report", "absent", "--logs-dir", &folder, "--out", &out],
        &["report", &bare, "--out", &out],
        &["report", &bare, "--out", &folder],
        &["report", &bare, "--out", &format!("{folder}/absent/report.html")],
    ] {
        let done = cctf(wrong).unwrap();
        assert_eq!(
            (done.code, done.stderr.lines().count()),
            (Some(2), 1),
            "{wrong:?}: {done:?}"
        );
        assert!(!Path::new(&out).exists(), "{wrong:?}");
    }
}
