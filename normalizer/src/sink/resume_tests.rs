//! The sink after a crash: it completes files, whatever the folder contained before.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use aggregate::ids::RunId;
use cctf_proto::cctf::{File, Part};
use tempfile::TempDir;

use super::*;

const EPOCH: u64 = 7;

fn lines(run_id: &str, lines: &str) -> Output {
    let mut output = Output::default();
    output
        .run(RunId::new(0), &Part::first(run_id))
        .lines(File::Calls)
        .extend_from_slice(lines.as_bytes());
    output
}

fn calls(folder: &TempDir, run_id: &str) -> String {
    fs::read_to_string(folder.path().join(run_id).join("cctf/calls.jsonl")).unwrap()
}

fn resumed(folder: &TempDir, known: &HashMap<String, Lengths>, epoch: u64) -> Sink {
    Sink::new(folder.path()).resume(known.clone(), epoch)
}

/// A sink that continues after a checkpoint without later output.
fn live(folder: &TempDir, known: &HashMap<String, Lengths>, epoch: u64) -> Sink {
    let mut sink = resumed(folder, known, epoch);
    sink.end_recovery().unwrap();
    sink
}

#[test]
fn an_older_run_is_completed_after_a_crash_before_the_next_checkpoint() {
    let folder = TempDir::new().unwrap();
    Sink::new(folder.path()).write(&mut lines("r", "old\n")).unwrap();
    let nothing = HashMap::new();
    live(&folder, &nothing, EPOCH)
        .write(&mut lines("r", "1\n"))
        .unwrap();
    for _ in 0..2 {
        let mut sink = resumed(&folder, &nothing, EPOCH);
        sink.write(&mut lines("r", "1\n2\n")).unwrap();
        sink.end_recovery().unwrap();
        assert_eq!(calls(&folder, "r"), "old\n1\n2\n");
    }
}

#[test]
fn an_older_run_is_completed_after_a_crash_before_any_write() {
    let folder = TempDir::new().unwrap();
    Sink::new(folder.path()).write(&mut lines("r", "old\n")).unwrap();
    // The base of another checkpoint exists and is ignored.
    live(&folder, &HashMap::new(), EPOCH + 1)
        .write(&mut lines("r", "older\n"))
        .unwrap();
    let mut sink = resumed(&folder, &HashMap::new(), EPOCH);
    sink.write(&mut lines("r", "1\n")).unwrap();
    sink.end_recovery().unwrap();
    assert_eq!(calls(&folder, "r"), "old\nolder\n1\n");
}

#[test]
fn a_run_reopened_during_recovery_continues_where_it_was_closed() {
    let folder = TempDir::new().unwrap();
    let nothing = HashMap::new();
    let write = |mut sink: Sink| {
        let mut closing = lines("r", "1\n");
        closing.run(RunId::new(0), &Part::first("r")).closed = true;
        sink.write(&mut closing).unwrap();
        sink.write(&mut lines("r", "late\n")).unwrap();
        sink.end_recovery().unwrap();
    };
    write(live(&folder, &nothing, EPOCH));
    write(resumed(&folder, &nothing, EPOCH));
    assert_eq!(calls(&folder, "r"), "1\nlate\n");
}

#[test]
fn a_folder_that_was_moved_away_is_created_again() {
    let folder = TempDir::new().unwrap();
    let mut sink = live(&folder, &HashMap::new(), EPOCH);
    sink.write(&mut lines("r", "1\n")).unwrap();
    let known = sink.sync(|_| true).unwrap();
    drop(sink);
    fs::remove_dir_all(folder.path().join("r")).unwrap();
    for _ in 0..2 {
        let mut sink = resumed(&folder, &known, EPOCH + 1);
        sink.write(&mut lines("r", "2\n")).unwrap();
        sink.end_recovery().unwrap();
        assert_eq!(calls(&folder, "r"), "2\n");
    }
}

#[test]
fn lines_that_the_journal_has_lost_stay_and_the_run_continues() {
    let folder = TempDir::new().unwrap();
    let mut sink = live(&folder, &HashMap::new(), EPOCH);
    sink.write(&mut lines("r", "1\n")).unwrap();
    let known = sink.sync(|_| true).unwrap();
    sink.write(&mut lines("r", "lost\n")).unwrap();
    drop(sink);
    let mut sink = live(&folder, &known, EPOCH);
    sink.write(&mut lines("r", "2\n")).unwrap();
    assert_eq!(calls(&folder, "r"), "1\nlost\n2\n");
    let known = sink.sync(|_| true).unwrap();
    assert_eq!(known["r"][File::Calls as usize], 9);
}

