//! Figures of a group as cells: the value, and below it how certain it is.

use analyze::intervals::NoInterval;
use analyze::stats::figures::{QUANTILES, Time};
use analyze::stats::group::Group;
use page::html::{Html, element};
use page::number::{NONE, Unit, count, optional};

use crate::compare::Certainty;

const NS_PER_S: f64 = 1e9;

/// A value in nanoseconds with its 95% interval below it.
pub fn with_interval(value: Option<f64>, certainty: Option<&Certainty>) -> Html {
    let mut html = Html::text(&optional(value, Unit::Nanoseconds));
    if value.is_some() {
        html.push(element("span").class("interval").child(interval(certainty)));
    }
    html
}

/// Both ends of an interval, or in two words why there is none.
pub fn interval(certainty: Option<&Certainty>) -> String {
    let end = |ns: Option<f64>| ns.map_or_else(|| "?".to_owned(), |ns| Unit::Nanoseconds.format(ns));
    match certainty {
        None => NONE.to_owned(),
        Some(Ok(interval)) => range(&end(interval.low), &end(interval.high)),
        Some(Err(NoInterval::TooShort { .. } | NoInterval::TooDependent { .. })) => "too short".to_owned(),
        Some(Err(NoInterval::TooFew { .. })) => "too few".to_owned(),
        Some(Err(NoInterval::Constant)) => "all equal".to_owned(),
        Some(Err(NoInterval::InvalidRequest | NoInterval::NotFinite { .. })) => NONE.to_owned(),
    }
}

/// Two values with a unit; a unit that both have stands once.
fn range(low: &str, high: &str) -> String {
    match (low.split_once(' '), high.split_once(' ')) {
        (Some((value, unit)), Some((_, other))) if unit == other => format!("{value} to {high}"),
        _ => format!("{low} to {high}"),
    }
}

fn certainties(group: &Group, time: Time) -> Option<&analyze::stats::series::TimeIntervals> {
    group
        .intervals
        .as_ref()
        .map(|intervals| &intervals[time as usize])
}

/// Mean of a time, nanoseconds.
pub fn mean_ns(group: &Group, time: Time) -> Option<f64> {
    let times = group.sums.of(time);
    match times.sketch.count() {
        0 => None,
        count => Some(times.sum_ns as f64 / count as f64),
    }
}

pub fn mean(group: &Group, time: Time) -> Html {
    with_interval(mean_ns(group, time), certainties(group, time).map(|of| &of.mean))
}

/// The quantile with this index in [`QUANTILES`].
pub fn quantile(group: &Group, time: Time, index: usize) -> Html {
    let value = group.sums.of(time).sketch.quantile(QUANTILES[index].1);
    let of = certainties(group, time);
    with_interval(value.map(|ns| ns as f64), of.map(|of| &of.quantiles[index]))
}

/// Number of independent values that would show the mean as well.
pub fn effective(group: &Group, time: Time) -> String {
    match certainties(group, time).map(|of| &of.mean) {
        Some(Ok(interval)) => count(interval.effective_sample_size.round()),
        _ => NONE.to_owned(),
    }
}

/// Arrivals per second.
pub fn rate(group: &Group) -> Option<f64> {
    (group.time_ns > 0).then(|| group.sums.calls as f64 * NS_PER_S / group.time_ns as f64)
}

/// Errors as a count and a share.
pub fn errors(errors: u64, calls: u64) -> String {
    match (errors, calls) {
        (0, _) | (_, 0) => errors.to_string(),
        (errors, calls) => format!(
            "{} ({})",
            page::number::exact(errors),
            page::number::share(errors as f64 / calls as f64)
        ),
    }
}

/// Busy time of slots, divided by slots and time.
pub fn utilisation(group: &Group) -> Option<f64> {
    let slot_ns = group.slot_ns.filter(|slot_ns| *slot_ns > 0)?;
    Some(group.busy_ns as f64 / slot_ns as f64)
}

/// Time average of slots.
pub fn slots(group: &Group) -> Option<f64> {
    let slot_ns = group.slot_ns.filter(|_| group.time_ns > 0)?;
    Some(slot_ns as f64 / group.time_ns as f64)
}

/// Time average of requests in the system, by Little's law.
pub fn concurrency(group: &Group) -> Option<f64> {
    let response = group.sums.of(Time::Response);
    let is_known = response.sketch.count() > 0 && group.time_ns > 0;
    is_known.then(|| response.sum_ns as f64 / group.time_ns as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_that_both_ends_have_stands_once() {
        assert_eq!(range("1.2 ms", "3.4 ms"), "1.2 to 3.4 ms");
        assert_eq!(range("950 µs", "1.75 ms"), "950 µs to 1.75 ms");
        assert_eq!(range("0", "3 ms"), "0 to 3 ms");
        assert_eq!(range("1 ms", "?"), "1 ms to ?");
    }
}
