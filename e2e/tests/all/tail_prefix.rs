//! A reader follows each file during a run. The text that it has read must always be the beginning of the finished file.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use e2e::binaries::{Done, command};
use serde_json::Value;

const LOOK_EVERY: Duration = Duration::from_millis(1);
const FOLLOWED: [&str; 5] = [
    "invocations.jsonl",
    "calls.jsonl",
    "host_metrics.jsonl",
    "placement_events.jsonl",
    "system_stats.jsonl",
];
const REPLACED: [&str; 4] = [
    "nodes.json",
    "links.json",
    "module_inventory.json",
    "run_meta.json",
];

/// The part of a growing file that a reader has seen.
struct Follower {
    path: PathBuf,
    file: Option<File>,
    seen: Vec<u8>,
    parsed: usize,
    pieces: usize,
}

impl Follower {
    fn new(path: PathBuf) -> Self {
        Self {
            path,
            file: None,
            seen: Vec::new(),
            parsed: 0,
            pieces: 0,
        }
    }

    /// Reads new bytes, as `tail -f` does, and parses each completed line.
    fn look(&mut self) {
        if self.file.is_none() {
            self.file = File::open(&self.path).ok();
        }
        let Some(file) = &mut self.file else { return };
        if file.read_to_end(&mut self.seen).unwrap() > 0 {
            self.pieces += 1;
        }
        while let Some(length) = self.seen[self.parsed..].iter().position(|byte| *byte == b'\n') {
            let line = &self.seen[self.parsed..self.parsed + length];
            let row: Value = serde_json::from_slice(line).unwrap();
            assert!(row.is_object(), "{row}");
            self.parsed += length + 1;
        }
    }
}

/// Follows all files until `done`. A file that is replaced must be complete at any time.
fn follow(folder: &Path, done: &AtomicBool) -> Vec<Follower> {
    let mut followers: Vec<Follower> = FOLLOWED
        .iter()
        .map(|name| Follower::new(folder.join(name)))
        .collect();
    loop {
        let last = done.load(Ordering::Acquire);
        followers.iter_mut().for_each(Follower::look);
        for text in REPLACED
            .iter()
            .filter_map(|name| fs::read(folder.join(name)).ok())
        {
            let _: Value = serde_json::from_slice(&text).unwrap();
        }
        if last {
            return followers;
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

#[test]
fn all_that_was_read_during_the_run_is_in_the_files() {
    let logs = tempfile::tempdir().unwrap();
    let folder = logs.path().join("r/cctf");
    let done = AtomicBool::new(false);
    let followers = std::thread::scope(|scope| {
        let reader = scope.spawn(|| follow(&folder, &done));
        let mut run = command("cctf").unwrap();
        run.args([
            "run",
            "--endpoints",
            "json,kvset",
            "--rate",
            "200",
            "--duration",
            "2s",
            "--join-window",
            "1s",
        ]);
        run.args(["--run-id", "r", "--logs-dir"]).arg(logs.path());
        let ended = Done::from(run.output().unwrap());
        done.store(true, Ordering::Release);
        assert_eq!(ended.code, Some(0), "{}\n{}", ended.stdout, ended.stderr);
        reader.join().unwrap()
    });
    for follower in &followers {
        let whole = fs::read(&follower.path).unwrap();
        assert!(
            whole == follower.seen,
            "{} differs from what was read",
            follower.path.display()
        );
        assert_eq!(
            follower.parsed,
            follower.seen.len(),
            "{} ends in an incomplete line",
            follower.path.display()
        );
    }
    assert!(followers[0].pieces > 1, "the rows came all at once, at the end");
    assert_eq!(
        followers[0].seen.iter().filter(|byte| **byte == b'\n').count(),
        800
    );
}
