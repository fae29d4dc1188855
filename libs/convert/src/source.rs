//! [`Source`]: the bytes of one file, decompressed, with the offset and line of each.

use std::io::{self, ErrorKind, Read};

use memchr::{memchr, memchr_iter};

/// Bytes per read, and the initial size of the buffer.
const READ_BYTES: usize = 256 << 10;

/// The byte order mark of UTF-8, which some programs write at the beginning of a text.
pub const BYTE_ORDER_MARK: &[u8] = &[0xef, 0xbb, 0xbf];

/// A file that is read from start to end, with a look ahead.
pub struct Source<'r> {
    reader: Box<dyn Read + 'r>,
    buffer: Vec<u8>,
    /// Range of the unread bytes in the buffer.
    start: usize,
    end: usize,
    /// Offset of the first unread byte in the file.
    offset: u64,
    /// Line of the first unread byte, counted from 1.
    line: u64,
    is_at_end: bool,
    failure: Option<io::Error>,
}

impl<'r> Source<'r> {
    pub fn new(reader: Box<dyn Read + 'r>) -> Self {
        Self {
            reader,
            buffer: vec![0; READ_BYTES],
            start: 0,
            end: 0,
            offset: 0,
            line: 1,
            is_at_end: false,
            failure: None,
        }
    }

    /// The bytes that have been read ahead.
    pub fn unread(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    /// Offset of the first unread byte.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Line of the first unread byte.
    pub fn line(&self) -> u64 {
        self.line
    }

    /// The error that ended the file early.
    pub fn failure(&self) -> Option<&io::Error> {
        self.failure.as_ref()
    }

    /// Reads more bytes behind the unread ones; false at the end of the file.
    pub fn read_more(&mut self) -> bool {
        if self.is_at_end {
            return false;
        }
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        } else if self.end == self.buffer.len() {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        if self.end == self.buffer.len() {
            self.buffer.resize(2 * self.buffer.len(), 0);
        }
        loop {
            match self.reader.read(&mut self.buffer[self.end..]) {
                Ok(0) => {
                    self.is_at_end = true;
                    return false;
                }
                Ok(bytes) => {
                    self.end += bytes;
                    return true;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    self.failure = Some(error);
                    self.is_at_end = true;
                    return false;
                }
            }
        }
    }

    /// Reads ahead until `bytes` are unread; false if the file ends before.
    pub fn has(&mut self, bytes: usize) -> bool {
        while self.unread().len() < bytes {
            if !self.read_more() {
                return false;
            }
        }
        true
    }

    /// Length of the unread part of the current line, without its line break; `None` if it exceeds `max` bytes.
    pub fn line_len(&mut self, max: usize) -> Option<usize> {
        let mut searched = 0;
        loop {
            let unread = self.unread();
            if let Some(found) = memchr(b'\n', &unread[searched..]) {
                return Some(searched + found);
            }
            searched = unread.len();
            if searched > max {
                return None;
            }
            if !self.read_more() {
                return Some(searched);
            }
        }
    }

    /// Steps over the current line, whose length is known from [`Self::line_len`], and its line break.
    pub fn consume_line(&mut self, length: usize) {
        let has_line_break = self.unread().len() > length;
        let bytes = length + usize::from(has_line_break);
        self.line += u64::from(has_line_break);
        self.offset += bytes as u64;
        self.start += bytes;
    }

    /// Steps over unread bytes.
    pub fn consume(&mut self, bytes: usize) {
        let passed = &self.buffer[self.start..self.start + bytes];
        self.line += memchr_iter(b'\n', passed).count() as u64;
        self.offset += bytes as u64;
        self.start += bytes;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

    use super::*;

    /// Returns one byte at a time, then an error.
    struct Drip(&'static [u8]);

    impl Read for Drip {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            let (first, rest) = self.0.split_first().ok_or(ErrorKind::UnexpectedEof)?;
            out[0] = *first;
            self.0 = rest;
            Ok(1)
        }
    }

    #[test]
    fn lines_and_offsets_are_those_of_the_first_unread_byte() {
        let mut source = Source::new(Box::new(Drip(b"ab\ncd\ne")));
        assert_eq!(source.line_len(9), Some(2));
        source.consume(3);
        assert_eq!((source.line(), source.offset()), (2, 3));
        assert_eq!(source.line_len(2), Some(2));
        source.consume(3);
        assert_eq!(source.line_len(9), Some(1));
        assert_eq!(source.unread(), b"e");
        assert_eq!(source.failure().unwrap().kind(), ErrorKind::UnexpectedEof);
        assert!(!source.has(2));
    }

    #[test]
    fn a_line_longer_than_the_limit_stays_unread() {
        let long = vec![b'x'; 3 * READ_BYTES];
        let mut source = Source::new(Box::new(&long[..]));
        assert_eq!(source.line_len(READ_BYTES), None);
        assert_eq!(source.line_len(4 * READ_BYTES), Some(3 * READ_BYTES));
        assert_eq!(source.unread(), &long[..]);
    }
}
