//! Recovery: the journal read from its beginning or from a checkpoint, its torn tail cut, damage in its middle reported.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::frame::{self, ALIGNMENT, Found, HEADER_LEN};
use super::record::Record;
use super::segment::{self, SEGMENT_HEADER_LEN, SegmentFile, SegmentHeader};

/// What was found.
#[derive(Debug, Default)]
pub struct Recovered {
    /// Number of the next record.
    pub next_sequence: u64,
    /// All segments.
    pub segments: Vec<SegmentFile>,
    /// Where the next record goes: a segment, and a position in it.
    pub tail: Option<(PathBuf, u64)>,
    /// Bytes of records that were begun and never acknowledged.
    pub torn_bytes: u64,
    /// Records given up by `--repair`.
    pub records_lost: u64,
}

/// Why the journal could not be read.
#[derive(Debug, thiserror::Error)]
pub enum RecoveryError {
    /// A file could not be read or mended.
    #[error("could not {operation} {}: {source}", path.display())]
    Io {
        /// What failed.
        operation: &'static str,
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Something stands where a record was durable, and is none.
    #[error(
        "the journal is damaged in {} at byte {offset}: {what}; \
         --repair goes on behind it and counts what is lost",
        path.display()
    )]
    Damaged {
        /// The segment.
        path: PathBuf,
        /// Where in it.
        offset: u64,
        /// What is wrong.
        what: String,
    },
    /// The first segment begins behind what is needed.
    #[error("the journal in {} begins with record {found}, and record {needed} is needed", folder.display())]
    Missing {
        /// The journal's folder.
        folder: PathBuf,
        /// First record that is there.
        found: u64,
        /// First record that is needed.
        needed: u64,
    },
}

/// Reads the journal in `folder` and gives every record from number `from` on to `feed`. A torn tail is zeroed, so that
/// nothing of it can be taken for a record once others stand before it.
pub fn recover(
    folder: &Path,
    from: u64,
    repair: bool,
    feed: &mut dyn FnMut(u64, Record),
) -> Result<Recovered, RecoveryError> {
    let segments = segment::list(folder).map_err(io_error("list", folder))?;
    let first = segments.first().map_or(from, |segment| segment.first_sequence);
    if first > from {
        return Err(RecoveryError::Missing {
            folder: folder.to_owned(),
            found: first,
            needed: from,
        });
    }
    let mut recovered = Recovered {
        next_sequence: first,
        ..Recovered::default()
    };
    for (at, segment) in segments.iter().enumerate() {
        let next = segments.get(at + 1);
        // A segment that ends before what is needed is not read.
        if next.is_some_and(|next| next.first_sequence <= from) {
            recovered.next_sequence = segments[at + 1].first_sequence;
            continue;
        }
        let mut reading = Reading {
            segment,
            from,
            repair,
            is_last: next.is_none(),
            recovered: &mut recovered,
        };
        reading.read(feed)?;
    }
    recovered.segments = segment::list(folder).map_err(io_error("list", folder))?;
    Ok(recovered)
}

struct Reading<'r> {
    segment: &'r SegmentFile,
    from: u64,
    repair: bool,
    is_last: bool,
    recovered: &'r mut Recovered,
}

