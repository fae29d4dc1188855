//! [`Store`]: writes the journal's frames to preallocated segments. One sync makes a whole batch durable.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, IoSlice, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use disk::direct::is_unsupported;

use super::direct::DirectWriter;
use super::frame::{HEADER_LEN, body, encode_header, frame_len};
use super::record::Record;
use super::segment::{self, SEGMENT_HEADER_LEN, SegmentFile, SegmentHeader};

/// The point at which a record counts as safe and a request is acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Durability {
    /// The request is on the disk. It survives a power loss.
    Fsync,
    /// The kernel has the request. It survives a crash of the process, but not a power loss.
    Flush,
    /// The request is in memory. There is no journal, and a crash loses the request.
    None,
}

/// Settings of the journal on disk.
#[derive(Debug, Clone)]
pub struct StoreSettings {
    pub folder: PathBuf,
    /// The point at which a record counts as safe and a request is acknowledged.
    pub durability: Durability,
    pub segment_bytes: u64,
    /// Whether to keep segments that are no longer needed.
    pub keep_raw: bool,
    /// Written into each segment.
    pub mapping_version: u32,
}

/// The reason why the journal cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The disk has no space for another segment, or for the rest of a segment whose space the file system could not reserve. A
    /// later attempt can succeed.
    #[error("cannot create a journal segment in {}: the disk is full; free some space or use a larger disk", folder.display())]
    DiskFull {
        folder: PathBuf,
        /// Number of the batch's records that are durable in earlier segments.
        written: usize,
    },
    /// The content of the disk is unknown, so the process must end.
    #[error("cannot {operation} {}: {source}", path.display())]
    Fatal {
        operation: &'static str,
        path: PathBuf,
        source: io::Error,
    },
}

const PADDING: [u8; super::frame::ALIGNMENT] = [0; super::frame::ALIGNMENT];

/// The writer of the journal's segments.
#[derive(Debug)]
pub struct Store {
    settings: StoreSettings,
    /// All segments, oldest first. The last one is the current segment.
    segments: VecDeque<SegmentFile>,
    current: Option<Segment>,
    next_sequence: u64,
    durable_before: u64,
}

#[derive(Debug)]
struct Segment {
    file: File,
    /// Direct writes. They are used with the durability `fsync` on a file system that supports them.
    direct: Option<DirectWriter>,
    path: PathBuf,
    position: u64,
    len: u64,
}

impl Store {
    /// Continues after a recovery. The next record has the number `next_sequence` and goes to `tail` (a segment and an offset), or to
    /// a new segment.
    pub fn open(
        settings: StoreSettings,
        segments: Vec<SegmentFile>,
        next_sequence: u64,
        tail: Option<(PathBuf, u64)>,
    ) -> Result<Self, StoreError> {
        let current = match tail {
            Some((path, position)) => Some(Segment::reopen(path, position, settings.durability)?),
            None => None,
        };
        Ok(Self {
            settings,
            segments: segments.into(),
            current,
            next_sequence,
            durable_before: next_sequence,
        })
    }

    /// Number of the next record.
    pub fn next_sequence(&self) -> u64 {
        self.next_sequence
    }

    /// Writes the records with the configured durability.
    pub fn append(&mut self, records: &[Record]) -> Result<(), StoreError> {
        let mut written = 0;
        while written < records.len() {
            let rest = &records[written..];
            let room = self.current.as_ref().map_or(0, Segment::room);
            let fits = fitting(rest, room);
            if fits == 0 {
                self.begin_segment(frame_len(body(&rest[0]).len()) as u64, written)?;
                continue;
            }
            self.write(&rest[..fits], written)?;
            written += fits;
        }
        if self.settings.durability == Durability::Fsync {
            self.sync()?;
        }
        Ok(())
    }

    /// Deletes the segments whose records all have numbers before `sequence`.
    pub fn delete_before(&mut self, sequence: u64) -> Result<(), StoreError> {
        while !self.settings.keep_raw
            && self
                .segments
                .get(1)
                .is_some_and(|next| next.first_sequence <= sequence)
        {
            let Some(oldest) = self.segments.pop_front() else {
                break;
            };
            fs::remove_file(&oldest.path).map_err(fatal("delete", &oldest.path))?;
        }
        Ok(())
    }

    fn write(&mut self, records: &[Record], written: usize) -> Result<(), StoreError> {
        let Some(segment) = &mut self.current else {
            return Ok(());
        };
        let (first, durable_before) = (self.next_sequence, self.durable_before);
        let headers: Vec<[u8; HEADER_LEN]> = records
            .iter()
            .zip(first..)
            .map(|(record, sequence)| encode_header(record, sequence, durable_before))
            .collect();
        let mut slices = Vec::with_capacity(3 * records.len());
        for (record, header) in records.iter().zip(&headers) {
            let body = body(record);
            slices.push(IoSlice::new(header));
            slices.push(IoSlice::new(body));
            slices.push(IoSlice::new(
                &PADDING[..frame_len(body.len()) - HEADER_LEN - body.len()],
            ));
        }
        let begin = segment.position;
        match segment.write_frames(&mut slices) {
            Ok(()) => {
                self.next_sequence += records.len() as u64;
                Ok(())
            }
            Err(StoreError::Fatal { source, .. }) if is_disk_full(&source) => {
                let bytes = records.iter().map(|record| frame_len(body(record).len()) as u64);
                segment.take_back(begin, begin + bytes.sum::<u64>())?;
                let folder = self.settings.folder.clone();
                Err(StoreError::DiskFull { folder, written })
            }
            Err(error) => Err(error),
        }
    }

