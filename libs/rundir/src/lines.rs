//! [`Lines`]: the lines of a file in order, through one buffer.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use cctf_proto::cctf::LINE_BYTES_MAX;

use crate::{ReadError, regular};

/// Bytes per read, unless another size is set: large enough that system calls cost little compared to parsing.
const READ_BYTES: usize = 512 << 10;

/// The lines of a file. The only buffer has the size of one read at first. It doubles when a line does not fit, up to one byte more than the
/// limit.
pub struct Lines {
    path: PathBuf,
    file: File,
    buffer: Vec<u8>,
    begin: usize,
    end: usize,
    offset: u64,
    number: u64,
    limit: usize,
    is_at_end: bool,
    /// Whether the previous line exceeded the limit. If so, the next call first skips the rest of that line.
    is_skipping: bool,
}

/// One line.
#[derive(Debug)]
pub struct Line<'a> {
    /// Offset of the line's first byte in the file.
    pub offset: u64,
    /// Number of the line in the file, counted from 1.
    pub number: u64,
    /// The line without its newline. If the line is too long, only its first bytes.
    pub bytes: &'a [u8],
    pub ending: Ending,
}

/// How a line ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    Newline,
    /// End of the file. The line may be incomplete, because the run is in progress or was killed.
    EndOfFile,
    /// The line is longer than the limit and was cut.
    TooLong,
}

