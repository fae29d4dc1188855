//! [`stacked`]: one bar for each module. A bar consists of the parts of the module's response time.

use super::axes::{VALUE_MAX, percentage};
use super::parts::{Part, legend, patterns, used};
use crate::html::{Html, element};
use crate::number::Unit;

/// Maximum number of bars that are drawn.
pub const BARS_MAX: usize = 60;

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
    /// Parts in the order in which they are drawn. Values of zero or less are not drawn.
    pub parts: Vec<(Part, f64)>,
}

impl Bar {
    fn drawn(&self) -> impl Iterator<Item = (Part, f64)> {
        let parts = self.parts.iter().copied();
        let above_zero = parts.filter(|(_, value)| value.is_finite() && *value > 0.0);
        above_zero.map(|(part, value)| (part, value.min(VALUE_MAX)))
    }

    fn total(&self) -> f64 {
        self.drawn().map(|(_, value)| value).sum()
    }
}

pub fn stacked(chart: &Stacked) -> Html {
    let bars = &chart.bars[..chart.bars.len().min(BARS_MAX)];
    let parts = used(bars.iter().flat_map(|bar| bar.drawn().map(|(part, _)| part)));
    let longest = bars.iter().map(Bar::total).fold(0.0, f64::max);
    let rows = bars.iter().enumerate().map(|(index, bar)| {
        let label = element("span").class("label").attr("data-tip", &bar.label);
        element("li")
            .child(label.child(&bar.label))
            .child(bar_svg(chart, bar, longest, index == 0))
            .child(
                element("span")
                    .class("number")
                    .child(chart.unit.format(bar.total())),
            )
    });
    let rows = element("ul")
        .class("bars")
        .attr("aria-label", &chart.title)
        .attr("data-marks", "")
        .children(rows);
    Html::from_iter([
        patterns(&chart.id, &parts),
        legend(&chart.id, &parts),
        rows.build(),
    ])
}

fn bar_svg(chart: &Stacked, bar: &Bar, longest: f64, is_first: bool) -> Html {
    let texts: Vec<String> = bar
        .drawn()
        .map(|(part, value)| format!("{} {}", part.name(), chart.unit.format(value)))
        .collect();
    let mut start = 0.0;
    let rects = bar.drawn().map(|(part, value)| {
        let x = start / longest;
        start += value;
        element("rect")
            .attr("x", percentage(x))
            .attr("width", percentage(value / longest))
            .attr("height", "16")
            .attr("fill", part.fill(&chart.id))
    });
    element("svg")
        .class("bar")
        .attr("height", "16")
        .attr("role", "img")
        .attr("aria-label", format!("{}: {}", bar.label, texts.join(", ")))
        .attr("data-tip", texts.join("\n"))
        .attr("tabindex", if is_first { "0" } else { "-1" })
        .children(rects)
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_share_a_scale_and_leave_out_what_is_not_above_zero() {
        let chart = Stacked {
            id: "s".to_owned(),
            title: "Composition".to_owned(),
            unit: Unit::Nanoseconds,
            bars: vec![
                Bar {
                    label: "a".to_owned(),
                    parts: vec![(Part::Queue, 3e6), (Part::Cpu, 1e6), (Part::Network, f64::NAN)],
                },
                Bar {
                    label: "b".to_owned(),
                    parts: vec![(Part::Cpu, 2e6), (Part::Queue, -1.0)],
                },
            ],
        };
        let html = stacked(&chart).into_string();
        assert!(
            html.contains("<rect x=\"75%\" width=\"25%\" height=\"16\" fill=\"url(#s-cpu)\"/>"),
            "{html}"
        );
        assert!(
            html.contains("<rect x=\"0%\" width=\"50%\" height=\"16\" fill=\"url(#s-cpu)\"/>"),
            "{html}"
        );
        assert!(
            html.contains("aria-label=\"a: queue 3 ms, CPU 1 ms\"") && !html.contains("network"),
            "{html}"
        );
    }
}
