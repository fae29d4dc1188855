//! The pipeline's thread: takes batches from the journal, feeds them record by record, hands what comes out to the sink.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use cctf_proto::log_line;

use crate::checkpoint::{self, CheckpointError};
use crate::journal::{Content, DiskFull, Journal, Reader, Record};
use crate::pipeline::{Output, Pipeline, PipelineCounters};
use crate::sink::{Sink, SinkError};

/// Output that is written before the batch is done, so that a large batch needs no large buffers.
const OUTPUT_BYTES_MAX: usize = 256 * 1024;

/// Pauses between attempts to write to a full disk: doubled from the first to the last.
const DISK_FULL_PAUSE_MIN: Duration = Duration::from_millis(50);
const DISK_FULL_PAUSE_MAX: Duration = Duration::from_secs(2);
/// How long a shutdown waits for a full disk.
const DISK_FULL_AT_SHUTDOWN_MAX: Duration = Duration::from_secs(5);

/// Bytes of records between checkpoints, at least; and in multiples of the last checkpoint's own bytes, so that writing
/// it costs a small part of writing the journal, however much is held.
const CHECKPOINT_BYTES_MIN: u64 = 256 * 1024 * 1024;
const CHECKPOINT_RATIO: u64 = 8;

/// Why the pipeline's thread had to end.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// A file.
    #[error(transparent)]
    Sink(#[from] SinkError),
    /// A checkpoint.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
}

/// When and where checkpoints are made.
#[derive(Debug)]
pub struct Checkpoints {
    /// The journal's folder.
    pub folder: PathBuf,
    /// Number of the next record to be fed.
    pub sequence: u64,
    /// Bytes of records since the last one.
    bytes_since: u64,
    /// Bytes of the last one.
    last_bytes: u64,
}

impl Checkpoints {
    /// Checkpoints of what follows record number `sequence`.
    pub fn new(folder: PathBuf, sequence: u64) -> Self {
        Self {
            folder,
            sequence,
            bytes_since: 0,
            last_bytes: 0,
        }
    }

    fn count(&mut self, record: &Record) {
        self.sequence += 1;
        if let Content::Request { body, .. } = &record.content {
            self.bytes_since += body.len() as u64;
        }
    }

    fn is_due(&self) -> bool {
        self.bytes_since >= CHECKPOINT_BYTES_MIN.max(CHECKPOINT_RATIO * self.last_bytes)
    }
}

/// What the pipeline's thread has done so far, for others to read.
#[derive(Debug, Default)]
pub struct Progress {
    counters: Mutex<PipelineCounters>,
    records: AtomicU64,
    bytes_written: AtomicU64,
}

impl Progress {
    /// The pipeline's counters as of the last batch.
    pub fn counters(&self) -> PipelineCounters {
        self.counters
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Journal records that the pipeline was fed.
    pub fn records(&self) -> u64 {
        self.records.load(Ordering::Relaxed)
    }

    /// Bytes of lines and snapshots that were written.
    pub fn bytes_written(&self) -> u64 {
        self.bytes_written.load(Ordering::Relaxed)
    }
}

/// Owns the pipeline and its sink; runs until the journal's last record.
pub struct Worker {
    reader: Reader,
    journal: Journal,
    pipeline: Pipeline,
    output: Output,
    sink: Sink,
    progress: Arc<Progress>,
    checkpoints: Option<Checkpoints>,
}

impl Worker {
    /// A worker from this journal to this sink.
    pub fn new((journal, reader): (Journal, Reader), pipeline: Pipeline, sink: Sink) -> Self {
        Self {
            reader,
            journal,
            pipeline,
            output: Output::default(),
            sink,
            progress: Arc::default(),
            checkpoints: None,
        }
    }

    /// The same, with checkpoints.
    #[must_use]
    pub fn with_checkpoints(mut self, checkpoints: Checkpoints) -> Self {
        self.checkpoints = Some(checkpoints);
        self
    }

    /// What it has done so far.
    pub fn progress(&self) -> Arc<Progress> {
        Arc::clone(&self.progress)
    }

