//! [`heat_map`]: shows how many values are in each interval of time and each range of values. All cells of a level (a colour)
//! are one path.

use std::fmt::Write as _;

use super::axes::{Tick, TimeAxis, tick_label};
use super::plot::Plot;
use crate::html::{Html, element};
use crate::number::{Unit, count};

/// Maximum number of rows that are drawn. 120 buckets of 40 rows take less than 45 KB.
pub const ROWS_MAX: usize = 40;
/// Maximum number of buckets (columns) that are drawn.
pub const BUCKETS_MAX: usize = 240;
/// Number of colours in the scale.
const LEVELS: usize = 8;
/// Height of the plot in pixels: 7 pixels for each of 40 rows.
const HEIGHT: f64 = 280.0;

#[derive(Debug, Clone)]
pub struct HeatMap {
    /// Unique in the page; the prefix of all ids in the chart. The plot is `{id}-plot`: a script draws over it in units of
    /// buckets (x) and rows (y, from the top).
    pub id: String,
    pub title: String,
    pub description: String,
    pub time: TimeAxis,
    pub unit: Unit,
    /// Boundaries of the rows, from low to high. The ratio of neighbours is equal, and there is one boundary more than there
    /// are rows.
    pub bounds: Vec<f64>,
    /// For each bucket, the counts of its rows from low to high.
    pub counts: Vec<Vec<u64>>,
}

pub fn heat_map(chart: &HeatMap) -> Html {
    let rows = chart.bounds.len().saturating_sub(1).clamp(1, ROWS_MAX);
    let buckets = chart.time.buckets.clamp(1, BUCKETS_MAX);
    let scale = Scale::new(chart.counts.iter().flatten().copied().max().unwrap_or(0));
    let plot = Plot {
        kind: "heat",
        id: &chart.id,
        title: &chart.title,
        description: &chart.description,
        time: TimeAxis {
            buckets,
            ..chart.time
        },
        height: HEIGHT,
        value_ticks: value_ticks(&chart.bounds[..chart.bounds.len().min(rows + 1)], chart.unit),
    };
    let paths = level_paths(&chart.counts, buckets, rows, &scale);
    let paths = paths.iter().enumerate().filter(|(_, path)| !path.is_empty());
    let paths = paths.map(|(level, path)| {
        element("path")
            .class(CLASSES[level])
            .attr("d", path)
            .attr("data-range", scale.range(level))
    });
    // A run of cells is a horizontal stroke in the middle of its row, as thick as the row is high.
    let cells = element("g")
        .class("cells")
        .attr("transform", "translate(0 .5)")
        .children(paths);
    let bounds = chart
        .bounds
        .iter()
        .take(rows + 1)
        .map(|bound| chart.unit.format(*bound));
    let content = plot
        .stretched(buckets as f64, rows as f64)
        .attr("data-x0", "0")
        .attr("data-width", buckets)
        .attr("data-rows", rows)
        .attr("data-bounds", bounds.collect::<Vec<_>>().join("|"))
        .child(cells);
    Html::from_iter([scale.legend(), plot.frame(content).build()])
}

/// The classes of the levels in the style sheet, from few values to many.
const CLASSES: [&str; LEVELS] = ["h1", "h2", "h3", "h4", "h5", "h6", "h7", "h8"];

/// Assigns counts to levels. The boundaries of levels have equal ratios, because counts spread over orders of magnitude.
struct Scale {
    max: u64,
}

impl Scale {
    fn new(max: u64) -> Self {
        Self { max }
    }

    /// The lowest count of a level. If the maximum is low, some levels have no count.
    fn lowest(&self, level: usize) -> u64 {
        let exponent = level as f64 / LEVELS as f64;
        ((self.max as f64 + 1.0).powf(exponent) - 1e-9).ceil() as u64
    }

    /// The level of a count. `None` for a count of zero, which is not drawn.
    fn level(&self, count: u64) -> Option<usize> {
        (0..LEVELS)
            .rev()
            .find(|level| count > 0 && count >= self.lowest(*level))
    }

    /// The range of a level's counts as text.
    fn range(&self, level: usize) -> String {
        let (low, high) = (self.lowest(level), self.lowest(level + 1).saturating_sub(1));
        let (low, high) = (low, high.clamp(low, self.max.max(low)));
        match low == high {
            true => count(low as f64),
            false => format!("{} to {}", count(low as f64), count(high as f64)),
        }
    }

    fn legend(&self) -> Html {
        let cells = CLASSES.iter().enumerate().map(|(index, class)| {
            element("path")
                .class(class)
                .attr("d", format!("M{} 5h14", index * 15))
                .attr("data-tip", self.range(index))
        });
        let scale = element("svg")
            .class("cells")
            .attr("width", LEVELS * 15)
            .attr("height", "10")
            .attr("aria-hidden", "true")
            .children(cells);
        let (low, high) = match self.max {
            0 => ("No values".to_owned(), String::new()),
            max => ("Count per cell: 1".to_owned(), count(max as f64)),
        };
        let low = element("span").child(low);
        let high = element("span").child(high);
        element("p")
            .class("scale")
            .child(low)
            .child((self.max > 0).then_some(scale))
            .child(high)
            .build()
    }
}

