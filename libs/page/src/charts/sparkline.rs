//! [`sparkline`]: a small line without axes, for tiles and cells.

use crate::html::{Html, element};

/// Values with equal distances; `None` is a gap. `title` names it to screen readers.
pub fn sparkline(title: &str, values: &[Option<f64>]) -> Html {
    let _ = values;
    element("svg")
        .attr("role", "img")
        .child(element("title").child(title))
        .build()
}
