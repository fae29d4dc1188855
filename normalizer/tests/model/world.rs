//! [`World`]: a normalizer without threads and its folder, and the knowledge of a client and of a reader.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cctf_normalizer::journal::{Content, Durability, Record, Store, StoreSettings};
use cctf_normalizer::mapping::MAPPING_VERSION;
use cctf_normalizer::pipeline::{Output, Pipeline, Settings};
use cctf_normalizer::recovery::checkpoint;
use cctf_normalizer::recovery::resume;
use cctf_normalizer::sink::{Sink, SinkError};
use rundir::validate::{Options, validate};
use tempfile::TempDir;

use super::faults::{Faulty, Plan};
use super::folders::{has_later_part, is_closed, run_folders, segments};
use super::operation::Operation;
use super::requests::{request, span_ids};

const START_UNIX_NANO: u64 = 1_700_000_000_000_000_000;
const OLD_LINE: &str = "{\"span_id\":\"old\"}\n";
/// A folder in memory. Real syncs would only take time, because the test simulates a power loss itself.
const IN_MEMORY: &str = "/dev/shm";
/// Size of a part. Some requests fill a part.
const ROLL_BYTES: u64 = 4000;
/// Number of attempts with faults. After them, the disk works.
const ATTEMPTS: usize = 3;

/// Number of cases. They take some seconds.
pub fn cases() -> u32 {
    if Path::new(IN_MEMORY).is_dir() { 160 } else { 4 }
}

/// The state of a process that is lost when it ends.
struct Life {
    pipeline: Pipeline,
    sink: Sink,
    store: Store,
    output: Output,
    _lock: File,
}

/// A fatal error ended the process.
struct Died;

pub struct World {
    folder: TempDir,
    plan: Arc<Mutex<Plan>>,
    life: Option<Life>,
    now: u64,
    /// Number of requests that were sent so far.
    sent: u64,
    acknowledged: BTreeSet<u64>,
    /// The bytes of each file that a reader has read, up to the end of the last complete line.
    read: BTreeMap<PathBuf, Vec<u8>>,
    /// Folders that were deleted, and that must not exist later.
    deleted: BTreeSet<PathBuf>,
}

impl World {
    pub fn new() -> Self {
        let folder = match Path::new(IN_MEMORY).is_dir() {
            true => TempDir::new_in(IN_MEMORY).unwrap(),
            false => TempDir::new().unwrap(),
        };
        let cctf = folder.path().join("there-before/cctf");
        fs::create_dir_all(&cctf).unwrap();
        fs::write(cctf.join("invocations.jsonl"), OLD_LINE).unwrap();
        let mut world = Self {
            folder,
            plan: Arc::default(),
            life: None,
            now: START_UNIX_NANO,
            sent: 0,
            acknowledged: BTreeSet::new(),
            read: BTreeMap::new(),
            deleted: BTreeSet::new(),
        };
        world.come_up();
        world
    }

    pub fn run(&mut self, operation: &Operation) {
        let done = match *operation {
            Operation::Append { new, again } => {
                let numbers = self.numbers(new, again);
                self.append(&numbers, true)
            }
            Operation::Tick(millis) => {
                self.now += millis * 1_000_000;
                self.commit(vec![self.record(Content::Tick)], true)
            }
            Operation::Checkpoint => self.make_checkpoint(false),
            Operation::CrashInCheckpoint => self.make_checkpoint(true),
            Operation::Shutdown => self.shut_down().and(Err(Died)),
            Operation::Crash => Err(Died),
            Operation::CrashBeforeFeeding => {
                let numbers = self.numbers(2, 1);
                self.append(&numbers, false).and(Err(Died))
            }
            Operation::PowerLossWhileAppending { from, to } => {
                self.tear(from, to);
                Err(Died)
            }
            Operation::DeleteParts { is_down, is_partly } => {
                return self.delete_parts(is_down, is_partly);
            }
            Operation::Faults { every, errno, piece } => {
                let mut plan = self.plan.lock().unwrap();
                (plan.every, plan.errno, plan.piece) = (every, errno, piece);
                Ok(())
            }
            Operation::NoFaults => {
                *self.plan.lock().unwrap() = Plan::default();
                Ok(())
            }
        };
        if done.is_err() {
            self.life = None;
            self.check_growth();
            self.come_up();
        }
    }

