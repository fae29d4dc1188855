//! [`lines`]: a chart of values over time, with interruptions, events and a legend.

use std::fmt::Write as _;

use super::axes::{Mark, TimeAxis, VALUE_MAX, ValueAxis, coordinate};
use super::plot::Plot;
use crate::html::{Html, element};
use crate::number::{NONE, Unit};

/// Maximum number of series that are drawn. Each has its own dash and colour.
pub const SERIES_MAX: usize = 8;
/// Maximum number of values of a series that are drawn. Each takes about 20 bytes in the page.
pub const VALUES_MAX: usize = 1000;
/// Height of the plot in pixels.
const HEIGHT: f64 = 168.0;
/// Width of the plot in its own coordinates. With one decimal they are finer than a pixel.
const WIDTH: f64 = 1000.0;

/// A chart of lines. Values below zero are drawn at zero.
#[derive(Debug, Clone)]
pub struct Lines {
    /// Unique in the page; the prefix of all ids in the chart.
    pub id: String,
    pub title: String,
    /// One sentence for screen readers, with the range and the highest value.
    pub description: String,
    pub time: TimeAxis,
    pub unit: Unit,
    pub series: Vec<Line>,
    pub events: Vec<Mark>,
}

#[derive(Debug, Clone)]
pub struct Line {
    pub name: String,
    /// A value for each bucket. The line is interrupted at a bucket with `None`.
    pub values: Vec<Option<f64>>,
}

pub fn lines(chart: &Lines) -> Html {
    let buckets = chart.time.buckets.min(VALUES_MAX);
    let time = TimeAxis {
        buckets,
        ..chart.time
    };
    let series: Vec<Drawn> = chart
        .series
        .iter()
        .take(SERIES_MAX)
        .map(|line| Drawn::new(line, buckets))
        .collect();
    let max = series.iter().filter_map(|line| line.max).fold(0.0, f64::max);
    let axis = ValueAxis::new(max, chart.unit);
    let plot = Plot {
        kind: "lines",
        id: &chart.id,
        title: &chart.title,
        description: &chart.description,
        time,
        height: HEIGHT,
        value_ticks: axis.ticks.clone(),
    };
    let paths = series.iter().enumerate().map(|(index, line)| {
        let drawn = line.path(&axis);
        let area = (series.len() == 1).then(|| {
            let area = element("path").class("area");
            area.attr("d", line.area(&axis))
        });
        let path = element("path")
            .class(CLASSES[index % CLASSES.len()])
            .attr("d", drawn)
            .attr("data-name", line.name)
            .attr("data-values", line.texts(chart.unit));
        Html::from_iter([Html::from(area), path.build()])
    });
    let marks = plot.marks(&chart.events);
    let legend = legend(&series, chart.unit, marks.is_some());
    let mut content = plot.stretched(WIDTH, HEIGHT).children(paths).build();
    content.push(marks);
    if max == 0.0 && series.iter().all(|line| line.max.is_none()) {
        let empty = element("text").class("empty").attr("x", "50%");
        content.push(empty.attr("y", coordinate(HEIGHT / 2.0)).child("No values"));
    }
    Html::from_iter([legend, plot.frame(content).build()])
}

/// The classes of the series in the style sheet. Each has its own colour and dash.
const CLASSES: [&str; SERIES_MAX] = [
    "series s1",
    "series s2",
    "series s3",
    "series s4",
    "series s5",
    "series s6",
    "series s7",
    "series s8",
];

/// A series whose values are finite, and limited to the range from zero to [`VALUE_MAX`].
struct Drawn<'a> {
    name: &'a str,
    values: Vec<Option<f64>>,
    max: Option<f64>,
}

impl<'a> Drawn<'a> {
    fn new(line: &'a Line, buckets: usize) -> Self {
        let finite = |value: &Option<f64>| {
            value
                .filter(|value| value.is_finite())
                .map(|value| value.clamp(0.0, VALUE_MAX))
        };
        let mut values: Vec<Option<f64>> = line.values.iter().take(buckets).map(finite).collect();
        values.resize(buckets, None);
        Self {
            name: &line.name,
            max: values.iter().flatten().copied().reduce(f64::max),
            values,
        }
    }

