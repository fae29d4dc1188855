//! [`figure`]: a chart with its title, a note, and a table of its data.

use crate::html::{Html, element};
use crate::table::Table;

/// A chart with a table of its data, which the reader can open under the chart.
pub fn figure(title: &str, chart: impl Into<Html>, table: &Table, note: impl Into<Html>) -> Html {
    let note = note.into();
    let note = (!note.is_empty()).then(|| element("p").class("note").child(note));
    let summary = element("summary")
        .child("Table")
        .child(element("span").class("unseen").child(format!(": {title}")));
    let heading = element("figcaption")
        .child(element("h3").child(title))
        .child(note);
    element("figure")
        .child(heading)
        .child(element("div").class("chart").child(chart))
        .child(element("details").child(summary).child(table.html()))
        .build()
}
