//! Reads most tokens of a record fast: tokens that are whole in the buffer, have no escapes, and neither begin nor end a record.
//! At any other byte, the module `grammar` continues. It would give the same result without this file, but more slowly.

use rundir::words::{bytes_equal_to, find};

use super::grammar::BRACKETS_MAX;
use super::{Bracket, Expected, Inside, Splitter};

impl Splitter {
    /// Reads tokens, and returns the index of the first byte that is left to the grammar.
    pub(super) fn read_plain(&mut self, bytes: &[u8], mut at: usize) -> usize {
        use Expected::{Colon, CommaOrEnd, Key, KeyOrEnd, Value, ValueOrEnd};
        // The values of a document's outer object are left to the grammar, because one of them can be the array of the records.
        let outer = self.array_depth.unwrap_or(1);
        if self.is_skipping || self.inside != Inside::Nothing || self.stack.len() <= outer {
            return at;
        }
        while let Some(&byte) = bytes.get(at) {
            let bracket = self.stack.last().copied();
            let can_close = self.stack.len() > outer + 1;
            match (byte, self.expected, bracket) {
                (b' ', ..) => {
                    at += 1;
                    continue;
                }
                (b'"', Key | KeyOrEnd, _) => {
                    let Some(end) = end_of_text(bytes, at + 1) else {
                        break;
                    };
                    if self.notes_keys() {
                        self.keys.note(&bytes[at + 1..end]);
                    }
                    (at, self.expected) = (end, Colon);
                }
                (b'"', Value | ValueOrEnd, _) => {
                    let Some(end) = end_of_text(bytes, at + 1) else {
                        break;
                    };
                    (at, self.expected) = (end, CommaOrEnd);
                }
                (b':', Colon, _) => self.expected = Value,
                (b',', CommaOrEnd, Some(Bracket::Object)) => self.expected = Key,
                (b',', CommaOrEnd, Some(Bracket::Array)) => self.expected = Value,
                (b'-' | b'0'..=b'9' | b't' | b'f' | b'n', Value | ValueOrEnd, _) => {
                    let Some(end) = end_of_literal(bytes, at) else {
                        break;
                    };
                    (at, self.expected) = (end - 1, CommaOrEnd);
                }
                (b'{', Value | ValueOrEnd, _) if self.stack.len() < BRACKETS_MAX => {
                    self.stack.push(Bracket::Object);
                    self.expected = KeyOrEnd;
                }
                (b'[', Value | ValueOrEnd, _) if self.stack.len() < BRACKETS_MAX => {
                    self.stack.push(Bracket::Array);
                    self.expected = ValueOrEnd;
                }
                (b'}', KeyOrEnd | CommaOrEnd, Some(Bracket::Object))
                | (b']', ValueOrEnd | CommaOrEnd, Some(Bracket::Array))
                    if can_close =>
                {
                    self.stack.pop();
                    self.expected = CommaOrEnd;
                }
                _ => break,
            }
            self.is_line_blank = false;
            at += 1;
        }
        at
    }
}

/// The index of the quote at the end of a text that begins at `begin`. `None` if an escape or a line break comes first, or if the
/// end is not in the buffer.
#[inline]
fn end_of_text(bytes: &[u8], begin: usize) -> Option<usize> {
    let hits = |word| bytes_equal_to(word, b'"') | bytes_equal_to(word, b'\\') | bytes_equal_to(word, b'\n');
    let end = find(bytes, begin, hits, |byte| matches!(byte, b'"' | b'\\' | b'\n'))?;
    (bytes[end] == b'"').then_some(end)
}

/// The index of the byte after a literal, if this byte is in the buffer.
#[inline]
fn end_of_literal(bytes: &[u8], begin: usize) -> Option<usize> {
    let is_end = |byte: &u8| matches!(byte, b',' | b']' | b'}' | b' ' | b'\t' | b'\r' | b'\n');
    let length = bytes[begin..].iter().position(is_end)?;
    Some(begin + length)
}