    /// Runs of values without `None` between them, as points of the plot.
    fn runs(&self, axis: &ValueAxis) -> Vec<Vec<(f64, f64)>> {
        let step = WIDTH / self.values.len().max(1) as f64;
        let points = self.values.iter().enumerate().map(|(index, value)| {
            let x = (index as f64 + 0.5) * step;
            value.map(|value| (x, HEIGHT * (1.0 - axis.place(value))))
        });
        let points: Vec<Option<(f64, f64)>> = points.collect();
        points
            .split(Option::is_none)
            .map(|run| run.iter().flatten().copied().collect::<Vec<_>>())
            .filter(|run| !run.is_empty())
            .collect()
    }

    fn path(&self, axis: &ValueAxis) -> String {
        let mut path = String::new();
        for run in self.runs(axis) {
            push_points(&mut path, &run);
            // A line without length is drawn as a dot, because its ends are round.
            if run.len() == 1 {
                path.push_str("h0");
            }
        }
        path
    }

    fn area(&self, axis: &ValueAxis) -> String {
        let mut path = String::new();
        for run in self.runs(axis) {
            push_points(&mut path, &run);
            let (first, last) = (run[0].0, run[run.len() - 1].0);
            let (first, last) = (coordinate(first), coordinate(last));
            // Writing to a String cannot fail.
            let _ = write!(path, "L{last} {HEIGHT}L{first} {HEIGHT}z");
        }
        path
    }

    /// All values as text, separated by `|`.
    fn texts(&self, unit: Unit) -> String {
        let texts = self.values.iter().map(|value| match value {
            Some(value) => unit.format(*value),
            None => String::new(),
        });
        texts.collect::<Vec<_>>().join("|")
    }
}

fn push_points(path: &mut String, run: &[(f64, f64)]) {
    for (index, (x, y)) in run.iter().enumerate() {
        path.push(if index == 0 { 'M' } else { 'L' });
        path.push_str(&coordinate(*x));
        path.push(' ');
        path.push_str(&coordinate(*y));
    }
}

/// The legend: the names of the series with samples of their lines, and the sign of events.
fn legend(series: &[Drawn], unit: Unit, has_events: bool) -> Html {
    let names = series.iter().enumerate().map(|(index, line)| {
        let sample = element("path")
            .class(CLASSES[index % CLASSES.len()])
            .attr("d", "M1 5H27");
        let highest = line.max.map_or_else(|| NONE.to_owned(), |max| unit.format(max));
        element("li")
            .child(swatch("28", "10", sample.build()))
            .child(element("span").class("label").child(line.name))
            .child(element("span").class("unit").child(format!("max {highest}")))
    });
    let event = has_events.then(|| {
        let sign = element("path").class("head").attr("d", "M1 1h10L6 9z");
        element("li")
            .class("events")
            .child(swatch("12", "10", sign.build()))
            .child("event")
    });
    element("ul").class("legend").children(names).child(event).build()
}

/// A sample of a line or mark, shown beside its name.
fn swatch(width: &str, height: &str, content: Html) -> Html {
    element("svg")
        .attr("width", width)
        .attr("height", height)
        .attr("aria-hidden", "true")
        .child(content)
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(values: Vec<Option<f64>>) -> Lines {
        Lines {
            id: "c".to_owned(),
            title: "Calls".to_owned(),
            description: String::new(),
            time: TimeAxis {
                buckets: values.len(),
                bucket_s: 1.0,
            },
            unit: Unit::Count,
            series: vec![Line {
                name: "a".to_owned(),
                values,
            }],
            events: Vec::new(),
        }
    }

    #[test]
    fn a_gap_ends_the_line_and_a_value_alone_is_a_dot() {
        let html = lines(&chart(vec![Some(4.0), Some(2.0), None, Some(1.0)])).into_string();
        assert!(html.contains(" d=\"M125 0L375 84M875 126h0\""), "{html}");
        assert!(html.contains(" data-values=\"4|2||1\""), "{html}");
    }

    #[test]
    fn values_that_no_axis_can_show_are_gaps_or_at_its_end() {
        let html = lines(&chart(vec![
            Some(f64::NAN),
            Some(f64::INFINITY),
            Some(-5.0),
            Some(f64::MAX),
        ]));
        assert!(html.as_str().contains(" d=\"M625 168L875 0\""), "{html:?}");
        let html = lines(&chart(Vec::new()));
        assert!(html.as_str().contains("No values"), "{html:?}");
    }
}
