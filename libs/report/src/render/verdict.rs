//! [`verdict`]: the section with the verdict on two runs.

use page::html::{Html, element};
use page::summary::{Verdict as Sign, badge, notice};
use page::table::{Column, Row, Table};

use super::checks::notes_in;
use super::names::{cut, sentence, shown};
use crate::sheet::{Cell, Sheet, SheetTable};

/// Maximum length of a sentence, in characters.
const SENTENCE_MAX: usize = 600;
/// Maximum number of notes.
const NOTES_MAX: usize = 40;

/// The verdict, with at most `rows` rows in each table.
pub fn verdict(sheet: &Sheet, rows: usize) -> Html {
    let sign = sheet.sign.unwrap_or(Sign::Neutral);
    let mut html = notice(sign, sentence(&sheet.headline, SENTENCE_MAX));
    for text in &sheet.sentences {
        html.push(element("p").child(sentence(text, SENTENCE_MAX)));
    }
    for table in &sheet.tables {
        html.push(rows_of(table, rows));
    }
    if !sheet.notes.is_empty() {
        html.push(element("h3").child("Notes"));
        html.push(notes_in(
            element("ul"),
            &sheet.notes,
            rows.min(NOTES_MAX),
            SENTENCE_MAX,
        ));
    }
    html
}

fn rows_of(table: &SheetTable, rows: usize) -> Html {
    let columns = table.columns.iter().map(|column| Column {
        is_number: column.is_number,
        ..Column::text(column.key, &capital(column.head))
    });
    let id = format!("verdict-{}", table.id);
    let mut drawn = Table::new(&id, &cut(&table.title, SENTENCE_MAX), columns.collect());
    for row in table.rows.iter().take(rows) {
        drawn.row(Row::new(row.iter().map(cell)));
    }
    let more = table.rows.len().saturating_sub(rows);
    let place = "in the output of cctf compare --format json.";
    drawn.left_out(more, ["row is", "rows are"], place);
    let mut html = drawn.html();
    if let Some(note) = &table.note {
        html.push(element("p").class("note").child(sentence(note, SENTENCE_MAX)));
    }
    html
}

/// The head of a column with a capital letter, like all heads of the page.
fn capital(head: &str) -> String {
    let mut chars = head.chars();
    let first = chars.next().map(char::to_uppercase);
    first.into_iter().flatten().chain(chars).collect()
}

fn cell(cell: &Cell) -> Html {
    match cell.sign {
        Some(sign) => badge(sign, &cut(&cell.text, SENTENCE_MAX)),
        None => shown(&cell.text),
    }
}
