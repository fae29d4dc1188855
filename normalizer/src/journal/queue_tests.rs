//! Tests of the queue.

use std::sync::atomic::AtomicU64;

use super::*;

const LIMITS: QueueLimits = QueueLimits {
    requests_max: 3,
    bytes_max: 10,
};

fn counting_clock() -> Clock {
    let time = AtomicU64::new(1);
    Box::new(move || time.fetch_add(1, Ordering::Relaxed))
}

fn append(journal: &Journal, len: usize) -> Result<(), AppendError> {
    journal
        .append(Signal::Traces, Bytes::from(vec![0; len]))
        .map(drop)
}

#[test]
fn requests_are_read_in_order_between_restart_and_shutdown() {
    let (journal, mut reader) = open(LIMITS, counting_clock());
    journal.append(Signal::Traces, Bytes::from_static(b"a")).unwrap();
    journal.append(Signal::Logs, Bytes::from_static(b"b")).unwrap();
    journal.close();
    journal.close();

    let mut batch = Vec::new();
    assert!(reader.next_batch(&mut batch));
    let contents: Vec<Content> = batch.drain(..).map(|record| record.content).collect();
    assert_eq!(
        contents,
        [
            Content::Restart,
            Content::Request {
                signal: Signal::Traces,
                body: Bytes::from_static(b"a")
            },
            Content::Request {
                signal: Signal::Logs,
                body: Bytes::from_static(b"b")
            },
            Content::Shutdown,
        ]
    );
    assert!(!reader.next_batch(&mut batch));
    assert_eq!(append(&journal, 1), Err(AppendError::Closed));
}

#[test]
fn the_current_batch_counts_until_the_next_one_is_requested() {
    let (journal, mut reader) = open(LIMITS, counting_clock());
    append(&journal, 6).unwrap();
    append(&journal, 4).unwrap();
    assert_eq!(append(&journal, 1), Err(AppendError::Full));

    let mut batch = Vec::new();
    assert!(reader.next_batch(&mut batch));
    assert_eq!(
        append(&journal, 1),
        Err(AppendError::Full),
        "the batch is not done yet"
    );
    batch.clear();
    journal.tick();
    assert!(reader.next_batch(&mut batch));
    append(&journal, 10).unwrap();
}

#[test]
fn the_number_of_requests_is_bounded_and_one_of_any_size_fits_alone() {
    let (journal, _reader) = open(LIMITS, counting_clock());
    append(&journal, 1_000).unwrap();
    assert_eq!(append(&journal, 1), Err(AppendError::Full));

    let (journal, _reader) = open(LIMITS, counting_clock());
    for _ in 0..LIMITS.requests_max {
        append(&journal, 0).unwrap();
    }
    assert_eq!(append(&journal, 0), Err(AppendError::Full));
}

#[test]
fn ticks_ignore_the_bound_and_never_accumulate() {
    let (journal, mut reader) = open(
        QueueLimits {
            requests_max: 1,
            bytes_max: 1,
        },
        counting_clock(),
    );
    append(&journal, 1).unwrap();
    (0..100).for_each(|_| journal.tick());

    let mut batch = Vec::new();
    assert!(reader.next_batch(&mut batch));
    assert_eq!(batch.len(), 3);
    assert_eq!(batch[2].content, Content::Tick);
    assert_eq!(batch[2].received_unix_ns, 102, "the time of the last tick");
}

#[test]
fn without_room_for_a_segment_ticks_make_the_committer_try_again() {
    let (journal, _reader) = open(LIMITS, counting_clock());
    let held = || journal.shared.lock().waiting.len();
    let before = held();
    journal.set_needs_ticks(false);
    journal.tick();
    assert_eq!(held(), before);
    journal.shared.set_disk_full(DiskFull::Segments, true);
    journal.tick();
    assert_eq!(held(), before + 1, "the committer tries again");
}

#[test]
fn timestamps_never_go_back_when_the_clock_does() {
    let time = Arc::new(AtomicU64::new(100));
    let current = Arc::clone(&time);
    let (journal, mut reader) = open(LIMITS, Box::new(move || current.load(Ordering::Relaxed)));
    for now in [200, 150, 250] {
        time.store(now, Ordering::Relaxed);
        append(&journal, 1).unwrap();
    }
    let mut batch = Vec::new();
    reader.next_batch(&mut batch);
    let stamps: Vec<u64> = batch.iter().map(|record| record.received_unix_ns).collect();
    assert_eq!(stamps, [100, 200, 200, 250]);
}

#[test]
fn a_full_disk_refuses_requests_until_space_is_free() {
    let (journal, _reader) = open(LIMITS, counting_clock());
    journal.set_disk_full(DiskFull::Files, true);
    assert_eq!(append(&journal, 1), Err(AppendError::DiskFull));
    journal.set_disk_full(DiskFull::Files, false);
    append(&journal, 1).unwrap();
}

#[tokio::test]
async fn accepted_bytes_use_up_the_allowance_and_more_are_accepted() {
    let (journal, _reader) = open(LIMITS, counting_clock());
    let is_used_up = async || {
        let at_once = Duration::ZERO;
        tokio::time::timeout(at_once, journal.allowance_used_up())
            .await
            .is_ok()
    };
    journal.allow_bytes(3);
    append(&journal, 2).unwrap();
    assert!(!is_used_up().await);
    append(&journal, 2).unwrap();
    append(&journal, 2).unwrap();
    assert!(is_used_up().await);
    journal.allow_bytes(3);
    assert!(!is_used_up().await);
}

#[test]
fn a_waiting_reader_is_woken() {
    let (journal, mut reader) = open(LIMITS, counting_clock());
    let mut batch = Vec::new();
    reader.next_batch(&mut batch);
    batch.clear();
    let thread = std::thread::spawn(move || {
        reader.next_batch(&mut batch);
        batch.len()
    });
    append(&journal, 1).unwrap();
    assert_eq!(thread.join().unwrap(), 1);
}

#[test]
fn a_shutdown_without_room_ends_the_reader_unread() {
    let (journal, mut commit_end, mut reader) = open_durable(LIMITS, counting_clock(), 0);
    journal.close();
    let mut uncommitted = Vec::new();
    commit_end.next_batch(&mut uncommitted);
    let restart = uncommitted.remove(0).record;
    commit_end.commit([restart.clone()].into_iter());
    commit_end.end();
    let mut batch = Vec::new();
    assert!(reader.next_batch(&mut batch));
    assert_eq!(batch, [restart]);
    batch.clear();
    assert!(!reader.next_batch(&mut batch));
}
