//! [`waterfall`]: a trace as a table with one row for each invocation or call, and its times as bars.

use super::parts::Part;
use crate::html::{Html, element};

/// Rows that are drawn at most.
pub const ROWS_MAX: usize = 200;

#[derive(Debug, Clone)]
pub struct Waterfall {
    /// Unique in the page; the prefix of all ids in the chart.
    pub id: String,
    pub title: String,
    /// Length of the axis in nanoseconds.
    pub length_ns: f64,
    pub rows: Vec<Step>,
    /// Rows that are not shown, as a sentence.
    pub more: Option<String>,
}

/// One row.
#[derive(Debug, Clone)]
pub struct Step {
    /// Level of indentation.
    pub depth: usize,
    pub label: String,
    /// Beside the label: node, status, or kind.
    pub detail: String,
    /// Shown on hover and focus.
    pub tip: String,
    /// Nanoseconds since the start of the trace.
    pub start_ns: f64,
    pub duration_ns: f64,
    /// Parts of the duration, from the start on. The rest is drawn plain.
    pub parts: Vec<(Part, f64)>,
    pub is_critical: bool,
    pub failed: bool,
}

pub fn waterfall(chart: &Waterfall) -> Html {
    element("div").child(&chart.title).build()
}
