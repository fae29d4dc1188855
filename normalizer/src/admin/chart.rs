//! [`Line`]: the chart of a rate in the last minute. The script of the page moves its points.

use page::html::{Html, element};
use page::number::Unit;
use serde::Serialize;

use super::history::SECONDS;

const WIDTH: f64 = 300.0;
const HEIGHT: f64 = 72.0;
/// Free space above the highest and below the lowest point, so that the line is not cut off.
const MARGIN: f64 = 2.0;

#[derive(Debug, Serialize)]
pub struct Line {
    pub key: &'static str,
    #[serde(skip)]
    pub label: &'static str,
    /// Corners of the line, in the syntax of SVG.
    pub points: String,
    /// The latest value.
    pub value: String,
    /// The highest value.
    pub max: String,
}

/// The chart of the values of the last seconds, oldest first.
pub fn line(key: &'static str, label: &'static str, values: &[f64], unit: Unit) -> Line {
    let max = values.iter().copied().fold(0.0, f64::max);
    let before = SECONDS.saturating_sub(values.len());
    let point = |(index, value): (usize, &f64)| {
        let x = WIDTH * (before + index) as f64 / (SECONDS - 1) as f64;
        let height = if max > 0.0 { value / max } else { 0.0 };
        let y = HEIGHT - MARGIN - (HEIGHT - 2.0 * MARGIN) * height;
        format!("{x:.0},{y:.1}")
    };
    let points: Vec<String> = values.iter().enumerate().map(point).collect();
    Line {
        key,
        label,
        points: points.join(" "),
        value: unit.format(values.last().copied().unwrap_or(0.0)),
        max: unit.format(max),
    }
}

impl Line {
    /// The chart below its value.
    pub fn html(&self) -> Html {
        let title = format!("{}, last minute; the table below has the values", self.label);
        let area = element("polygon").class("area").attr("points", self.area());
        let polyline = element("polyline")
            .class("series s1")
            .attr("data-line", self.key)
            .attr("points", &self.points);
        let base = element("line")
            .attr("x1", 0)
            .attr("y1", HEIGHT - 1.0)
            .attr("x2", WIDTH)
            .attr("y2", HEIGHT - 1.0)
            .class("base");
        let chart = element("svg")
            .class("live-line")
            .attr("role", "img")
            .attr("viewBox", format!("0 0 {WIDTH} {HEIGHT}"))
            .attr("preserveAspectRatio", "none")
            .child(element("title").child(title))
            .child(base)
            .child(area)
            .child(polyline);
        let max = element("span").attr("data-max", self.key).child(&self.max);
        let range = element("div")
            .class("live-range")
            .child(element("span").child("60 s ago"))
            .child(element("span").child("max ").child(max))
            .child(element("span").child("now"));
        let mut html = chart.build();
        html.push(range);
        html
    }

    /// Corners of the area below the line. The script of the page computes the same corners.
    fn area(&self) -> String {
        match self.points.split_once(',') {
            Some((first, _)) => format!("{first},{HEIGHT} {} {WIDTH},{HEIGHT}", self.points),
            None => String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_value_is_at_the_right_and_the_highest_at_the_top() {
        let of = line("spans", "Spans", &[0.0, 50.0, 25.0], Unit::PerSecond);
        assert_eq!(of.points, "290,70.0 295,2.0 300,36.0");
        assert_eq!((of.value.as_str(), of.max.as_str()), ("25/s", "50/s"));
        let flat = line("spans", "Spans", &[0.0; SECONDS], Unit::PerSecond);
        assert!(flat.points.starts_with("0,70.0 5,70.0 ") && flat.points.ends_with(" 300,70.0"));
        assert_eq!(line("spans", "Spans", &[], Unit::PerSecond).points, "");
    }
}