    /// Feeds records until the shutdown has been fed (or, when that found no room, all before it) and all files are written. However it ends, nothing is accepted
    /// after, because nobody would write it.
    pub fn run(mut self) -> Result<(), WorkerError> {
        let _close = CloseAtEnd(self.journal.clone());
        let mut batch = Vec::new();
        while self.reader.next_batch(&mut batch) {
            let mut is_time_to_tell = false;
            for record in batch.drain(..) {
                // Every tick is often enough to tell others how far we are, and rare enough to cost nothing.
                is_time_to_tell |= matches!(record.content, Content::Tick | Content::Shutdown);
                self.pipeline.feed(&record, &mut self.output);
                if let Some(checkpoints) = &mut self.checkpoints {
                    checkpoints.count(&record);
                }
                self.progress.records.fetch_add(1, Ordering::Relaxed);
                if pending_bytes(&mut self.output) >= OUTPUT_BYTES_MAX {
                    self.write()?;
                }
            }
            self.write()?;
            if is_time_to_tell {
                self.tell_progress();
                self.journal.set_needs_ticks(self.pipeline.needs_ticks());
            } else {
                self.journal.set_needs_ticks(true);
            }
            if self.checkpoints.as_ref().is_some_and(Checkpoints::is_due) {
                self.make_checkpoint_if_there_is_room()?;
            }
        }
        // The last one seals the journal: whoever goes on needs no record before it.
        self.make_checkpoint()
    }

    /// Without room the one before stays in force, and the segments behind it stay.
    fn make_checkpoint_if_there_is_room(&mut self) -> Result<(), WorkerError> {
        match self.make_checkpoint() {
            Err(WorkerError::Checkpoint(error)) if error.is_disk_full() => {
                log_line!("warning: {error}; the next one is tried after as many records again");
                Ok(())
            }
            done => done,
        }
    }

    fn make_checkpoint(&mut self) -> Result<(), WorkerError> {
        let Some(checkpoints) = &mut self.checkpoints else {
            return Ok(());
        };
        let pipeline = &self.pipeline;
        let lengths = self.sink.sync(|folder| pipeline.writes_to(folder))?;
        let (folder, sequence) = (&checkpoints.folder, checkpoints.sequence);
        checkpoints.bytes_since = 0;
        let written = checkpoint::write(folder, sequence, &lengths, pipeline)?;
        checkpoints.last_bytes = written.bytes;
        self.sink.checkpointed(lengths, written.epoch);
        self.journal.set_deletable_before(sequence);
        Ok(())
    }

    fn tell_progress(&self) {
        let counters = self.pipeline.counters();
        *self
            .progress
            .counters
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = counters;
    }

    /// Writes all output. While the disk is full the receiver refuses requests, which their clients send again.
    fn write(&mut self) -> Result<(), SinkError> {
        let bytes = pending_bytes(&mut self.output) as u64;
        let mut pause = DISK_FULL_PAUSE_MIN;
        let mut shutdown_since = None;
        loop {
            match self.sink.write(&mut self.output) {
                Ok(()) => break,
                Err(error) if error.is_disk_full() => {
                    if !self.journal.is_disk_full() {
                        log_line!("warning: {error}; requests are refused until there is room again");
                        self.journal.set_disk_full(DiskFull::Files, true);
                    }
                    if self.journal.is_closed()
                        && shutdown_since.get_or_insert_with(Instant::now).elapsed()
                            > DISK_FULL_AT_SHUTDOWN_MAX
                    {
                        return Err(error);
                    }
                    std::thread::sleep(pause);
                    pause = DISK_FULL_PAUSE_MAX.min(2 * pause);
                }
                Err(error) => return Err(error),
            }
        }
        self.journal.set_disk_full(DiskFull::Files, false);
        self.progress.bytes_written.fetch_add(bytes, Ordering::Relaxed);
        Ok(())
    }
}

struct CloseAtEnd(Journal);

impl Drop for CloseAtEnd {
    fn drop(&mut self) {
        self.0.close();
    }
}

fn pending_bytes(output: &mut Output) -> usize {
    output
        .drain()
        .map(|run| {
            let appended: usize = run.appended().map(|(_, lines)| lines.len()).sum();
            appended + run.replaced().map(|(_, content)| content.len()).sum::<usize>()
        })
        .sum()
}
