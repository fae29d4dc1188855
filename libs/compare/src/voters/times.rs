//! [`waits`] and [`responses`]: voters for quantiles of paired requests, without the part that the simulator explains.

use std::collections::BTreeMap;

use super::candidate::{Candidate, Figures, NS_PER_MS};
use crate::gather::{Invocation, Side, UNKNOWN, known};
use crate::margins::Margins;
use crate::model::{Topic, Unit};
use crate::pairing::{is_chance, outcome_of};
use crate::pairs::Paired;
use crate::statistics::TooShort;
use crate::statistics::quantile::{self, Sorted};

/// The voters for the unexplained wait: topic and quantile.
pub const WAITS: [(Topic, f64); 3] = [
    (Topic::UnexplainedWaitP50, 0.5),
    (Topic::UnexplainedWaitP95, 0.95),
    (Topic::UnexplainedWaitP99, 0.99),
];
/// The voters for root responses: topic and quantile.
pub const RESPONSES: [(Topic, f64); 2] = [(Topic::ResponseP50, 0.5), (Topic::ResponseP95, 0.95)];

/// Minimum share of pairs with simulated times. If fewer have them, the recorded times of all pairs are compared.
pub const SIMULATED_SHARE_MIN: f64 = 0.95;

/// The part of a recorded time that the simulator explains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Explained {
    /// The whole time, which is a wait. Quantiles of recorded waits are compared with those of simulated waits.
    Whole,
    /// Only the waits within a response. They are subtracted from each response, and quantiles of the rest are compared. The
    /// rest contains the services, so their distribution counts, not only their mean.
    Waits,
}

impl Explained {
    /// The explained part of a difference. `recorded` is the difference between quantiles of recorded times, and `other` the one
    /// between quantiles of simulated waits, or of responses without their waits.
    pub fn part(self, recorded: f64, other: f64) -> f64 {
        match self {
            Self::Whole => other,
            Self::Waits => recorded - other,
        }
    }
}

/// The wait of an invocation for its first and for further slots.
pub fn wait_ns(row: &Invocation) -> Option<i64> {
    let further = known(row.slot_wait_ns).unwrap_or(0);
    known(row.wait_ns).map(|ns| ns.saturating_add(further))
}

/// The response to a root. Sender and receiver measure different times because of the network, so both runs must be measured at
/// the sender, or both at the receiver.
pub fn response_ns(side: &Side, root: u32, at_receiver: bool) -> Option<i64> {
    match side.tree.callee(root) {
        Some(callee) if at_receiver => known(side.rows.invocations[callee as usize].response_ns),
        _ => Some(side.rows.calls[root as usize].duration_ns()),
    }
}

/// Recorded and simulated times of the same requests in both runs, ms.
#[derive(Debug, Default)]
pub struct Times {
    /// Times of all pairs.
    recorded: [Vec<f64>; 2],
    /// Times of the pairs that both runs have simulated: recorded times, then simulated times or the rest without simulated
    /// waits.
    explained: [[Vec<f64>; 2]; 2],
    /// Mean response time of A, ms.
    mean_response: f64,
}

impl Times {
    fn push(&mut self, recorded: [i64; 2], simulated: Option<[i64; 2]>) {
        let add = |to: &mut [Vec<f64>; 2], times: [i64; 2]| {
            for (to, time) in to.iter_mut().zip(times) {
                to.push(time as f64 / NS_PER_MS);
            }
        };
        add(&mut self.recorded, recorded);
        if let Some(simulated) = simulated {
            add(&mut self.explained[0], recorded);
            add(&mut self.explained[1], simulated);
        }
    }

    /// The largest time of each run, if it is below the margin and there are enough times. If all of `n` independent times are
    /// below a limit, and `q^n` is at most 5%, then the quantile `q` is below this limit at a level of 95%. So the quantiles
    /// differ by less than the margin.
    fn all_within(&self, margin: f64, q: f64) -> Option<[f64; 2]> {
        let is_enough = q.powf(self.recorded[0].len() as f64) <= 0.05;
        let largest = [0, 1].map(|place: usize| self.recorded[place].iter().copied().fold(0.0, f64::max));
        (is_enough && largest.iter().all(|largest| *largest <= margin)).then_some(largest)
    }

