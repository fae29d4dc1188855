//! [`lines`]: values over time, with gaps, events and a legend.

use super::axes::{Mark, TimeAxis};
use crate::html::{Html, element};
use crate::number::Unit;

/// Series with different dashes and colours. Further ones are not drawn.
pub const SERIES_MAX: usize = 8;

#[derive(Debug, Clone)]
pub struct Lines {
    /// Unique in the page; the prefix of all ids in the chart.
    pub id: String,
    pub title: String,
    /// One sentence for screen readers: the range, the highest value.
    pub description: String,
    pub time: TimeAxis,
    pub unit: Unit,
    pub series: Vec<Line>,
    pub events: Vec<Mark>,
}

#[derive(Debug, Clone)]
pub struct Line {
    pub name: String,
    /// A value for each bucket; `None` is a gap.
    pub values: Vec<Option<f64>>,
}

pub fn lines(chart: &Lines) -> Html {
    element("svg")
        .attr("role", "img")
        .child(element("title").child(&chart.title))
        .build()
}
