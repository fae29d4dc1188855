//! Recovery of journals that were torn, damaged and cut short.

use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::journal::record::{Content, Signal};
use crate::journal::store::{Durability, Store, StoreSettings};

const MAPPING: u32 = 1;

fn recover(
    folder: &Path,
    from: u64,
    repair: bool,
    feed: &mut dyn FnMut(u64, Record),
) -> Result<Recovered, RecoveryError> {
    let how = Recovery {
        from,
        repair,
        mapping_version: MAPPING,
        remap: false,
    };
    super::recover(folder, how, feed)
}

fn settings(folder: &Path) -> StoreSettings {
    StoreSettings {
        folder: folder.to_owned(),
        durability: Durability::Flush,
        segment_bytes: 1024,
        keep_raw: false,
        mapping_version: 1,
    }
}

fn request(number: u64, len: usize) -> Record {
    let body: Vec<u8> = (0..len)
        .map(|index| (number as usize * 31 + index) as u8 | 1)
        .collect();
    Record {
        received_unix_ns: number,
        content: Content::Request {
            signal: Signal::Traces,
            body: body.into(),
        },
    }
}

fn read(folder: &Path, from: u64) -> (Vec<(u64, Record)>, Recovered) {
    let mut records = Vec::new();
    let recovered = recover(folder, from, false, &mut |sequence, record| {
        records.push((sequence, record))
    })
    .unwrap();
    (records, recovered)
}

fn reopen(folder: &Path) -> (Vec<(u64, Record)>, Store) {
    let (records, found) = read(folder, 0);
    let store = Store::open(settings(folder), found.segments, found.next_sequence, found.tail).unwrap();
    (records, store)
}

/// Writes records of these lengths, one batch each, and returns the only segment.
fn one_segment(folder: &Path, lens: &[usize]) -> std::path::PathBuf {
    let (_, mut store) = reopen(folder);
    for (number, &len) in (0..).zip(lens) {
        // Earlier records are durable when the next one is written, as with fsync.
        store.append(&[request(number, len)]).unwrap();
    }
    let segments = segment::list(folder).unwrap();
    assert_eq!(segments.len(), 1);
    segments[0].path.clone()
}

proptest! {
    #[test]
    fn appended_records_are_read_back_for_all_batches_and_reopenings(
        batches in proptest::collection::vec((proptest::collection::vec(0_usize..900, 1..6), any::<bool>()), 1..12),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let (_, mut store) = reopen(folder.path());
        let mut expected = Vec::new();
        for (lens, reopens) in batches {
            let batch: Vec<Record> =
                (expected.len() as u64..).zip(&lens).map(|(number, &len)| request(number, len)).collect();
            store.append(&batch).unwrap();
            expected.extend(batch);
            if reopens {
                drop(store);
                store = reopen(folder.path()).1;
            }
        }
        let (found, _) = read(folder.path(), 0);
        prop_assert!(found.iter().map(|(_, record)| record).eq(&expected));
        prop_assert!(found.iter().map(|(sequence, _)| *sequence).eq(0..expected.len() as u64));
    }

    #[test]
    fn a_tail_torn_at_any_byte_loses_only_the_last_record(cut in 0_usize..96) {
        let folder = tempfile::tempdir().unwrap();
        let path = one_segment(folder.path(), &[50, 50]);
        let second = SEGMENT_HEADER_LEN as usize + frame::frame_len(50);
        let mut bytes = fs::read(&path).unwrap();
        bytes[second + cut.min(frame::HEADER_LEN + 49)..].fill(0);
        fs::write(&path, &bytes).unwrap();
        let (records, mut store) = reopen(folder.path());
        prop_assert_eq!(records.len(), 1);
        store.append(&[request(7, 50)]).unwrap();
        let (records, _) = read(folder.path(), 0);
        prop_assert_eq!(&records[1], &(1, request(7, 50)));
        prop_assert_eq!(records.len(), 2);
    }
}

#[test]
fn the_rest_of_a_torn_batch_is_never_taken_for_a_later_record() {
    let folder = tempfile::tempdir().unwrap();
    let (_, mut store) = reopen(folder.path());
    store
        .append(&[request(0, 40), request(1, 40), request(2, 40)])
        .unwrap();
    let path = segment::list(folder.path()).unwrap()[0].path.clone();
    let mut bytes = fs::read(&path).unwrap();
    let second = SEGMENT_HEADER_LEN as usize + frame::frame_len(40);
    bytes[second + frame::HEADER_LEN] ^= 0xff;
    fs::write(&path, &bytes).unwrap();
    let (records, mut store) = reopen(folder.path());
    assert_eq!(
        records.len(),
        1,
        "the batch was never acknowledged, so its rest is torn, not damaged"
    );
    store.append(&[request(9, 40)]).unwrap();
    let (records, _) = read(folder.path(), 0);
    assert_eq!(
        records
            .iter()
            .map(|(_, record)| record.received_unix_ns)
            .collect::<Vec<_>>(),
        [0, 9]
    );
}

