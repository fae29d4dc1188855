//! [`arrivals`]: the driver's lateness, the arrival rate, and the time of each request. These are facts, in which chance plays
//! no part.

use super::candidate::{Candidate, Figures, NS_PER_MS};
use crate::gather::{Side, known};
use crate::margins::Margins;
use crate::model::{Topic, Unit};
use crate::pairs::Paired;

const NS_PER_S: f64 = 1e9;

/// The voters of paired arrivals.
pub fn arrivals(paired: &Paired<'_>) -> Vec<Candidate> {
    // A replay repeats the times at which the recorded run's driver sent requests, even if it was late. So only the replay's
    // lateness counts. Without a replay, both count.
    let replays = [paired.a, paired.b].map(|side| side.facts.replay_of.is_some());
    let counts = if replays == [false; 2] { [true; 2] } else { replays };
    let mut found = lateness([paired.a, paired.b], counts, paired.margins);
    let roots = &paired.pairs.roots;
    let pairs = &roots.pairs;
    if pairs.len() < 2 {
        return found;
    }
    let offsets = |side: &Side, root: fn(&(u32, u32)) -> u32| -> Vec<f64> {
        let first = side.root_start_ns(root(&pairs[0]));
        pairs
            .iter()
            .map(|pair| side.root_start_ns(root(pair)).saturating_sub(first) as f64 / NS_PER_S)
            .collect()
    };
    let (a, b) = (offsets(paired.a, |pair| pair.0), offsets(paired.b, |pair| pair.1));
    let of_a = Common::of(paired.a, pairs.iter().map(|pair| pair.0), &roots.only_a);
    let of_b = Common::of(paired.b, pairs.iter().map(|pair| pair.1), &roots.only_b);
    let line = Line::fit(&a, &b).filter(|_| !roots.has_copies);
    let Some(line) = line else {
        // Copies of a scaled replay have no counterpart in time in the other run.
        if of_a.seconds > 0.0 {
            found.push(rate(paired, [of_a, of_b]));
        }
        return found;
    };
    let seconds = of_a.seconds * line.slope;
    found.push(rate(paired, [of_a, Common { seconds, ..of_b }]));
    let mut deviations: Vec<f64> = a
        .iter()
        .zip(&b)
        .map(|(a, b)| (b - line.at(*a)).abs() * 1e3)
        .collect();
    deviations.sort_unstable_by(f64::total_cmp);
    let p99 = deviations[(deviations.len() - 1) * 99 / 100];
    let figures = Figures {
        topic: Topic::ArrivalOffset,
        module: None,
        unit: Unit::Ms,
        a: None,
        b: Some(p99),
        explained: None,
        margin: paired.margins.arrival_offset_ms,
        requests: pairs.len() as u64,
    };
    found.push(Candidate::exact(figures, p99, || {
        format!("requests of B are {p99:.1} ms from their place in A (p99)")
    }));
    found
}

/// Lateness of the drivers. `counts` states for each run whether its lateness votes. Without values there is no voter.
pub fn lateness(sides: [&Side; 2], counts: [bool; 2], margins: &Margins) -> Vec<Candidate> {
    let of = |side: &Side| {
        let rows = side
            .tree
            .roots
            .iter()
            .map(|&root| &side.rows.calls[root as usize]);
        let known = rows.filter_map(|call| known(call.lateness_ns));
        let mut times: Vec<f64> = known.map(|ns| ns as f64 / NS_PER_MS).collect();
        times.sort_unstable_by(f64::total_cmp);
        times
    };
    let times = sides.map(of);
    let limits = [
        (Topic::LatenessP99, 0.99, margins.lateness_p99_ms),
        (Topic::LatenessMax, 1.0, margins.lateness_max_ms),
    ];
    let voter = |(topic, share, limit): (Topic, f64, f64)| {
        let [a, b] = [0, 1].map(|place: usize| {
            let times = &times[place];
            let last = times.len().checked_sub(1)?;
            Some(times[(last as f64 * share) as usize])
        });
        let late = [a, b].into_iter().zip(counts);
        let counted = late.filter_map(|(late, counts)| late.filter(|_| counts));
        let largest = counted.reduce(f64::max)?;
        let figures = Figures {
            topic,
            module: None,
            unit: Unit::Ms,
            a,
            b,
            explained: None,
            margin: limit,
            requests: times[0].len().max(times[1].len()) as u64,
        };
        let run = if b == Some(largest) { "B" } else { "A" };
        Some(Candidate::exact(figures, largest, || {
            format!("the load driver of {run} was {largest:.1} ms late; the limit is {limit} ms")
        }))
    };
    limits.into_iter().filter_map(voter).collect()
}

