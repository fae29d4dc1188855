//! The thread of the pipeline, with a disk that is full for some time or forever.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use cctf_normalizer::journal::{self, AppendError, Journal, QueueLimits, Signal};
use cctf_normalizer::pipeline::{Pipeline, Settings};
use cctf_normalizer::sink::{Disk, OPEN_FILES_MAX, Sink, Storage};
use cctf_normalizer::worker::{Worker, WorkerError};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message as _;
use tempfile::TempDir;

/// A disk that fails all writes while it is full. Otherwise, each write takes only one byte.
struct Filling {
    disk: Disk,
    full: Arc<AtomicBool>,
}

struct FillingFile {
    file: Box<dyn Write + Send>,
    full: Arc<AtomicBool>,
}

impl Write for FillingFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.full.load(Ordering::Relaxed) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.file.write(&bytes[..bytes.len().min(1)])
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Filling {
    fn wrap(&self, file: Box<dyn Write + Send>) -> Box<dyn Write + Send> {
        Box::new(FillingFile {
            file,
            full: Arc::clone(&self.full),
        })
    }
}

impl Storage for Filling {
    fn create_folder(&mut self, path: &Path) -> io::Result<()> {
        self.disk.create_folder(path)
    }
    fn exists(&mut self, path: &Path) -> io::Result<bool> {
        self.disk.exists(path)
    }
    fn open_append(&mut self, path: &Path) -> io::Result<Box<dyn Write + Send>> {
        let file = self.disk.open_append(path)?;
        Ok(self.wrap(file))
    }
    fn create(&mut self, path: &Path) -> io::Result<Box<dyn Write + Send>> {
        let file = self.disk.create(path)?;
        Ok(self.wrap(file))
    }
    fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        self.disk.rename(from, to)
    }
    fn symlink(&mut self, target: &Path, link: &Path) -> io::Result<()> {
        self.disk.symlink(target, link)
    }
    fn read_link(&mut self, link: &Path) -> io::Result<PathBuf> {
        self.disk.read_link(link)
    }
    fn remove(&mut self, path: &Path) -> io::Result<()> {
        self.disk.remove(path)
    }
    fn lock(&mut self, path: &Path) -> io::Result<Box<dyn Send>> {
        self.disk.lock(path)
    }
    fn cut_torn_line(&mut self, path: &Path) -> io::Result<u64> {
        self.disk.cut_torn_line(path)
    }
}

struct Running {
    folder: TempDir,
    full: Arc<AtomicBool>,
    journal: Journal,
    thread: std::thread::JoinHandle<Result<(), WorkerError>>,
}

fn start_full() -> Running {
    let folder = TempDir::new().unwrap();
    let full = Arc::new(AtomicBool::new(true));
    let limits = QueueLimits {
        requests_max: 10,
        bytes_max: 1 << 20,
    };
    let (journal, reader) = journal::open(limits, journal::wall_clock(0));
    let storage = Filling {
        disk: Disk,
        full: Arc::clone(&full),
    };
    let sink = Sink::with_storage(folder.path(), Box::new(storage), OPEN_FILES_MAX);
    let pipeline = Pipeline::new(Settings {
        run_id: "mine".to_owned(),
        ..Settings::default()
    });
    let worker = Worker::new((journal.clone(), reader), pipeline, sink);
    let thread = std::thread::spawn(move || worker.run());
    journal.append(Signal::Traces, root_span()).unwrap();
    while !journal.is_disk_full() {
        std::thread::yield_now();
    }
    Running {
        folder,
        full,
        journal,
        thread,
    }
}

fn root_span() -> Bytes {
    let span = Span {
        trace_id: vec![7; 16],
        span_id: vec![1; 8],
        kind: 2,
        start_time_unix_nano: 1_700_000_000_000_000_000,
        end_time_unix_nano: 1_700_000_000_005_000_000,
        ..Span::default()
    };
    let scope_spans = vec![ScopeSpans {
        spans: vec![span],
        ..ScopeSpans::default()
    }];
    let resource_spans = vec![ResourceSpans {
        scope_spans,
        ..ResourceSpans::default()
    }];
    ExportTraceServiceRequest { resource_spans }
        .encode_to_vec()
        .into()
}

#[test]
fn a_disk_that_is_full_for_a_while_refuses_requests_and_loses_nothing() {
    let running = start_full();
    let refused = running.journal.append(Signal::Traces, root_span()).map(drop);
    assert_eq!(refused, Err(AppendError::DiskFull));

    running.full.store(false, Ordering::Relaxed);
    while running.journal.is_disk_full() {
        std::thread::yield_now();
    }
    running.journal.close();
    running.thread.join().unwrap().unwrap();
    let lines = fs::read_to_string(running.folder.path().join("mine/events.jsonl")).unwrap();
    assert_eq!(lines.lines().count(), 1, "{lines}");
    serde_json::from_str::<serde_json::Value>(&lines).unwrap();
}

#[test]
fn a_worker_that_cannot_write_ends_with_the_reason_and_accepts_no_more() {
    let running = start_full();
    running.journal.close();
    let error = running.thread.join().unwrap().unwrap_err();
    assert!(
        matches!(&error, WorkerError::Sink(error) if error.is_disk_full()),
        "{error}"
    );
    assert!(
        error.to_string().starts_with("cannot append to ") || error.to_string().starts_with("cannot write "),
        "{error}"
    );
}
