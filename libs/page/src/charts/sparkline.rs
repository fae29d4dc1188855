//! [`sparkline`]: a small line without axes, for tiles and cells.

use super::axes::{VALUE_MAX, coordinate};
use crate::html::{Html, element};

/// Maximum number of values that are drawn. Of more values, the last ones are drawn.
pub const VALUES_MAX: usize = 240;
const WIDTH: f64 = 120.0;
const HEIGHT: f64 = 24.0;

/// A line of values at equal distances. The line is interrupted at `None`, and its axis starts at zero. `title` is its name for
/// screen readers.
pub fn sparkline(title: &str, values: &[Option<f64>]) -> Html {
    let values = &values[values.len().saturating_sub(VALUES_MAX)..];
    let finite = |value: &Option<f64>| {
        value
            .filter(|value| value.is_finite())
            .map(|value| value.clamp(0.0, VALUE_MAX))
    };
    let max = values.iter().filter_map(finite).fold(0.0, f64::max);
    let step = WIDTH / (values.len().max(2) - 1) as f64;
    let mut path = String::new();
    let mut is_gap = true;
    for (index, value) in values.iter().enumerate() {
        let Some(value) = finite(value) else {
            is_gap = true;
            continue;
        };
        let place = if max > 0.0 { value / max } else { 0.0 };
        path.push(if is_gap { 'M' } else { 'L' });
        path.push_str(&coordinate(index as f64 * step));
        path.push(' ');
        path.push_str(&coordinate(HEIGHT - 2.0 - place * (HEIGHT - 4.0)));
        is_gap = false;
    }
    element("svg")
        .class("spark")
        .attr("viewBox", format!("0 0 {WIDTH} {HEIGHT}"))
        .attr("preserveAspectRatio", "none")
        .attr("height", HEIGHT)
        .attr("role", "img")
        .attr("aria-label", title)
        .child(element("path").attr("d", path))
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_value_is_at_the_top_and_gaps_stay_open() {
        let html = sparkline("x", &[Some(0.0), Some(4.0), None, Some(f64::NAN), Some(2.0)]).into_string();
        assert!(html.contains("d=\"M0 22L30 2M120 12\""), "{html}");
        assert!(sparkline("x", &[]).as_str().contains("d=\"\""));
    }
}
