//! [`Worker`]: the pipeline's thread. It reads batches from the journal, feeds each record, and writes the output to the sink.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use cctf_proto::log_line;

use crate::journal::{Content, DiskFull, Journal, Reader, Record};
use crate::pipeline::{LiveFigures, Output, Pipeline, PipelineCounters};
use crate::recovery::checkpoint::{self, CheckpointError};
use crate::sink::{Sink, SinkError};

/// Size at which output is written within a batch, so that a large batch does not need large buffers.
const OUTPUT_BYTES_MAX: usize = 256 * 1024;

/// Minimum pause between attempts to write to a full disk. Each pause is twice as long as the previous one, up to a maximum.
const DISK_FULL_PAUSE_MIN: Duration = Duration::from_millis(50);
const DISK_FULL_PAUSE_MAX: Duration = Duration::from_secs(2);
/// Maximum time that a shutdown waits for free space.
const DISK_FULL_AT_SHUTDOWN_MAX: Duration = Duration::from_secs(5);

/// Minimum bytes of records between checkpoints: an absolute number, and a multiple of the last checkpoint's size. So
/// checkpoints cost only a small part of the journal's writes, however many rows are pending.
const CHECKPOINT_BYTES_MIN: u64 = 256 * 1024 * 1024;
const CHECKPOINT_RATIO: u64 = 8;

/// The reason why the pipeline's thread had to stop.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    #[error(transparent)]
    Sink(#[from] SinkError),
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
}

/// The folder of checkpoints, and the state that decides when the next one is written.
#[derive(Debug)]
pub struct Checkpoints {
    /// The journal's folder.
    pub folder: PathBuf,
    /// Number of the next record.
    pub sequence: u64,
    /// Bytes of records since the last checkpoint.
    bytes_since: u64,
    /// Size of the last checkpoint.
    last_bytes: u64,
}

impl Checkpoints {
    /// `sequence` is the number of the next record.
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

/// The pipeline's figures of modules, nodes and runs at one time.
#[derive(Debug)]
pub struct Published {
    pub figures: LiveFigures,
    pub at: Instant,
    /// Whether the figures stay valid until the next record arrives.
    pub is_idle: bool,
}

impl Published {
    /// The latest time, up to `now`, at which the figures are valid.
    pub fn holds_at(&self, now: Instant) -> Instant {
        if self.is_idle { now } else { self.at }
    }
}

/// The pipeline's progress, for other threads.
#[derive(Debug, Default)]
pub struct Progress {
    counters: Mutex<PipelineCounters>,
    first_live: OnceLock<Arc<Published>>,
    live: Mutex<Option<Arc<Published>>>,
    is_live_wanted: AtomicBool,
    records: AtomicU64,
    bytes_written: AtomicU64,
}

impl Progress {
    /// The pipeline's counters at the last tick.
    pub fn counters(&self) -> PipelineCounters {
        self.counters
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The figures of the replayed records, which are the figures at the start of the worker.
    pub fn first_live(&self) -> Option<Arc<Published>> {
        self.first_live.get().cloned()
    }

    /// The figures that were published most recently.
    pub fn live(&self) -> Option<Arc<Published>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Requests the figures of modules, nodes and runs; the worker publishes them at its next tick. Copying a dozen figures
    /// takes microseconds, and copying 400 takes 0.1 ms. They are published only on request, because nobody needs ten copies a
    /// second.
    pub fn request_live(&self) {
        self.is_live_wanted.store(true, Ordering::Relaxed);
    }

    /// Journal records fed to the pipeline.
    pub fn records(&self) -> u64 {
        self.records.load(Ordering::Relaxed)
    }

    /// Bytes of lines and snapshots written.
    pub fn bytes_written(&self) -> u64 {
        self.bytes_written.load(Ordering::Relaxed)
    }
}

/// The owner of the pipeline and its sink. It runs until the journal's last record.
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

    #[must_use]
    pub fn with_checkpoints(mut self, checkpoints: Checkpoints) -> Self {
        self.checkpoints = Some(checkpoints);
        self
    }

    pub fn progress(&self) -> Arc<Progress> {
        Arc::clone(&self.progress)
    }

    /// Feeds records until the shutdown, and writes all files. If the journal has no space for the shutdown record, it stops
    /// after the last record. It always closes the journal, because later requests would not be written.
    pub fn run(mut self) -> Result<(), WorkerError> {
        let _close = CloseAtEnd(self.journal.clone());
        self.publish_live(true);
        let mut batch = Vec::new();
        while self.reader.next_batch(&mut batch) {
            let mut is_progress_due = false;
            for record in batch.drain(..) {
                // Publishing at every tick is frequent enough for readers, and its cost is negligible.
                is_progress_due |= matches!(record.content, Content::Tick | Content::Shutdown);
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
            if is_progress_due {
                let needs_ticks = self.pipeline.needs_ticks();
                self.publish_progress();
                if self.progress.is_live_wanted.swap(false, Ordering::Relaxed) || !needs_ticks {
                    self.publish_live(!needs_ticks);
                }
                self.journal.set_needs_ticks(needs_ticks);
            } else {
                self.journal.set_needs_ticks(true);
            }
            if self.checkpoints.as_ref().is_some_and(Checkpoints::is_due) {
                self.write_checkpoint_if_there_is_room()?;
            }
        }
        // The last checkpoint completes the journal: a later start needs no record before it.
        self.write_checkpoint()
    }

    /// Writes a checkpoint. If there is no free space, the previous one stays valid, and the segments after it are kept.
    fn write_checkpoint_if_there_is_room(&mut self) -> Result<(), WorkerError> {
        match self.write_checkpoint() {
            Err(WorkerError::Checkpoint(error)) if error.is_disk_full() => {
                log_line!("warning: {error}; the next attempt follows after the same size of requests");
                Ok(())
            }
            done => done,
        }
    }

    fn write_checkpoint(&mut self) -> Result<(), WorkerError> {
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

    fn publish_progress(&self) {
        let counters = self.pipeline.counters();
        *self
            .progress
            .counters
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = counters;
    }

    fn publish_live(&self, is_idle: bool) {
        let published = Arc::new(Published {
            figures: self.pipeline.live_figures(),
            at: Instant::now(),
            is_idle,
        });
        self.progress.first_live.get_or_init(|| Arc::clone(&published));
        *self.progress.live.lock().unwrap_or_else(PoisonError::into_inner) = Some(published);
    }

    /// Writes all output. While the disk is full, the receiver refuses requests, so clients retry them.
    fn write(&mut self) -> Result<(), SinkError> {
        let bytes = pending_bytes(&mut self.output) as u64;
        let mut pause = DISK_FULL_PAUSE_MIN;
        let mut shutdown_since = None;
        loop {
            match self.sink.write(&mut self.output) {
                Ok(()) => break,
                Err(error) if error.is_disk_full() => {
                    if !self.journal.is_disk_full() {
                        log_line!("warning: {error}; requests are refused until space is free");
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