    fn is_simulated(&self) -> bool {
        let [all, simulated] = [&self.recorded, &self.explained[1]].map(|times| times[0].len() as f64);
        all > 0.0 && simulated >= SIMULATED_SHARE_MIN * all
    }
}

/// The margin of a quantile, as a share of A's quantile.
pub fn share_of(margins: &Margins, topic: Topic) -> f64 {
    match topic {
        Topic::UnexplainedWaitP50 => margins.unexplained_wait_p50,
        Topic::UnexplainedWaitP95 => margins.unexplained_wait_p95,
        Topic::UnexplainedWaitP99 => margins.unexplained_wait_p99,
        Topic::ResponseP50 => margins.response_p50,
        _ => margins.response_p95,
    }
}

fn both(times: [i64; 2]) -> Option<[i64; 2]> {
    (times[0] != UNKNOWN && times[1] != UNKNOWN).then_some(times)
}

/// Voters for quantiles of each module's waits. `too_short` has the modules for whose queue the run is too short.
pub fn waits(paired: &Paired<'_>, too_short: &BTreeMap<u32, TooShort>) -> Vec<Candidate> {
    let mut found = Vec::new();
    for (module, pairs) in &paired.by_module {
        let times = waits_of(paired, pairs);
        if times.recorded[0].is_empty() {
            continue;
        }
        let name = paired.names.text(*module).to_owned();
        let short = too_short.get(module).copied();
        found.extend(candidates(
            paired,
            &times,
            (&WAITS, Explained::Whole),
            Some(name),
            short,
        ));
    }
    found
}

/// Waits of these pairs of invocations.
fn waits_of(paired: &Paired<'_>, pairs: &[(u32, u32)]) -> Times {
    let mut times = Times::default();
    let (mut sum, mut count) = (0.0, 0_u32);
    for &(of_a, of_b) in pairs {
        let rows = [
            &paired.a.rows.invocations[of_a as usize],
            &paired.b.rows.invocations[of_b as usize],
        ];
        if let Some(response) = known(rows[0].response_ns) {
            sum += response as f64 / NS_PER_MS;
            count += 1;
        }
        if let [Some(wait_a), Some(wait_b)] = rows.map(wait_ns) {
            let simulated = paired
                .simulated
                .and_then(|[a, b]| both([a.waits[of_a as usize], b.waits[of_b as usize]]));
            times.push([wait_a, wait_b], simulated);
        }
    }
    times.mean_response = sum / f64::from(count.max(1));
    times
}

/// Voters for quantiles of the responses to requests from outside.
pub fn responses(paired: &Paired<'_>, too_short: Option<TooShort>) -> Vec<Candidate> {
    candidates(
        paired,
        &responses_of(paired),
        (&RESPONSES, Explained::Waits),
        None,
        too_short,
    )
}

/// Responses of all paired roots, except roots that a full queue refused. A refusal is fast, and has a voter of its own.
fn responses_of(paired: &Paired<'_>) -> Times {
    let mut times = Times::default();
    for &(of_a, of_b) in &paired.pairs.roots.pairs {
        let is_refused = |side: &Side, root: u32| is_chance(outcome_of(side, root));
        if is_refused(paired.a, of_a) || is_refused(paired.b, of_b) {
            continue;
        }
        let at_receiver = [(paired.a, of_a), (paired.b, of_b)]
            .iter()
            .any(|(side, root)| side.rows.calls[*root as usize].is_inferred);
        let responses = [(paired.a, of_a), (paired.b, of_b)];
        let responses = responses.map(|(side, root)| response_ns(side, root, at_receiver));
        if let [Some(response_a), Some(response_b)] = responses {
            let simulated = paired
                .simulated
                .and_then(|[a, b]| both([a.response_waits[of_a as usize], b.response_waits[of_b as usize]]));
            let rest = simulated.map(|[a, b]| [response_a - a, response_b - b]);
            times.push([response_a, response_b], rest);
        }
    }
    let count = times.recorded[0].len().max(1) as f64;
    times.mean_response = times.recorded[0].iter().sum::<f64>() / count;
    times
}

