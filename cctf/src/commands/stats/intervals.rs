//! Confidence intervals as cells of a table, as JSON, and as fields of CSV.

use analyze::intervals::{Interval, NoInterval};
use analyze::stats::figures::{QUANTILES, Time};
use analyze::stats::group::Group;
use analyze::stats::load::Load;
use analyze::stats::series::TimeIntervals;
use serde_json::{Map, Value, json};

use crate::commands::cells::UNKNOWN;

const NS_PER_MS: f64 = 1e6;

/// Intervals of the mean and of the quantiles.
pub fn cells(intervals: Option<&TimeIntervals>) -> [String; 1 + QUANTILES.len()] {
    let Some(TimeIntervals { mean, quantiles }) = intervals else {
        return std::array::from_fn(|_| UNKNOWN.to_owned());
    };
    let [p50, p95, p99] = quantiles;
    [mean, p50, p95, p99].map(|interval| cell(interval, &milliseconds))
}

/// The interval of a figure other than a time. `end` formats its ends.
pub fn load_cell(group: &Group, load: Load, end: &dyn Fn(f64) -> String) -> String {
    let found = group.load_interval(load);
    found.map_or_else(|| UNKNOWN.to_owned(), |interval| cell(interval, end))
}

fn milliseconds(ns: f64) -> String {
    format!("{:.3}", ns / NS_PER_MS)
}

/// Number of independent values from which the mean would be as certain.
pub fn effective(intervals: Option<&TimeIntervals>) -> String {
    match intervals.map(|intervals| &intervals.mean) {
        Some(Ok(interval)) => format!("{:.0}", interval.effective_sample_size),
        _ => UNKNOWN.to_owned(),
    }
}

/// Both ends of the interval, or two words with the reason why there is none.
fn cell(interval: &Result<Interval, NoInterval>, end: &dyn Fn(f64) -> String) -> String {
    let end = |value: Option<f64>| value.map_or_else(|| "?".to_owned(), end);
    match interval {
        Ok(interval) => format!("{}..{}", end(interval.low), end(interval.high)),
        Err(reason) => reason.words().unwrap_or(UNKNOWN).to_owned(),
    }
}

/// Intervals of each known figure, and of each time that has values. `None` beyond the maximum number of groups.
pub fn json(group: &Group) -> Option<Value> {
    let intervals = group.intervals.as_ref()?;
    let loads = Load::ALL.into_iter().filter_map(|load| {
        let interval = group.load_interval(load)?;
        Some((load.name().to_owned(), value(interval, "", 1.0)))
    });
    let known = Time::ALL
        .into_iter()
        .filter(|&time| group.sums.of(time).count() > 0);
    let of_time = |time: Time| {
        let of = &intervals[time as usize];
        let quantiles = QUANTILES.iter().zip(&of.quantiles);
        let mut object = Map::new();
        let value = |interval| value(interval, "_ms", NS_PER_MS);
        object.insert("mean".to_owned(), value(&of.mean));
        object.extend(quantiles.map(|((name, _), interval)| ((*name).to_owned(), value(interval))));
        (time.name().to_owned(), Value::Object(object))
    };
    Some(loads.chain(known.map(of_time)).collect())
}

/// Column titles. The other figures come first, with both ends of their intervals. Then each time follows, with the ends for
/// its mean and quantiles, and the effective sample size of the mean.
pub fn csv_titles() -> impl Iterator<Item = String> {
    let loads = Load::ALL.into_iter().flat_map(|load| {
        let name = load.name();
        ["low", "high"].map(|end| format!("{name}_{end}"))
    });
    let times = Time::ALL.into_iter().flat_map(|time| {
        let name = time.name();
        let figures = std::iter::once("mean").chain(QUANTILES.map(|(quantile, _)| quantile));
        let ends =
            figures.flat_map(move |figure| ["low", "high"].map(|end| format!("{name}_{figure}_{end}_ms")));
        ends.chain([format!("{name}_effective")])
    });
    loads.chain(times)
}

/// The fields of a group, in the order of [`csv_titles`]. A field is empty if there is no interval, or if this end is
/// unbounded.
pub fn csv(group: &Group) -> impl Iterator<Item = String> {
    let field = |number: Option<f64>| number.map_or_else(String::new, |number| number.to_string());
    let end = move |ns: Option<f64>| field(ns.map(|ns| ns / NS_PER_MS));
    let loads = Load::ALL.into_iter().flat_map(move |load| {
        let found = group
            .load_interval(load)
            .and_then(|interval| interval.as_ref().ok());
        [found.and_then(|of| of.low), found.and_then(|of| of.high)].map(field)
    });
    let times = Time::ALL.into_iter().flat_map(move |time| {
        let found = group.time_intervals(time);
        let mean = found.and_then(|of| of.mean.as_ref().ok());
        let quantiles: [Option<&Interval>; QUANTILES.len()] =
            std::array::from_fn(|number| found.and_then(|of| of.quantiles[number].as_ref().ok()));
        let all = std::iter::once(mean).chain(quantiles);
        let ends = all.flat_map(move |interval| {
            let (low, high) = interval.map_or((None, None), |interval| (interval.low, interval.high));
            [end(low), end(high)]
        });
        ends.chain([field(mean.map(|mean| mean.effective_sample_size))])
    });
    loads.chain(times)
}

/// An interval, or the reason why there is none. `unit` follows the names of the ends.
fn value(interval: &Result<Interval, NoInterval>, unit: &str, per_unit: f64) -> Value {
    let end = |value: Option<f64>| value.map(|value| value / per_unit);
    match interval {
        Ok(interval) => json!({
            format!("low{unit}"): end(interval.low),
            format!("high{unit}"): end(interval.high),
            "effective_sample_size": interval.effective_sample_size,
        }),
        Err(reason) => json!({ "none": reason.to_string() }),
    }
}
