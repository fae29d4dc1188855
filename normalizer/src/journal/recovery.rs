//! [`recover`]: reads the journal from its start or from a checkpoint. It overwrites a torn tail with zeros, and reports damage
//! before the tail. A torn tail is an incomplete record at the end.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::frame::{self, ALIGNMENT, Found, HEADER_LEN};
use super::record::Record;
use super::segment::{self, SEGMENT_HEADER_LEN, SegmentFile, SegmentHeader};

/// Result of a recovery.
#[derive(Debug, Default)]
pub struct Recovered {
    /// Number of the next record.
    pub next_sequence: u64,
    pub segments: Vec<SegmentFile>,
    /// Segment and offset for the next record; `None` means a new segment.
    pub tail: Option<(PathBuf, u64)>,
    /// Bytes of incomplete records. With the durability `fsync`, such records were never acknowledged.
    pub torn_bytes: u64,
    /// Records lost with `--repair`.
    pub records_lost: u64,
    /// Whether `--repair` skipped damage.
    pub repaired: bool,
    /// Whether the last segment was written with another mapping version.
    pub remapped: bool,
}

/// Why the journal cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum RecoveryError {
    #[error("cannot {operation} {}: {source}", path.display())]
    Io {
        operation: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    /// Damage at a position where a record was durable.
    #[error(
        "cannot read the journal segment {} at byte {offset}: {what}; \
         --repair skips the damage and reports how many records are lost",
        path.display()
    )]
    Damaged {
        path: PathBuf,
        offset: u64,
        what: String,
    },
    /// Another mapping version has computed the rows of these records, and this version would have to recompute them.
    #[error(
        "cannot continue after a crash: the rows of journal segment {} were computed by mapping version {found}, and this \
         normalizer has version {ours}; start the normalizer that wrote it and shut it down gracefully (SIGTERM), or \
         set --remap, which truncates the files to the last checkpoint and recomputes the later rows; readers that follow \
         the files must then read them again",
        path.display()
    )]
    OtherMapping { path: PathBuf, found: u32, ours: u32 },
    #[error(
        "cannot read the journal in {}: its first record is {found}, and record {needed} is needed; \
         restore the missing segments, or set --repair to continue without them",
        folder.display()
    )]
    Missing {
        folder: PathBuf,
        found: u64,
        needed: u64,
    },
}

/// Options of a recovery.
#[derive(Debug, Clone, Copy)]
pub struct Recovery {
    /// Number of the first record to feed.
    pub from: u64,
    /// Whether to skip damage.
    pub repair: bool,
    pub mapping_version: u32,
    /// Whether to feed records whose rows another mapping version has computed.
    pub remap: bool,
}

/// Reads the journal in `folder` and passes its records to `feed`. It overwrites a torn tail with zeros. Otherwise, the tail
/// could later be mistaken for a record that follows new records.
pub fn recover(
    folder: &Path,
    how: Recovery,
    feed: &mut dyn FnMut(u64, Record),
) -> Result<Recovered, RecoveryError> {
    read(folder, how, true, feed)
}

/// Passes all records of the journal in `folder` to `feed`, without changing the journal.
pub fn read_kept(
    folder: &Path,
    repair: bool,
    feed: &mut dyn FnMut(u64, Record),
) -> Result<Recovered, RecoveryError> {
    let segments = segment::list(folder).map_err(io_error("list", folder))?;
    let first = segments.first().map_or(0, |segment| segment.first_sequence);
    let how = Recovery {
        from: first,
        repair,
        mapping_version: 0,
        remap: true,
    };
    read(folder, how, false, feed)
}

