//! [`services`] and [`cpu_times`]: means of paired invocations by module; [`failures`]: shares of failed calls.

use super::candidate::{Candidate, Figures, NS_PER_MS};
use crate::gather::{Side, UNKNOWN};
use crate::model::{Topic, Unit};
use crate::pairing::{is_chance, outcome_of};
use crate::pairs::Paired;
use crate::statistics::mean;

/// Own service time of each module: without waits for calls and for further slots.
pub fn services(paired: &Paired<'_>) -> Vec<Candidate> {
    let own = |side: &Side, number: u32| side.tree.own_ns(&side.rows, number);
    means(paired, Topic::ServiceMean, paired.margins.service_mean, own)
}

/// CPU time of each module whose rows have it.
pub fn cpu_times(paired: &Paired<'_>) -> Vec<Candidate> {
    let cpu = |side: &Side, number: u32| side.rows.invocations[number as usize].cpu_ns;
    means(paired, Topic::CpuMean, paired.margins.cpu_mean, cpu)
}

fn means(paired: &Paired<'_>, topic: Topic, share: f64, time: impl Fn(&Side, u32) -> i64) -> Vec<Candidate> {
    let mut found = Vec::new();
    for (module, pairs) in &paired.by_module {
        let (mut a, mut b) = (Vec::new(), Vec::new());
        for &(of_a, of_b) in pairs {
            let times = (time(paired.a, of_a), time(paired.b, of_b));
            if times.0 != UNKNOWN && times.1 != UNKNOWN {
                a.push(times.0 as f64 / NS_PER_MS);
                b.push(times.1 as f64 / NS_PER_MS);
            }
        }
        if a.is_empty() {
            continue;
        }
        let [mean_a, mean_b] = [&a, &b].map(|values| values.iter().sum::<f64>() / values.len() as f64);
        let figures = Figures {
            topic,
            module: Some(paired.names.text(*module).to_owned()),
            unit: Unit::Ms,
            a: Some(mean_a),
            b: Some(mean_b),
            explained: None,
            margin: paired.margins.of_mean(share, mean_a),
            requests: a.len() as u64,
        };
        // Without time in A there is nothing to relate to, and the estimate is in ms already.
        let scale = if mean_a > 0.0 { mean_a } else { 1.0 };
        let estimate = mean::ratio(&a, &b).map(|ratio| ratio.times(scale));
        found.push(Candidate::estimated(figures, estimate));
    }
    found
}

/// Calls to each module that a full queue refused or that ran into a timeout. Modules without such calls have no voter.
pub fn failures(paired: &Paired<'_>) -> Vec<Candidate> {
    let mut found = Vec::new();
    for (module, calls) in paired.calls_by_receiver() {
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
            module: Some(paired.names.text(module).to_owned()),
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
