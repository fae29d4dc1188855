//! [`Candidate`]: a voter whose vote is not decided yet, with its estimate.

use crate::model::{Topic, Unit, Vote, Voter};
use crate::statistics::{Estimate, TooShort};

pub const NS_PER_MS: f64 = 1e6;
/// Level of the interval that must be inside the margin for *same*: 90%, which is two one-sided tests at 5%.
pub const LEVEL_SAME: f64 = 0.9;
/// Factor by which intervals of a run that is too short are widened. By docs/statistics.md, a factor of 2 would be enough for
/// p99 at 14 relaxation times.
const WIDER: f64 = 3.0;
/// Minimum share of the needed length. In a shorter run, even widened intervals are not reliable.
const SHARE_MIN: f64 = 0.2;

/// Whether an interval shows sameness.
pub fn is_inside([low, high]: [f64; 2], margin: f64) -> bool {
    -margin <= low && high <= margin
}

/// A voter whose vote is not decided yet. All candidates are decided together.
#[derive(Debug, Clone)]
pub struct Candidate {
    pub voter: Voter,
    /// The estimated difference. `None` for a fact, and if there are too few values.
    pub estimate: Option<Estimate>,
}

/// The name of a voter, its figures, and its margin.
#[derive(Debug, Clone)]
pub struct Figures {
    pub topic: Topic,
    pub module: Option<String>,
    pub unit: Unit,
    pub a: Option<f64>,
    pub b: Option<f64>,
    pub explained: Option<f64>,
    pub margin: f64,
    pub requests: u64,
}

impl Figures {
    fn voter(self) -> Voter {
        Voter {
            topic: self.topic,
            module: self.module,
            unit: self.unit,
            a: self.a,
            b: self.b,
            explained: self.explained,
            difference: None,
            margin: Some(self.margin),
            interval: None,
            adjusted: None,
            is_exact: false,
            vote: Vote::CannotTell,
            reason: None,
            requests: self.requests,
            needed: None,
        }
    }
}

impl Candidate {
    /// Whether the figure of either run is above 0.
    pub fn has_values(&self) -> bool {
        [self.voter.a, self.voter.b]
            .iter()
            .any(|value| *value > Some(0.0))
    }

    /// A difference with an interval, or the reason why there is none.
    pub fn estimated(figures: Figures, estimate: Result<Estimate, TooShort>) -> Self {
        let mut voter = figures.voter();
        let estimate = match estimate {
            Ok(estimate) => {
                voter.difference = Some(estimate.value);
                Some(estimate)
            }
            Err(short) => {
                voter.reason = Some(short.to_string());
                voter.needed = short.advice();
                None
            }
        };
        Self { voter, estimate }
    }

    /// A figure of a run that is too short for the queue, the quantile or both. Its interval is widened, so it can show
    /// sameness, but no difference.
    pub fn short(figures: Figures, estimate: Result<Estimate, TooShort>, shorts: &[TooShort]) -> Self {
        let is_hopeless = |short: &TooShort| (short.values as f64) < SHARE_MIN * short.needed as f64;
        let is_hopeless = shorts.iter().any(is_hopeless);
        let wide = estimate.clone().map(|estimate| {
            let value = estimate.value;
            (value, estimate.widened(WIDER).interval(LEVEL_SAME))
        });
        match wide {
            Ok((value, interval)) if !is_hopeless && is_inside(interval, figures.margin) => {
                Self::same(figures, value, interval)
            }
            Ok(_) | Err(_) => {
                let longest = shorts.iter().copied().max_by_key(|short| short.needed);
                Self::estimated(figures, longest.map_or(estimate, Err))
            }
        }
    }

    /// A difference whose interval is known to be inside the margin.
    pub fn same(figures: Figures, difference: f64, interval: [f64; 2]) -> Self {
        let mut voter = figures.voter();
        voter.difference = Some(difference);
        voter.interval = Some(interval);
        voter.vote = Vote::Same;
        Self {
            voter,
            estimate: None,
        }
    }

    /// A fact: it differs if the difference is outside the margin. `reason` describes the difference.
    pub fn exact(figures: Figures, difference: f64, reason: impl FnOnce() -> String) -> Self {
        let is_same = difference.abs() <= figures.margin;
        let mut voter = figures.voter();
        voter.difference = Some(difference);
        voter.is_exact = true;
        voter.vote = if is_same { Vote::Same } else { Vote::Differs };
        voter.reason = (!is_same).then(reason);
        Self {
            voter,
            estimate: None,
        }
    }
}
