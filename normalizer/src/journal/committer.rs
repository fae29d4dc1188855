//! [`Committer`]: the thread that makes records durable. Each batch contains the records that arrived while the previous batch
//! was written.

use std::time::{Duration, Instant};

use cctf_proto::log_line;

use super::accepted::{AppendError, Uncommitted};
use super::frame::body;
use super::queue::CommitEnd;
use super::record::{Content, Record};
use super::store::{Store, StoreError};

/// Minimum time between the starts of two batches. A batch of any size costs about 50 us of CPU time, as much as 50 spans. A
/// client that sends less often never waits for this time.
const COMMIT_INTERVAL_MIN: Duration = Duration::from_millis(1);

/// Passes records from the receiver to the pipeline after they are in the journal.
pub struct Committer {
    queue: CommitEnd,
    store: Store,
    deleted_before: u64,
    is_full: bool,
    /// Restart and settings records for which there was no space. They must be written to the journal before all later records.
    owed: Vec<Uncommitted>,
}

impl Committer {
    pub fn new(queue: CommitEnd, store: Store) -> Self {
        Self {
            queue,
            store,
            deleted_before: 0,
            is_full: false,
            owed: Vec::new(),
        }
    }

    /// Commits records until the shutdown. After an error, the content of the disk is unknown. Nothing may be acknowledged
    /// then, so the process must end.
    pub fn run(mut self) -> Result<(), StoreError> {
        let mut batch: Vec<Uncommitted> = Vec::new();
        let mut not_before = Instant::now();
        loop {
            self.queue.wait();
            std::thread::sleep(not_before.saturating_duration_since(Instant::now()));
            self.queue.next_batch(&mut batch);
            not_before = Instant::now() + COMMIT_INTERVAL_MIN;
            let (records, answers): (Vec<_>, Vec<_>) = self
                .owed
                .drain(..)
                .chain(batch.drain(..))
                .map(|uncommitted| (uncommitted.record, uncommitted.answer))
                .unzip();
            let is_last = records
                .last()
                .is_some_and(|last| last.content == Content::Shutdown);
            let committed = match self.store.append(&records) {
                Ok(()) => records.len(),
                Err(StoreError::DiskFull { folder, written }) => {
                    // Log this once, not at every tick until space is free.
                    if !self.is_full {
                        log_line!("warning: {}", StoreError::DiskFull { folder, written });
                    }
                    written
                }
                Err(error) => return Err(error),
            };
            self.is_full = committed < records.len();
            self.queue.set_disk_full(self.is_full);
            for (index, answer) in answers.into_iter().enumerate() {
                let result = if index < committed {
                    Ok(())
                } else {
                    Err(AppendError::DiskFull)
                };
                // A client that has disconnected needs no answer. Its rows are kept.
                let _ = answer.map(|answer| answer.send(result));
            }
            self.pass_on(records, committed);
            self.delete_segments()?;
            if is_last {
                return Ok(());
            }
        }
    }

    /// Passes committed records on to the pipeline. Uncommitted records are never passed on: the files would be ahead of the
    /// journal, and the next start would write the same rows again. If the shutdown record is not committed, the pipeline stops
    /// as in a crash.
    fn pass_on(&mut self, mut records: Vec<Record>, committed: usize) {
        let given_up = records.split_off(committed);
        let is_request = |record: &&Record| matches!(record.content, Content::Request { .. });
        self.queue.give_up(
            given_up
                .iter()
                .filter(is_request)
                .map(|record| body(record).len()),
        );
        self.queue.commit(records.into_iter());
        if given_up.iter().any(|record| record.content == Content::Shutdown) {
            log_line!(
                "warning: the journal has no room for the shutdown record; pending rows are written after the next start"
            );
            self.queue.end();
        }
        let is_owed = |record: &Record| matches!(record.content, Content::Restart | Content::Settings { .. });
        let owed = given_up.into_iter().filter(is_owed);
        self.owed
            .extend(owed.map(|record| Uncommitted { record, answer: None }));
    }

    fn delete_segments(&mut self) -> Result<(), StoreError> {
        let before = self.queue.deletable_before();
        if before > self.deleted_before {
            self.store.delete_before(before)?;
            self.deleted_before = before;
        }
        Ok(())
    }
}
