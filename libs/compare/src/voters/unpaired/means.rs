//! [`services`], [`cpu_times`], [`wakeups`] and [`failures`]: means and shares by module.

use std::collections::BTreeMap;

use super::runs::{Unpaired, difference, mean_of};
use crate::gather::{Outcome, Side, known};
use crate::model::{Topic, Unit};
use crate::pairing::is_chance;
use crate::voters::candidate::{Candidate, Figures, NS_PER_MS, mean_margin};

/// Own service time of each module, at the mix of endpoints that A has.
pub fn services(runs: &Unpaired<'_>) -> Vec<Candidate> {
    let own = |side: &Side, number: u32| side.tree.own_ns(&side.rows, number);
    means(runs, Topic::ServiceMean, runs.margins.service_mean, own)
}

/// CPU time of each module whose rows have it, at the mix of endpoints that A has.
pub fn cpu_times(runs: &Unpaired<'_>) -> Vec<Candidate> {
    let cpu = |side: &Side, number: u32| side.rows.invocations[number as usize].cpu_ns;
    means(runs, Topic::CpuMean, runs.margins.cpu_mean, cpu)
}

/// Wake-up times of each module whose rows have any, at the mix of endpoints that A has.
pub fn wakeups(runs: &Unpaired<'_>) -> Vec<Candidate> {
    let wakeup = |side: &Side, number: u32| side.rows.invocations[number as usize].known_wakeup_ns();
    let mut found = means(runs, Topic::WakeupMean, runs.margins.wakeup_mean, wakeup);
    found.retain(|found| found.voter.a > Some(0.0) || found.voter.b > Some(0.0));
    found
}

/// Endpoint and time, ms.
type Timed = Vec<(u32, f64)>;

fn means(runs: &Unpaired<'_>, topic: Topic, share: f64, time: impl Fn(&Side, u32) -> i64) -> Vec<Candidate> {
    let mut found = Vec::new();
    for (module, numbers) in runs.common() {
        let times = [0, 1].map(|place: usize| {
            let side = &runs.sides[place];
            let timed = |&number: &u32| {
                let time = known(time(side, number))?;
                Some((
                    side.rows.invocations[number as usize].endpoint,
                    time as f64 / NS_PER_MS,
                ))
            };
            numbers[place].iter().filter_map(timed).collect::<Timed>()
        });
        let [a, b] = at_mix_of_a(times);
        let Some([mean_a, mean_b]) = mean_of(&a).zip(mean_of(&b)).map(|(a, b)| [a, b]) else {
            continue;
        };
        let figures = Figures {
            topic,
            module: Some(runs.names.text(module).to_owned()),
            unit: Unit::Ms,
            a: Some(mean_a),
            b: Some(mean_b),
            explained: None,
            margin: mean_margin(runs.margins, topic, share, mean_a),
            requests: a.len().min(b.len()) as u64,
        };
        found.push(Candidate::estimated(figures, difference(&a, &b)));
    }
    found
}

/// The values of endpoints that both runs have. Those of B are shifted and scaled such that their mean is that of B's endpoints
/// at A's mix, and their spread is that of this mean (poststratification; Cochran, Sampling Techniques, 1977).
fn at_mix_of_a([a, b]: [Timed; 2]) -> [Vec<f64>; 2] {
    let sums = |times: &Timed| {
        let mut sums: BTreeMap<u32, (f64, f64)> = BTreeMap::new();
        for (endpoint, time) in times {
            let sum = sums.entry(*endpoint).or_default();
            *sum = (sum.0 + 1.0, sum.1 + time);
        }
        sums
    };
    let (of_a, of_b) = (sums(&a), sums(&b));
    let common: BTreeMap<u32, [(f64, f64); 2]> = of_a
        .iter()
        .filter_map(|(endpoint, a)| Some((*endpoint, [*a, *of_b.get(endpoint)?])))
        .collect();
    let totals = [0, 1].map(|place: usize| common.values().map(|sums| sums[place].0).sum::<f64>());
    let at_mix: f64 = common.values().map(|[a, b]| a.0 / totals[0] * b.1 / b.0).sum();
    let of_a = a
        .into_iter()
        .filter(|(endpoint, _)| common.contains_key(endpoint))
        .map(|(_, time)| time);
    let of_b = b.into_iter().filter_map(|(endpoint, time)| {
        let [a, b] = common.get(&endpoint)?;
        let weight = a.0 / totals[0] / (b.0 / totals[1]);
        Some(at_mix + weight * (time - b.1 / b.0))
    });
    [of_a.collect(), of_b.collect()]
}

/// Requests of each module that failed.
pub fn failures(runs: &Unpaired<'_>) -> Vec<Candidate> {
    let mut found = Vec::new();
    let has_failed = |outcome: Outcome| match outcome {
        Outcome::Status(status) => i64::from(status) >= cctf_proto::cctf::ERROR_STATUS || is_chance(outcome),
        Outcome::Text(_) => true,
        Outcome::Silent => false,
    };
    for (module, numbers) in runs.common() {
        let [a, b] = [0, 1].map(|place: usize| {
            let rows = &runs.sides[place].rows.invocations;
            let failed = |&number: &u32| f64::from(u8::from(has_failed(rows[number as usize].outcome)));
            numbers[place].iter().map(failed).collect::<Vec<f64>>()
        });
        if a.iter().chain(&b).all(|failed| *failed == 0.0) {
            continue;
        }
        let figures = Figures {
            topic: Topic::FailureShare,
            module: Some(runs.names.text(module).to_owned()),
            unit: Unit::Share,
            a: mean_of(&a),
            b: mean_of(&b),
            explained: None,
            margin: runs.margins.failure_share,
            requests: a.len().min(b.len()) as u64,
        };
        found.push(Candidate::estimated(figures, difference(&a, &b)));
    }
    found
}
