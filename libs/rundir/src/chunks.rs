//! [`ChunkedFile`]: divides a file of lines into ranges of bytes, so that several threads can read it.

use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use cctf_proto::cctf::LINE_BYTES_MAX;

use crate::{Ending, ReadError, regular};

/// Bytes of a chunk: some thousand rows, so that the fixed costs of a chunk do not matter. The size does not depend on the number
/// of threads, so results that depend on the size are the same on every machine.
const CHUNK_BYTES: u64 = 4 << 20;
/// Bytes per read beyond the end of a chunk, to complete its last line.
const REST_BYTES: u64 = 64 << 10;

/// A file of lines with the size that it had when it was opened. Lines appended later are ignored.
pub struct ChunkedFile {
    path: PathBuf,
    file: File,
    size: u64,
    chunk_bytes: u64,
    limit: usize,
}

/// The lines that start in one chunk.
#[derive(Debug)]
pub struct ChunkLines<'b> {
    rest: &'b [u8],
    /// How the last line ends.
    last: Ending,
}

impl ChunkedFile {
    /// `None` if the file is missing.
    ///
    /// # Errors
    /// If it cannot be opened.
    pub fn open(path: PathBuf) -> Result<Option<Self>, ReadError> {
        Self::open_with(path, CHUNK_BYTES, LINE_BYTES_MAX)
    }

    fn open_with(path: PathBuf, chunk_bytes: u64, limit: usize) -> Result<Option<Self>, ReadError> {
        let opened = regular::open(&path).and_then(|file| Ok((file.metadata()?.len(), file)));
        match opened {
            Ok((size, file)) => Ok(Some(Self {
                path,
                file,
                size,
                chunk_bytes,
                limit,
            })),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(ReadError::io(&path)(error)),
        }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Size of the file when it was opened, bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Number of chunks.
    pub fn chunks(&self) -> u64 {
        self.size.div_ceil(self.chunk_bytes)
    }

    /// Bytes of a chunk.
    pub fn bytes_of(&self, chunk: u64) -> u64 {
        (self.size - chunk * self.chunk_bytes).min(self.chunk_bytes)
    }

    /// Reads the lines that start in a chunk.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn read<'b>(&self, chunk: u64, buffer: &'b mut Vec<u8>) -> Result<ChunkLines<'b>, ReadError> {
        let end = chunk * self.chunk_bytes + self.bytes_of(chunk);
        // Starts one byte before the chunk. This byte shows whether a line starts with the chunk.
        let from = (chunk * self.chunk_bytes).saturating_sub(1);
        buffer.clear();
        self.append(buffer, from, end)?;
        let begin = match memchr::memchr(b'\n', buffer) {
            _ if chunk == 0 => 0,
            Some(newline) => newline + 1,
            None => buffer.len(),
        };
        let is_open = begin < buffer.len() && buffer.last() != Some(&b'\n');
        let last = match is_open {
            true => self.complete(buffer, begin, end)?,
            false => Ending::Newline,
        };
        Ok(ChunkLines {
            rest: &buffer[begin..],
            last,
        })
    }

    /// Reads the rest of the last line.
    fn complete(&self, buffer: &mut Vec<u8>, begin: usize, mut end: u64) -> Result<Ending, ReadError> {
        let line = memchr::memrchr(b'\n', &buffer[begin..]).map_or(begin, |newline| begin + newline + 1);
        loop {
            let searched = buffer.len();
            if searched - line > self.limit {
                buffer.truncate(line + self.limit);
                return Ok(Ending::TooLong);
            }
            if end == self.size {
                return Ok(Ending::EndOfFile);
            }
            let next = self.size.min(end + REST_BYTES);
            self.append(buffer, end, next)?;
            end = next;
            if let Some(newline) = memchr::memchr(b'\n', &buffer[searched..]) {
                let length = searched + newline - line;
                buffer.truncate(searched + newline + 1);
                if length > self.limit {
                    buffer.truncate(line + self.limit);
                    return Ok(Ending::TooLong);
                }
                return Ok(Ending::Newline);
            }
        }
    }

    fn append(&self, buffer: &mut Vec<u8>, from: u64, to: u64) -> Result<(), ReadError> {
        let begin = buffer.len();
        buffer.resize(begin + (to - from) as usize, 0);
        let read = self.file.read_exact_at(&mut buffer[begin..], from);
        read.map_err(ReadError::io(&self.path))
    }
}

impl<'b> Iterator for ChunkLines<'b> {
    type Item = (&'b [u8], Ending);

    /// The next line without its newline. If the line is too long, only its first bytes.
    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        match memchr::memchr(b'\n', self.rest) {
            Some(length) => {
                let line = &self.rest[..length];
                self.rest = &self.rest[length + 1..];
                Some((line, Ending::Newline))
            }
            None => Some((std::mem::take(&mut self.rest), self.last)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn chunks_of_any_size_have_each_line_once(text in "[a\n]{0,80}", chunk in 1..30_u64, limit in 1..9_usize) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("x");
            std::fs::write(&path, &text).unwrap();
            let file = ChunkedFile::open_with(path.clone(), chunk, limit).unwrap().unwrap();
            let (mut found, mut buffer) = (Vec::new(), Vec::new());
            for chunk in 0..file.chunks() {
                let lines = file.read(chunk, &mut buffer).unwrap();
                found.extend(lines.map(|(line, ending)| (line.to_vec(), ending)));
            }
            let mut lines = crate::Lines::open_with(path, limit).unwrap().unwrap();
            let mut expected = Vec::new();
            while let Some(line) = lines.next_line().unwrap() {
                expected.push((line.bytes.to_vec(), line.ending));
            }
            // The limit does not apply to a line that ends within its chunk, so such a line is returned whole.
            for (line, ending) in &mut found {
                if line.len() > limit {
                    line.truncate(limit);
                    *ending = Ending::TooLong;
                }
            }
            prop_assert_eq!(found, expected);
        }
    }
}
