//! [`Committer`]: the thread that makes records durable, as many at a time as have come while it did so before.

use std::time::{Duration, Instant};

use cctf_proto::log_line;

use super::accepted::{AppendError, Uncommitted};
use super::frame::body;
use super::queue::CommitEnd;
use super::record::{Content, Record};
use super::store::{Store, StoreError};

/// A batch begins no sooner than this after the one before. Each costs some 50 us of CPU time, as much as 50 spans, however
/// little is in it; who sends no faster than this waits for nobody.
const COMMIT_INTERVAL_MIN: Duration = Duration::from_millis(1);

/// Between the receiver and the pipeline: what it passes on is in the journal.
pub struct Committer {
    queue: CommitEnd,
    store: Store,
    deleted_before: u64,
    is_full: bool,
    /// Found no room, and has to be in the journal before anything that comes later: the start and its settings.
    owed: Vec<Uncommitted>,
}

impl Committer {
    /// A committer that writes to `store`.
    pub fn new(queue: CommitEnd, store: Store) -> Self {
        Self {
            queue,
            store,
            deleted_before: 0,
            is_full: false,
            owed: Vec::new(),
        }
    }

    /// Commits until the shutdown is committed. An error says that what has been written is in doubt: nothing may be
    /// acknowledged after it, so the process has to end.
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
                    // Once, and not for every tick until there is room.
                    if !self.is_full {
                        log_line!("warning: {}", StoreError::DiskFull { folder, written });
                    }
                    written
                }
                Err(error) => return Err(error),
            };
            self.is_full = committed < records.len();
            self.queue.set_disk_full(self.is_full);
            for (at, answer) in answers.into_iter().enumerate() {
                let result = if at < committed {
                    Ok(())
                } else {
                    Err(AppendError::DiskFull)
                };
                // A client that has gone away needs no answer; its rows are kept all the same.
                let _ = answer.map(|answer| answer.send(result));
            }
            self.pass_on(records, committed);
            self.delete_segments()?;
            if is_last {
                return Ok(());
            }
        }
    }

    /// What could not be committed is never fed: the files would be ahead of the journal, and the next start would write
    /// the same rows again. Without its shutdown the pipeline just ends, as a crash would end it.
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
                "warning: the shutdown found no room in the journal; what waits is written after the next start"
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