fn read(
    folder: &Path,
    how: Recovery,
    zeroes_tail: bool,
    feed: &mut dyn FnMut(u64, Record),
) -> Result<Recovered, RecoveryError> {
    let from = how.from;
    let segments = segment::list(folder).map_err(io_error("list", folder))?;
    let first = segments.first().map_or(from, |segment| segment.first_sequence);
    if first > from && !how.repair {
        return Err(RecoveryError::Missing {
            folder: folder.to_owned(),
            found: first,
            needed: from,
        });
    }
    let mut recovered = Recovered {
        next_sequence: first,
        records_lost: first.saturating_sub(from),
        repaired: first > from,
        ..Recovered::default()
    };
    for (index, segment) in segments.iter().enumerate() {
        let next = segments.get(index + 1);
        // Segments that end before the first needed record are not read.
        if next.is_some_and(|next| next.first_sequence <= from) {
            recovered.next_sequence = segments[index + 1].first_sequence;
            continue;
        }
        let mut reading = Reading {
            segment,
            from,
            how,
            zeroes_tail,
            other_mapping: None,
            next_first: next.map(|next| next.first_sequence),
            recovered: &mut recovered,
        };
        reading.read(feed)?;
    }
    recovered.segments = segment::list(folder).map_err(io_error("list", folder))?;
    // After skipped damage or a gap, new records go to a new segment. Otherwise, a later start that needs the new records
    // would have to read past the damage or gap again. A new segment is also needed after a segment of another mapping
    // version, because a segment has only one version.
    if recovered.repaired || recovered.remapped || recovered.next_sequence < from {
        recovered.tail = None;
    }
    recovered.next_sequence = recovered.next_sequence.max(from);
    Ok(recovered)
}

struct Reading<'r> {
    segment: &'r SegmentFile,
    from: u64,
    how: Recovery,
    /// The segment's mapping version, if it differs from this normalizer's.
    other_mapping: Option<u32>,
    /// Whether to zero a torn tail on the disk.
    zeroes_tail: bool,
    /// Number of the next segment's first record; `None` for the last segment.
    next_first: Option<u64>,
    recovered: &'r mut Recovered,
}

