//! [`GrowingFile`]: the complete lines of a growing file, in blocks as they appear.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use cctf_proto::cctf::LINE_BYTES_MAX;

use crate::regular;

/// Bytes per read.
const READ_BYTES: usize = 256 * 1024;

/// A file to which another process may append.
pub struct GrowingFile {
    file: File,
    /// Lines that were already returned, then the start of an incomplete line.
    bytes: Vec<u8>,
    returned: usize,
    /// Whether the bytes up to the next newline are the rest of a line that is too long.
    is_skipping: bool,
    skipped: u64,
    line_bytes_max: usize,
}

impl GrowingFile {
    /// Opens a file for reading from `offset`, where a line starts. Buffers an incomplete line up to [`LINE_BYTES_MAX`].
    ///
    /// # Errors
    /// An I/O error.
    pub fn open(path: &Path, offset: u64) -> io::Result<Self> {
        Self::open_with(path, offset, LINE_BYTES_MAX)
    }

    fn open_with(path: &Path, offset: u64, line_bytes_max: usize) -> io::Result<Self> {
        let mut file = regular::open(path)?;
        file.seek(SeekFrom::Start(offset))?;
        Ok(Self {
            file,
            bytes: Vec::new(),
            returned: 0,
            is_skipping: false,
            skipped: 0,
            line_bytes_max,
        })
    }

    /// The next complete lines with their newlines; `None` if there are no new ones.
    ///
    /// # Errors
    /// An I/O error.
    pub fn next_lines(&mut self) -> io::Result<Option<&[u8]>> {
        self.bytes.drain(..self.returned);
        self.returned = 0;
        loop {
            let from = self.bytes.len();
            let count = (&self.file)
                .take(READ_BYTES as u64)
                .read_to_end(&mut self.bytes)?;
            if count == 0 {
                return Ok(None);
            }
            if self.is_skipping && !self.end_skipping() {
                continue;
            }
            // There is no newline before `from`, but skipping may have removed bytes.
            let unseen = from.min(self.bytes.len());
            if let Some(last) = self.bytes[unseen..].iter().rposition(|byte| *byte == b'\n') {
                self.returned = unseen + last + 1;
                return Ok(Some(&self.bytes[..self.returned]));
            }
            if self.bytes.len() > self.line_bytes_max {
                self.is_skipping = true;
                self.skipped += 1;
                self.bytes = Vec::new();
            }
        }
    }

    /// Number of lines that were skipped because they were too long.
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    /// Discards the rest of a line that is too long. False if its end has not been read yet.
    fn end_skipping(&mut self) -> bool {
        let end = self.bytes.iter().position(|byte| *byte == b'\n');
        self.bytes.drain(..end.map_or(self.bytes.len(), |end| end + 1));
        self.is_skipping = end.is_none();
        end.is_some()
    }
}

/// Offset and number of the last `wanted` complete lines of a file. The number is smaller if the file has fewer.
///
/// # Errors
/// An I/O error.
pub fn last_lines(path: &Path, wanted: u64) -> io::Result<(u64, u64)> {
    let mut file = regular::open(path)?;
    let mut offset = file.seek(SeekFrom::End(0))?;
    let mut block = vec![0; READ_BYTES];
    // The newline after the last complete line does not start a line.
    let mut newlines = 0;
    while offset > 0 {
        let len = offset.min(READ_BYTES as u64);
        offset -= len;
        // No overflow: `len` is at most the length of the block.
        let block = &mut block[..len as usize];
        file.seek(SeekFrom::Start(offset))?;
        file.read_exact(block)?;
        for (index, _) in block.iter().enumerate().rev().filter(|(_, byte)| **byte == b'\n') {
            if newlines == wanted {
                return Ok((offset + index as u64 + 1, wanted));
            }
            newlines += 1;
        }
    }
    Ok((0, newlines))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::fs::OpenOptions;
    use std::io::Write;

    fn all_lines(file: &mut GrowingFile) -> Vec<u8> {
        let mut all = Vec::new();
        while let Some(lines) = file.next_lines().unwrap() {
            assert_eq!(lines.last(), Some(&b'\n'), "half a line was returned");
            all.extend_from_slice(lines);
        }
        all
    }

    proptest! {
        #[test]
        fn complete_lines_are_returned_once_however_the_file_grows(
            text in "[a\n]{0,200}", cuts in prop::collection::vec(0..200_usize, 0..8)
        ) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("x");
            std::fs::write(&path, "").unwrap();
            let mut growing = GrowingFile::open(&path, 0).unwrap();
            let mut writer = OpenOptions::new().append(true).open(&path).unwrap();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(text.len())).collect();
            cuts.push(text.len());
            cuts.sort_unstable();
            let (mut seen, mut from) = (Vec::new(), 0);
            for to in cuts {
                writer.write_all(&text.as_bytes()[from..to]).unwrap();
                from = to;
                seen.extend(all_lines(&mut growing));
            }
            let whole = text.rfind('\n').map_or(0, |last| last + 1);
            prop_assert_eq!(&seen, &text.as_bytes()[..whole]);
            for wanted in 0..4 {
                let (offset, found) = last_lines(&path, wanted).unwrap();
                let lines = text[offset as usize..].matches('\n').count() as u64;
                let all = text.matches('\n').count() as u64;
                prop_assert_eq!((found, lines), (wanted.min(all), wanted.min(all)));
                prop_assert!(offset == 0 || text.as_bytes()[offset as usize - 1] == b'\n');
            }
        }
    }

    #[test]
    fn the_last_lines_are_found_across_blocks() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        let line = "a".repeat(READ_BYTES - 1) + "\n";
        std::fs::write(&path, line.repeat(3) + "half").unwrap();
        let block = READ_BYTES as u64;
        assert_eq!(last_lines(&path, 2).unwrap(), (block, 2));
        assert_eq!(last_lines(&path, 9).unwrap(), (0, 3));
        assert_eq!(last_lines(&path, 0).unwrap(), (3 * block, 0));
    }

    #[test]
    fn a_line_that_is_too_long_is_skipped_and_counted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        let long = "x".repeat(3 * READ_BYTES);
        std::fs::write(&path, format!("a\n{long}\nb\n{long}")).unwrap();
        let mut growing = GrowingFile::open_with(&path, 0, 2 * READ_BYTES).unwrap();
        assert_eq!(all_lines(&mut growing), b"a\nb\n");
        let mut writer = OpenOptions::new().append(true).open(&path).unwrap();
        writer.write_all(b"xx\nc\n").unwrap();
        assert_eq!(all_lines(&mut growing), b"c\n");
        assert_eq!(growing.skipped(), 2);
    }
}
