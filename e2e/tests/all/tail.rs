//! `cctf tail` of real runs: its output must equal the files, line by line.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child as Process, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use e2e::binaries::{Done, bin_dir, cctf, command, short_run};
use e2e::child::{Child, wait_for};
use e2e::otlp::{export, request, span};
use e2e::rows;
use prost::Message;
use serde_json::Value;

/// A running `cctf tail` and its output.
struct Tail {
    process: Process,
    stdout: Arc<Mutex<Vec<u8>>>,
    stderr: Arc<Mutex<Vec<u8>>>,
    readers: Vec<JoinHandle<()>>,
}

/// Exit status and output.
struct Ended {
    status: ExitStatus,
    stdout: Vec<u8>,
    stderr: String,
}

impl Tail {
    fn start(logs_dir: &Path, args: &[&str]) -> Self {
        let mut command: Command = command("cctf").unwrap();
        command.arg("tail").args(args).arg("--logs-dir").arg(logs_dir);
        let mut process = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (stdout, out) = collect(process.stdout.take().unwrap());
        let (stderr, err) = collect(process.stderr.take().unwrap());
        Self {
            process,
            stdout,
            stderr,
            readers: vec![out, err],
        }
    }

    fn is_waiting(&self) -> bool {
        String::from_utf8_lossy(&self.stderr.lock().unwrap()).contains("waiting for ")
    }

    fn lines(&self) -> usize {
        let stdout = self.stdout.lock().unwrap();
        stdout.iter().filter(|byte| **byte == b'\n').count()
    }

    fn interrupt(&self) {
        let id = libc::pid_t::try_from(self.process.id()).unwrap();
        // SAFETY: kill only sends a signal, to the child that this process started and has not waited for.
        assert_eq!(unsafe { libc::kill(id, libc::SIGINT) }, 0);
    }

    /// Waits until it exits.
    fn end(mut self) -> Ended {
        let status = wait_for("the end of cctf tail", || Ok(self.process.try_wait()?)).unwrap();
        for reader in self.readers.drain(..) {
            reader.join().unwrap();
        }
        let stderr = String::from_utf8_lossy(&self.stderr.lock().unwrap()).into_owned();
        Ended {
            status,
            stdout: std::mem::take(&mut self.stdout.lock().unwrap()),
            stderr,
        }
    }
}

impl Drop for Tail {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Collects the output of a stream. The text grows while the stream is read.
fn collect(stream: impl Read + Send + 'static) -> (Arc<Mutex<Vec<u8>>>, JoinHandle<()>) {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let shared = seen.clone();
    let reader = std::thread::spawn(move || {
        let mut stream = BufReader::new(stream);
        loop {
            let piece = stream.fill_buf().unwrap();
            let length = piece.len();
            shared.lock().unwrap().extend_from_slice(piece);
            stream.consume(length);
            if length == 0 {
                return;
            }
        }
    });
    (seen, reader)
}

/// This test fails when a part is not read again after its end was seen.
#[test]
fn a_live_run_through_a_pipe_is_its_files_byte_by_byte() {
    let logs = tempfile::tempdir().unwrap();
    let files = ["invocations", "calls", "placement_events"];
    let tails = files.map(|file| Tail::start(logs.path(), &["r", "--file", file]));
    // The commands start before the run. So they print all of it, although they begin with the last ten lines.
    for tail in &tails {
        wait_for("a tail that waits", || Ok(tail.is_waiting().then_some(()))).unwrap();
    }
    let mut run = command("cctf").unwrap();
    run.args([
        "run",
        "--endpoints",
        "json,kvset",
        "--rate",
        "100",
        "--duration",
        "2s",
    ])
    .args(["--run-id", "r", "--logs-dir"])
    .arg(logs.path());
    let done = Done::from(run.output().unwrap());
    assert_eq!(done.code, Some(0), "{}\n{}", done.stdout, done.stderr);
    for (file, tail) in files.iter().zip(tails) {
        let ended = tail.end();
        assert_eq!(ended.status.code(), Some(0), "{file}: {}", ended.stderr);
        assert!(
            ended.stderr.ends_with("cctf: r has ended\n"),
            "{file}: {}",
            ended.stderr
        );
        let whole = fs::read(logs.path().join(format!("r/cctf/{file}.jsonl"))).unwrap();
        assert!(!whole.is_empty(), "{file}");
        assert!(ended.stdout == whole, "{file}: the output differs from the file");
    }
}

/// This test fails when `tail` finds no part after the first one.
#[test]
fn a_run_that_rolls_on_is_followed_though_its_old_parts_are_deleted() {
    const GROUPS: u8 = 12;
    const SPANS: u8 = 5;
    let logs = tempfile::tempdir().unwrap();
    let tail = Tail::start(logs.path(), &["r", "--from-start"]);
    let flags = ["--run-id", "r", "--join-window", "1s", "--roll-bytes", "2KiB"];
    let normalizer = Child::normalizer(&bin_dir().unwrap(), logs.path(), &flags).unwrap();
    let url = normalizer.url("grpc").unwrap();
    let mut deleted = 0;
    for group in 0..GROUPS {
        let spans = (0..SPANS).map(|span_of_group| span(1 + group * SPANS + span_of_group));
        let body = request(spans.collect()).encode_to_vec();
        export(&url, body).unwrap().unwrap();
        let expected = usize::from(group + 1) * usize::from(SPANS);
        wait_for("the rows of a group", || {
            Ok((tail.lines() >= expected).then_some(()))
        })
        .unwrap();
        for part in closed_parts(logs.path()) {
            fs::remove_dir_all(part).unwrap();
            deleted += 1;
        }
    }
    assert!(deleted >= 2, "{deleted} parts were deleted");
    let stopped = normalizer.stop().unwrap();
    assert!(stopped.status.success(), "{}", stopped.stderr);
    let ended = tail.end();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
    assert!(ended.stderr.contains(" continues in r-000"), "{}", ended.stderr);
    let text = String::from_utf8(ended.stdout).unwrap();
    let rows: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let spans: BTreeSet<&str> = rows
        .iter()
        .map(|row| rows::text(row, "span_id").unwrap())
        .collect();
    assert_eq!((rows.len(), spans.len()), (60, 60), "{}", ended.stderr);
}

/// The folders of all closed parts, except for the last part.
fn closed_parts(logs_dir: &Path) -> Vec<std::path::PathBuf> {
    let mut parts: Vec<_> = fs::read_dir(logs_dir)
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| {
            entry.file_type().unwrap().is_dir() && entry.file_name().to_string_lossy().starts_with('r')
        })
        .map(|entry| entry.path())
        .collect();
    parts.sort();
    parts.pop();
    parts.retain(|part| {
        let meta = rows::document(&part.join("cctf/run_meta.json"));
        meta.is_ok_and(|meta| meta.get("ended_ts").is_some_and(Value::is_number))
    });
    parts
}