    fn sync(&mut self) -> Result<(), StoreError> {
        if let Some(segment) = self.current.as_ref().filter(|segment| segment.direct.is_none()) {
            // After a failed sync, the kernel may have dropped the pages. So a successful second attempt would prove nothing.
            segment.file.sync_data().map_err(fatal("sync", &segment.path))?;
        }
        self.durable_before = self.next_sequence;
        Ok(())
    }

    fn begin_segment(&mut self, frame_bytes: u64, written: usize) -> Result<(), StoreError> {
        // Earlier records must become durable before later ones.
        if self.settings.durability == Durability::Fsync {
            self.sync()?;
        }
        let folder = &self.settings.folder;
        let header = SegmentHeader {
            first_sequence: self.next_sequence,
            mapping_version: self.settings.mapping_version,
        };
        let len = self.settings.segment_bytes.max(SEGMENT_HEADER_LEN + frame_bytes);
        let path = segment::path_of(folder, self.next_sequence);
        let file = match segment::create(folder, &header, len) {
            Ok(file) => file,
            Err(error) if is_disk_full(&error) => {
                // The file may occupy the last free space. If removing it fails, this does no further harm.
                let _ = fs::remove_file(&path);
                return Err(StoreError::DiskFull {
                    folder: folder.clone(),
                    written,
                });
            }
            Err(error) => return Err(fatal("create", &path)(error)),
        };
        if self.settings.durability == Durability::Fsync {
            file.sync_all().map_err(fatal("sync", &path))?;
            segment::sync_folder(folder).map_err(fatal("sync", folder))?;
        }
        // If the current segment has no records, the new one has the same name and has replaced it.
        self.segments.retain(|segment| segment.path != path);
        self.current = Some(Segment::reopen(
            path.clone(),
            SEGMENT_HEADER_LEN,
            self.settings.durability,
        )?);
        self.segments.push_back(SegmentFile {
            first_sequence: self.next_sequence,
            path,
        });
        Ok(())
    }
}

impl Segment {
    fn reopen(path: PathBuf, position: u64, durability: Durability) -> Result<Self, StoreError> {
        let mut file = File::options()
            .read(true)
            .write(true)
            .open(&path)
            .map_err(fatal("open", &path))?;
        let len = file.metadata().map_err(fatal("read the length of", &path))?.len();
        file.seek(SeekFrom::Start(position))
            .map_err(fatal("seek in", &path))?;
        let direct = match durability {
            Durability::Fsync => DirectWriter::open(&path, position).map_err(fatal("open", &path))?,
            Durability::Flush | Durability::None => None,
        };
        Ok(Self {
            file,
            direct,
            path,
            position,
            len,
        })
    }

    fn room(&self) -> u64 {
        self.len.saturating_sub(self.position)
    }

    fn write_frames(&mut self, slices: &mut [IoSlice<'_>]) -> Result<(), StoreError> {
        let Some(direct) = &mut self.direct else {
            return self.write_all(slices);
        };
        let appended = slices.iter().try_for_each(|slice| direct.append(slice));
        match appended.and_then(|()| direct.finish()) {
            Ok(()) => {
                self.position += slices.iter().map(|slice| slice.len() as u64).sum::<u64>();
                Ok(())
            }
            // Some file systems allow opening a file for direct writes and then refuse the writes. Nothing has been written in
            // this case.
            Err(error) if is_unsupported(&error) => {
                self.direct = None;
                self.file
                    .seek(SeekFrom::Start(self.position))
                    .map_err(fatal("seek in", &self.path))?;
                self.write_all(slices)
            }
            Err(error) => Err(fatal("write to", &self.path)(error)),
        }
    }

    fn write_all(&mut self, mut slices: &mut [IoSlice<'_>]) -> Result<(), StoreError> {
        IoSlice::advance_slices(&mut slices, 0);
        while !slices.is_empty() {
            match self.file.write_vectored(slices) {
                Ok(0) => return Err(fatal("write to", &self.path)(io::ErrorKind::WriteZero.into())),
                Ok(len) => {
                    self.position += len as u64;
                    IoSlice::advance_slices(&mut slices, len);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(fatal("write to", &self.path)(error)),
            }
        }
        Ok(())
    }

    /// Erases the bytes from `begin` to `end`, so that a later recovery does not find a refused record there.
    fn take_back(&mut self, begin: u64, end: u64) -> Result<(), StoreError> {
        let end = if self.direct.is_some() { end } else { self.position };
        // Without a reservation, there may be no space for zeros either. But the file can be truncated.
        let zeroed = segment::write_zeros(&self.file, begin, end).or_else(|error| {
            if !is_disk_full(&error) {
                return Err(error);
            }
            self.file.set_len(begin)?;
            self.file.set_len(self.len)
        });
        zeroed.map_err(fatal("write to", &self.path))?;
        // After direct writes, no sync follows that would make the zeros durable.
        if self.direct.is_some() {
            self.file.sync_data().map_err(fatal("sync", &self.path))?;
        }
        self.file
            .seek(SeekFrom::Start(begin))
            .map_err(fatal("seek in", &self.path))?;
        self.position = begin;
        if self.direct.take().is_some() {
            self.direct = DirectWriter::open(&self.path, begin).map_err(fatal("open", &self.path))?;
        }
        Ok(())
    }
}

/// Number of records that fit into `room` bytes.
fn fitting(records: &[Record], room: u64) -> usize {
    let mut taken = 0;
    records
        .iter()
        .take_while(|record| {
            taken += frame_len(body(record).len()) as u64;
            taken <= room
        })
        .count()
}

fn is_disk_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}

fn fatal(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StoreError {
    let path = path.to_owned();
    move |source| StoreError::Fatal {
        operation,
        path,
        source,
    }
}
