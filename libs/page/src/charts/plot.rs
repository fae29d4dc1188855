//! [`Plot`]: the frame of a chart over time. Marks stretch with the width of the page, and texts keep their size.
//!
//! The outer SVG has no view box and covers only the plot: x is in percent. The labels are outside, where the style leaves a
//! margin.

use super::axes::{Mark, Tick, TimeAxis, coordinate, percentage};
use crate::html::{Element, Html, element};

/// Maximum number of marks. Events that are closer to each other than 1/200 of the axis share a mark.
const MARKS_MAX: usize = 100;
/// Maximum number of texts in a mark. Of further events, only the number is shown.
const TEXTS_MAX: usize = 5;

/// The parts that all charts over time have.
pub(super) struct Plot<'a> {
    /// The kind of chart in the attribute `data-chart`, for the script.
    pub kind: &'static str,
    pub id: &'a str,
    pub title: &'a str,
    pub description: &'a str,
    pub time: TimeAxis,
    /// Height of the plot in pixels.
    pub height: f64,
    pub value_ticks: Vec<Tick>,
}

impl Plot<'_> {
    /// The outer SVG with its axes. `content` is drawn over the grid.
    pub fn frame(&self, content: impl Into<Html>) -> Element {
        let description_id = format!("{}-desc", self.id);
        element("svg")
            .class("plot")
            .attr("id", self.id)
            .attr("role", "img")
            .attr("tabindex", "0")
            .attr("aria-label", self.title)
            .attr("aria-describedby", &description_id)
            .attr("height", coordinate(self.height))
            .attr("data-chart", self.kind)
            .attr("data-buckets", self.time.buckets)
            .attr(
                "data-bucket-s",
                self.time.length_s() / self.time.buckets.max(1) as f64,
            )
            .child(element("desc").attr("id", description_id).child(self.description))
            .child(self.grid())
            .child(content.into())
            .child(self.time_axis())
    }

    /// The nested SVG, whose coordinates are those of the chart's marks. It stretches in both directions.
    pub fn stretched(&self, width: f64, height: f64) -> Element {
        element("svg")
            .attr("id", format!("{}-plot", self.id))
            .attr(
                "viewBox",
                format!("0 0 {} {}", coordinate(width), coordinate(height)),
            )
            .attr("preserveAspectRatio", "none")
            .attr("width", "100%")
            .attr("height", coordinate(self.height))
    }

    fn grid(&self) -> Html {
        let lines = self.value_ticks.iter().map(|tick| {
            let y = coordinate(self.height * (1.0 - tick.at));
            let line = element("line").attr("x2", "100%").attr("y1", &y).attr("y2", &y);
            let label = element("text").attr("x", "-8").attr("y", &y).attr("dy", ".35em");
            Html::from_iter([line.build(), label.child(&tick.label).build()])
        });
        element("g").class("values").children(lines).build()
    }

    fn time_axis(&self) -> Html {
        let y = coordinate(self.height);
        let ticks = self.time.ticks();
        let ticks = ticks.iter().enumerate().map(|(index, tick)| {
            let x = percentage(tick.at);
            let line = element("line").attr("x1", &x).attr("x2", &x).attr("y1", &y);
            let line = line.attr("y2", coordinate(self.height + 4.0));
            let label = element("text")
                .attr("x", &x)
                .attr("y", coordinate(self.height + 18.0))
                .attr_if("class", (index % 2 == 1).then_some("minor"));
            Html::from_iter([line.build(), label.child(&tick.label).build()])
        });
        element("g").class("times").children(ticks).build()
    }

    /// Vertical lines at events. Their texts are shown on hover.
    pub fn marks(&self, events: &[Mark]) -> Option<Html> {
        let shared = share_marks(&self.time, events);
        let marks = shared.iter().map(|(place, texts)| {
            let tip = match texts.len() > TEXTS_MAX {
                true => format!(
                    "{}\nand {} more events",
                    texts[..TEXTS_MAX].join("\n"),
                    texts.len() - TEXTS_MAX
                ),
                false => texts.join("\n"),
            };
            let bucket = (place * self.time.buckets as f64) as usize;
            let line = element("path").attr("d", format!("M0 0V{}", coordinate(self.height)));
            let head = element("path").class("head").attr("d", "M-5 -7h10L0 1z");
            element("svg")
                .attr("x", percentage(*place))
                .attr("overflow", "visible")
                .attr("data-bucket", bucket.min(self.time.buckets.saturating_sub(1)))
                .attr("data-event", &tip)
                .child(line)
                .child(head)
        });
        (!shared.is_empty()).then(|| element("g").class("events").children(marks).build())
    }
}

/// The positions of marks on the axis, each with the texts of its events.
fn share_marks<'a>(time: &TimeAxis, events: &'a [Mark]) -> Vec<(f64, Vec<&'a str>)> {
    let mut placed: Vec<(f64, &str)> = events
        .iter()
        .filter_map(|event| Some((time.place(event.at_s)?, event.text.as_str())))
        .collect();
    placed.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut shared: Vec<(f64, Vec<&str>)> = Vec::new();
    for (place, text) in placed {
        match shared.last_mut() {
            Some((last, texts)) if place - *last < 0.005 => texts.push(text),
            _ => shared.push((place, vec![text])),
        }
    }
    shared.truncate(MARKS_MAX);
    shared
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_close_to_each_other_share_a_mark() {
        let time = TimeAxis {
            buckets: 100,
            bucket_s: 1.0,
        };
        let event = |at_s: f64, text: &str| Mark {
            at_s,
            text: text.to_owned(),
        };
        let events = [
            event(50.2, "b"),
            event(50.0, "a"),
            event(70.0, "c"),
            event(101.0, "late"),
            event(f64::NAN, "never"),
        ];
        let shared = share_marks(&time, &events);
        assert_eq!(shared, [(0.5, vec!["a", "b"]), (0.7, vec!["c"])]);
    }
}
