//! A page with a verdict on two runs: the position of the verdict, its size, and hostile texts in it.

use report::render::{BYTES_MAX, render, render_verdict};
use report::sheet::{Cell, Sheet, SheetColumn, SheetTable, Sign};

use crate::data::SMALL;

const HOSTILE: &str = "<script>alert(1)</script>\u{202e}";

/// A sheet in which every text is `text`, with `rows` rows in each of three tables.
fn sheet(text: &str, rows: usize) -> Sheet {
    let table = |id: &'static str| SheetTable {
        id,
        title: text.to_owned(),
        columns: vec![
            SheetColumn::text("figure", "Figure"),
            SheetColumn::number("a", "A"),
            SheetColumn::text("vote", "Vote"),
        ],
        rows: (0..rows)
            .map(|_| vec![text.into(), text.into(), Cell::signed(text, Sign::Bad)])
            .collect(),
        note: Some(text.to_owned()),
    };
    Sheet {
        verdict: text.to_owned(),
        sign: Some(Sign::Bad),
        headline: text.to_owned(),
        sentences: vec![text.to_owned(); 8],
        tables: ["voters", "shown", "attribution"].map(table).to_vec(),
        notes: vec![text.to_owned(); rows],
    }
}

#[test]
fn the_verdict_comes_first_and_names_what_does_not_vote() {
    let runs = [SMALL.run("first"), SMALL.run("second")];
    let page = render_verdict(&runs, &sheet("service time of front differs", 2)).html;
    let place = |text: &str| page.find(text).unwrap_or_else(|| panic!("{text}"));
    assert!(place("id=\"verdict\"") < place("id=\"comparison\""));
    assert!(place("service time of front differs") < place("id=\"verdict-voters\""));
    assert!(page.contains("These comparisons do not vote") && page.contains("Written by cctf compare."));
    let plain = render(&runs, true).html;
    assert!(!plain.contains("do not vote") && plain.contains("Written by cctf report."));
}

#[test]
fn a_page_with_a_huge_verdict_keeps_its_size() {
    let runs = [SMALL.run("first"), SMALL.run("second")];
    let page = render_verdict(&runs, &sheet(&"&<\"'".repeat(1024), 5000)).html;
    assert!(
        page.len() <= BYTES_MAX && page.ends_with("</html>\n"),
        "{}",
        page.len()
    );
    assert!(page.contains("more rows are in the output of cctf compare --format json."));
    let few = render_verdict(&runs, &sheet("x", 5)).html;
    assert!(!few.contains("more rows are"));
}

#[test]
fn no_text_of_a_verdict_becomes_markup() {
    let runs = [SMALL.run("first"), SMALL.run("second")];
    let page = render_verdict(&runs, &sheet(HOSTILE, 2)).html;
    assert!(!page.contains("<script>alert") && !page.contains('\u{202e}'));
    assert!(page.contains(&page::text::escape(HOSTILE)));
    // These are the script of all pages, the script for numbers, and the script for the window.
    assert_eq!(page.matches("<script>").count(), 3);
}
