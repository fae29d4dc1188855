//! [`Splitter`]: splits a JSON file of any size into records. A record is an element of an outer array, or a whole document.
//!
//! The splitter checks brackets, commas and texts, so that it finds the place where a document is broken. Only the current record
//! is in memory.

use std::mem::take;

use memchr::memchr;

use crate::keys::{Container, Keys};
use crate::place::Position;
use crate::source::Source;

mod fast;
mod grammar;

/// Maximum length of a record, bytes. A trace of 60,000 spans, the maximum of a merge, has about 50 MB in Jaeger's format.
pub const RECORD_BYTES_MAX: usize = 64 << 20;

/// A result of the search for the next record.
#[derive(Debug, PartialEq, Eq)]
pub enum Found {
    /// A record, whose bytes are [`Splitter::record`].
    Record(Record),
    /// A broken document or a record that is too long.
    Damage(Position, String),
}

/// A record that was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record {
    pub begin: Position,
    /// The array whose element the record is; `None` for a whole document, and for an element of an array without a name.
    pub container: Option<Container>,
    /// The known keys of the record, or of the first objects in it if it is an array.
    pub keys: Keys,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bracket {
    Object,
    Array,
}

/// What the grammar allows next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Expected {
    #[default]
    Value,
    ValueOrEnd,
    Key,
    KeyOrEnd,
    Colon,
    CommaOrEnd,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Inside {
    #[default]
    Nothing,
    Text,
    /// A number, true, false or null.
    Literal,
}

/// The result of reading a few bytes, with the index of the next byte.
enum Step {
    To(usize),
    RecordEnd(usize),
    Invalid(usize, &'static str),
}

/// The state of the grammar at a position in the file. After damage, the splitter continues where a record can begin.
#[derive(Debug, Default)]
pub struct Splitter {
    stack: Vec<Bracket>,
    expected: Expected,
    inside: Inside,
    is_escaped: bool,
    is_key: bool,
    key: Vec<u8>,
    /// Number of open brackets inside of the array whose elements are records.
    array_depth: Option<usize>,
    container: Option<Container>,
    /// Whether the document has an array whose elements are records. Then the whole document is not a record.
    is_split: bool,
    document: Position,
    begin: Position,
    keys: Keys,
    record: Vec<u8>,
    is_kept: bool,
    /// Index of the first byte of the record in the bytes that are being read.
    keep_from: usize,
    is_too_long: bool,
    line: u64,
    line_begin: u64,
    is_line_blank: bool,
    /// Column in which the current record begins, if only blanks are before it on its line.
    indent: Option<u64>,
    /// Whether the current line is skipped, and all lines after it up to one that begins with a record.
    is_skipping: bool,
    /// Whether a part of the file was skipped. Then a closing bracket may belong to the skipped part.
    has_skipped: bool,
}

impl Splitter {
    pub fn new() -> Self {
        Self {
            line: 1,
            is_line_blank: true,
            ..Self::default()
        }
    }

    /// The bytes of the record that was found last.
    pub fn record(&self) -> &[u8] {
        &self.record
    }

    /// Whether a document may begin at the next byte.
    pub fn is_between_documents(&self) -> bool {
        self.stack.is_empty() && !self.is_skipping
    }

    /// Notes that the caller has read whole lines from the source.
    pub fn go_to_line(&mut self, source: &Source<'_>) {
        (self.line, self.line_begin) = (source.line(), source.offset());
        self.is_line_blank = true;
    }

    /// The next record or damage; `None` at the end of the file.
    pub fn next(&mut self, source: &mut Source<'_>) -> Option<Found> {
        loop {
            if source.unread().is_empty() && !source.read_more() {
                return self.end(source);
            }
            let (read, found) = self.scan(source.unread(), source.offset());
            source.consume(read);
            if found.is_some() {
                return found;
            }
        }
    }

    fn end(&mut self, source: &Source<'_>) -> Option<Found> {
        let is_cut = !self.stack.is_empty() && !take(&mut self.is_skipping);
        self.stack.clear();
        let line = self.line;
        // A read error is reported by itself, with its cause.
        let is_reported = source.failure().is_some();
        (is_cut && !is_reported).then(|| {
            Found::Damage(
                self.document,
                format!("the document is cut off: the file ends in line {line} before the document's end"),
            )
        })
    }

