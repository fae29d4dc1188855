//! The sink on a real folder, and on storage that fails.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::sync::{Arc, Mutex};

use aggregate::ids::RunId;
use cctf_proto::cctf::{File, Part};
use tempfile::TempDir;

use super::*;

fn output(run_id: &str, lines: &str, snapshot: &str) -> Output {
    let mut output = Output::default();
    let run = output.run(RunId::new(0), &Part::first(run_id));
    run.lines(File::Invocations).extend_from_slice(lines.as_bytes());
    if !snapshot.is_empty() {
        run.replace(File::RunMeta, snapshot.as_bytes().to_vec());
    }
    output
}

fn read(folder: &TempDir, path: &str) -> String {
    fs::read_to_string(folder.path().join(path)).unwrap()
}

fn names(path: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(path)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_run_has_all_files_and_the_runbooks_names_from_its_opening() {
    let folder = TempDir::new().unwrap();
    let mut sink = Sink::new(folder.path());
    let mut output = output("r1", "{\"a\":1}\n", "{\"run_id\":\"r1\"}\n");
    output.run(RunId::new(0), &Part::first("r1")).latest = true;
    sink.write(&mut output).unwrap();

    let mut files: Vec<String> = File::ALL.iter().map(|file| file.name().to_owned()).collect();
    files.sort();
    assert_eq!(names(&folder.path().join("r1/cctf")), files);
    assert_eq!(read(&folder, "r1/cctf/calls.jsonl"), "");
    assert_eq!(read(&folder, "r1/cctf/nodes.json"), "[]\n");
    assert_eq!(read(&folder, "r1/events.jsonl"), "{\"a\":1}\n");
    assert_eq!(read(&folder, "latest/run_meta.json"), "{\"run_id\":\"r1\"}\n");
    for (link, target) in [
        ("r1/events.jsonl", "cctf/invocations.jsonl"),
        ("r1/resources.jsonl", "cctf/host_metrics.jsonl"),
        ("r1/links.jsonl", "cctf/link_metrics.jsonl"),
        ("r1/node_meta.json", "cctf/nodes.json"),
        ("r1/placement_events.jsonl", "cctf/placement_events.jsonl"),
        ("r1/system_stats.jsonl", "cctf/system_stats.jsonl"),
        ("r1/run_meta.json", "cctf/run_meta.json"),
        ("r1/module_inventory.json", "cctf/module_inventory.json"),
        ("latest", "r1"),
    ] {
        assert_eq!(
            fs::read_link(folder.path().join(link)).unwrap(),
            Path::new(target),
            "{link}"
        );
    }
    let mode = |path: &str| {
        fs::metadata(folder.path().join(path))
            .unwrap()
            .permissions()
            .mode()
    };
    assert_eq!(mode("r1/cctf/invocations.jsonl") & 0o700, 0o600);
    assert_eq!(mode("r1/cctf") & 0o700, 0o700);
}

#[test]
fn latest_moves_on_and_lines_are_only_appended() {
    let folder = TempDir::new().unwrap();
    let mut sink = Sink::new(folder.path());
    for (run_id, lines) in [("r1", "1\n"), ("r2", "2\n"), ("r1", "3\n")] {
        let mut output = output(run_id, lines, "");
        output.run(RunId::new(0), &Part::first(run_id)).latest = true;
        sink.write(&mut output).unwrap();
        assert_eq!(
            fs::read_link(folder.path().join("latest")).unwrap(),
            Path::new(run_id)
        );
    }
    assert_eq!(read(&folder, "r1/events.jsonl"), "1\n3\n");
    assert_eq!(names(folder.path()), ["latest", "r1", "r2"]);
}

#[test]
fn a_snapshot_is_replaced_whole_and_leaves_nothing_behind() {
    let folder = TempDir::new().unwrap();
    let mut sink = Sink::new(folder.path());
    sink.write(&mut output("r1", "", "long before\n")).unwrap();
    let before = fs::File::open(folder.path().join("r1/cctf/run_meta.json")).unwrap();
    sink.write(&mut output("r1", "", "after\n")).unwrap();

    assert_eq!(
        io::read_to_string(before).unwrap(),
        "long before\n",
        "a reader keeps the whole old one"
    );
    assert_eq!(read(&folder, "r1/run_meta.json"), "after\n");
    assert!(
        names(&folder.path().join("r1"))
            .iter()
            .all(|name| !name.starts_with(".tmp"))
    );
}

#[test]
fn a_reopened_run_continues_after_its_last_complete_line() {
    let folder = TempDir::new().unwrap();
    Sink::new(folder.path())
        .write(&mut output("r1", "1\n2\n", "x\n"))
        .unwrap();
    let path = folder.path().join("r1/cctf/invocations.jsonl");
    let torn = "t".repeat(200_000);
    fs::OpenOptions::new()
        .append(true)
        .open(&path)
        .unwrap()
        .write_all(torn.as_bytes())
        .unwrap();

    Sink::new(folder.path())
        .write(&mut output("r1", "3\n", ""))
        .unwrap();
    assert_eq!(read(&folder, "r1/events.jsonl"), "1\n2\n3\n");
    assert_eq!(read(&folder, "r1/run_meta.json"), "x\n");
}

#[test]
fn a_second_sink_on_the_same_run_is_an_error() {
    let folder = TempDir::new().unwrap();
    let mut first = Sink::new(folder.path());
    first.write(&mut output("r1", "1\n", "")).unwrap();
    let mut second = Sink::new(folder.path());
    let error = second.write(&mut output("r1", "2\n", "")).unwrap_err();
    assert!(
        error.to_string().contains("another normalizer has locked it"),
        "{error}"
    );
    second.write(&mut output("r2", "2\n", "")).unwrap();

    let mut closing = output("r1", "3\n", "");
    closing.run(RunId::new(0), &Part::first("r1")).closed = true;
    first.write(&mut closing).unwrap();
    assert_eq!(first.open_runs(), 0);
    second.write(&mut output("r1", "4\n", "")).unwrap();
    assert_eq!(read(&folder, "r1/events.jsonl"), "1\n3\n4\n");
}

#[test]
fn a_foreign_file_is_not_overwritten() {
    let folder = TempDir::new().unwrap();
    fs::create_dir(folder.path().join("r1")).unwrap();
    fs::write(folder.path().join("r1/events.jsonl"), "mine").unwrap();
    let error = Sink::new(folder.path())
        .write(&mut output("r1", "1\n", ""))
        .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("r1/events.jsonl: a file or folder with this name exists"),
        "{error}"
    );
    assert_eq!(read(&folder, "r1/events.jsonl"), "mine");
}

