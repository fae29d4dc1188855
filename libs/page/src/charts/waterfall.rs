//! [`waterfall`]: a trace as a table with one row for each invocation or call, and its times as bars.

use super::axes::{VALUE_MAX, ValueAxis, percentage};
use super::parts::{Part, legend, patterns, used};
use crate::html::{Element, Html, element};
use crate::number::{Unit, duration};

/// Maximum number of rows that are drawn. Each takes about 800 bytes.
pub const ROWS_MAX: usize = 200;
/// Maximum level of indentation. Rows at deeper levels are indented like rows at this level.
const DEPTH_MAX: usize = 12;
/// Minimum length of a bar as a share of the axis, so that it can be seen.
const BAR_MIN: f64 = 0.003;

#[derive(Debug, Clone)]
pub struct Waterfall {
    /// Unique in the page; the prefix of all ids in the chart.
    pub id: String,
    pub title: String,
    /// Length of the axis in nanoseconds.
    pub length_ns: f64,
    pub rows: Vec<Step>,
    /// A sentence about rows that are not shown.
    pub more: Option<String>,
}

/// A row of the table.
#[derive(Debug, Clone)]
pub struct Step {
    /// Level of indentation.
    pub depth: usize,
    pub label: String,
    /// Text beside the label: node, status, or kind.
    pub detail: String,
    /// Text that is shown on hover and focus.
    pub tip: String,
    /// Nanoseconds since the start of the trace.
    pub start_ns: f64,
    pub duration_ns: f64,
    /// Parts of the duration, in order from the start. The remaining duration is drawn without a fill.
    pub parts: Vec<(Part, f64)>,
    pub is_critical: bool,
    pub failed: bool,
}

pub fn waterfall(chart: &Waterfall) -> Html {
    let rows = &chart.rows[..chart.rows.len().min(ROWS_MAX)];
    let parts = used(
        rows.iter()
            .flat_map(|row| row.parts.iter().map(|(part, _)| *part)),
    );
    let length = match chart.length_ns.is_finite() && chart.length_ns > 0.0 {
        true => chart.length_ns.clamp(1.0, VALUE_MAX),
        false => 1.0,
    };
    let head = element("tr")
        .child(element("th").attr("scope", "col").child("Step"))
        .child(element("th").attr("scope", "col").child(axis(length)))
        .child(
            element("th")
                .attr("scope", "col")
                .class("number")
                .child("Duration"),
        );
    let body = rows
        .iter()
        .enumerate()
        .map(|(index, row)| step_row(&chart.id, row, length, index == 0));
    let table = element("table")
        .class("waterfall")
        .attr("data-marks", "")
        .child(
            element("caption")
                .child(&chart.title)
                .child(keys(&chart.id, &parts)),
        )
        .child(element("thead").child(head))
        .child(element("tbody").children(body));
    let left_out = chart.rows.len() - rows.len();
    let left_out = (left_out > 0).then(|| format!("{left_out} more rows are not drawn."));
    let more = chart.more.clone().or(left_out);
    let more = more.map(|more| element("p").class("more").child(more));
    Html::from_iter([patterns(&chart.id, &parts), table.build(), more.into()])
}

/// Names of the parts, and samples of the signs for the critical path and for failures.
fn keys(id: &str, parts: &[Part]) -> Html {
    let signs = element("ul")
        .class("legend")
        .child(element("li").child(critical_sign()).child("critical path"))
        .child(element("li").child(failed_sign()).child("failed"));
    element("div")
        .class("keys")
        .child(legend(id, parts))
        .child(signs)
        .build()
}

fn critical_sign() -> Element {
    element("span")
        .class("critical-sign")
        .attr("aria-hidden", "true")
        .child("◆")
}

fn failed_sign() -> Element {
    element("span")
        .class("failed-sign")
        .attr("aria-hidden", "true")
        .child("✕")
}

/// Labels at round times above the bars.
fn axis(length_ns: f64) -> Html {
    let axis = ValueAxis::with_steps(length_ns, Unit::Nanoseconds, 6.0);
    let ticks = axis.ticks.iter().filter_map(|tick| {
        let place = tick.at * axis.max / length_ns;
        // There is no label near the end, because it would be cut off.
        (place < 0.93).then(|| {
            element("text")
                .attr("x", percentage(place))
                .attr("y", "12")
                .child(&tick.label)
        })
    });
    let svg = element("svg").class("bar").attr("height", "16").children(ticks);
    Html::from_iter([
        element("span")
            .class("unseen")
            .child("Time from the start")
            .build(),
        svg.attr("aria-hidden", "true").build(),
    ])
}

