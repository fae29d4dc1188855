//! [`decide`]: decides the votes of all candidates.

use super::candidate::{Candidate, LEVEL_SAME, is_inside};
use crate::model::{Vote, Voter};
use crate::statistics::{Estimate, NEEDED_MAX, holm};

/// Maximum probability that any voter votes *differs* although the runs are equal.
const ERROR_DIFFERS: f64 = 0.05;

/// Decides the votes. *Same* requires that the 90% interval is inside the margin; it needs no correction, because all voters
/// must agree. *Differs* requires that the interval at Holm's level is outside the margin.
pub fn decide(candidates: Vec<Candidate>) -> Vec<Voter> {
    let margin_of = |candidate: &Candidate| candidate.voter.margin.unwrap_or(0.0);
    let p_values: Vec<f64> = candidates
        .iter()
        .filter_map(|candidate| Some(candidate.estimate.as_ref()?.p_outside(margin_of(candidate))))
        .collect();
    let mut levels = holm::levels(&p_values, ERROR_DIFFERS).into_iter();
    let vote = |mut candidate: Candidate| {
        let margin = margin_of(&candidate);
        if let Some(estimate) = candidate.estimate.take()
            && let Some((level, is_outside)) = levels.next()
        {
            vote(&mut candidate.voter, &estimate, margin, level, is_outside);
        }
        candidate.voter
    };
    candidates.into_iter().map(vote).collect()
}

fn vote(voter: &mut Voter, estimate: &Estimate, margin: f64, level: f64, is_outside: bool) {
    let [low, high] = estimate.interval(LEVEL_SAME);
    // A one-sided test at `level` corresponds to an interval with this probability at each end.
    let adjusted = estimate.interval(1.0 - 2.0 * level);
    voter.interval = Some([low, high]);
    voter.adjusted = Some(adjusted);
    if is_inside([low, high], margin) {
        voter.vote = Vote::Same;
    } else if is_outside {
        voter.vote = Vote::Differs;
    } else {
        voter.vote = Vote::CannotTell;
        voter.needed = needed(voter.requests, estimate, margin, adjusted);
        voter.reason = Some(match voter.needed {
            Some(needed) => format!("the interval is too wide; about {needed} requests would decide"),
            None => "the difference is at the edge of its margin".to_owned(),
        });
    }
}

/// The number of requests that would make the interval narrow enough. It assumes that the difference stays the same and that
/// the interval shrinks with the root of the number.
fn needed(requests: u64, estimate: &Estimate, margin: f64, adjusted: [f64; 2]) -> Option<u64> {
    let distance = margin - estimate.value.abs();
    let [low, high] = if distance > 0.0 {
        estimate.interval(LEVEL_SAME)
    } else {
        adjusted
    };
    let reach = (estimate.value - low).max(high - estimate.value);
    let needed = requests as f64 * (reach / distance).powi(2);
    (needed <= NEEDED_MAX as f64).then_some(needed.ceil() as u64)
}
