//! The grammar of JSON, as far as the splitter needs it: brackets, commas, colons, texts, and where a value ends.

use std::mem::take;

use memchr::memchr3;

use super::{Bracket, Expected, Inside, Splitter, Step};
use crate::keys::Container;
use crate::place::Position;

/// Maximum number of open brackets. OTLP nests at most 100 messages, each in an array and an object.
pub(super) const BRACKETS_MAX: usize = 300;
/// Number of bytes of a key that are kept. All known keys are shorter.
const KEY_BYTES_MAX: usize = 32;

impl Splitter {
    pub(super) fn structure(&mut self, byte: u8, at: usize, base: u64) -> Step {
        match byte {
            b' ' | b'\t' | b'\r' => return Step::To(at + 1),
            b'\n' => {
                self.break_line(base + at as u64 + 1);
                return Step::To(at + 1);
            }
            _ => {}
        }
        let step = match self.stack.last() {
            None => self.outside(byte, at, base),
            Some(&bracket) => self.within(byte, at, base, bracket),
        };
        if !matches!(step, Step::Invalid(..)) {
            self.is_line_blank = false;
        }
        step
    }

    /// Reads a byte outside of documents.
    fn outside(&mut self, byte: u8, at: usize, base: u64) -> Step {
        let offset = base + at as u64;
        match byte {
            b'{' | b'[' => {
                self.document = Position::in_line(self.line, offset);
                (self.container, self.indent) = (None, None);
                self.is_split = byte == b'[';
                if byte == b'{' {
                    self.array_depth = None;
                    self.begin_record(at, base);
                    self.open(Bracket::Object, at)
                } else {
                    self.array_depth = Some(1);
                    self.open(Bracket::Array, at)
                }
            }
            // Commas between the elements of an array that was skipped, and the separators of JSON text sequences.
            b',' | 0x1e => Step::To(at + 1),
            b']' | b'}' if self.has_skipped => Step::To(at + 1),
            // The byte order mark.
            0xef | 0xbb | 0xbf if offset < 3 => Step::To(at + 1),
            _ => {
                self.document = Position::in_line(self.line, offset);
                Step::Invalid(at, "neither an object nor an array")
            }
        }
    }

    fn within(&mut self, byte: u8, at: usize, base: u64, bracket: Bracket) -> Step {
        use Expected::{Colon, CommaOrEnd, Key, KeyOrEnd, Value, ValueOrEnd};
        match (byte, self.expected, bracket) {
            (b'"', Key | KeyOrEnd, _) => {
                self.key.clear();
                (self.is_key, self.inside) = (true, Inside::Text);
                Step::To(at + 1)
            }
            (b'}', KeyOrEnd | CommaOrEnd, Bracket::Object)
            | (b']', ValueOrEnd | CommaOrEnd, Bracket::Array) => self.close(at),
            (b',', CommaOrEnd, _) => {
                self.expected = match bracket {
                    Bracket::Object => Key,
                    Bracket::Array => Value,
                };
                Step::To(at + 1)
            }
            (b':', Colon, _) => {
                self.expected = Value;
                Step::To(at + 1)
            }
            (_, Value | ValueOrEnd, _) => self.value(byte, at, base),
            (_, Key | KeyOrEnd, _) => Step::Invalid(at, "a key or a closing bracket is expected"),
            (_, Colon, _) => Step::Invalid(at, "a colon is expected"),
            (_, CommaOrEnd, _) => Step::Invalid(at, "a comma or a closing bracket is expected"),
        }
    }

