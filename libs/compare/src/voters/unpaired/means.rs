//! [`services`], [`externals`], [`cpu_times`], [`cpu_waits`] and [`wakeups`]: means by module.

use std::collections::BTreeMap;

use super::runs::{Unpaired, difference};
use crate::gather::{Side, known};
use crate::model::Topic;
use crate::voters::candidate::{Candidate, NS_PER_MS};
use crate::voters::endpoints::frequent;
use crate::voters::mean_times::{
    cpu_ns, cpu_wait_ns, external_name, figures, is_answered_outside, service_ns, wakeup_ns,
};

/// Own service time of each module, and of its frequent endpoints. The times of B are weighted with A's mix of endpoints.
pub fn services(runs: &Unpaired<'_>) -> Vec<Candidate> {
    let mut found = means(runs, Topic::ServiceMean, service_ns);
    for (module, numbers) in runs.common() {
        let times = timed(runs, numbers, service_ns);
        let counts = times.each_ref().map(|times| {
            let mut counts: BTreeMap<u32, usize> = BTreeMap::new();
            for (endpoint, _) in times {
                *counts.entry(*endpoint).or_default() += 1;
            }
            counts
        });
        let fewer = |(endpoint, count): (&u32, &usize)| {
            let of_b = counts[1].get(endpoint)?;
            Some((*endpoint, *count.min(of_b)))
        };
        for wanted in frequent(&counts[0].iter().filter_map(fewer).collect()) {
            let name = format!("{} {}", runs.names.text(module), runs.names.text(wanted));
            let of_endpoint = |times: &Timed| -> Vec<f64> {
                let times = times.iter().filter(|(endpoint, _)| *endpoint == wanted);
                times.map(|(_, time)| *time).collect()
            };
            let values = times.each_ref().map(of_endpoint);
            found.extend(mean(runs, Topic::ServiceMean, name, values));
        }
    }
    found
}

/// Durations of calls to peers without telemetry. The times of B are weighted with A's mix of methods.
pub fn externals(runs: &Unpaired<'_>) -> Vec<Candidate> {
    let [mut a, mut b] = [0, 1].map(|place: usize| {
        let side = &runs.sides[place];
        let mut calls: Vec<u32> = (0..side.rows.calls.len() as u32)
            .filter(|&call| is_answered_outside(side, call))
            .collect();
        calls.sort_by_key(|&call| (side.rows.calls[call as usize].start_ns, call));
        let mut found: BTreeMap<u32, Timed> = BTreeMap::new();
        for call in calls {
            let call = &side.rows.calls[call as usize];
            let ms = call.duration_ns() as f64 / NS_PER_MS;
            found.entry(call.peer).or_default().push((call.endpoint, ms));
        }
        found
    });
    let peers: Vec<u32> = a.keys().filter(|peer| b.contains_key(peer)).copied().collect();
    let voter = |peer: u32| {
        let values = at_mix_of_a([a.remove(&peer)?, b.remove(&peer)?]);
        let name = external_name(runs.names.text(peer));
        mean(runs, Topic::ServiceMean, name, values)
    };
    peers.into_iter().filter_map(voter).collect()
}

/// CPU time of each module whose rows have it, weighted with A's mix of endpoints.
pub fn cpu_times(runs: &Unpaired<'_>) -> Vec<Candidate> {
    means(runs, Topic::CpuMean, cpu_ns)
}

/// Waits for a CPU of each module for which both runs report them, weighted with A's mix of endpoints.
pub fn cpu_waits(runs: &Unpaired<'_>) -> Vec<Candidate> {
    means(runs, Topic::CpuWaitMean, cpu_wait_ns)
}

/// Wake-up times of each module whose rows have any, weighted with A's mix of endpoints.
pub fn wakeups(runs: &Unpaired<'_>) -> Vec<Candidate> {
    let mut found = means(runs, Topic::WakeupMean, wakeup_ns);
    found.retain(Candidate::has_values);
    found
}

/// Endpoint and time in ms.
type Timed = Vec<(u32, f64)>;

fn means(runs: &Unpaired<'_>, topic: Topic, time: fn(&Side, u32) -> i64) -> Vec<Candidate> {
    let voter = |(module, numbers): (u32, [&[u32]; 2])| {
        let values = at_mix_of_a(timed(runs, numbers, time));
        mean(runs, topic, runs.names.text(module).to_owned(), values)
    };
    runs.common().filter_map(voter).collect()
}

/// The known times of these invocations.
fn timed(runs: &Unpaired<'_>, numbers: [&[u32]; 2], time: fn(&Side, u32) -> i64) -> [Timed; 2] {
    [0, 1].map(|place: usize| {
        let side = &runs.sides[place];
        let timed = |&number: &u32| {
            let ms = known(time(side, number))? as f64 / NS_PER_MS;
            Some((side.rows.invocations[number as usize].endpoint, ms))
        };
        numbers[place].iter().filter_map(timed).collect()
    })
}

/// The voter of these times in ms. `None` if a run has no times.
fn mean(runs: &Unpaired<'_>, topic: Topic, module: String, [a, b]: [Vec<f64>; 2]) -> Option<Candidate> {
    let figures = figures(runs.margins, topic, module, [&a, &b])?;
    Some(Candidate::estimated(figures, difference(&a, &b)))
}

/// The times of endpoints that both runs have. B's times are shifted and scaled: their mean becomes that of B's endpoints
/// weighted with A's mix, and their spread becomes that of this mean (poststratification; Cochran, Sampling Techniques, 1977).
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
