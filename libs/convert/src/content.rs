//! Reads one decompressed file. Its first bytes show whether it is JSON, a table, or protobuf messages of OTLP.

use std::io::ErrorKind;

use crate::place::Position;
use crate::records::Records;
use crate::source::{BYTE_ORDER_MARK, Source};
use crate::tables::Recognised;
use crate::{csv_file, frames, json_file};

/// Number of first bytes in which the beginning of a JSON document is searched, because blanks may come before it.
const HEAD_BYTES: usize = 512;
/// The first byte of a length below [`frames::MESSAGE_BYTES_MAX`].
const LENGTH_START_MAX: u8 = (frames::MESSAGE_BYTES_MAX >> 24) as u8;
/// The protobuf key of field 1 if this field is a message. Every request of OTLP begins with it.
const REQUEST_START: u8 = 0x0a;

/// The content of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Empty,
    Json,
    /// Lines that do not begin like JSON: a table, or something else.
    Text,
    /// Messages, each with its length in front.
    Messages,
    /// One protobuf message without a length.
    Message,
    Unknown,
}

/// Takes all records of a file. Damaged parts are left out and counted.
///
/// # Errors
/// If a file cannot be written, or the user has interrupted.
pub fn read(source: &mut Source<'_>, records: &mut Records<'_>) -> anyhow::Result<()> {
    // If the file is shorter, all of it is unread now.
    source.has(HEAD_BYTES);
    match kind_of(source.unread()) {
        Kind::Empty => {}
        Kind::Json => json_file::read(source, records)?,
        Kind::Text => read_text(source, records)?,
        Kind::Messages => frames::read(source, records)?,
        Kind::Message => frames::read_whole(source, records)?,
        Kind::Unknown => records.damage(
            Position::at_byte(0),
            "this file is neither JSON, a known table, nor messages of OTLP".to_owned(),
        ),
    }
    if let Some(failure) = source.failure() {
        let end = Position::at_byte(source.offset() + source.unread().len() as u64);
        let reason = match failure.kind() {
            ErrorKind::UnexpectedEof => format!(
                "the compressed data or the archive is cut off after byte {} of the file; what comes before is converted",
                records.job.read.get()
            ),
            _ => format!(
                "cannot read on after byte {} of the file: {failure}; what comes before is converted",
                records.job.read.get()
            ),
        };
        records.damage(end, reason);
    }
    records.end_file()
}

fn read_text(source: &mut Source<'_>, records: &mut Records<'_>) -> anyhow::Result<()> {
    match csv_file::first_line(source) {
        Recognised::Table(table) => match records.excludes(&table) {
            Some(reason) => records.damage(Position::in_line(1, 0), reason),
            None => csv_file::read(source, records, &table)?,
        },
        Recognised::Unusable(reason) => records.damage(Position::in_line(1, 0), reason.to_owned()),
        Recognised::Nothing => json_file::read(source, records)?,
    }
    Ok(())
}

fn kind_of(head: &[u8]) -> Kind {
    let Some(&first) = head.first() else {
        return Kind::Empty;
    };
    let text = head.strip_prefix(BYTE_ORDER_MARK).unwrap_or(head);
    match text.trim_ascii_start().first() {
        Some(b'{' | b'[') => return Kind::Json,
        None if head.len() < HEAD_BYTES => return Kind::Empty,
        None => return Kind::Json,
        _ => {}
    }
    match first {
        // A file of messages does not begin with a length of 0.
        _ if head.starts_with(&[0; 4]) => Kind::Unknown,
        0..=LENGTH_START_MAX => Kind::Messages,
        REQUEST_START => Kind::Message,
        _ if first.is_ascii_graphic() || head.starts_with(BYTE_ORDER_MARK) => Kind::Text,
        _ => Kind::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bytes_decide_what_a_file_contains() {
        for (head, kind) in [
            (&b""[..], Kind::Empty),
            (b" \n ", Kind::Empty),
            (&[b' '; HEAD_BYTES], Kind::Json),
            (b"\n\t{\"a\":1}", Kind::Json),
            (b"\xef\xbb\xbf[]", Kind::Json),
            (b"# a comment", Kind::Text),
            (b",traceid,timestamp", Kind::Text),
            (b"\xef\xbb\xbfapp,func", Kind::Text),
            (b"\x00\x00\x01\x00\x0a", Kind::Messages),
            (b"\x0a\x05\x0a\x03abc", Kind::Message),
            (b"\x00\x00\x00\x00\x00", Kind::Unknown),
            (b"\x7fELF", Kind::Unknown),
            (b"\x89PNG", Kind::Unknown),
        ] {
            assert_eq!(kind_of(head), kind, "{head:?}");
        }
    }
}