    /// Reads bytes that begin at `base` in the file. Returns their number, and what was found in them.
    fn scan(&mut self, bytes: &[u8], base: u64) -> (usize, Option<Found>) {
        self.keep_from = 0;
        let mut at = 0;
        loop {
            at = self.read_plain(bytes, at);
            if at >= bytes.len() {
                break;
            }
            match self.step(bytes, at, base) {
                Step::To(next) => at = next,
                Step::RecordEnd(next) => {
                    self.keep(&bytes[self.keep_from.min(next)..next]);
                    self.is_kept = false;
                    return (next, Some(self.found()));
                }
                Step::Invalid(next, reason) => {
                    self.is_kept = false;
                    (self.inside, self.is_escaped, self.is_key) = (Inside::Nothing, false, false);
                    (self.is_skipping, self.has_skipped) = (true, true);
                    return (next, Some(self.broken(reason)));
                }
            }
        }
        if self.is_kept {
            self.keep(&bytes[self.keep_from..]);
        }
        (bytes.len(), None)
    }

    fn step(&mut self, bytes: &[u8], at: usize, base: u64) -> Step {
        if self.is_skipping {
            return Step::To(self.skip(bytes, at, base));
        }
        match self.inside {
            Inside::Text => self.text(bytes, at),
            Inside::Literal => self.literal(bytes, at),
            Inside::Nothing => self.structure(bytes[at], at, base),
        }
    }

    fn begin_record(&mut self, at: usize, base: u64) {
        let offset = base + at as u64;
        self.begin = Position::in_line(self.line, offset);
        self.indent = self.is_line_blank.then(|| offset - self.line_begin);
        self.keys = Keys::default();
        self.record.clear();
        (self.is_kept, self.is_too_long, self.keep_from) = (true, false, at);
    }

    fn keep(&mut self, bytes: &[u8]) {
        if self.record.len() + bytes.len() > RECORD_BYTES_MAX {
            self.is_too_long = true;
            self.record = Vec::new();
        }
        if !self.is_too_long {
            self.record.extend_from_slice(bytes);
        }
    }

    fn found(&self) -> Found {
        if self.is_too_long {
            let max = RECORD_BYTES_MAX >> 20;
            return Found::Damage(self.begin, format!("a record of more than {max} MiB"));
        }
        Found::Record(Record {
            begin: self.begin,
            container: self.container,
            keys: self.keys,
        })
    }

    fn broken(&self, reason: &str) -> Found {
        let line = self.line;
        let reason = match self.document.line == Some(line) {
            true => format!("invalid JSON: {reason}"),
            false => format!("invalid JSON, noticed in line {line}: {reason}"),
        };
        Found::Damage(self.document, reason)
    }

    fn break_line(&mut self, begin: u64) {
        self.line += 1;
        self.line_begin = begin;
        self.is_line_blank = true;
    }

    /// Skips bytes up to the next line, or to a bracket with which a record begins. Returns the index of the next byte.
    fn skip(&mut self, bytes: &[u8], at: usize, base: u64) -> usize {
        match bytes[at] {
            b'\n' => {
                self.break_line(base + at as u64 + 1);
                return at + 1;
            }
            b' ' | b'\t' | b'\r' if self.is_line_blank => return at + 1,
            b'{' | b'[' if self.is_line_blank && self.resume(base + at as u64) => return at,
            _ => self.is_line_blank = false,
        }
        memchr(b'\n', &bytes[at..]).map_or(bytes.len(), |line_break| at + line_break)
    }

    /// Whether reading continues with the bracket at `offset`. Only blanks are before it on its line. If it is in the first
    /// column, a new document begins. If it is in the column of the damaged record, it begins the next record of the same array.
    fn resume(&mut self, offset: u64) -> bool {
        let column = offset - self.line_begin;
        if column == 0 {
            self.stack.clear();
            self.array_depth = None;
        } else if let Some(depth) = self.array_depth
            && self.indent == Some(column)
            && self.stack.len() >= depth
        {
            self.stack.truncate(depth);
            self.expected = Expected::Value;
        } else {
            return false;
        }
        self.is_skipping = false;
        true
    }
}

#[cfg(test)]
mod tests;