/// One path for each level, which draws the level's runs of cells in each row.
fn level_paths(counts: &[Vec<u64>], buckets: usize, rows: usize, scale: &Scale) -> [String; LEVELS] {
    let mut paths: [String; LEVELS] = Default::default();
    let mut pens = [(0i64, 0i64); LEVELS];
    let level_at = |bucket: usize, row: usize| {
        let count = counts.get(bucket).and_then(|rows| rows.get(row));
        count.and_then(|count| scale.level(*count))
    };
    for row in (0..rows).rev() {
        let y = (rows - 1 - row) as i64;
        let mut bucket = 0;
        while bucket < buckets {
            let level = level_at(bucket, row);
            let run = (bucket..buckets)
                .take_while(|other| level_at(*other, row) == level)
                .count();
            if let Some(level) = level {
                let (pen_x, pen_y) = pens[level];
                let x = bucket as i64;
                // Relative moves are shorter. Writing to a String cannot fail.
                let _ = write!(paths[level], "m{} {}h{run}", x - pen_x, y - pen_y);
                pens[level] = (x + run as i64, y);
            }
            bucket += run;
        }
    }
    paths
}

/// Ticks at 1, 2 and 5 times powers of ten. Over more than four powers of ten, only these get ticks. A short axis gets further
/// round values.
fn value_ticks(bounds: &[f64], unit: Unit) -> Vec<Tick> {
    let (Some(&low), Some(&high)) = (bounds.first(), bounds.last()) else {
        return Vec::new();
    };
    if !(low > 0.0 && high > low && high.is_finite()) {
        return Vec::new();
    }
    let decades = (high / low).log10();
    let factors: &[f64] = match decades {
        decades if decades > 4.0 => &[1.0],
        decades if decades > 0.6 => &[1.0, 2.0, 5.0],
        _ => &[1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0],
    };
    // Even if the boundaries span the whole range of `f64`, there are at most 13 labels.
    let stride = (decades / 12.0).ceil().max(1.0);
    let first = low.log10().floor();
    let powers = (0..=13).map(|index| 10f64.powf(first + f64::from(index) * stride));
    let values = powers.flat_map(|power| factors.iter().map(move |factor| factor * power));
    values
        .filter(|value| (low * 0.999..=high * 1.001).contains(value))
        .map(|value| Tick {
            at: ((value / low).log10() / decades).clamp(0.0, 1.0),
            label: tick_label(value, unit),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(buckets: usize, rows: usize, count_at: impl Fn(usize, usize) -> u64) -> HeatMap {
        HeatMap {
            id: "h".to_owned(),
            title: "Latency".to_owned(),
            description: String::new(),
            time: TimeAxis {
                buckets,
                bucket_s: 1.0,
            },
            unit: Unit::Nanoseconds,
            bounds: (0..=rows).map(|row| 1e6 * 1.2f64.powi(row as i32)).collect(),
            counts: (0..buckets)
                .map(|bucket| (0..rows).map(|row| count_at(bucket, row)).collect())
                .collect(),
        }
    }

    #[test]
    fn the_largest_map_stays_below_45_kilobytes() {
        // Neighbours never have the same level, so every cell is drawn by itself.
        let map = chart(120, ROWS_MAX, |bucket, row| {
            4u64.pow(((bucket * 3 + row) % 8) as u32)
        });
        let html = heat_map(&map).into_string();
        let plot = html.split_once("id=\"h-plot\"").unwrap().1;
        assert_eq!(plot.matches("h1").count() - plot.matches("\"h1\"").count(), 4800);
        assert!(html.len() < 45_000, "{} bytes", html.len());
    }

    #[test]
    fn neighbours_of_one_level_are_one_stroke() {
        let map = chart(4, 2, |bucket, row| match (bucket, row) {
            (0 | 1, 0) => 1,
            (3, 1) => 1000,
            _ => 0,
        });
        let html = heat_map(&map).into_string();
        assert!(html.contains("class=\"h1\" d=\"m0 1h2\""), "{html}");
        assert!(html.contains("class=\"h8\" d=\"m3 0h1\""), "{html}");
    }

    #[test]
    fn every_count_has_a_level_whose_range_contains_it() {
        for max in [1, 2, 7, 100, u64::from(u32::MAX)] {
            let scale = Scale::new(max);
            assert_eq!(scale.level(0), None);
            assert!(scale.level(1).is_some() && scale.level(max).is_some(), "{max}");
            for count in 1..=max.min(200) {
                let level = scale.level(count).unwrap();
                assert!(scale.lowest(level) <= count, "{max} {count}");
                assert!(
                    level + 1 == LEVELS || count < scale.lowest(level + 1),
                    "{max} {count}"
                );
            }
        }
    }

    #[test]
    fn invalid_bounds_leave_the_axis_without_labels() {
        assert_eq!(value_ticks(&[], Unit::Count), []);
        assert_eq!(value_ticks(&[0.0, 1.0], Unit::Count), []);
        assert_eq!(value_ticks(&[1.0, f64::NAN], Unit::Count), []);
        assert!(value_ticks(&[1e-300, 1e300], Unit::Count).len() <= 14);
        let labels: Vec<String> = value_ticks(&[1e6, 2e7], Unit::Nanoseconds)
            .into_iter()
            .map(|tick| tick.label)
            .collect();
        assert_eq!(labels, ["1 ms", "2 ms", "5 ms", "10 ms", "20 ms"]);
    }
}
