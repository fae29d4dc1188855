//! [`stacked`]: a bar for each module, composed of its parts.

use super::parts::Part;
use crate::html::{Html, element};
use crate::number::Unit;

#[derive(Debug, Clone)]
pub struct Stacked {
    /// Unique in the page; the prefix of all ids in the chart.
    pub id: String,
    pub title: String,
    pub unit: Unit,
    pub bars: Vec<Bar>,
}

#[derive(Debug, Clone)]
pub struct Bar {
    pub label: String,
    /// In the order in which they are drawn.
    pub parts: Vec<(Part, f64)>,
}

pub fn stacked(chart: &Stacked) -> Html {
    element("div").child(&chart.title).build()
}
