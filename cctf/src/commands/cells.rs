//! Texts for the cells of tables on a terminal. They have a limited width and contain no control characters.

use cctf_proto::cctf::Milliseconds;
use jiff::Timestamp;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Stands for an unknown value.
pub const UNKNOWN: &str = "-";

/// Escapes control characters and direction overrides. The text came over the network and must not control the terminal.
pub fn printable(text: &str) -> String {
    let commands =
        |char: char| char.is_control() || matches!(char, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let mut out = String::with_capacity(text.len());
    for char in text.chars() {
        match commands(char) {
            true => out.extend(char.escape_default()),
            false => out.push(char),
        }
    }
    out
}

/// `1 call`, `2 calls`.
pub fn counted(count: impl TryInto<u64>, what: &str) -> String {
    let count = count.try_into().unwrap_or(u64::MAX);
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}

/// Shortens the text to a maximum width. An ellipsis shows where it was cut.
pub fn cut(text: &str, width_max: usize) -> String {
    if text.width() <= width_max {
        return text.to_owned();
    }
    let mut width = 0;
    let mut out: String = text
        .chars()
        .take_while(|char| {
            width += char.width().unwrap_or(0);
            width < width_max
        })
        .collect();
    out.push('…');
    out
}

/// A timestamp such as `2026-11-23 10:45:00`, with milliseconds on request. `None` if it is beyond the calendar.
pub fn utc_time(unix: Milliseconds, with_ms: bool) -> Option<String> {
    let format = if with_ms { "%F %T%.3f" } else { "%F %T" };
    let time = Timestamp::from_nanosecond(unix.as_ns().into()).ok()?;
    Some(time.strftime(format).to_string())
}

/// A table with titles. Each column is as wide as its widest cell. The columns in `numbers` are aligned to the right.
pub fn table<const N: usize>(titles: [&str; N], rows: &[[String; N]], numbers: &[usize]) -> String {
    columns(&titles.map(str::to_owned), rows, numbers)
}

/// Like [`table`], for a number of columns that is only known at run time. Each row has a cell for each title.
pub fn columns<R: AsRef<[String]>>(titles: &[String], rows: &[R], numbers: &[usize]) -> String {
    let lines = || std::iter::once(titles).chain(rows.iter().map(AsRef::as_ref));
    let width = |column: usize| lines().map(|cells| cells[column].width()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..titles.len()).map(width).collect();
    let mut out = String::new();
    for cells in lines() {
        for (column, cell) in cells.iter().enumerate().take(widths.len()) {
            let gap = " ".repeat(widths[column] - cell.width());
            let is_last = column + 1 == widths.len();
            match numbers.contains(&column) {
                true => out += &format!("{gap}{cell}"),
                false if is_last => out += cell,
                false => out += &format!("{cell}{gap}"),
            }
            out += if is_last { "\n" } else { "  " };
        }
    }
    out
}
