//! [`decide`]: the votes of all candidates.

use super::candidate::{Candidate, LEVEL_SAME, is_inside};
use crate::model::{Vote, Voter};
use crate::statistics::{Estimate, NEEDED_MAX, holm};

/// Share of comparisons of equal runs in which any voter may vote *differs*.
const ERROR_DIFFERS: f64 = 0.05;

/// Decides. *Same* needs the 90 % interval inside the margin; no correction, because all voters have to agree. *Differs* needs
/// the interval at Holm's level outside.
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
    // A one-sided test at `level` has an interval with that probability at each end.
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

/// The number of requests with which the interval would be narrow enough, if the difference stays and the interval shrinks with
/// the root of their number.
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
