//! Figures of a group as cells of a table: the value, and its 95% interval below it.

use analyze::stats::figures::Time;
use analyze::stats::group::Group;
use analyze::stats::load::Load;
use page::html::{Html, element};
use page::number::{NONE, Unit, count, optional};

use crate::compare::Certainty;
use crate::model::CpuEstimate;

/// A value with its 95% interval below it.
pub fn with_interval(value: Option<f64>, certainty: Option<&Certainty>, unit: Unit) -> Html {
    let mut html = Html::text(&optional(value, unit));
    if value.is_some() {
        html.push(below(certainty, unit));
    }
    html
}

fn below(certainty: Option<&Certainty>, unit: Unit) -> Html {
    let interval = interval(certainty, unit);
    element("span").class("interval").child(interval).build()
}

/// Both ends of an interval as text, or the reason in two words why there is none.
pub fn interval(certainty: Option<&Certainty>, unit: Unit) -> String {
    let end = |value: Option<f64>| value.map_or_else(|| "?".to_owned(), |value| unit.format(value));
    match certainty {
        None => NONE.to_owned(),
        Some(Ok(interval)) => range(&end(interval.low), &end(interval.high)),
        Some(Err(reason)) => reason.words().unwrap_or(NONE).to_owned(),
    }
}

/// Two values with a unit. If the units are equal, the text contains the unit only once.
fn range(low: &str, high: &str) -> String {
    match (low.split_once(' '), high.split_once(' ')) {
        (Some((value, unit)), Some((_, other))) if unit == other => format!("{value} to {high}"),
        _ => format!("{low} to {high}"),
    }
}

pub fn mean(group: &Group, time: Time) -> Html {
    let certainty = group.time_intervals(time).map(|of| &of.mean);
    with_interval(group.sums.of(time).mean_ns(), certainty, Unit::Nanoseconds)
}

/// The mean CPU time of an endpoint's rows, or, if these have none, its estimate with a sign.
pub fn cpu_mean(group: &Group, estimate: Option<&CpuEstimate>) -> Html {
    let Some(estimate) = estimate.filter(|_| group.sums.of(Time::Cpu).count() == 0) else {
        return mean(group, Time::Cpu);
    };
    let [mean, low, high] =
        [estimate.mean_ns, estimate.low_ns, estimate.high_ns].map(|ns| Unit::Nanoseconds.format(ns));
    let mut html = Html::text(&format!("≈ {mean}"));
    let interval = format!("{}, estimated", range(&low, &high));
    html.push(element("span").class("interval").child(interval));
    html
}

/// The quantile. `index` is its position in `QUANTILES`.
pub fn quantile(group: &Group, time: Time, index: usize) -> Html {
    let certainty = group.time_intervals(time).map(|of| &of.quantiles[index]);
    with_interval(
        group.sums.of(time).quantile_ns(index),
        certainty,
        Unit::Nanoseconds,
    )
}

/// Effective sample size: the number of independent values whose mean would be as certain.
pub fn effective(group: &Group, time: Time) -> String {
    match group.time_intervals(time).map(|of| &of.mean) {
        Some(Ok(interval)) => count(interval.effective_sample_size.round()),
        _ => NONE.to_owned(),
    }
}

/// A rate, a share or an average with its interval.
pub fn load(group: &Group, load: Load) -> Html {
    let unit = match load {
        Load::Rate => Unit::PerSecond,
        Load::Variation | Load::Concurrency => Unit::Count,
        Load::ErrorShare | Load::Utilisation | Load::CpuShare => Unit::Share,
        Load::BytesIn | Load::BytesOut => Unit::Bytes,
    };
    with_interval(group.load(load), group.load_interval(load), unit)
}

/// Errors of a group with the interval of their share. Without errors there is no interval.
pub fn errors_of(group: &Group) -> Html {
    let mut html = Html::text(&errors(group.sums.errors, group.sums.calls));
    if group.sums.errors > 0 {
        html.push(below(group.load_interval(Load::ErrorShare), Unit::Share));
    }
    html
}

/// Errors as a number and as a share of the calls.
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