impl Reading<'_> {
    fn read(&mut self, feed: &mut dyn FnMut(u64, Record)) -> Result<(), RecoveryError> {
        let path = &self.segment.path;
        let bytes = fs::read(path).map_err(io_error("read", path))?;
        let mut offset = SEGMENT_HEADER_LEN as usize;
        match SegmentHeader::decode(&bytes) {
            Ok(header) if header.first_sequence == self.recovered.next_sequence => {}
            Ok(header) => {
                let (found, expected) = (header.first_sequence, self.recovered.next_sequence);
                self.damaged(
                    0,
                    format!("it begins with record {found}, and {expected} is next"),
                )?;
                self.recovered.records_lost += found.saturating_sub(expected);
                self.recovered.next_sequence = found;
            }
            // A segment whose header never became durable holds nothing that was acknowledged.
            Err(_) if self.is_last => return self.drop_segment(),
            Err(what) => self.damaged(0, what.to_owned())?,
        }
        loop {
            match frame::decode(&bytes[offset..]) {
                Found::Frame { header, body, next } if header.sequence == self.recovered.next_sequence => {
                    if header.sequence >= self.from
                        && let Some(record) = frame::record(&header, body)
                    {
                        feed(header.sequence, record);
                    }
                    self.recovered.next_sequence += 1;
                    offset += next.min(bytes.len() - offset);
                }
                Found::Nothing => break,
                Found::Frame { .. } | Found::Damaged => match self.go_on_behind(&bytes, offset)? {
                    Some(next) => offset = next,
                    None => break,
                },
            }
        }
        self.recovered.tail = Some((path.clone(), offset as u64));
        Ok(())
    }

    /// At something that is not the next record: the torn tail if nothing behind it says that it was durable, else damage.
    fn go_on_behind(&mut self, bytes: &[u8], offset: usize) -> Result<Option<usize>, RecoveryError> {
        let expected = self.recovered.next_sequence;
        let behind = next_frame(bytes, offset + ALIGNMENT, expected);
        let was_durable = !self.is_last || behind.is_some_and(|(_, header)| header.durable_before > expected);
        if !was_durable {
            self.cut_tail(bytes, offset)?;
            return Ok(None);
        }
        self.damaged(
            offset as u64,
            format!("record {expected} is not whole, and later ones are"),
        )?;
        let Some((next, header)) = behind else {
            return Ok(None);
        };
        self.recovered.records_lost += header.sequence - expected;
        self.recovered.next_sequence = header.sequence;
        Ok(Some(next))
    }

    fn damaged(&self, offset: u64, what: String) -> Result<(), RecoveryError> {
        if self.repair {
            return Ok(());
        }
        Err(RecoveryError::Damaged {
            path: self.segment.path.clone(),
            offset,
            what,
        })
    }

    fn cut_tail(&mut self, bytes: &[u8], offset: usize) -> Result<(), RecoveryError> {
        const ZEROS: [u8; 64 * 1024] = [0; 64 * 1024];
        let path = &self.segment.path;
        let used = bytes
            .iter()
            .rposition(|&byte| byte != 0)
            .map_or(offset, |last| last + 1);
        self.recovered.torn_bytes += (used - offset) as u64;
        let file = File::options()
            .write(true)
            .open(path)
            .map_err(io_error("open", path))?;
        let mut at = offset;
        while at < used {
            let len = ZEROS.len().min(used - at);
            file.write_all_at(&ZEROS[..len], at as u64)
                .map_err(io_error("cut the torn tail of", path))?;
            at += len;
        }
        file.sync_data().map_err(io_error("sync", path))
    }

    fn drop_segment(&mut self) -> Result<(), RecoveryError> {
        let path = &self.segment.path;
        self.recovered.torn_bytes += fs::metadata(path).map_err(io_error("look at", path))?.len();
        fs::remove_file(path).map_err(io_error("delete", path))
    }
}

/// The next whole frame of a record from number `expected` on, at or behind `offset`.
fn next_frame(bytes: &[u8], offset: usize, expected: u64) -> Option<(usize, frame::Header)> {
    let last = bytes.len().checked_sub(HEADER_LEN)?;
    (offset..=last)
        .step_by(ALIGNMENT)
        .find_map(|at| match frame::decode(&bytes[at..]) {
            Found::Frame { header, .. } if header.sequence >= expected => Some((at, header)),
            _ => None,
        })
}

fn io_error(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> RecoveryError {
    let path = path.to_owned();
    move |source| RecoveryError::Io {
        operation,
        path,
        source,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::prelude::*;

    use super::*;
    use crate::journal::record::{Content, Signal};
    use crate::journal::store::{Durability, Store, StoreSettings};

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
        let body: Vec<u8> = (0..len).map(|at| (number as usize * 31 + at) as u8 | 1).collect();
        Record {
            received_unix_nano: number,
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
            // What goes before is durable when the next is written, as with fsync.
            store.append(&[request(number, len)]).unwrap();
        }
        let segments = segment::list(folder).unwrap();
        assert_eq!(segments.len(), 1);
        segments[0].path.clone()
    }

    proptest! {
        #[test]
        fn what_was_appended_is_read_back_whatever_the_batches_and_reopenings(
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
        fn a_tail_torn_at_any_byte_loses_the_last_record_alone_and_what_follows_is_read(cut in 0_usize..96) {
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
    fn what_is_left_of_a_torn_batch_is_never_taken_for_a_later_record() {
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
                .map(|(_, record)| record.received_unix_nano)
                .collect::<Vec<_>>(),
            [0, 9]
        );
    }

    #[test]
    fn damage_before_a_durable_record_is_an_error_with_its_place_and_repair_goes_on_behind_it() {
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
            matches!(recover(folder.path(), 5, false, &mut |_, _| {}), Ok(_)),
            "what is not needed is not read"
        );
    }

    #[test]
    fn segments_behind_are_deleted_and_reading_begins_where_it_is_asked_to() {
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
}