#[test]
fn open_files_are_bounded_and_no_run_notices() {
    let folder = TempDir::new().unwrap();
    let mut sink = Sink::with_storage(folder.path(), Box::new(Disk), 2);
    for round in 0..3 {
        for run in 0..5 {
            sink.write(&mut output(&format!("r{run}"), &format!("{round}\n"), ""))
                .unwrap();
            assert!(
                sink.runs
                    .values()
                    .map(|run| run.folder.open_files())
                    .sum::<usize>()
                    <= 2
            );
        }
    }
    assert_eq!(read(&folder, "r0/events.jsonl"), "0\n1\n2\n");
}

/// A disk on which each write takes at most `piece` bytes, and each operation with a number in `faults` fails.
struct Faulty {
    disk: Disk,
    piece: usize,
    plan: Arc<Mutex<Plan>>,
}

#[derive(Default)]
struct Plan {
    operations: usize,
    fails_at: Option<usize>,
}

impl Plan {
    fn step(plan: &Mutex<Self>) -> io::Result<()> {
        let mut plan = plan.lock().unwrap();
        plan.operations += 1;
        if plan.fails_at == Some(plan.operations) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(())
    }
}

struct FaultyFile {
    file: Box<dyn Write + Send>,
    piece: usize,
    plan: Arc<Mutex<Plan>>,
}

impl Write for FaultyFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Plan::step(&self.plan)?;
        self.file.write(&bytes[..bytes.len().min(self.piece)])
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Faulty {
    fn wrap(&self, file: Box<dyn Write + Send>) -> Box<dyn Write + Send> {
        Box::new(FaultyFile {
            file,
            piece: self.piece,
            plan: Arc::clone(&self.plan),
        })
    }
}