fn step_row(id: &str, row: &Step, length: f64, is_first: bool) -> Html {
    let critical = row
        .is_critical
        .then(|| Html::from_iter([critical_sign().build(), unseen("on the critical path ")]));
    let failed = row
        .failed
        .then(|| Html::from_iter([failed_sign().build(), unseen("failed ")]));
    let detail = (!row.detail.is_empty()).then(|| element("small").child(&row.detail));
    let depth = DEPTHS[row.depth.min(DEPTH_MAX)];
    let name = element("th")
        .attr("scope", "row")
        .class(depth)
        .child(critical)
        .child(failed)
        .child(element("span").class("label").child(&row.label))
        .child(detail);
    let class = match (row.is_critical, row.failed) {
        (true, true) => Some("critical failed"),
        (true, false) => Some("critical"),
        (false, true) => Some("failed"),
        (false, false) => None,
    };
    let tip = match row.tip.is_empty() {
        true => &row.label,
        false => &row.tip,
    };
    element("tr")
        .attr_if("class", class)
        .attr("tabindex", if is_first { "0" } else { "-1" })
        .attr("data-tip", tip)
        .child(name)
        .child(element("td").child(bar(id, row, length)))
        .child(element("td").class("number").child(duration(row.duration_ns)))
        .build()
}

fn unseen(text: &'static str) -> Html {
    element("span").class("unseen").child(text).build()
}

/// The classes of the levels of indentation.
const DEPTHS: [&str; DEPTH_MAX + 1] = [
    "d0", "d1", "d2", "d3", "d4", "d5", "d6", "d7", "d8", "d9", "d10", "d11", "d12",
];

/// The bar of a duration, its parts over it, and, on the critical path, a line under it.
fn bar(id: &str, row: &Step, length: f64) -> Html {
    let finite = |value: f64| if value.is_finite() { value } else { 0.0 };
    let start = (finite(row.start_ns) / length).clamp(0.0, 1.0 - BAR_MIN);
    let share = (finite(row.duration_ns) / length).clamp(BAR_MIN, 1.0 - start);
    let rect = |x: f64, width: f64| {
        element("rect")
            .attr("x", percentage(x))
            .attr("width", percentage(width))
    };
    let whole = rect(start, share)
        .attr("y", "3")
        .attr("height", "10")
        .class("rest");
    let end = start + share;
    let mut at = start;
    let parts = row.parts.iter().filter_map(|(part, value)| {
        let width = (finite(*value) / length).clamp(0.0, end - at);
        let x = at;
        at += width;
        (width > 0.0).then(|| {
            rect(x, width)
                .attr("y", "3")
                .attr("height", "10")
                .attr("fill", part.fill(id))
        })
    });
    let parts: Vec<Element> = parts.collect();
    let line = row.is_critical.then(|| {
        rect(start, share)
            .attr("y", "15")
            .attr("height", "2")
            .class("path")
    });
    element("svg")
        .class("bar")
        .attr("height", "18")
        .attr("aria-hidden", "true")
        .child(whole)
        .children(parts)
        .child(line)
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(start_ns: f64, duration_ns: f64, parts: Vec<(Part, f64)>) -> Step {
        Step {
            depth: 40,
            label: "<GET>".to_owned(),
            detail: String::new(),
            tip: String::new(),
            start_ns,
            duration_ns,
            parts,
            is_critical: true,
            failed: false,
        }
    }

    #[test]
    fn parts_follow_each_other_and_end_with_the_bar() {
        let row = step(25.0, 50.0, vec![(Part::Queue, 10.0), (Part::Cpu, 500.0)]);
        let html = bar("w", &row, 100.0).into_string();
        assert!(
            html.contains("x=\"25%\" width=\"10%\" y=\"3\" height=\"10\" fill=\"url(#w-queue)\""),
            "{html}"
        );
        assert!(
            html.contains("x=\"35%\" width=\"40%\" y=\"3\" height=\"10\" fill=\"url(#w-cpu)\""),
            "{html}"
        );
        assert!(html.contains("class=\"path\""), "{html}");
    }

    #[test]
    fn any_number_makes_a_bar_within_the_axis() {
        for value in [f64::NAN, f64::INFINITY, -1.0, 0.0, f64::MAX, 1e-300] {
            let rows = vec![step(value, value, vec![(Part::Other, value)])];
            let chart = Waterfall {
                id: "w".to_owned(),
                title: String::new(),
                length_ns: value,
                rows,
                more: None,
            };
            let html = waterfall(&chart).into_string();
            assert!(!html.contains("NaN") && !html.contains("inf"), "{html}");
            assert!(
                html.contains("on the critical path") && html.contains("&lt;GET&gt;"),
                "{html}"
            );
        }
    }
}
