//! [`arrivals`]: voters for the rate of requests from outside, and for the share of each endpoint.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::runs::{Unpaired, difference};
use crate::gather::Side;
use crate::model::{Topic, Unit};
use crate::pairing::by_route;
use crate::statistics::{TooShort, mean};
use crate::voters::candidate::{Candidate, Figures};

/// Number of time intervals in which requests are counted.
const INTERVALS: usize = 200;
/// Maximum number of endpoints whose share votes.
const ENDPOINTS_MAX: usize = 50;

/// The rate of requests from outside, and the share of each endpoint in them.
pub fn arrivals(runs: &Unpaired<'_>, notes: &mut Vec<String>) -> Vec<Candidate> {
    let counts = |side: &Side| -> Vec<f64> {
        let seconds = side.duration_ns() as f64 / 1e9;
        let first = side
            .tree
            .roots
            .first()
            .map_or(0, |&root| side.root_start_ns(root));
        let width = seconds / INTERVALS as f64;
        let mut counts = vec![0.0; INTERVALS];
        for &root in &side.tree.roots {
            let at = side.root_start_ns(root).saturating_sub(first) as f64 / 1e9;
            counts[((at / width) as usize).min(INTERVALS - 1)] += 1.0 / width;
        }
        counts
    };
    let [a, b] = [0, 1].map(|place: usize| counts(&runs.sides[place]));
    let requests = runs
        .sides
        .iter()
        .map(|side| side.tree.roots.len())
        .min()
        .unwrap_or(0) as u64;
    let rate = mean::of(&a).unwrap_or(0.0);
    let figures = Figures {
        topic: Topic::ArrivalRate,
        module: None,
        unit: Unit::PerSecond,
        a: Some(rate),
        b: mean::of(&b),
        explained: None,
        margin: runs.margins.arrival_rate_unpaired * rate,
        requests,
    };
    let estimate = if requests < INTERVALS as u64 {
        Err(TooShort {
            values: requests,
            needed: INTERVALS as u64,
        })
    } else {
        difference(&a, &b)
    };
    let mut found = vec![Candidate::estimated(figures, estimate)];
    found.extend(mix(runs, requests, notes));
    found
}

fn mix(runs: &Unpaired<'_>, requests: u64, notes: &mut Vec<String>) -> Vec<Candidate> {
    let endpoints = [0, 1].map(|place: usize| {
        let side = &runs.sides[place];
        let endpoints = side.tree.roots.iter().map(|&root| by_route(side, root));
        endpoints.collect::<Vec<(u32, u32)>>()
    });
    let mut counts: BTreeMap<(u32, u32), u64> = BTreeMap::new();
    for endpoint in endpoints.iter().flatten() {
        *counts.entry(*endpoint).or_default() += 1;
    }
    if counts.len() < 2 {
        return Vec::new();
    }
    let mut all: Vec<((u32, u32), u64)> = counts.into_iter().collect();
    all.sort_by_key(|(endpoint, count)| (Reverse(*count), *endpoint));
    if let Some(left_out) = all
        .len()
        .checked_sub(ENDPOINTS_MAX)
        .filter(|left_out| *left_out > 0)
    {
        notes.push(format!(
            "the shares of the {ENDPOINTS_MAX} most frequent endpoints are compared, and {left_out} rarer ones are not"
        ));
    }
    let voter = |(wanted, _): ((u32, u32), u64)| {
        let is_it = |endpoint: &(u32, u32)| f64::from(u8::from(*endpoint == wanted));
        let [a, b] = [0, 1].map(|place: usize| endpoints[place].iter().map(is_it).collect::<Vec<f64>>());
        let share = mean::of(&a);
        let margin = runs.margins.endpoint_share * share.unwrap_or(0.0);
        let figures = Figures {
            topic: Topic::ArrivalRate,
            module: Some(format!(
                "{} {}",
                runs.names.text(wanted.0),
                runs.names.text(wanted.1)
            )),
            unit: Unit::Share,
            a: share,
            b: mean::of(&b),
            explained: None,
            margin: margin.max(runs.margins.endpoint_share_floor),
            requests,
        };
        Candidate::estimated(figures, difference(&a, &b))
    };
    all.into_iter().take(ENDPOINTS_MAX).map(voter).collect()
}
