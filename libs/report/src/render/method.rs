//! [`method`]: explains how each figure is computed, which SQL computes it from the files, and how certain the figures are.

use analyze::stats::group::By;
use analyze::stats::table::{Precision, figures};
use page::html::{Html, element};
use page::table::{Column, Row, Table};

const SENTENCES: [&str; 7] = [
    "Counts and sums of the whole run are exact. Its quantiles come from sketches with a relative error of at most 1%.",
    "Figures of a window of time, and quantiles over time, come from sketches of the intervals with a relative error of at most 5%. \
     Their counts are exact, and their means have four digits.",
    "A rate, share, mean or quantile would differ somewhat in another run like this one. The 95% interval below it covers the value of an endless \
     run in 95% of such runs. It comes from batch means, because neighbouring requests wait for one another.",
    "“effective” is the number of independent values that would show the mean equally well. “too short”: the run has fewer than 200 \
     relaxation times of the queue, or too small an effective sample size. “too few”: too few values; p99 needs 500, and a share of errors 10 errors. “all equal”: equal \
     values do not show how far others may lie. “?”: the run does not bound this end.",
    "An invocation belongs to the interval or window in which its processing starts (ts_start).",
    "Values that are null or absent count in no mean, sum or quantile.",
    "An SQL expression is evaluated over the rows of one group. cctf stats RUN --by module --sql prints the whole script for DuckDB.",
];

pub fn method() -> Html {
    let sentences = SENTENCES.map(|sentence| element("li").child(sentence));
    let mut html = element("ul").children(sentences).build();
    let columns = vec![
        Column::text("figure", "Figure"),
        Column::text("meaning", "Meaning"),
        Column::text("sql", "SQL"),
        Column::text("agrees", "Agrees with the SQL"),
        Column::text("by", "Groupings"),
    ];
    let mut table = Table::new("figures-table", "Figures and their SQL", columns);
    for figure in figures() {
        let agrees = match figure.precision {
            Precision::Exact => "exactly",
            Precision::Rounded => "but for rounding",
            Precision::Sketch => "within 1/128",
        };
        let by: Vec<&str> = match figure.on.len() == By::ALL.len() {
            true => vec!["all"],
            false => figure.on.iter().map(|by| by.name()).collect(),
        };
        let unit = match figure.unit {
            "" => String::new(),
            unit => format!(", {unit}"),
        };
        table.row(Row::new([
            Html::text(&figure.name),
            Html::text(&format!("{}{unit}", figure.meaning)),
            element("code").child(&figure.sql).build(),
            Html::text(agrees),
            Html::text(&by.join(", ")),
        ]));
    }
    let opened = element("details")
        .child(element("summary").child("All figures and their SQL"))
        .child(table.html());
    html.push(opened);
    html
}
