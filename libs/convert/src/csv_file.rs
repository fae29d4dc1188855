//! Reads the table of a public data set line by line.

use memchr::memchr;

use crate::fields::Fields;
use crate::place::Position;
use crate::records::Records;
use crate::source::{BYTE_ORDER_MARK, Source};
use crate::tables::{Recognised, Table, recognise};

/// Maximum length of a line, bytes. Rows of all known tables have a few hundred.
const LINE_BYTES_MAX: usize = 1 << 20;
/// Rows after which the progress is shown.
const PROGRESS_ROWS: u64 = 4096;

/// Recognises a table by the first line of a file. The line stays unread.
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
        if !has_line_break && source.failure().is_some() {
            // A read error ended the file in the middle of this line. The caller counts the error.
            source.consume_line(length);
            return Ok(());
        }
        let line = &source.unread()[..length];
        if !line.trim_ascii().is_empty() {
            take(line, begin, table, &mut fields, records)?;
        }
        source.consume_line(length);
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