    fn value(&mut self, byte: u8, at: usize, base: u64) -> Step {
        if !matches!(byte, b'{' | b'[' | b'"' | b'-' | b'0'..=b'9' | b't' | b'f' | b'n') {
            return Step::Invalid(at, "a value is expected");
        }
        if byte == b'[' && self.stack.len() == 1 && self.array_depth.is_none() {
            if let Some(container) = Container::of_key(&self.key) {
                self.container = Some(container);
                (self.is_split, self.is_kept) = (true, false);
                (self.array_depth, self.indent) = (Some(2), None);
                self.record.clear();
            }
        } else if self.array_depth == Some(self.stack.len()) {
            self.begin_record(at, base);
        }
        match byte {
            b'{' => self.open(Bracket::Object, at),
            b'[' => self.open(Bracket::Array, at),
            b'"' => {
                self.inside = Inside::Text;
                Step::To(at + 1)
            }
            _ => {
                self.inside = Inside::Literal;
                Step::To(at + 1)
            }
        }
    }

    fn open(&mut self, bracket: Bracket, at: usize) -> Step {
        if self.stack.len() >= BRACKETS_MAX {
            return Step::Invalid(at, "more than 300 open brackets");
        }
        self.stack.push(bracket);
        self.expected = match bracket {
            Bracket::Object => Expected::KeyOrEnd,
            Bracket::Array => Expected::ValueOrEnd,
        };
        Step::To(at + 1)
    }

    fn close(&mut self, at: usize) -> Step {
        if self.array_depth == Some(self.stack.len()) {
            self.array_depth = None;
            self.container = None;
            self.stack.pop();
            self.expected = Expected::CommaOrEnd;
            return Step::To(at + 1);
        }
        self.stack.pop();
        self.end_value(at + 1)
    }

    /// Ends a value. `next` is the index of the byte after the value.
    fn end_value(&mut self, next: usize) -> Step {
        self.expected = Expected::CommaOrEnd;
        let is_element = self.array_depth == Some(self.stack.len());
        let is_document = self.stack.is_empty() && !self.is_split;
        if is_element || is_document {
            Step::RecordEnd(next)
        } else {
            Step::To(next)
        }
    }

    pub(super) fn text(&mut self, bytes: &[u8], at: usize) -> Step {
        const LINE_BREAK: &str = "a text contains a line break; the line is cut off";
        let rest = &bytes[at..];
        if take(&mut self.is_escaped) {
            return match rest[0] {
                b'\n' => Step::Invalid(at, LINE_BREAK),
                _ => Step::To(at + 1),
            };
        }
        let Some(found) = memchr3(b'"', b'\\', b'\n', rest) else {
            self.note_key(rest);
            return Step::To(bytes.len());
        };
        self.note_key(&rest[..found]);
        let next = at + found + 1;
        match rest[found] {
            b'\\' => {
                self.note_key(b"\\");
                self.is_escaped = true;
                Step::To(next)
            }
            b'\n' => Step::Invalid(at + found, LINE_BREAK),
            _ => {
                self.inside = Inside::Nothing;
                if !take(&mut self.is_key) {
                    return self.end_value(next);
                }
                self.expected = Expected::Colon;
                if self.notes_keys() {
                    self.keys.note(&self.key);
                }
                Step::To(next)
            }
        }
    }

    pub(super) fn literal(&mut self, bytes: &[u8], at: usize) -> Step {
        let is_end = |byte: &u8| matches!(byte, b',' | b']' | b'}' | b' ' | b'\t' | b'\r' | b'\n');
        match bytes[at..].iter().position(is_end) {
            None => Step::To(bytes.len()),
            Some(end) => {
                self.inside = Inside::Nothing;
                self.end_value(at + end)
            }
        }
    }

    fn note_key(&mut self, part: &[u8]) {
        if self.is_key {
            let room = KEY_BYTES_MAX.saturating_sub(self.key.len());
            self.key.extend_from_slice(&part[..part.len().min(room)]);
        }
    }

    /// Whether the keys of the current object are those of a record, or of an object in a record that is an array.
    pub(super) fn notes_keys(&self) -> bool {
        let outer = self.array_depth.unwrap_or(0);
        let is_in_list = self.stack.len() == outer + 2 && self.stack.get(outer) == Some(&Bracket::Array);
        self.stack.len() == outer + 1 || is_in_list
    }
}
