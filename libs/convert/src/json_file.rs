//! Reads a JSON file. A line that is one request of OTLP is read as a whole, everything else record by record.

use crate::json::{Found, Splitter};
use crate::otlp::signal_of_line;
use crate::place::Position;
use crate::records::Records;
use crate::source::Source;

/// Maximum length of a line that is read as a whole. A longer one is read record by record.
const LINE_BYTES_MAX: usize = 16 << 20;

/// Takes all records of a file.
///
/// # Errors
/// If a file cannot be written, or the user has interrupted.
pub fn read(source: &mut Source<'_>, records: &mut Records<'_>) -> anyhow::Result<()> {
    let mut splitter = Splitter::new();
    loop {
        while splitter.is_between_documents() && take_line(source, records)? {
            splitter.go_to_line(source);
        }
        match splitter.next(source) {
            None => return Ok(()),
            Some(Found::Record(record)) => records.take_json(&record, splitter.record())?,
            Some(Found::Damage(begin, reason)) => {
                records.damage(begin, reason);
                records.show_progress()?;
            }
        }
    }
}

/// Takes a line if it is empty or a request. Returns false if it is something else.
fn take_line(source: &mut Source<'_>, records: &mut Records<'_>) -> anyhow::Result<bool> {
    if source.unread().is_empty() && !source.read_more() {
        return Ok(false);
    }
    if source.unread()[0] == b'\n' {
        source.consume(1);
        return Ok(true);
    }
    if source.unread()[0] != b'{' {
        return Ok(false);
    }
    let Some(length) = source.line_len(LINE_BYTES_MAX) else {
        return Ok(false);
    };
    let line = &source.unread()[..length];
    let Some(signal) = signal_of_line(line) else {
        return Ok(false);
    };
    let begin = Position::in_line(source.line(), source.offset());
    if !records.take_line(signal, line, begin)? {
        return Ok(false);
    }
    source.consume_line(length);
    Ok(true)
}
