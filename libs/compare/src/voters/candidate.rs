//! [`Candidate`]: a voter with the estimate by which it is decided.

use crate::model::{Topic, Unit, Vote, Voter};
use crate::statistics::{Estimate, TooShort};

pub const NS_PER_MS: f64 = 1e6;

/// A voter before all of them are decided together.
#[derive(Debug, Clone)]
pub struct Candidate {
    pub voter: Voter,
    /// `None` for a fact, and without an answer.
    pub estimate: Option<Estimate>,
}

/// What is compared, and its figures.
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
                voter.needed = Some(short.needed);
                None
            }
        };
        Self { voter, estimate }
    }

    /// A fact: it differs if the difference is outside of the margin. `reason` says how.
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
