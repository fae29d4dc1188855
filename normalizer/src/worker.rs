//! The pipeline's thread: takes batches from the journal, feeds them record by record, hands what comes out to the sink.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::journal::{Content, DiskFull, Journal, Reader};
use crate::pipeline::{Output, Pipeline, PipelineCounters};
use crate::sink::{Sink, SinkError};

/// Output that is written before the batch is done, so that a large batch needs no large buffers.
const OUTPUT_BYTES_MAX: usize = 256 * 1024;

/// Pauses between attempts to write to a full disk: doubled from the first to the last.
const DISK_FULL_PAUSE_MIN: Duration = Duration::from_millis(50);
const DISK_FULL_PAUSE_MAX: Duration = Duration::from_secs(2);
/// How long a shutdown waits for a full disk.
const DISK_FULL_AT_SHUTDOWN_MAX: Duration = Duration::from_secs(5);

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
        }
    }

    /// What it has done so far.
    pub fn progress(&self) -> Arc<Progress> {
        Arc::clone(&self.progress)
    }

    /// Feeds records until the shutdown has been fed and all files are written. However it ends, nothing is accepted
    /// after, because nobody would write it.
    pub fn run(mut self) -> Result<(), SinkError> {
        let _close = CloseAtEnd(self.journal.clone());
        let mut batch = Vec::new();
        while self.reader.next_batch(&mut batch) {
            let mut is_time_to_tell = false;
            for record in batch.drain(..) {
                // Every tick is often enough to tell others how far we are, and rare enough to cost nothing.
                is_time_to_tell |= matches!(record.content, Content::Tick | Content::Shutdown);
                self.pipeline.feed(&record, &mut self.output);
                self.progress.records.fetch_add(1, Ordering::Relaxed);
                if pending_bytes(&mut self.output) >= OUTPUT_BYTES_MAX {
                    self.write()?;
                }
            }
            self.write()?;
            if is_time_to_tell {
                self.tell_progress();
            }
        }
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
                        eprintln!("warning: {error}; requests are refused until there is room again");
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