/// The series of one voter's times.
struct Series {
    recorded: Result<[Sorted; 2], TooShort>,
    /// Times of the simulated requests: recorded times, then simulated times or the rest. `None` if there are too few.
    explained: Option<[[Sorted; 2]; 2]>,
}

impl Series {
    fn new(times: &Times) -> Self {
        let sorted = |values: &[Vec<f64>; 2]| -> Result<[Sorted; 2], TooShort> {
            Ok([Sorted::new(&values[0])?, Sorted::new(&values[1])?])
        };
        let explained = || {
            Some([
                sorted(&times.explained[0]).ok()?,
                sorted(&times.explained[1]).ok()?,
            ])
        };
        Self {
            recorded: sorted(&times.recorded),
            explained: times.is_simulated().then(explained).flatten(),
        }
    }

    fn quantile(&self, place: usize, q: f64) -> Option<f64> {
        let recorded = self.recorded.as_ref().ok();
        recorded.map(|series| series[place].quantile(q))
    }

    /// The series whose quantiles, with these signs, add up to the unexplained difference.
    fn signed(&self, how: Explained) -> Result<Vec<(&Sorted, f64)>, TooShort> {
        match (&self.explained, &self.recorded) {
            (Some([_, [a, b]]), _) if how == Explained::Waits => Ok(vec![(b, 1.0), (a, -1.0)]),
            (Some([[a, b], [of_a, of_b]]), _) => Ok(vec![(b, 1.0), (a, -1.0), (of_b, -1.0), (of_a, 1.0)]),
            (None, Ok([a, b])) => Ok(vec![(b, 1.0), (a, -1.0)]),
            (None, Err(short)) => Err(*short),
        }
    }

    /// The explained part of the difference.
    fn by_simulation(&self, how: Explained, q: f64) -> Option<f64> {
        let [recorded, other] = self.explained.as_ref()?;
        let of = |series: &[Sorted; 2]| series[1].quantile(q) - series[0].quantile(q);
        Some(how.part(of(recorded), of(other)))
    }
}

fn candidates(
    paired: &Paired<'_>,
    times: &Times,
    (quantiles, how): (&[(Topic, f64)], Explained),
    module: Option<String>,
    too_short: Option<TooShort>,
) -> Vec<Candidate> {
    let series = Series::new(times);
    let candidate = |&(topic, q): &(Topic, f64)| {
        let [a, b] = [0, 1].map(|place| series.quantile(place, q));
        let share = share_of(paired.margins, topic);
        let figures = Figures {
            topic,
            module: module.clone(),
            unit: Unit::Ms,
            a,
            b,
            explained: series.by_simulation(how, q),
            margin: paired
                .margins
                .of_time(share, a.unwrap_or(0.0), times.mean_response),
            requests: times.recorded[0].len() as u64,
        };
        if let Some(largest) = times.all_within(figures.margin, q) {
            let difference = b.zip(a).map_or(0.0, |(b, a)| b - a);
            // The whole difference is within the margin, so the explained part does not matter.
            let figures = Figures {
                explained: None,
                ..figures
            };
            return Candidate::same(figures, difference, [0.0 - largest[0], largest[1]]);
        }
        let signed = series.signed(how);
        let estimate = signed.as_ref().map_err(|short| *short);
        let estimate = estimate.and_then(|signed| quantile::sum(signed, q));
        let shorts: Vec<TooShort> = too_short
            .into_iter()
            .chain(estimate.as_ref().err().copied())
            .collect();
        if shorts.is_empty() {
            return Candidate::estimated(figures, estimate);
        }
        let estimate = signed.map(|signed| quantile::sum_of_few(&signed, q));
        Candidate::short(figures, estimate, &shorts)
    };
    quantiles.iter().map(candidate).collect()
}