/// The period of a run from the first to the last request with a counterpart.
#[derive(Debug, Clone, Copy)]
struct Common {
    count: f64,
    seconds: f64,
}

impl Common {
    /// Counts also the roots that a replay left out or added within the period.
    fn of(side: &Side, paired: impl Iterator<Item = u32>, only: &[u32]) -> Self {
        let mut roots: Vec<u32> = paired.collect();
        roots.sort_unstable();
        roots.dedup();
        let starts = || roots.iter().map(|&root| side.root_start_ns(root));
        let (first, last) = (starts().min().unwrap_or(0), starts().max().unwrap_or(0));
        let is_within = |root: &&u32| (first..=last).contains(&side.root_start_ns(**root));
        Self {
            count: (roots.len() + only.iter().filter(is_within).count()) as f64,
            seconds: last.saturating_sub(first) as f64 / NS_PER_S,
        }
    }
}

/// The arrival rate, in requests per second.
fn rate(paired: &Paired<'_>, common: [Common; 2]) -> Candidate {
    let roots = &paired.pairs.roots;
    let rates = common.map(|common| common.count / common.seconds.max(f64::MIN_POSITIVE));
    let figures = Figures {
        topic: Topic::ArrivalRate,
        module: None,
        unit: Unit::PerSecond,
        a: Some(rates[0]),
        b: Some(rates[1]),
        explained: None,
        margin: paired.margins.arrival_rate * rates[0],
        requests: roots.pairs.len() as u64,
    };
    let percent = (rates[1] / rates[0] - 1.0) * 100.0;
    Candidate::exact(figures, rates[1] - rates[0], || {
        let facts = &paired.b.facts;
        let speed = facts
            .replay_speed
            .filter(|speed| *speed != 1.0)
            .map(|speed| format!("; the replay ran at speed {speed}"));
        let scale = facts
            .replay_scale
            .as_ref()
            .map(|(factor, by)| format!("; the replay was scaled by {factor} ({by})"));
        format!(
            "B has {:.2} % {} requests per second{}{}",
            percent.abs(),
            if percent < 0.0 { "fewer" } else { "more" },
            speed.unwrap_or_default(),
            scale.unwrap_or_default()
        )
    })
}

/// The least-squares line of B's offsets over A's. It allows for a clock or driver that is faster by a constant factor.
#[derive(Debug, Clone, Copy)]
struct Line {
    origin: f64,
    slope: f64,
}

impl Line {
    /// `None` if all requests of A have the same time, or if B's times do not increase with A's.
    fn fit(a: &[f64], b: &[f64]) -> Option<Self> {
        let count = a.len() as f64;
        let [mean_a, mean_b] = [a, b].map(|values| values.iter().sum::<f64>() / count);
        let squares: f64 = a.iter().map(|a| (a - mean_a).powi(2)).sum();
        let products: f64 = a.iter().zip(b).map(|(a, b)| (a - mean_a) * (b - mean_b)).sum();
        let slope = products / squares;
        (slope.is_finite() && slope > 0.0).then_some(Self {
            origin: mean_b - slope * mean_a,
            slope,
        })
    }

    fn at(self, a: f64) -> f64 {
        self.origin + self.slope * a
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_finds_a_constant_factor() {
        let a = [0.0, 1.0, 2.0, 3.0];
        let line = Line::fit(&a, &a.map(|a| 5.0 + a / 1.02)).unwrap();
        assert!((line.slope - 1.0 / 1.02).abs() < 1e-12 && (line.at(0.0) - 5.0).abs() < 1e-12);
        assert!(Line::fit(&[1.0, 1.0], &[1.0, 2.0]).is_none());
        assert!(Line::fit(&a, &a.map(|a| -a)).is_none());
    }
}