#[test]
fn lengths_of_a_checkpoint_are_kept_until_the_next_one() {
    let folder = TempDir::new().unwrap();
    let mut sink = live(&folder, &HashMap::new(), EPOCH);
    let mut closing = lines("r", "1\n");
    closing.run(RunId::new(0), &Part::first("r")).closed = true;
    sink.write(&mut closing).unwrap();
    assert!(sink.sync(|_| false).unwrap().is_empty());
    assert!(sink.known.as_ref().unwrap().contains_key("r"));
    sink.checkpointed(HashMap::new(), EPOCH + 1);
    assert!(!sink.known.as_ref().unwrap().contains_key("r"));
}

/// The next part of a run, with a line in both parts.
fn rolling(run_id: &str) -> Output {
    let (first, mut output) = (Part::first(run_id), Output::default());
    let part = output.run(RunId::new(0), &first);
    part.lines(File::Calls).extend_from_slice(b"1\n");
    part.replace(File::RunMeta, b"{}\n".to_vec());
    part.rolled_to = Some(first.next());
    output
        .run(RunId::new(0), &first.next())
        .lines(File::Calls)
        .extend_from_slice(b"2\n");
    output
}

/// Deletes all files of a folder except these, so that the folder is as after an incomplete deletion.
fn leave_only(left: &[&str], part: &Path) {
    let kept: Vec<(&str, Vec<u8>)> = left
        .iter()
        .map(|&name| (name, fs::read(part.join(name)).unwrap_or_default()))
        .collect();
    fs::remove_dir_all(part).unwrap();
    for (name, content) in kept {
        fs::create_dir_all(part.join("cctf")).unwrap();
        if name != "cctf" {
            fs::write(part.join(name), content).unwrap();
        }
    }
}

#[test]
fn a_closed_part_that_was_deleted_does_not_come_back() {
    for left in [
        &[][..],
        &["cctf"],
        &["cctf/nodes.json"],
        &["cctf/nodes.json", ".base"],
        &["cctf/calls.jsonl", ".base"],
        &["cctf/calls.jsonl", "cctf/run_meta.json"],
    ] {
        for is_known in [false, true] {
            let folder = TempDir::new().unwrap();
            let mut sink = live(&folder, &HashMap::new(), EPOCH);
            let mut known = HashMap::new();
            let mut epoch = EPOCH;
            if is_known {
                sink.write(&mut lines("r", "0\n")).unwrap();
                known = sink.sync(|_| true).unwrap();
                epoch += 1;
                sink.checkpointed(known.clone(), epoch);
            }
            sink.write(&mut rolling("r")).unwrap();
            drop(sink);
            let part = folder.path().join("r");
            leave_only(left, &part);
            let before = walk(&part);
            for _ in 0..2 {
                let mut sink = resumed(&folder, &known, epoch);
                sink.write(&mut rolling("r")).unwrap();
                sink.end_recovery().unwrap();
                sink.sync(|_| true).unwrap();
                assert_eq!(walk(&part), before, "{left:?}");
                assert_eq!(calls(&folder, "r-0002"), "2\n");
            }
        }
    }
}

#[test]
fn a_run_that_is_named_like_a_part_of_another_one_closes_nothing_of_it() {
    let folder = TempDir::new().unwrap();
    let mut sink = live(&folder, &HashMap::new(), EPOCH);
    sink.write(&mut lines("hash", "1\n")).unwrap();
    sink.write(&mut lines("hash-2000", "a\n")).unwrap();
    drop(sink);
    // Line 2 was durable in the journal, but had not been written to the file.
    let mut sink = resumed(&folder, &HashMap::new(), EPOCH);
    sink.write(&mut lines("hash", "1\n2\n")).unwrap();
    sink.end_recovery().unwrap();
    assert_eq!(calls(&folder, "hash"), "1\n2\n");
    assert_eq!(calls(&folder, "hash-2000"), "a\n");
}

fn walk(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        found.push(entry.path());
        found.extend(walk(&entry.path()));
    }
    found.sort();
    found
}

