//! [`compare`]: the modules and endpoints that two runs have in common, with a verdict on each pair of figures.

use std::collections::HashMap;

use analyze::intervals::{Interval, NoInterval};
use analyze::stats::Stats;
use analyze::stats::cells::Key;
use analyze::stats::figures::Time;
use analyze::stats::group::{By, Group};
use analyze::stats::load::Load;
use page::number::Unit;

/// The result of a comparison: whether two intervals show that the figures of two runs differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// The intervals do not overlap.
    Differs,
    /// The intervals overlap. This does not show that the runs are equal.
    NoDifferenceSeen,
    /// An interval is missing.
    Undecided,
}

impl Verdict {
    pub fn text(self) -> &'static str {
        match self {
            Self::Differs => "differs",
            Self::NoDifferenceSeen => "no difference seen",
            Self::Undecided => "undecided",
        }
    }
}

/// A 95% interval of a mean or quantile, or the reason why there is none.
pub type Certainty = Result<Interval, NoInterval>;

/// A figure of one run.
#[derive(Debug, Clone, Copy, Default)]
pub struct Side<'a> {
    /// Value in the unit of the pair's interval.
    pub value: Option<f64>,
    /// `None` for groups for which no intervals are computed, because there are too many.
    pub interval: Option<&'a Certainty>,
}

/// A figure of both runs.
#[derive(Debug)]
pub struct Pair<'a> {
    pub name: &'static str,
    pub unit: Unit,
    pub sides: [Side<'a>; 2],
    pub verdict: Verdict,
}

impl Pair<'_> {
    /// Ratio of the second value to the first one.
    pub fn ratio(&self) -> Option<f64> {
        let [first, second] = [self.sides[0].value?, self.sides[1].value?];
        (first > 0.0).then(|| second / first)
    }
}

/// A module or endpoint that both runs have.
#[derive(Debug)]
pub struct Common<'a> {
    pub key: &'a Key,
    pub pairs: Vec<Pair<'a>>,
}

/// The groups of one grouping.
#[derive(Debug)]
pub struct Comparison<'a> {
    /// Groups of both runs. The group with the most response time comes first.
    pub common: Vec<Common<'a>>,
    /// Groups that only the first run has, and groups that only the second run has.
    pub only: [Vec<&'a Key>; 2],
}

/// Matches groups whose keys are equal. The group that sums up all further groups has no match.
pub fn compare<'a>(first: &'a Stats, second: &'a Stats, by: By) -> Comparison<'a> {
    let groups = |stats: &'a Stats| {
        let is_it = move |group: &&Group| group.by == by && !group.key.is_other && group.sums.calls > 0;
        stats.groups.iter().filter(is_it)
    };
    let mut others: HashMap<&Key, &Group> = groups(second).map(|group| (&group.key, group)).collect();
    let mut matched = Vec::new();
    let mut only = [Vec::new(), Vec::new()];
    for group in groups(first) {
        match others.remove(&group.key) {
            Some(other) => matched.push((group, other)),
            None => only[0].push(&group.key),
        }
    }
    only[1].extend(others.into_keys());
    only.iter_mut().for_each(|keys| keys.sort_unstable());
    let response = |group: &Group| group.sums.of(Time::Response).sum_ns;
    matched.sort_by(|left, right| {
        let sum = |pair: &(&Group, &Group)| response(pair.0) + response(pair.1);
        sum(right)
            .cmp(&sum(left))
            .then_with(|| left.0.key.cmp(&right.0.key))
    });
    let common = matched.into_iter().map(|(first, second)| Common {
        key: &first.key,
        pairs: pairs(first, second),
    });
    Comparison {
        common: common.collect(),
        only,
    }
}

fn pairs<'a>(first: &'a Group, second: &'a Group) -> Vec<Pair<'a>> {
    let pair = |name, unit, side: &dyn Fn(&'a Group) -> Side<'a>| {
        let sides = [side(first), side(second)];
        Pair {
            name,
            unit,
            verdict: verdict(sides.map(|side| side.interval)),
            sides,
        }
    };
    let mut pairs = vec![pair("call rate", Unit::PerSecond, &rate)];
    let names = ["response p50", "response p95", "response p99"];
    for (index, name) in names.into_iter().enumerate() {
        let side = |group| quantile(group, Time::Response, index);
        pairs.push(pair(name, Unit::Nanoseconds, &side));
    }
    for (name, time) in [("mean service time", Time::Service), ("mean CPU time", Time::Cpu)] {
        pairs.push(pair(name, Unit::Nanoseconds, &|group| mean(group, time)));
    }
    // A figure that neither run has gets no row.
    pairs.retain(|pair| pair.sides.iter().any(|side| side.value.is_some()));
    pairs
}

fn verdict(intervals: [Option<&Certainty>; 2]) -> Verdict {
    let [Some(Ok(first)), Some(Ok(second))] = intervals else {
        return Verdict::Undecided;
    };
    // An end without a bound can be anywhere.
    let low = |interval: &Interval| interval.low.unwrap_or(f64::NEG_INFINITY);
    let high = |interval: &Interval| interval.high.unwrap_or(f64::INFINITY);
    let overlap = low(first) <= high(second) && low(second) <= high(first);
    match overlap {
        true => Verdict::NoDifferenceSeen,
        false => Verdict::Differs,
    }
}

fn rate(group: &Group) -> Side<'_> {
    Side {
        value: group.rate(),
        interval: group.load_interval(Load::Rate),
    }
}

fn quantile(group: &Group, time: Time, index: usize) -> Side<'_> {
    Side {
        value: group.sums.of(time).quantile_ns(index),
        interval: group.time_intervals(time).map(|of| &of.quantiles[index]),
    }
}

fn mean(group: &Group, time: Time) -> Side<'_> {
    Side {
        value: group.sums.of(time).mean_ns(),
        interval: group.time_intervals(time).map(|of| &of.mean),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interval(low: Option<f64>, high: Option<f64>) -> Certainty {
        Ok(Interval {
            estimate: 1.0,
            low,
            high,
            effective_sample_size: 100.0,
        })
    }

    #[test]
    fn only_intervals_that_do_not_overlap_show_a_difference() {
        let (low, high) = (interval(Some(1.0), Some(2.0)), interval(Some(2.5), Some(3.0)));
        let touching = interval(Some(2.0), Some(2.6));
        let open = interval(Some(1.5), None);
        let none: Certainty = Err(NoInterval::Constant);
        let of = |first, second| verdict([Some(first), Some(second)]);
        assert_eq!(of(&low, &high), Verdict::Differs);
        assert_eq!(of(&high, &low), Verdict::Differs);
        assert_eq!(of(&low, &touching), Verdict::NoDifferenceSeen);
        assert_eq!(of(&open, &high), Verdict::NoDifferenceSeen);
        assert_eq!(of(&low, &none), Verdict::Undecided);
        assert_eq!(verdict([Some(&low), None]), Verdict::Undecided);
    }
}
