//! [`text`]: a verdict for a terminal.

use report::sheet::{Cell, Sheet, SheetTable};

use crate::commands::cells::{columns, counted, cut, printable};

/// Maximum width of a cell.
const CELL_WIDTH_MAX: usize = 60;
/// Maximum number of rows of a table. A run can have thousands of modules.
const ROWS_MAX: usize = 100;
/// Maximum number of notes.
const NOTES_MAX: usize = 40;

pub fn text(sheet: &Sheet) -> String {
    let mut out = line(&sheet.headline);
    out.extend(sheet.sentences.iter().map(|sentence| line(sentence)));
    for table in &sheet.tables {
        out += &format!("\n{}", line(&table.title));
        out += &rows(table);
        out.extend(table.note.as_deref().map(line));
    }
    if !sheet.notes.is_empty() {
        out.push('\n');
    }
    let notes = sheet.notes.iter().take(NOTES_MAX);
    out.extend(notes.map(|note| line(&format!("note: {note}"))));
    let more = sheet.notes.len().saturating_sub(NOTES_MAX);
    if more > 0 {
        out += &format!("{}: --format json has all\n", counted(more, "more note"));
    }
    out
}

fn line(text: &str) -> String {
    printable(text) + "\n"
}

fn rows(table: &SheetTable) -> String {
    let heads: Vec<String> = table
        .columns
        .iter()
        .map(|column| column.head.to_owned())
        .collect();
    let numbers: Vec<usize> = (0..heads.len())
        .filter(|&index| table.columns[index].is_number)
        .collect();
    let is_last = |index: usize| index + 1 == heads.len();
    let cell = |(index, cell): (usize, &Cell)| match is_last(index) {
        // The last cell of a row may have any length.
        true => printable(&cell.text),
        false => cut(&printable(&cell.text), CELL_WIDTH_MAX),
    };
    let shown = table.rows.iter().take(ROWS_MAX);
    let shown: Vec<Vec<String>> = shown
        .map(|row| row.iter().enumerate().map(cell).collect())
        .collect();
    let mut out = columns(&heads, &shown, &numbers);
    let more = table.rows.len().saturating_sub(ROWS_MAX);
    if more > 0 {
        out += &format!("{}: --format json has all\n", counted(more, "more row"));
    }
    out
}
