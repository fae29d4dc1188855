//! Recovery: the journal read from its beginning or from a checkpoint, its torn tail cut, damage in its middle reported.

use std::fs::{self, File};
use std::io;
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
    /// Whether `--repair` went on behind damage.
    pub repaired: bool,
    /// Whether the last segment was begun under another version of the mapping.
    pub remapped: bool,
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
    /// Another mapping has made rows of these records, and they would have to be made again.
    #[error(
        "the journal ends in a crash, and version {found} of the mapping has made rows of its records in {}; this \
         normalizer has version {ours}, which may make others: start the normalizer that wrote it once more and stop it in \
         order (SIGTERM), then this one goes on; or give --remap, which cuts the files back to the last checkpoint and makes \
         the rows behind it anew, so that whoever follows the files has to read them again",
        path.display()
    )]
    OtherMapping {
        /// The segment.
        path: PathBuf,
        /// The version that it was begun under.
        found: u32,
        /// This normalizer's.
        ours: u32,
    },
    /// The first segment begins behind what is needed.
    #[error(
        "the journal in {} begins with record {found}, and record {needed} is needed: \
         put the missing segments back, or go on without them by --repair",
        folder.display()
    )]
    Missing {
        /// The journal's folder.
        folder: PathBuf,
        /// First record that is there.
        found: u64,
        /// First record that is needed.
        needed: u64,
    },
}

/// How the journal is to be read.
#[derive(Debug, Clone, Copy)]
pub struct Recovery {
    /// Number of the first record to give on.
    pub from: u64,
    /// Whether to go on behind damage.
    pub repair: bool,
    /// The mapping's version.
    pub mapping_version: u32,
    /// Whether records may be given on that another version of the mapping has made rows of.
    pub remap: bool,
}

/// Reads the journal in `folder` and gives its records on to `feed`. A torn tail is zeroed, so that nothing of it can be
/// taken for a record once others stand before it.
pub fn recover(
    folder: &Path,
    how: Recovery,
    feed: &mut dyn FnMut(u64, Record),
) -> Result<Recovered, RecoveryError> {
    read(folder, how, true, feed)
}

/// Gives every record of the journal in `folder` to `feed`, from the first that is there, and changes nothing.
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
    mends: bool,
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
            how,
            mends,
            is_other_mapping: None,
            next_first: next.map(|next| next.first_sequence),
            recovered: &mut recovered,
        };
        reading.read(feed)?;
    }
    recovered.segments = segment::list(folder).map_err(io_error("list", folder))?;
    // A gap in the numbers, or damage that was passed over, must not lie in a segment that is read again from its begin;
    // and a segment has one version of the mapping.
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
    /// The version of the mapping that was in force when the segment was begun, if it is another one.
    is_other_mapping: Option<u32>,
    /// Whether what was torn is cut on the disk, too.
    mends: bool,
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
        self.is_other_mapping = version.filter(|&version| version != self.how.mapping_version);
        // One that was only begun changes nothing: the next record is not to go behind another version's.
        if decoded.is_ok() {
            self.recovered.remapped = self.is_other_mapping.is_some();
        }
        match decoded {
            Ok(header) if header.first_sequence == self.recovered.next_sequence => {}
            Ok(header) => {
                let (found, expected) = (header.first_sequence, self.recovered.next_sequence);
                self.lose(0, found, || {
                    format!("it begins with record {found}, and {expected} is next")
                })?;
            }
            // A header is durable before the first frame is written: with no frame, nothing was acknowledged.
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
                    match self.go_on_behind(&bytes, offset)? {
                        Some(next) => offset = next,
                        None => break,
                    }
                }
            }
        }
        self.recovered.tail = Some((path.clone(), offset as u64));
        Ok(())
    }

    /// Whether rows may be made of this segment's records: another mapping made others of them.
    fn check_mapping(&self) -> Result<(), RecoveryError> {
        match self.is_other_mapping {
            Some(found) if !self.how.remap => Err(RecoveryError::OtherMapping {
                path: self.segment.path.clone(),
                found,
                ours: self.how.mapping_version,
            }),
            _ => Ok(()),
        }
    }

    /// At something that is not the next record: the torn tail if nothing behind it says that it was durable, else damage.
    fn go_on_behind(&mut self, bytes: &[u8], offset: usize) -> Result<Option<usize>, RecoveryError> {
        let expected = self.recovered.next_sequence;
        let behind = next_frame(bytes, offset + ALIGNMENT, expected);
        let was_durable =
            self.next_first.is_some() || behind.is_some_and(|(_, header)| header.durable_before > expected);
        if !was_durable {
            self.cut_tail(bytes, offset)?;
            return Ok(None);
        }
        let (sequence, next) = match behind {
            Some((next, header)) => (header.sequence, Some(next)),
            None => (self.next_first.unwrap_or(expected), None),
        };
        if self.next_first == Some(expected) && next.is_none() {
            // All records of this segment are there, and this is what was begun behind them.
            return Ok(None);
        }
        self.lose(offset as u64, sequence, || {
            format!("record {expected} is not whole, and later ones are")
        })?;
        Ok(next)
    }

    /// Goes on with record number `found`: an error unless nothing that is needed is missing, or `--repair` asks for it.
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

    fn cut_tail(&mut self, bytes: &[u8], offset: usize) -> Result<(), RecoveryError> {
        let path = &self.segment.path;
        let used = bytes
            .iter()
            .rposition(|&byte| byte != 0)
            .map_or(offset, |last| last + 1);
        self.recovered.torn_bytes += (used - offset) as u64;
        if !self.mends {
            return Ok(());
        }
        let file = File::options()
            .write(true)
            .open(path)
            .map_err(io_error("open", path))?;
        segment::write_zeros(&file, offset as u64, used as u64)
            .map_err(io_error("cut the torn tail of", path))?;
        file.sync_data().map_err(io_error("sync", path))
    }

    fn drop_segment(&mut self) -> Result<(), RecoveryError> {
        let path = &self.segment.path;
        self.recovered.torn_bytes += fs::metadata(path).map_err(io_error("look at", path))?.len();
        if !self.mends {
            return Ok(());
        }
        fs::remove_file(path).map_err(io_error("delete", path))
    }
}

/// The next whole frame of a record from number `expected` on, at or behind `offset`.
fn next_frame(bytes: &[u8], offset: usize, expected: u64) -> Option<(usize, frame::Header)> {
    let last = bytes.len().checked_sub(HEADER_LEN)?;
    (offset..=last)
        .step_by(ALIGNMENT)
        .filter(|&at| frame::may_begin(&bytes[at..], expected))
        .find_map(|at| match frame::decode(&bytes[at..]) {
            Found::Frame { header, .. } => Some((at, header)),
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
