//! [`Fields`]: the fields of one line of a table.

use csv_core::{ReadRecordResult, Reader};
use memchr::{memchr_iter, memchr2};
use rundir::words::all_bytes_equal_to;

/// Maximum number of fields of a line.
const FIELDS_MAX: usize = 64;

const TOO_MANY: &str = "the line has more than 64 fields";
const EMPTY: &str = "the line has no fields";

/// The fields of a line.
pub struct Fields {
    reader: Reader,
    texts: Vec<u8>,
    ends: [usize; FIELDS_MAX],
    count: usize,
    /// Number of bytes between the end of a field and the begin of the next one in `texts`.
    gap: usize,
}

impl Fields {
    pub fn new() -> Self {
        Self {
            reader: Reader::new(),
            texts: Vec::new(),
            ends: [0; FIELDS_MAX],
            count: 0,
            gap: 0,
        }
    }

    /// Splits a line, with or without its line break.
    ///
    /// # Errors
    /// The reason, if the line has too many fields, or an open quote.
    pub fn split(&mut self, line: &[u8]) -> Result<(), &'static str> {
        let content = line.strip_suffix(b"\n").unwrap_or(line);
        let content = content.strip_suffix(b"\r").unwrap_or(content);
        if memchr2(b'"', b'\r', content).is_none() {
            return self.split_plain(content);
        }
        if !memchr_iter(b'"', line).count().is_multiple_of(2) {
            return Err("a quote is open at the end of the line");
        }
        self.gap = 0;
        self.reader.reset();
        self.count = 0;
        if self.texts.len() < line.len() + 1 {
            self.texts.resize(line.len() + 1, 0);
        }
        let (mut rest, mut written) = (line, 0);
        // The second time, an empty input states the end of the line.
        for _ in 0..2 {
            let (result, read, bytes, fields) =
                self.reader
                    .read_record(rest, &mut self.texts[written..], &mut self.ends[self.count..]);
            rest = &rest[read..];
            written += bytes;
            self.count += fields;
            match result {
                ReadRecordResult::Record => return Ok(()),
                ReadRecordResult::OutputEndsFull => return Err(TOO_MANY),
                ReadRecordResult::OutputFull | ReadRecordResult::End => break,
                ReadRecordResult::InputEmpty => {}
            }
        }
        Err(EMPTY)
    }

    /// Splits a line without quotes and line breaks.
    fn split_plain(&mut self, line: &[u8]) -> Result<(), &'static str> {
        if line.is_empty() {
            return Err(EMPTY);
        }
        self.texts.clear();
        self.texts.extend_from_slice(line);
        (self.gap, self.count) = (1, 0);
        let (words, rest) = line.as_chunks::<8>();
        for (index, word) in words.iter().enumerate() {
            self.end_fields(8 * index, all_bytes_equal_to(u64::from_le_bytes(*word), b','))?;
        }
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        self.end_fields(
            8 * words.len(),
            all_bytes_equal_to(u64::from_le_bytes(last), b','),
        )?;
        self.end_field(line.len())
    }

    /// Ends fields at the commas in the eight bytes at `begin`. `commas` has a bit for each of them.
    #[inline]
    fn end_fields(&mut self, begin: usize, mut commas: u64) -> Result<(), &'static str> {
        while commas != 0 {
            self.end_field(begin + commas.trailing_zeros() as usize / 8)?;
            commas &= commas - 1;
        }
        Ok(())
    }

    #[inline]
    fn end_field(&mut self, end: usize) -> Result<(), &'static str> {
        *self.ends.get_mut(self.count).ok_or(TOO_MANY)? = end;
        self.count += 1;
        Ok(())
    }

    pub fn count(&self) -> usize {
        self.count
    }

    /// A field; empty if the line has fewer.
    pub fn get(&self, index: usize) -> &[u8] {
        if index >= self.count {
            return &[];
        }
        let begin = index
            .checked_sub(1)
            .map_or(0, |before| self.ends[before] + self.gap);
        &self.texts[begin..self.ends[index]]
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

    use super::*;

    fn split(line: &str) -> Result<Vec<String>, &'static str> {
        let mut fields = Fields::new();
        fields.split(line.as_bytes())?;
        let texts = (0..fields.count()).map(|index| String::from_utf8(fields.get(index).to_vec()).unwrap());
        Ok(texts.collect())
    }

    #[test]
    fn lines_are_split_with_and_without_a_line_break() {
        for end in ["", "\n", "\r\n"] {
            assert_eq!(split(&format!("a,,\"b,c\"{end}")).unwrap(), ["a", "", "b,c"]);
            assert_eq!(split(&format!("a,,bc{end}")).unwrap(), ["a", "", "bc"]);
            assert_eq!(split(&format!(",{end}")).unwrap(), ["", ""]);
        }
        for end in ["", "\n"] {
            assert!(split(&format!("a,\"b{end}")).is_err());
        }
        assert!(split(&",".repeat(FIELDS_MAX)).is_err());
        assert_eq!(split(&",".repeat(FIELDS_MAX - 1)).unwrap().len(), FIELDS_MAX);
    }
}