impl Reading<'_> {
    fn read(&mut self, feed: &mut dyn FnMut(u64, Record)) -> Result<(), RecoveryError> {
        let path = &self.segment.path;
        let bytes = fs::read(path).map_err(io_error("read", path))?;
        let mut offset = SEGMENT_HEADER_LEN as usize;
        let decoded = SegmentHeader::decode(&bytes);
        let version = decoded.ok().map(|header| header.mapping_version);
        self.other_mapping = version.filter(|&version| version != self.how.mapping_version);
        // This also applies to a segment without records, because records of two mapping versions must not share a segment.
        if decoded.is_ok() {
            self.recovered.remapped = self.other_mapping.is_some();
        }
        match decoded {
            Ok(header) if header.first_sequence == self.recovered.next_sequence => {}
            Ok(header) => {
                let (found, expected) = (header.first_sequence, self.recovered.next_sequence);
                self.lose(0, found, || {
                    format!("the segment starts with record {found} instead of {expected}")
                })?;
            }
            // With the durability `fsync`, the header is durable before the first frame is written. So a segment without a frame
            // contains no acknowledged record.
            Err(_) if self.next_first.is_none() && self.has_no_frame(&bytes) => return self.drop_segment(),
            Err(what) => self.lose(0, self.recovered.next_sequence, || what.to_owned())?,
        }
        offset = offset.min(bytes.len());
        loop {
            match frame::decode(&bytes[offset..]) {
                Found::Frame { header, body, next } if header.sequence == self.recovered.next_sequence => {
                    if header.sequence >= self.from
                        && let Some(record) = frame::record(&header, body)
                    {
                        self.check_mapping()?;
                        feed(header.sequence, record);
                    }
                    self.recovered.next_sequence += 1;
                    offset += next.min(bytes.len() - offset);
                }
                Found::Nothing if bytes[offset..].iter().all(|&byte| byte == 0) => break,
                Found::Nothing | Found::Frame { .. } | Found::Damaged => {
                    match self.skip_damage(&bytes, offset)? {
                        Some(next) => offset = next,
                        None => break,
                    }
                }
            }
        }
        self.recovered.tail = Some((path.clone(), offset as u64));
        Ok(())
    }

    /// Returns an error if the segment's records must not be fed, because another mapping version may have computed different
    /// rows from them.
    fn check_mapping(&self) -> Result<(), RecoveryError> {
        match self.other_mapping {
            Some(found) if !self.how.remap => Err(RecoveryError::OtherMapping {
                path: self.segment.path.clone(),
                found,
                ours: self.how.mapping_version,
            }),
            _ => Ok(()),
        }
    }

    /// Handles bytes that are not the next record. They are a torn tail, unless a later frame shows that a durable record is
    /// missing.
    fn skip_damage(&mut self, bytes: &[u8], offset: usize) -> Result<Option<usize>, RecoveryError> {
        let expected = self.recovered.next_sequence;
        let behind = next_frame(bytes, offset + ALIGNMENT, expected);
        let was_durable =
            self.next_first.is_some() || behind.is_some_and(|(_, header)| header.durable_before > expected);
        if !was_durable {
            self.zero_tail(bytes, offset)?;
            return Ok(None);
        }
        let (sequence, next) = match behind {
            Some((next, header)) => (header.sequence, Some(next)),
            None => (self.next_first.unwrap_or(expected), None),
        };
        if self.next_first == Some(expected) && next.is_none() {
            // The segment is complete. These bytes are an incomplete record after its end.
            return Ok(None);
        }
        self.lose(offset as u64, sequence, || {
            format!("record {expected} is damaged, and later records are intact")
        })?;
        Ok(next)
    }

    /// Continues with record number `found`. Without `--repair`, returns an error if a needed record is missing, or if `found`
    /// is not after the expected record.
    fn lose(&mut self, offset: u64, found: u64, what: impl FnOnce() -> String) -> Result<(), RecoveryError> {
        let expected = self.recovered.next_sequence;
        if found > self.from || found <= expected {
            self.damaged(offset, what())?;
        }
        self.recovered.records_lost += found.saturating_sub(expected.max(self.from));
        self.recovered.next_sequence = found;
        Ok(())
    }

    fn has_no_frame(&self, bytes: &[u8]) -> bool {
        next_frame(bytes, SEGMENT_HEADER_LEN as usize, self.recovered.next_sequence).is_none()
    }

    fn damaged(&mut self, offset: u64, what: String) -> Result<(), RecoveryError> {
        if self.how.repair {
            self.recovered.repaired = true;
            return Ok(());
        }
        Err(RecoveryError::Damaged {
            path: self.segment.path.clone(),
            offset,
            what,
        })
    }

    fn zero_tail(&mut self, bytes: &[u8], offset: usize) -> Result<(), RecoveryError> {
        let path = &self.segment.path;
        let used = bytes
            .iter()
            .rposition(|&byte| byte != 0)
            .map_or(offset, |last| last + 1);
        self.recovered.torn_bytes += (used - offset) as u64;
        if !self.zeroes_tail {
            return Ok(());
        }
        let file = File::options()
            .write(true)
            .open(path)
            .map_err(io_error("open", path))?;
        segment::write_zeros(&file, offset as u64, used as u64).map_err(io_error("truncate", path))?;
        file.sync_data().map_err(io_error("sync", path))
    }

    fn drop_segment(&mut self) -> Result<(), RecoveryError> {
        let path = &self.segment.path;
        self.recovered.torn_bytes += fs::metadata(path)
            .map_err(io_error("read the length of", path))?
            .len();
        if !self.zeroes_tail {
            return Ok(());
        }
        fs::remove_file(path).map_err(io_error("delete", path))
    }
}

/// The next complete frame at or after `offset` with record number `expected` or later.
fn next_frame(bytes: &[u8], offset: usize, expected: u64) -> Option<(usize, frame::Header)> {
    let last = bytes.len().checked_sub(HEADER_LEN)?;
    (offset..=last)
        .step_by(ALIGNMENT)
        .filter(|&offset| frame::may_begin(&bytes[offset..], expected))
        .find_map(|offset| match frame::decode(&bytes[offset..]) {
            Found::Frame { header, .. } => Some((offset, header)),
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
#[path = "recovery_tests.rs"]
mod tests;
