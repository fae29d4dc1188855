//! [`Predictor`]: predicts assignments for one load, tiers and scale.

use cctf_stack::stand_ins::{Placement, PlacementError};
use plan::stations::Load;

use crate::arrivals::Sample;
use crate::assignments::{Assignment, Choices};
use crate::deployment::{SlotChanges, placement};
use crate::evaluation::{Evaluation, evaluate};
use crate::site::Site;
use crate::surroundings::Surroundings;
use crate::tiers::Tiers;
use crate::traffic::{LinkUse, Traffic, links};
use crate::validity::overloads;

/// What all predictions of a command have in common.
#[derive(Debug)]
pub struct Predictor<'a> {
    pub site: &'a Site,
    pub tiers: &'a Tiers,
    pub choices: &'a Choices,
    pub slots: SlotChanges,
    /// Factor on the arrival rate.
    pub scale: f64,
}

/// A load with its traffic.
#[derive(Debug)]
pub struct Loaded {
    pub load: Load,
    pub span_ns: i64,
    pub traffic: Traffic,
}

impl Loaded {
    pub fn new(load: Load, sample: &Sample) -> Self {
        Self {
            traffic: Traffic::new(&load, sample.span_ns),
            span_ns: sample.span_ns,
            load,
        }
    }
}

/// An assignment in its surroundings.
#[derive(Debug, Clone)]
pub struct Case {
    pub assignment: Assignment,
    pub placement: Placement,
    pub surroundings: Surroundings,
}

/// A simulated assignment.
#[derive(Debug, Clone)]
pub struct Predicted {
    pub evaluation: Evaluation,
    pub links: Vec<LinkUse>,
    /// Why it is no prediction, one sentence each. Empty: it is one.
    pub reasons: Vec<String>,
}

impl Predictor<'_> {
    /// # Errors
    /// If the placement does not fit the recording.
    pub fn case(&self, assignment: &Assignment) -> Result<Case, PlacementError> {
        let placement = placement(self.site, self.tiers, self.choices, assignment, &self.slots);
        let has_other_load = self.scale != 1.0;
        Ok(Case {
            surroundings: Surroundings::new(self.site, self.tiers, &placement, has_other_load)?,
            assignment: assignment.clone(),
            placement,
        })
    }

    pub fn predict(&self, case: &Case, loaded: &Loaded) -> Predicted {
        let surroundings = &case.surroundings;
        let evaluation = evaluate(&loaded.load, &surroundings.platform, loaded.span_ns);
        let links = links(&loaded.traffic, surroundings);
        let mut reasons: Vec<String> = surroundings.unknown.iter().cloned().collect();
        reasons.extend(overloads(self.site, surroundings, &evaluation, &links));
        Predicted {
            evaluation,
            links,
            reasons,
        }
    }
}