    /// Shuts down gracefully and compares the files with the acknowledged requests.
    pub fn end(mut self) {
        *self.plan.lock().unwrap() = Plan::default();
        assert!(self.shut_down().is_ok(), "on a disk that is well");
        self.life = None;
        self.check_growth();
        let mut found: BTreeMap<String, usize> = BTreeMap::new();
        for content in self.read.values() {
            for line in std::str::from_utf8(content).unwrap().lines() {
                let row: serde_json::Value = serde_json::from_str(line).unwrap();
                if let Some(span_id) = row["span_id"].as_str() {
                    *found.entry(span_id.to_owned()).or_default() += 1;
                }
            }
        }
        assert_eq!(found.remove("old"), Some(1), "what was there before stays");
        for number in &self.acknowledged {
            for span_id in span_ids(*number) {
                assert_eq!(
                    found.get(&span_id),
                    Some(&1),
                    "span {span_id} of request {number}"
                );
            }
        }
        assert!(found.values().all(|&times| times == 1), "{found:?}");
        // The run `there-before` is left out, because its first line is not a row.
        let is_ours = |run: &&PathBuf| !run.ends_with("there-before");
        for run in run_folders(self.folder.path()).iter().filter(is_ours) {
            let report = validate(run, Options::default()).unwrap();
            assert!(
                report.is_valid() && !report.open,
                "{}: {:#?}",
                run.display(),
                report.broken
            );
        }
    }

    /// Checks that files start with the bytes that a reader has read.
    pub fn check_growth(&mut self) {
        for run in run_folders(self.folder.path()) {
            assert!(!self.deleted.contains(&run), "{} came back", run.display());
            for file in [
                "invocations.jsonl",
                "calls.jsonl",
                "link_metrics.jsonl",
                "placement_events.jsonl",
            ] {
                let path = run.join("cctf").join(file);
                let Ok(mut content) = fs::read(&path) else {
                    continue;
                };
                let whole = content.iter().rposition(|&byte| byte == b'\n');
                content.truncate(whole.map_or(0, |last| last + 1));
                let before = self.read.entry(path).or_default();
                assert!(content.starts_with(before), "{} only grows", run.display());
                *before = content;
            }
        }
    }

    /// Deletes parts that an operator may delete: they have ended, and another part follows.
    fn delete_parts(&mut self, is_down: bool, is_partly: bool) {
        self.check_growth();
        if is_down {
            self.life = None;
        }
        let closed: Vec<PathBuf> = run_folders(self.folder.path())
            .into_iter()
            .filter(|run| is_closed(run) && has_later_part(run))
            .collect();
        for run in closed.iter().filter(|_| is_down && is_partly) {
            fs::remove_file(run.join("cctf/invocations.jsonl")).unwrap();
        }
        if !(is_down && is_partly) {
            closed.iter().for_each(|run| fs::remove_dir_all(run).unwrap());
        }
        if is_down {
            self.come_up();
        }
        for run in closed {
            let _ = fs::remove_dir_all(&run);
            self.deleted.insert(run);
        }
    }

    /// Numbers of new requests, and of some duplicates.
    fn numbers(&mut self, new: u8, again: u8) -> Vec<u64> {
        let first = self.sent;
        self.sent += u64::from(new);
        let again = (0..u64::from(again)).map(|back| first.saturating_sub(3 * back + 1));
        (first..self.sent).chain(again.collect::<Vec<_>>()).collect()
    }

    fn record(&self, content: Content) -> Record {
        Record {
            received_unix_ns: self.now,
            content,
        }
    }

    fn requests(&self, numbers: &[u64]) -> Vec<Record> {
        let at = |number| START_UNIX_NANO + number * 1_000_000;
        numbers
            .iter()
            .map(|&number| Record {
                received_unix_ns: self.now,
                ..request(number, at(number))
            })
            .collect()
    }

    fn append(&mut self, numbers: &[u64], is_fed: bool) -> Result<(), Died> {
        self.now += 10_000_000;
        let done = self.commit(self.requests(numbers), is_fed);
        // They were committed before the files could have a fault.
        self.acknowledged.extend(numbers);
        done
    }

    /// Writes records to the journal. If `is_fed`, it then feeds them to the pipeline.
    fn commit(&mut self, records: Vec<Record>, is_fed: bool) -> Result<(), Died> {
        let plan = Arc::clone(&self.plan);
        let life = self.life.as_mut().unwrap();
        life.store.append(&records).unwrap();
        if !is_fed {
            return Ok(());
        }
        for record in &records {
            life.pipeline.feed(record, &mut life.output);
        }
        for _ in 0..ATTEMPTS {
            match life.sink.write(&mut life.output) {
                Ok(()) => return Ok(()),
                Err(error) if error.is_disk_full() => {}
                Err(error) => return died(&error),
            }
        }
        plan.lock().unwrap().every = 0;
        life.sink.write(&mut life.output).or_else(|error| died(&error))
    }

