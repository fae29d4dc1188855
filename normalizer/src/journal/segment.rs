//! Segments: the files of the journal. Each is named by the number of its first record, preallocated, written once, and finally
//! deleted.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Bytes before the first frame.
pub const SEGMENT_HEADER_LEN: u64 = 64;
/// Version of the layout in segments and frames.
pub const LAYOUT_VERSION: u32 = 1;

const MAGIC: &[u8; 8] = b"CCTFJRNL";
const ENDING: &str = "segment";

/// A segment's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentHeader {
    /// Number of its first record.
    pub first_sequence: u64,
    /// Mapping version of all its records.
    pub mapping_version: u32,
}

impl SegmentHeader {
    fn encode(&self) -> [u8; SEGMENT_HEADER_LEN as usize] {
        let mut bytes = [0; SEGMENT_HEADER_LEN as usize];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..12].copy_from_slice(&LAYOUT_VERSION.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.mapping_version.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.first_sequence.to_le_bytes());
        let checksum = crc32c::crc32c(&bytes[..24]);
        bytes[24..28].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// Decodes a header. The error is the reason why the header is invalid.
    pub fn decode(bytes: &[u8]) -> Result<Self, &'static str> {
        let header = bytes
            .first_chunk::<{ SEGMENT_HEADER_LEN as usize }>()
            .ok_or("the header is incomplete")?;
        if &header[..8] != MAGIC {
            return Err("the magic bytes are missing");
        }
        let small = |offset: usize| {
            u32::from_le_bytes([
                header[offset],
                header[offset + 1],
                header[offset + 2],
                header[offset + 3],
            ])
        };
        if small(24) != crc32c::crc32c(&header[..24]) {
            return Err("the header's checksum is wrong");
        }
        if small(8) != LAYOUT_VERSION {
            return Err("another version of the normalizer wrote it");
        }
        let mut first = [0; 8];
        first.copy_from_slice(&header[16..24]);
        Ok(Self {
            first_sequence: u64::from_le_bytes(first),
            mapping_version: small(12),
        })
    }
}

/// A segment in a folder.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SegmentFile {
    /// Number of its first record, from its name.
    pub first_sequence: u64,
    pub path: PathBuf,
}

/// The segments in a folder, in order.
pub fn list(folder: &Path) -> io::Result<Vec<SegmentFile>> {
    let mut segments = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let is_segment = path.extension().is_some_and(|ending| ending == ENDING);
        let number = path
            .file_stem()
            .and_then(|stem| stem.to_str())
            .and_then(|stem| stem.parse().ok());
        if let (true, Some(first_sequence)) = (is_segment, number) {
            segments.push(SegmentFile { first_sequence, path });
        }
    }
    segments.sort();
    Ok(segments)
}

/// Deletes all segments in a folder.
pub fn delete_segments(folder: &Path) -> io::Result<()> {
    list(folder)?
        .iter()
        .try_for_each(|segment| fs::remove_file(&segment.path))
}

/// Path of the segment that starts with this record.
pub fn path_of(folder: &Path, first_sequence: u64) -> PathBuf {
    folder.join(format!("{first_sequence:020}.{ENDING}"))
}

/// Creates a segment of `bytes` bytes and writes its header.
pub fn create(folder: &Path, header: &SegmentHeader, bytes: u64) -> io::Result<File> {
    let path = path_of(folder, header.first_sequence);
    let mut options = OpenOptions::new();
    let file = options
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&path)?;
    preallocate(&file, bytes)?;
    file.write_all_at(&header.encode(), 0)?;
    Ok(file)
}

/// Reserves the space of a segment. So a full disk fails here and not in the middle of a record, and fdatasync need not write a
/// new file size.
fn preallocate(file: &File, bytes: u64) -> io::Result<()> {
    let len = libc::off_t::try_from(bytes).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    loop {
        // SAFETY: the descriptor is open for as long as `file` is borrowed, and the call touches no memory.
        if unsafe { libc::fallocate(file.as_raw_fd(), 0, 0, len) } == 0 {
            return Ok(());
        }
        match io::Error::last_os_error() {
            // A signal can interrupt the call in any thread.
            error if error.kind() == io::ErrorKind::Interrupted => {}
            // The file system cannot reserve space, so the file is sparse: writes are slower, and a full disk is noticed later.
            error if error.raw_os_error() == Some(libc::EOPNOTSUPP) => return file.set_len(bytes),
            error => return Err(error),
        }
    }
}

/// Writes zeros from `from` up to `to`.
pub fn write_zeros(file: &File, mut from: u64, to: u64) -> io::Result<()> {
    static ZEROS: [u8; 64 * 1024] = [0; 64 * 1024];
    while from < to {
        let len = (to - from).min(ZEROS.len() as u64);
        file.write_all_at(&ZEROS[..len as usize], from)?;
        from += len;
    }
    Ok(())
}

/// Makes the folder's entries durable.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_decoded_and_a_damaged_one_gives_the_reason() {
        let header = SegmentHeader {
            first_sequence: 42,
            mapping_version: 3,
        };
        let mut bytes = header.encode();
        assert_eq!(SegmentHeader::decode(&bytes), Ok(header));
        bytes[16] ^= 1;
        assert!(SegmentHeader::decode(&bytes).is_err());
        assert!(SegmentHeader::decode(&bytes[..10]).is_err());
        assert!(SegmentHeader::decode(&[0; 64]).is_err());
    }

    #[test]
    fn segments_are_listed_in_the_order_of_their_records() {
        let folder = tempfile::tempdir().unwrap();
        for first_sequence in [100, 5, 20] {
            let header = SegmentHeader {
                first_sequence,
                mapping_version: 1,
            };
            create(folder.path(), &header, 4096).unwrap();
            assert_eq!(
                fs::metadata(path_of(folder.path(), first_sequence))
                    .unwrap()
                    .len(),
                4096
            );
        }
        fs::write(folder.path().join("other.txt"), "").unwrap();
        let found: Vec<u64> = list(folder.path())
            .unwrap()
            .iter()
            .map(|segment| segment.first_sequence)
            .collect();
        assert_eq!(found, [5, 20, 100]);
    }
}