impl Storage for Faulty {
    fn create_folder(&mut self, path: &Path) -> io::Result<()> {
        Plan::step(&self.plan)?;
        self.disk.create_folder(path)
    }
    fn exists(&mut self, path: &Path) -> io::Result<bool> {
        self.disk.exists(path)
    }
    fn open_append(&mut self, path: &Path) -> io::Result<Box<dyn Write + Send>> {
        Plan::step(&self.plan)?;
        let file = self.disk.open_append(path)?;
        Ok(self.wrap(file))
    }
    fn create(&mut self, path: &Path) -> io::Result<Box<dyn Write + Send>> {
        Plan::step(&self.plan)?;
        let file = self.disk.create(path)?;
        Ok(self.wrap(file))
    }
    fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        Plan::step(&self.plan)?;
        self.disk.rename(from, to)
    }
    fn symlink(&mut self, target: &Path, link: &Path) -> io::Result<()> {
        Plan::step(&self.plan)?;
        self.disk.symlink(target, link)
    }
    fn read_link(&mut self, link: &Path) -> io::Result<PathBuf> {
        self.disk.read_link(link)
    }
    fn remove(&mut self, path: &Path) -> io::Result<()> {
        self.disk.remove(path)
    }
    fn lock(&mut self, path: &Path) -> io::Result<Box<dyn Send>> {
        Plan::step(&self.plan)?;
        self.disk.lock(path)
    }
    fn cut_torn_line(&mut self, path: &Path) -> io::Result<u64> {
        self.disk.cut_torn_line(path)
    }
}

/// Writes two outputs of two runs, and retries after an error with one more line.
fn write_with_fault(fails_at: Option<usize>) -> (TempDir, usize, bool) {
    let folder = TempDir::new().unwrap();
    let plan = Arc::new(Mutex::new(Plan {
        operations: 0,
        fails_at,
    }));
    let storage = Faulty {
        disk: Disk,
        piece: 3,
        plan: Arc::clone(&plan),
    };
    let mut sink = Sink::with_storage(folder.path(), Box::new(storage), OPEN_FILES_MAX);
    let mut failed = false;
    let mut output = Output::default();
    for round in 0..2 {
        for (slot, run_id) in ["r1", "r2"].into_iter().enumerate() {
            let run = output.run(RunId::new(slot), &Part::first(run_id));
            run.lines(File::Calls)
                .extend_from_slice(format!("call {round}\n").as_bytes());
            run.lines(File::Invocations)
                .extend_from_slice(format!("invocation {round}\n").as_bytes());
            run.replace(File::RunMeta, format!("meta {round}\n").into_bytes());
            run.latest = true;
        }
        if let Err(error) = sink.write(&mut output) {
            assert!(error.is_disk_full(), "{error}");
            failed = true;
            for (slot, run_id) in ["r1", "r2"].into_iter().enumerate() {
                output
                    .run(RunId::new(slot), &Part::first(run_id))
                    .lines(File::SystemStats)
                    .extend_from_slice(b"more\n");
            }
            sink.write(&mut output).unwrap();
        }
    }
    let operations = plan.lock().unwrap().operations;
    (folder, operations, failed)
}

#[test]
fn a_fault_at_any_operation_neither_tears_nor_duplicates_a_line() {
    let (_, operations, failed) = write_with_fault(None);
    assert!(!failed && operations > 100, "{operations}");
    for fails_at in 1..=operations {
        let (folder, _, failed) = write_with_fault(Some(fails_at));
        assert!(failed, "operation {fails_at}");
        for run in ["r1", "r2"] {
            assert_eq!(
                read(&folder, &format!("{run}/cctf/calls.jsonl")),
                "call 0\ncall 1\n"
            );
            assert_eq!(
                read(&folder, &format!("{run}/events.jsonl")),
                "invocation 0\ninvocation 1\n"
            );
            assert_eq!(read(&folder, &format!("{run}/cctf/system_stats.jsonl")), "more\n");
            assert_eq!(read(&folder, &format!("{run}/run_meta.json")), "meta 1\n");
        }
    }
}
