//! [`failures`] and [`statuses`]: shares of outcomes by module.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::runs::{Unpaired, difference};
use crate::gather::Outcome;
use crate::model::{Topic, Unit};
use crate::pairing::{is_chance, status};
use crate::statistics::mean;
use crate::voters::candidate::{Candidate, Figures};

/// Maximum number of statuses of a module whose shares vote. A service has few statuses; an attacker could cause many, which
/// are not part of the workload.
const STATUSES_MAX: usize = 8;

/// Requests of each module that failed because of a full queue or a timeout.
pub fn failures(runs: &Unpaired<'_>) -> Vec<Candidate> {
    let voter = |(module, numbers): (u32, [&[u32]; 2])| {
        let name = runs.names.text(module).to_owned();
        let found = share(runs, Topic::FailureShare, name, numbers, is_chance);
        found.has_values().then_some(found)
    };
    runs.common().filter_map(voter).collect()
}

/// Voters for the share of each status in the requests of a module. The most frequent one has none, because its share follows
/// from the others.
pub fn statuses(runs: &Unpaired<'_>) -> Vec<Candidate> {
    let mut found = Vec::new();
    for (module, numbers) in runs.common() {
        let mut counts: BTreeMap<Outcome, u64> = BTreeMap::new();
        for (side, numbers) in runs.sides.iter().zip(numbers) {
            let outcomes = numbers
                .iter()
                .map(|&number| side.rows.invocations[number as usize].outcome);
            for outcome in outcomes.filter(|outcome| !is_chance(*outcome)) {
                *counts.entry(outcome).or_default() += 1;
            }
        }
        let mut outcomes: Vec<(Outcome, u64)> = counts.into_iter().collect();
        outcomes.sort_by_key(|(outcome, count)| (Reverse(*count), *outcome));
        for (wanted, _) in outcomes.into_iter().skip(1).take(STATUSES_MAX) {
            let status = status(wanted, runs.names);
            let status = status.as_deref().unwrap_or("none");
            let name = format!("{} {status}", runs.names.text(module));
            let is_it = |outcome: Outcome| outcome == wanted;
            found.push(share(runs, Topic::Statuses, name, numbers, is_it));
        }
    }
    found
}

/// The voter for the share of requests with a given result.
fn share(
    runs: &Unpaired<'_>,
    topic: Topic,
    module: String,
    numbers: [&[u32]; 2],
    is_it: impl Fn(Outcome) -> bool,
) -> Candidate {
    let [a, b] = [0, 1].map(|place: usize| {
        let rows = &runs.sides[place].rows.invocations;
        let value = |&number: &u32| f64::from(u8::from(is_it(rows[number as usize].outcome)));
        numbers[place].iter().map(value).collect::<Vec<f64>>()
    });
    let figures = Figures {
        topic,
        module: Some(module),
        unit: Unit::Share,
        a: mean::of(&a),
        b: mean::of(&b),
        explained: None,
        margin: runs.margins.failure_share,
        requests: a.len().min(b.len()) as u64,
    };
    Candidate::estimated(figures, difference(&a, &b))
}
