//! [`over_time`]: charts of rates and of response times, each with the lines of two runs. The time axis starts at each run's
//! own start.

use std::collections::BTreeMap;

use analyze::coarse::quantile;
use analyze::stats::figures::Time;
use page::charts::axes::TimeAxis;
use page::charts::lines::{Line, Lines, lines};
use page::figure::figure;
use page::html::Html;
use page::number::{Unit, duration, optional};
use page::table::{Column, Row, Table};

use super::over_time::titled;
use super::view::{NS_PER_S, View};

/// Sums over the buckets of a run that start within an interval.
#[derive(Debug, Clone, Default)]
struct Joined {
    /// Calls in buckets that cover enough seconds for a rate. The seconds are those of the same buckets.
    calls: u64,
    seconds: f64,
    bins: BTreeMap<u16, u32>,
}

impl Joined {
    fn rate(&self) -> Option<f64> {
        (self.seconds > 0.0).then(|| self.calls as f64 / self.seconds)
    }

    fn quantile_ns(&self, fraction: f64) -> Option<f64> {
        let bins: Vec<(u16, u32)> = self.bins.iter().map(|(bin, count)| (*bin, *count)).collect();
        quantile(&bins, fraction)
    }
}

/// Both runs in intervals of the same width, which is the larger of their bucket widths.
struct Both {
    width_ns: u64,
    runs: [Vec<Joined>; 2],
}

impl Both {
    fn new(views: [&View; 2]) -> Self {
        let widths = views.map(|view| view.run.timeline.bucket_ns);
        let width_ns = widths.into_iter().max().unwrap_or(0).max(1);
        let intervals = |view: &View| {
            let timeline = &view.run.timeline;
            // The end of the last bucket may not fit into 64 bits of nanoseconds.
            let length_ns = (timeline.run.buckets.len() as u64).saturating_mul(timeline.bucket_ns);
            length_ns.div_ceil(width_ns) as usize
        };
        let count = views.map(intervals).into_iter().max().unwrap_or(0);
        Self {
            width_ns,
            runs: views.map(|view| joined(view, width_ns, count)),
        }
    }

    fn len(&self) -> usize {
        self.runs[0].len()
    }

    fn lines(&self, name: &str, value: impl Fn(&Joined) -> Option<f64>) -> Vec<Line> {
        let runs = ["first run", "second run"].into_iter().zip(&self.runs);
        let line = |(run, intervals): (&str, &Vec<Joined>)| Line {
            name: format!("{run}{name}"),
            values: intervals.iter().map(&value).collect(),
        };
        runs.map(line).collect()
    }

    fn chart(&self, id: &str, title: &str, unit: Unit, series: Vec<Line>) -> Html {
        let length_ns = self.width_ns as f64 * self.len() as f64;
        let drawn = lines(&Lines {
            id: id.to_owned(),
            title: title.to_owned(),
            description: format!("Both runs, {} each from its start.", duration(length_ns)),
            time: TimeAxis {
                buckets: self.len(),
                bucket_s: self.width_ns as f64 / NS_PER_S,
            },
            unit,
            series,
            events: Vec::new(),
        });
        titled(title, drawn)
    }
}

/// The timeline of a run in intervals of a larger width.
fn joined(view: &View, width_ns: u64, intervals: usize) -> Vec<Joined> {
    let timeline = &view.run.timeline;
    let mut joined = vec![Joined::default(); intervals];
    for (index, bucket) in timeline.run.buckets.iter().enumerate() {
        let interval = index as u64 * timeline.bucket_ns / width_ns;
        let Some(joined) = joined.get_mut(interval as usize) else {
            continue;
        };
        if let Some(seconds) = view.covered_s(index) {
            joined.calls += bucket.calls;
            joined.seconds += seconds;
        }
        for &(bin, count) in &bucket.times[Time::Response as usize].bins {
            *joined.bins.entry(bin).or_default() += count;
        }
    }
    joined
}

pub fn over_time(views: [&View; 2], rows: usize) -> Html {
    let both = Both::new(views);
    if both.len() == 0 {
        return Html::new();
    }
    let rates = both.lines("", Joined::rate);
    let mut charts = both.chart(
        "compared-rates-chart",
        "Invocations per second",
        Unit::PerSecond,
        rates,
    );
    let mut times = both.lines(", p50", |of| of.quantile_ns(0.5));
    times.extend(both.lines(", p95", |of| of.quantile_ns(0.95)));
    charts.push(both.chart("compared-times-chart", "Response times", Unit::Nanoseconds, times));
    figure(
        "Both runs over time",
        charts,
        &table(&both, rows),
        "Each run from its own start, all modules together.",
    )
}

fn table(both: &Both, rows: usize) -> Table {
    let columns = vec![
        Column::number("start", "From"),
        Column::number("rate_first", "Rate, first"),
        Column::number("rate_second", "Rate, second"),
        Column::number("p50_first", "p50, first"),
        Column::number("p50_second", "p50, second"),
        Column::number("p95_first", "p95, first"),
        Column::number("p95_second", "p95, second"),
    ];
    let mut table = Table::new("compared-time-table", "Both runs over time", columns);
    let [first, second] = &both.runs;
    for (index, (first, second)) in first.iter().zip(second).enumerate().take(rows) {
        let rate = |of: &Joined| optional(of.rate(), Unit::PerSecond);
        let time = |of: &Joined, fraction| optional(of.quantile_ns(fraction), Unit::Nanoseconds);
        table.row(Row::new([
            duration(index as f64 * both.width_ns as f64),
            rate(first),
            rate(second),
            time(first, 0.5),
            time(second, 0.5),
            time(first, 0.95),
            time(second, 0.95),
        ]));
    }
    let place = "in cctf stats --from … --to …";
    table.left_out(
        both.len().saturating_sub(rows),
        ["interval is", "intervals are"],
        place,
    );
    table
}