#[test]
fn a_run_that_is_over_is_shown_as_lines_or_columns_and_left_at_ctrl_c() {
    let logs = tempfile::tempdir().unwrap();
    short_run(logs.path(), &["--endpoints", "json"]).unwrap();
    let logs_dir = logs.path().display().to_string();
    let tail = |args: &[&str]| {
        let all: Vec<&str> = ["tail"]
            .iter()
            .chain(args)
            .copied()
            .chain(["--logs-dir", &logs_dir])
            .collect();
        let done = cctf(&all).unwrap();
        assert_eq!(done.code, Some(0), "{args:?}: {}", done.stderr);
        done.stdout
    };
    let whole = fs::read_to_string(logs.path().join("r/cctf/invocations.jsonl")).unwrap();
    assert_eq!(tail(&["r", "--from-start", "--no-follow"]), whole);
    // Without a name, the command shows the newest run. This run has ended, so the command exits.
    let last: String = whole
        .split_inclusive('\n')
        .skip(whole.lines().count() - 10)
        .collect();
    assert_eq!(tail(&[]), last);
    let folder = logs.path().join("latest/cctf").display().to_string();
    let columns = tail(&[&folder, "--format", "text", "-n", "3"]);
    let columns: Vec<&str> = columns.lines().collect();
    assert_eq!(columns.len(), 4, "{columns:?}");
    assert!(
        columns[0].starts_with("time ") && columns[0].contains(" service_ms "),
        "{columns:?}"
    );
    assert!(
        columns[3].contains(" cloud0 ") && columns[3].contains(" POST /json/validate "),
        "{columns:?}"
    );

    let staying = Tail::start(logs.path(), &["r", "--stay", "-n", "1"]);
    wait_for("the last line", || Ok((staying.lines() == 1).then_some(()))).unwrap();
    staying.interrupt();
    let ended = staying.end();
    assert_eq!((ended.status.code(), ended.stderr.as_str()), (Some(0), ""));

    for wrong in [
        "./absent",
        &format!("{logs_dir}/r/cctf/x"),
        &format!("{logs_dir}/r/x.jsonl"),
        ".hidden",
    ] {
        let done = cctf(&["tail", wrong, "--logs-dir", &logs_dir]).unwrap();
        assert_eq!((done.code, done.stdout.as_str()), (Some(2), ""), "{wrong}");
        assert_eq!(done.stderr.lines().count(), 1, "{wrong}: {}", done.stderr);
        assert!(done.stderr.contains(wrong), "{wrong}: {}", done.stderr);
    }
}
