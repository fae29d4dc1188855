//! Reads the table of a public data set line by line: [`Fields`] are those of one line.

use csv_core::{ReadRecordResult, Reader};
use memchr::{memchr, memchr_iter};

use crate::content::BYTE_ORDER_MARK;
use crate::place::Position;
use crate::records::Records;
use crate::source::Source;
use crate::tables::{Recognised, Table, recognise};

/// Maximum length of a line, bytes. Rows of all known tables have a few hundred.
const LINE_BYTES_MAX: usize = 1 << 20;
/// Maximum number of fields of a line.
const FIELDS_MAX: usize = 64;
/// Rows after which the progress is shown.
const PROGRESS_ROWS: u64 = 4096;

/// The fields of a line.
pub struct Fields {
    reader: Reader,
    texts: Vec<u8>,
    ends: [usize; FIELDS_MAX],
    count: usize,
}

impl Fields {
    pub fn new() -> Self {
        Self {
            reader: Reader::new(),
            texts: Vec::new(),
            ends: [0; FIELDS_MAX],
            count: 0,
        }
    }

    /// Splits a line, with or without its line break.
    ///
    /// # Errors
    /// The reason, if it has too many fields, or an open quote.
    pub fn split(&mut self, line: &[u8]) -> Result<(), &'static str> {
        if memchr_iter(b'"', line).count() % 2 != 0 {
            return Err("a quote is open at the end of the line");
        }
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
                ReadRecordResult::OutputEndsFull => return Err("the line has more than 64 fields"),
                ReadRecordResult::OutputFull | ReadRecordResult::End => break,
                ReadRecordResult::InputEmpty => {}
            }
        }
        Err("the line has no fields")
    }

    pub fn count(&self) -> usize {
        self.count
    }

    /// A field; empty if the line has fewer.
    pub fn get(&self, index: usize) -> &[u8] {
        if index >= self.count {
            return &[];
        }
        let begin = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.texts[begin..self.ends[index]]
    }
}

/// What the first line of a file shows, which stays unread.
pub fn first_line(source: &mut Source<'_>) -> Recognised {
    let Some(length) = source.line_len(LINE_BYTES_MAX) else {
        return Recognised::Nothing;
    };
    let line = &source.unread()[..length];
    let line = line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line);
    let mut fields = Fields::new();
    match fields.split(line) {
        Ok(()) => recognise(line, &fields),
        Err(_) => Recognised::Nothing,
    }
}

/// Takes all rows of a table.
///
/// # Errors
/// If a file cannot be written, or the user has interrupted.
pub fn read(source: &mut Source<'_>, records: &mut Records<'_>, table: &Table) -> anyhow::Result<()> {
    records.begin_table();
    let mut fields = Fields::new();
    let mut rows = 0;
    loop {
        if source.unread().is_empty() && !source.read_more() {
            return Ok(());
        }
        let begin = Position::in_line(source.line(), source.offset());
        let Some(length) = source.line_len(LINE_BYTES_MAX) else {
            records.damage(begin, format!("a row of more than {} MiB", LINE_BYTES_MAX >> 20));
            skip_line(source);
            continue;
        };
        let has_line_break = source.unread().len() > length;
        let bytes = length + usize::from(has_line_break);
        if !has_line_break && source.failure().is_some() {
            // The rest of a file that is cut off. The cut is counted by the caller.
            source.consume(bytes);
            return Ok(());
        }
        let line = &source.unread()[..bytes];
        if !line.trim_ascii().is_empty() {
            take(line, begin, table, &mut fields, records)?;
        }
        source.consume(bytes);
        rows += 1;
        if rows % PROGRESS_ROWS == 0 {
            records.show_progress()?;
        }
    }
}

fn take(
    line: &[u8],
    begin: Position,
    table: &Table,
    fields: &mut Fields,
    records: &mut Records<'_>,
) -> anyhow::Result<()> {
    let line = match begin.byte {
        0 => line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line),
        _ => line,
    };
    if table.is_header(line) {
        return Ok(());
    }
    if let Err(reason) = fields.split(line) {
        records.damage(begin, reason.to_owned());
        return Ok(());
    }
    if fields.count() != table.width {
        let reason = format!("the row has {} fields instead of {}", fields.count(), table.width);
        records.damage(begin, reason);
        return Ok(());
    }
    records.take_row(table, fields, begin)
}

/// Steps over the rest of a line that is too long.
fn skip_line(source: &mut Source<'_>) {
    loop {
        match memchr(b'\n', source.unread()) {
            Some(end) => return source.consume(end + 1),
            None => source.consume(source.unread().len()),
        }
        if !source.read_more() {
            return;
        }
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
            assert_eq!(split(&format!(",{end}")).unwrap(), ["", ""]);
        }
        for end in ["", "\n"] {
            assert!(split(&format!("a,\"b{end}")).is_err());
        }
        assert!(split(&",".repeat(FIELDS_MAX)).is_err());
        assert_eq!(split(&",".repeat(FIELDS_MAX - 1)).unwrap().len(), FIELDS_MAX);
    }
}