impl Lines {
    /// Passes each complete line to `on_row`, which returns whether the line is a valid row. `on_damage` gets the line number of each
    /// invalid or too long line. A last line without a newline is skipped, because it may be incomplete.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn each_row(
        self,
        on_row: impl FnMut(&[u8]) -> bool,
        on_damage: impl FnMut(u64),
    ) -> Result<(), ReadError> {
        self.each_row_to_cut(on_row, on_damage).map(drop)
    }

    /// Like [`Lines::each_row`], but also returns the number of a last line without a newline. If the run has ended, such a
    /// line will never be completed.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn each_row_to_cut(
        self,
        mut on_row: impl FnMut(&[u8]) -> bool,
        on_damage: impl FnMut(u64),
    ) -> Result<Option<u64>, ReadError> {
        self.try_each_row(|line| Ok(on_row(line)), on_damage)
    }

    /// Like [`Lines::each_row_to_cut`], but stops at the first error of `on_row`.
    ///
    /// # Errors
    /// If the file cannot be read, or an error of `on_row`.
    pub fn try_each_row<E: From<ReadError>>(
        mut self,
        mut on_row: impl FnMut(&[u8]) -> Result<bool, E>,
        mut on_damage: impl FnMut(u64),
    ) -> Result<Option<u64>, E> {
        while let Some(line) = self.next_line()? {
            let is_row = match line.ending {
                Ending::EndOfFile => return Ok(Some(line.number)),
                Ending::TooLong => false,
                Ending::Newline => on_row(line.bytes)?,
            };
            if !is_row {
                on_damage(line.number);
            }
        }
        Ok(None)
    }

    /// Opens a file with the limit [`LINE_BYTES_MAX`]; `None` if the file is missing.
    ///
    /// # Errors
    /// If the file cannot be opened.
    pub fn open(path: PathBuf) -> Result<Option<Self>, ReadError> {
        Self::open_with(path, LINE_BYTES_MAX)
    }

    /// Like [`Lines::open`], with another limit.
    ///
    /// # Errors
    /// If the file cannot be opened.
    pub fn open_with(path: PathBuf, limit: usize) -> Result<Option<Self>, ReadError> {
        let file = match regular::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(ReadError::io(&path)(error)),
        };
        Ok(Some(Self {
            path,
            file,
            buffer: vec![0; READ_BYTES.min(limit + 1)],
            begin: 0,
            end: 0,
            offset: 0,
            number: 0,
            limit,
            is_at_end: false,
            is_skipping: false,
        }))
    }

    /// Starts with a buffer of this size, for programs that read many files at once. Call this before the first line is read.
    pub fn with_buffer(self, bytes: usize) -> Self {
        Self {
            buffer: vec![0; bytes.min(self.limit.saturating_add(1))],
            ..self
        }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Offset of the next unread byte. After a line that is too long, this is in the middle of that line.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Path of the file, and number of the line that was returned most recently, for messages.
    pub fn place(&self) -> String {
        format!("{}:{}", self.path.display(), self.number)
    }

    /// The next line; `None` at the end of the file.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn next_line(&mut self) -> Result<Option<Line<'_>>, ReadError> {
        if self.is_skipping {
            self.skip_line()?;
        }
        let mut searched = 0;
        loop {
            let found = memchr::memchr(b'\n', &self.buffer[self.begin + searched..self.end]);
            if let Some(length) = found
                && searched + length <= self.limit
            {
                return Ok(Some(self.consume(searched + length, Ending::Newline)));
            }
            searched = self.end - self.begin;
            if searched > self.limit {
                self.is_skipping = true;
                return Ok(Some(self.consume(self.limit, Ending::TooLong)));
            }
            if self.is_at_end {
                return Ok((searched > 0).then(|| self.consume(searched, Ending::EndOfFile)));
            }
            self.fill()?;
        }
    }

    fn consume(&mut self, length: usize, ending: Ending) -> Line<'_> {
        let (begin, offset) = (self.begin, self.offset);
        let consumed = length + usize::from(ending == Ending::Newline);
        self.begin += consumed;
        self.offset += consumed as u64;
        self.number += 1;
        Line {
            offset,
            number: self.number,
            bytes: &self.buffer[begin..begin + length],
            ending,
        }
    }

    /// Consumes the rest of a line, including the newline.
    fn skip_line(&mut self) -> Result<(), ReadError> {
        loop {
            let rest = &self.buffer[self.begin..self.end];
            let found = memchr::memchr(b'\n', rest);
            let skipped = found.map_or(rest.len(), |length| length + 1);
            self.begin += skipped;
            self.offset += skipped as u64;
            if found.is_some() || self.is_at_end {
                self.is_skipping = false;
                return Ok(());
            }
            self.fill()?;
        }
    }

    fn fill(&mut self) -> Result<(), ReadError> {
        self.buffer.copy_within(self.begin..self.end, 0);
        self.end -= self.begin;
        self.begin = 0;
        if self.end == self.buffer.len() {
            // One byte more than the limit, for the newline or to detect that the line is too long.
            let larger = (2 * self.buffer.len())
                .min(self.limit + 1)
                .max(self.buffer.len() + 1);
            self.buffer.resize(larger, 0);
        }
        let read = self.file.read(&mut self.buffer[self.end..]);
        let read = read.map_err(ReadError::io(&self.path))?;
        self.is_at_end = read == 0;
        self.end += read;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Number, offset, text and ending of each line.
    fn lines(text: &str, limit: usize) -> Vec<(u64, u64, String, Ending)> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        std::fs::write(&path, text).unwrap();
        let mut lines = Lines::open_with(path, limit).unwrap().unwrap();
        let mut found = Vec::new();
        while let Some(line) = lines.next_line().unwrap() {
            let text = String::from_utf8_lossy(line.bytes).into_owned();
            found.push((line.number, line.offset, text, line.ending));
        }
        assert_eq!(lines.offset(), text.len() as u64);
        found
    }

    #[test]
    fn lines_have_numbers_offsets_and_endings() {
        let line = |number, offset, text: &str, ending| (number, offset, text.to_owned(), ending);
        assert_eq!(
            lines("ab\n\ntoolong\ncd", 3),
            [
                line(1, 0, "ab", Ending::Newline),
                line(2, 3, "", Ending::Newline),
                line(3, 4, "too", Ending::TooLong),
                line(4, 12, "cd", Ending::EndOfFile),
            ]
        );
        assert_eq!(lines("abc\n", 3), [line(1, 0, "abc", Ending::Newline)]);
        assert_eq!(lines("", 3), []);
    }

    #[test]
    fn invalid_or_too_long_lines_are_damaged() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        std::fs::write(&path, "ab\nno\ntoolong\ncd\nab").unwrap();
        let (mut rows, mut damaged) = (Vec::new(), Vec::new());
        let lines = Lines::open_with(path, 3).unwrap().unwrap();
        let on_row = |line: &[u8]| {
            rows.push(line.to_vec());
            line != b"no"
        };
        lines.each_row(on_row, |number| damaged.push(number)).unwrap();
        assert_eq!(rows, [b"ab", b"no", b"cd"]);
        assert_eq!(damaged, [2, 3]);
    }

    proptest! {
        #[test]
        fn lines_are_those_of_a_simple_split(text in "[a\n]{0,60}", limit in 1..8_usize) {
            let found = lines(&text, limit);
            let mut expected: Vec<&str> = text.split('\n').collect();
            if expected.last() == Some(&"") {
                expected.pop();
            }
            prop_assert_eq!(found.len(), expected.len());
            let mut offset = 0;
            for ((number, found_offset, found, ending), (index, line)) in found.iter().zip(expected.iter().enumerate()) {
                prop_assert_eq!((*number, *found_offset), (index as u64 + 1, offset));
                prop_assert_eq!(found.as_str(), &line[..line.len().min(limit)]);
                prop_assert_eq!(*ending == Ending::TooLong, line.len() > limit);
                offset += line.len() as u64 + 1;
            }
        }
    }
}