#[test]
fn damage_before_a_durable_record_is_an_error_and_repair_skips_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut fsynced = settings(folder.path());
    fsynced.durability = Durability::Fsync;
    let mut store = Store::open(fsynced, Vec::new(), 0, None).unwrap();
    for number in 0..3 {
        store.append(&[request(number, 40)]).unwrap();
    }
    let path = segment::list(folder.path()).unwrap()[0].path.clone();
    let mut bytes = fs::read(&path).unwrap();
    let second = SEGMENT_HEADER_LEN as usize + frame::frame_len(40);
    bytes[second + frame::HEADER_LEN] ^= 0xff;
    fs::write(&path, &bytes).unwrap();
    let error = recover(folder.path(), 0, false, &mut |_, _| {})
        .unwrap_err()
        .to_string();
    assert!(
        error.contains(&format!("at byte {second}")) && error.contains("--repair"),
        "{error}"
    );
    let mut kept = Vec::new();
    let repaired = recover(folder.path(), 0, true, &mut |sequence, _| kept.push(sequence)).unwrap();
    assert_eq!(
        (kept, repaired.records_lost, repaired.next_sequence),
        (vec![0, 2], 1, 3)
    );
}

#[test]
fn a_segment_missing_in_the_middle_is_damage() {
    let folder = tempfile::tempdir().unwrap();
    let (_, mut store) = reopen(folder.path());
    for number in 0..4 {
        store.append(&[request(number, 800)]).unwrap();
    }
    let segments = segment::list(folder.path()).unwrap();
    assert_eq!(segments.len(), 4);
    fs::remove_file(&segments[1].path).unwrap();
    assert!(matches!(
        recover(folder.path(), 0, false, &mut |_, _| {}),
        Err(RecoveryError::Damaged { .. })
    ));
    assert!(
        recover(folder.path(), 5, false, &mut |_, _| {}).is_ok(),
        "what is not needed is not read"
    );
}

#[test]
fn older_segments_are_deleted_and_reading_starts_at_the_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let (_, mut store) = reopen(folder.path());
    for number in 0..6 {
        store.append(&[request(number, 400)]).unwrap();
    }
    store.delete_before(3).unwrap();
    assert_eq!(segment::list(folder.path()).unwrap()[0].first_sequence, 2);
    let (records, _) = read(folder.path(), 3);
    assert_eq!(
        records.iter().map(|(sequence, _)| *sequence).collect::<Vec<_>>(),
        [3, 4, 5]
    );
    assert!(matches!(
        recover(folder.path(), 1, false, &mut |_, _| {}),
        Err(RecoveryError::Missing { .. })
    ));
}

/// A journal of three records, each durable before the next, and the offset of the second.
fn three_durable(folder: &Path) -> (std::path::PathBuf, usize) {
    let mut fsynced = settings(folder);
    fsynced.durability = Durability::Fsync;
    let mut store = Store::open(fsynced, Vec::new(), 0, None).unwrap();
    for number in 0..3 {
        store.append(&[request(number, 40)]).unwrap();
    }
    let path = segment::list(folder).unwrap()[0].path.clone();
    (path, SEGMENT_HEADER_LEN as usize + frame::frame_len(40))
}

fn change(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).unwrap();
    change(&mut bytes);
    fs::write(path, bytes).unwrap();
}

#[test]
fn zeros_in_place_of_a_durable_record_are_damage() {
    let folder = tempfile::tempdir().unwrap();
    let (path, second) = three_durable(folder.path());
    change(&path, |bytes| {
        bytes[second..second + frame::frame_len(40)].fill(0)
    });
    assert!(matches!(
        recover(folder.path(), 0, false, &mut |_, _| {}),
        Err(RecoveryError::Damaged { .. })
    ));
}

#[test]
fn a_last_segment_with_a_damaged_header_and_records_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let (path, _) = three_durable(folder.path());
    change(&path, |bytes| bytes[0] = 0);
    let error = recover(folder.path(), 0, false, &mut |_, _| {}).unwrap_err();
    assert!(matches!(error, RecoveryError::Damaged { .. }), "{error}");
    let mut kept = Vec::new();
    recover(folder.path(), 0, true, &mut |sequence, _| kept.push(sequence)).unwrap();
    assert_eq!(kept, [0, 1, 2]);
}

