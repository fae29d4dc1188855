//! [`services`], [`cpu_times`], [`cpu_waits`] and [`wakeups`]: means of paired invocations by module; services also by
//! endpoint. [`externals`]: means of calls to peers without telemetry. [`failures`]: shares of failed calls.

use std::collections::BTreeMap;

use super::candidate::{Candidate, Figures, NS_PER_MS};
use super::endpoints::frequent;
use super::mean_times::{
    self, cpu_ns, cpu_wait_ns, external_name, is_answered_outside, service_ns, wakeup_ns,
};
use crate::gather::{Side, UNKNOWN};
use crate::model::{Topic, Unit};
use crate::pairing::{is_chance, outcome_of};
use crate::pairs::Paired;
use crate::statistics::mean;

/// Own service time of each module and of its frequent endpoints.
pub fn services(paired: &Paired<'_>) -> Vec<Candidate> {
    let mut found = means(paired, Topic::ServiceMean, service_ns);
    for (module, pairs) in &paired.by_module {
        let endpoint = |pair: &(u32, u32)| paired.a.rows.invocations[pair.0 as usize].endpoint;
        let mut counts: BTreeMap<u32, usize> = BTreeMap::new();
        for pair in pairs {
            *counts.entry(endpoint(pair)).or_default() += 1;
        }
        for wanted in frequent(&counts) {
            let of_endpoint = pairs.iter().filter(|pair| endpoint(pair) == wanted);
            let times = times(paired, of_endpoint, service_ns);
            let name = format!("{} {}", paired.names.text(*module), paired.names.text(wanted));
            found.extend(mean(paired, Topic::ServiceMean, name, times));
        }
    }
    found
}

/// CPU time of each module whose rows have it.
pub fn cpu_times(paired: &Paired<'_>) -> Vec<Candidate> {
    means(paired, Topic::CpuMean, cpu_ns)
}

/// Waits for a CPU of each module for which both runs report them.
pub fn cpu_waits(paired: &Paired<'_>) -> Vec<Candidate> {
    means(paired, Topic::CpuWaitMean, cpu_wait_ns)
}

/// Wake-up times of each module whose rows have any.
pub fn wakeups(paired: &Paired<'_>) -> Vec<Candidate> {
    let mut found = means(paired, Topic::WakeupMean, wakeup_ns);
    found.retain(Candidate::has_values);
    found
}

/// Durations of calls to peers without telemetry, such as databases. They are not part of any module's own time.
pub fn externals(paired: &Paired<'_>) -> Vec<Candidate> {
    let mut found = Vec::new();
    for (peer, calls) in &paired.by_receiver {
        let ms = |side: &Side, call: u32| side.rows.calls[call as usize].duration_ns() as f64 / NS_PER_MS;
        let (a, b): (Vec<f64>, Vec<f64>) = calls
            .iter()
            .filter(|pair| is_answered_outside(paired.a, pair.0) && is_answered_outside(paired.b, pair.1))
            .map(|pair| (ms(paired.a, pair.0), ms(paired.b, pair.1)))
            .unzip();
        let name = external_name(paired.names.text(*peer));
        found.extend(mean(paired, Topic::ServiceMean, name, [a, b]));
    }
    found
}

fn means(paired: &Paired<'_>, topic: Topic, time: fn(&Side, u32) -> i64) -> Vec<Candidate> {
    let mut found = Vec::new();
    for (module, pairs) in &paired.by_module {
        let name = paired.names.text(*module).to_owned();
        found.extend(mean(paired, topic, name, times(paired, pairs.iter(), time)));
    }
    found
}

/// The times in ms of the pairs for which both runs have one.
fn times<'p>(
    paired: &Paired<'_>,
    pairs: impl Iterator<Item = &'p (u32, u32)>,
    time: fn(&Side, u32) -> i64,
) -> [Vec<f64>; 2] {
    let (mut a, mut b) = (Vec::new(), Vec::new());
    for &(of_a, of_b) in pairs {
        let times = (time(paired.a, of_a), time(paired.b, of_b));
        if times.0 != UNKNOWN && times.1 != UNKNOWN {
            a.push(times.0 as f64 / NS_PER_MS);
            b.push(times.1 as f64 / NS_PER_MS);
        }
    }
    [a, b]
}

/// The voter of paired times, ms. `None` if there are none.
fn mean(paired: &Paired<'_>, topic: Topic, module: String, [a, b]: [Vec<f64>; 2]) -> Option<Candidate> {
    let figures = mean_times::figures(paired.margins, topic, module, [&a, &b])?;
    // If A's mean is 0, there is no ratio, so the estimate is already in ms.
    let scale = figures.a.filter(|mean| *mean > 0.0).unwrap_or(1.0);
    let estimate = mean::ratio(&a, &b).map(|ratio| ratio.times(scale));
    Some(Candidate::estimated(figures, estimate))
}

/// Calls to each module that failed because of a full queue or a timeout. Modules without such calls have no voter.
pub fn failures(paired: &Paired<'_>) -> Vec<Candidate> {
    let mut found = Vec::new();
    for (module, calls) in &paired.by_receiver {
        let failed = |side: &Side, call: u32| f64::from(u8::from(is_chance(outcome_of(side, call))));
        let [a, b] = [0, 1].map(|place| {
            let of = |pair: &(u32, u32)| match place {
                0 => failed(paired.a, pair.0),
                _ => failed(paired.b, pair.1),
            };
            calls.iter().map(of).collect::<Vec<f64>>()
        });
        let sums = [&a, &b].map(|values| values.iter().sum::<f64>());
        if sums == [0.0, 0.0] {
            continue;
        }
        let count = calls.len() as f64;
        let figures = Figures {
            topic: Topic::FailureShare,
            module: Some(paired.names.text(*module).to_owned()),
            unit: Unit::Share,
            a: Some(sums[0] / count),
            b: Some(sums[1] / count),
            explained: None,
            margin: paired.margins.failure_share,
            requests: calls.len() as u64,
        };
        let differences: Vec<f64> = a.iter().zip(&b).map(|(a, b)| b - a).collect();
        found.push(Candidate::estimated(figures, mean::difference(&differences)));
    }
    found
}