    fn shut_down(&mut self) -> Result<(), Died> {
        self.commit(vec![self.record(Content::Shutdown)], true)?;
        self.make_checkpoint(false)
    }

    fn make_checkpoint(&mut self, crashes: bool) -> Result<(), Died> {
        let life = self.life.as_mut().unwrap();
        let pipeline = &life.pipeline;
        let lengths = life
            .sink
            .sync(|folder| pipeline.writes_to(folder))
            .or_else(|error| died(&error).map(|()| unreachable!()))?;
        let journal = self.folder.path().join("journal");
        let sequence = life.store.next_sequence();
        let written = checkpoint::write(&journal, sequence, &lengths, pipeline).unwrap();
        if crashes {
            return Err(Died);
        }
        life.sink.checkpointed(lengths, written.epoch);
        life.store.delete_before(sequence).unwrap();
        Ok(())
    }

    fn come_up(&mut self) {
        self.now += 50_000_000;
        let store = StoreSettings {
            folder: self.folder.path().join("journal"),
            durability: Durability::Fsync,
            segment_bytes: 3000,
            keep_raw: false,
            mapping_version: MAPPING_VERSION,
        };
        let settings = Settings {
            run_id: "mine".to_owned(),
            // Settings differ at every start. A record must not be fed under the settings of two starts.
            join_window: Duration::from_millis(1000 + self.now / 1_000_000 % 3 * 500),
            dedup_window: Duration::from_secs(3600),
            run_idle: Duration::from_secs(3),
            // The limit is sometimes so low that rows are written early.
            memory_limit: if (self.now / 1_000_000).is_multiple_of(2) {
                30_000
            } else {
                1 << 20
            },
            roll_bytes: Some(ROLL_BYTES),
            roll_age: Some(Duration::from_secs(10)),
            ..Settings::default()
        };
        for attempt in 0..=ATTEMPTS {
            if attempt == ATTEMPTS {
                self.plan.lock().unwrap().every = 0;
            }
            let sink = Sink::with_storage(self.folder.path(), Box::new(Faulty(Arc::clone(&self.plan))), 3);
            match resume(store.clone(), false, false, sink) {
                Ok(resumed) => {
                    self.life = Some(Life {
                        pipeline: resumed.pipeline,
                        sink: resumed.sink,
                        store: resumed.store,
                        output: Output::default(),
                        _lock: resumed.lock,
                    });
                    break;
                }
                Err(error) => assert!(attempt < ATTEMPTS, "on a disk that is well: {error}"),
            }
        }
        let body = settings.to_json().into();
        let records = vec![
            self.record(Content::Restart),
            self.record(Content::Settings { body }),
        ];
        if self.commit(records, true).is_err() {
            self.life = None;
            self.plan.lock().unwrap().every = 0;
            self.come_up();
        }
    }

    /// Appends requests that were not answered. A power loss keeps any part of their bytes.
    fn tear(&mut self, from: u64, to: u64) {
        let journal = self.folder.path().join("journal");
        let before = segments(&journal);
        let numbers = self.numbers(3, 0);
        let records = self.requests(&numbers);
        self.life.as_mut().unwrap().store.append(&records).unwrap();
        let after = segments(&journal);
        // A segment is created only after the previous one is durable, so only the last segment can be damaged.
        let Some((path, mut bytes)) = after.into_iter().next_back() else {
            return;
        };
        let kept = before.get(&path).cloned().unwrap_or_else(|| {
            let header = 64;
            let mut begun = bytes.clone();
            begun[header..].fill(0);
            begun
        });
        let changed: Vec<usize> = (0..bytes.len()).filter(|&at| bytes[at] != kept[at]).collect();
        if let (Some(&first), Some(&last)) = (changed.first(), changed.last()) {
            let len = (last - first + 1) as u64;
            let (from, to) = (first + (from % len) as usize, first + (to % (len + 1)) as usize);
            let torn = if from < to { from..to } else { from..last + 1 };
            bytes[torn.clone()].copy_from_slice(&kept[torn]);
        }
        fs::write(path, bytes).unwrap();
    }
}

fn died(error: &SinkError) -> Result<(), Died> {
    assert!(
        matches!(error, SinkError::Io { .. }),
        "nobody else touches the files: {error}"
    );
    Err(Died)
}