#[test]
fn a_segment_shorter_than_its_header_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    let (_, mut store) = reopen(folder.path());
    for number in 0..2 {
        store.append(&[request(number, 800)]).unwrap();
    }
    let path = segment::list(folder.path()).unwrap()[0].path.clone();
    change(&path, |bytes| bytes.truncate(10));
    assert!(recover(folder.path(), 0, false, &mut |_, _| {}).is_err());
    let found = recover(folder.path(), 0, true, &mut |_, _| {}).unwrap();
    assert_eq!((found.records_lost, found.next_sequence), (1, 2));
}

#[test]
fn damage_before_the_checkpoint_is_ignored_and_repaired_segments_end() {
    let folder = tempfile::tempdir().unwrap();
    let (path, second) = three_durable(folder.path());
    change(&path, |bytes| bytes[second + frame::HEADER_LEN] ^= 0xff);
    let (records, _) = read(folder.path(), 2);
    assert_eq!(records.len(), 1, "record 1 is not needed");

    let found = recover(folder.path(), 0, true, &mut |_, _| {}).unwrap();
    let mut store = Store::open(
        settings(folder.path()),
        found.segments,
        found.next_sequence,
        found.tail,
    )
    .unwrap();
    store.append(&[request(3, 40)]).unwrap();
    let (records, _) = read(folder.path(), 3);
    assert_eq!(
        records,
        [(3, request(3, 40))],
        "--repair is not asked for a second time"
    );
}

#[test]
fn a_journal_that_ends_before_the_checkpoint_opens_a_new_segment() {
    let folder = tempfile::tempdir().unwrap();
    one_segment(folder.path(), &[40, 40]);
    for number in [5, 6] {
        let (_, found) = read(folder.path(), number);
        assert_eq!(found.next_sequence, number);
        let mut store = Store::open(
            settings(folder.path()),
            found.segments,
            found.next_sequence,
            found.tail,
        )
        .unwrap();
        store.append(&[request(number, 40)]).unwrap();
    }
    let (records, _) = read(folder.path(), 5);
    assert_eq!(records, [(5, request(5, 40)), (6, request(6, 40))]);
}

proptest! {
    #[test]
    fn random_changes_never_panic_and_never_invent_a_record(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        repair in any::<bool>(),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let (path, _) = three_durable(folder.path());
        change(&path, |bytes| {
            for (index, byte) in &changes {
                let index = index.index(bytes.len());
                bytes[index] = *byte;
            }
        });
        let mut fed = Vec::new();
        let _ = recover(folder.path(), 0, repair, &mut |sequence, record| fed.push((sequence, record)));
        for (sequence, record) in fed {
            prop_assert_eq!(record, request(sequence, 40));
        }
    }
}

#[test]
fn reading_a_kept_journal_changes_nothing_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = one_segment(folder.path(), &[40, 40]);
    let second = SEGMENT_HEADER_LEN as usize + frame::frame_len(40);
    change(&path, |bytes| bytes[second + frame::HEADER_LEN] ^= 0xff);
    let before = fs::read(&path).unwrap();
    let mut kept = Vec::new();
    read_kept(folder.path(), false, &mut |sequence, _| kept.push(sequence)).unwrap();
    assert_eq!(kept, [0]);
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn records_of_another_mapping_are_replayed_only_on_request() {
    let folder = tempfile::tempdir().unwrap();
    one_segment(folder.path(), &[10, 20]);
    let how = |from, mapping_version, remap| Recovery {
        from,
        repair: false,
        mapping_version,
        remap,
    };
    let refused = super::recover(folder.path(), how(1, MAPPING + 1, false), &mut |_, _| {}).unwrap_err();
    assert!(
        matches!(refused, RecoveryError::OtherMapping { found: MAPPING, ours, .. } if ours == MAPPING + 1),
        "{refused}"
    );
    // From after the last record on (2), no row would be recomputed, so `remap` is not needed.
    for (from, remap, fed) in [(2, false, 0), (1, true, 1)] {
        let mut records = 0;
        let found = super::recover(folder.path(), how(from, MAPPING + 1, remap), &mut |_, _| {
            records += 1
        });
        let found = found.unwrap();
        assert_eq!((records, found.next_sequence, found.tail), (fed, 2, None));
    }
    let found = super::recover(folder.path(), how(2, MAPPING + 1, false), &mut |_, _| {}).unwrap();
    let settings = StoreSettings {
        mapping_version: MAPPING + 1,
        ..settings(folder.path())
    };
    let mut store = Store::open(settings, found.segments, found.next_sequence, found.tail).unwrap();
    store.append(&[request(2, 10)]).unwrap();
    let found = super::recover(folder.path(), how(2, MAPPING + 1, false), &mut |_, _| {}).unwrap();
    assert_eq!((found.segments.len(), found.next_sequence), (2, 3));
}