#[test]
fn a_half_closed_part_is_completed_and_a_sealed_one_is_left_alone() {
    let folder = TempDir::new().unwrap();
    live(&folder, &HashMap::new(), EPOCH)
        .write(&mut rolling("r"))
        .unwrap();
    let part = folder.path().join("r");
    let seal = part.join("cctf/run_meta.json");
    let sealed_at = fs::metadata(&seal).unwrap().modified().unwrap();
    let again = || {
        let mut sink = resumed(&folder, &HashMap::new(), EPOCH);
        // The part was open before the run continued in the next one.
        let mut open = Output::default();
        open.run(RunId::new(0), &Part::first("r"))
            .replace(File::RunMeta, b"open\n".to_vec());
        sink.write(&mut open).unwrap();
        sink.write(&mut rolling("r")).unwrap();
        sink.end_recovery().unwrap();
        assert_eq!(
            (calls(&folder, "r"), calls(&folder, "r-0002")),
            ("1\n".into(), "2\n".into())
        );
        assert_eq!(fs::read_to_string(&seal).unwrap(), "{}\n");
    };
    again();
    assert_eq!(fs::metadata(&seal).unwrap().modified().unwrap(), sealed_at);
    // The process ended between the next part's base and the last change of this part.
    fs::rename(&seal, part.join(".tmp-run_meta.json")).unwrap();
    fs::write(&seal, "open\n").unwrap();
    again();
    assert!(!part.join(".tmp-run_meta.json").exists());
}

#[test]
fn a_part_restarts_when_a_power_loss_took_the_journal_that_closed_it() {
    let folder = TempDir::new().unwrap();
    live(&folder, &HashMap::new(), EPOCH)
        .write(&mut rolling("r"))
        .unwrap();
    fs::remove_dir_all(folder.path().join("r")).unwrap();
    let mut sink = resumed(&folder, &HashMap::new(), EPOCH);
    sink.write(&mut lines("r", "1\n")).unwrap();
    sink.end_recovery().unwrap();
    sink.write(&mut lines("r", "new\n")).unwrap();
    assert_eq!(calls(&folder, "r"), "new\n");
}

/// The disk, with syncs that fail while a flag is set.
struct Unsafe(Arc<AtomicBool>);

impl Storage for Unsafe {
    fn create_folder(&mut self, path: &Path) -> io::Result<()> {
        Disk.create_folder(path)
    }
    fn exists(&mut self, path: &Path) -> io::Result<bool> {
        Disk.exists(path)
    }
    fn open_append(&mut self, path: &Path) -> io::Result<Box<dyn io::Write + Send>> {
        Disk.open_append(path)
    }
    fn create(&mut self, path: &Path) -> io::Result<Box<dyn io::Write + Send>> {
        Disk.create(path)
    }
    fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        Disk.rename(from, to)
    }
    fn symlink(&mut self, target: &Path, link: &Path) -> io::Result<()> {
        Disk.symlink(target, link)
    }
    fn read_link(&mut self, link: &Path) -> io::Result<PathBuf> {
        Disk.read_link(link)
    }
    fn remove(&mut self, path: &Path) -> io::Result<()> {
        Disk.remove(path)
    }
    fn lock(&mut self, path: &Path) -> io::Result<Box<dyn Send>> {
        Disk.lock(path)
    }
    fn cut_torn_line(&mut self, path: &Path) -> io::Result<u64> {
        Disk.cut_torn_line(path)
    }
    fn sync(&mut self, path: &Path) -> io::Result<()> {
        if self.0.load(Ordering::Relaxed) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Disk.sync(path)
    }
}

#[test]
fn a_failed_sync_is_an_error_and_a_failed_close_duplicates_nothing() {
    let folder = TempDir::new().unwrap();
    let fails = Arc::new(AtomicBool::new(false));
    let storage = Box::new(Unsafe(Arc::clone(&fails)));
    let mut sink = Sink::with_storage(folder.path(), storage, OPEN_FILES_MAX).resume(HashMap::new(), EPOCH);
    sink.end_recovery().unwrap();
    sink.write(&mut lines("r", "1\n")).unwrap();
    fails.store(true, Ordering::Relaxed);
    let mut closing = lines("r", "2\n");
    closing.run(RunId::new(0), &Part::first("r")).closed = true;
    let error = sink.write(&mut closing).unwrap_err();
    assert!(!error.is_disk_full(), "{error}");
    assert!(sink.sync(|_| true).is_err(), "and it is not forgotten");
    fails.store(false, Ordering::Relaxed);
    sink.write(&mut closing).unwrap();
    assert_eq!(calls(&folder, "r"), "1\n2\n");
}
