//! [`Predictor`]: predicts assignments for one load, tiers and scale.

use cctf_stack::stand_ins::placement::EventPlace;
use cctf_stack::stand_ins::{Placement, PlacementError};
use plan::stations::Load;

use crate::arrivals::Sample;
use crate::assignments::{Assignment, Choices};
use crate::deployment::{SlotChanges, event_slots, placement};
use crate::evaluation::{Evaluation, Times, evaluate};
use crate::events::{Event, Played, play};
use crate::site::Site;
use crate::surroundings::Surroundings;
use crate::tiers::Tiers;
use crate::traffic::{LinkUse, Traffic, links};
use crate::validity::overloads;

/// The settings that all predictions of a command have in common.
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

/// An assignment with its events.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    pub assignment: Assignment,
    pub events: Vec<Event>,
}

impl From<&Assignment> for Candidate {
    /// Without events.
    fn from(assignment: &Assignment) -> Self {
        Self {
            assignment: assignment.clone(),
            events: Vec::new(),
        }
    }
}

/// A candidate in its surroundings.
#[derive(Debug, Clone)]
pub struct Case {
    pub candidate: Candidate,
    pub placement: Placement,
    pub surroundings: Surroundings,
}

/// A simulated assignment.
#[derive(Debug, Clone)]
pub struct Predicted {
    pub evaluation: Evaluation,
    pub links: Vec<LinkUse>,
    /// Why nothing is predicted, one sentence for each reason. Empty: the times are a prediction.
    pub reasons: Vec<String>,
    /// By event: the time after the first request at which it happened, nanoseconds. `None`: the event did not happen.
    pub events_ns: Vec<Option<i64>>,
}

impl Predictor<'_> {
    /// # Errors
    /// If the placement does not fit the recording.
    pub fn case(&self, candidate: Candidate) -> Result<Case, PlacementError> {
        let placement = self.placement(&candidate.assignment, &[]);
        Ok(Case {
            surroundings: self.surround(&placement)?,
            candidate,
            placement,
        })
    }

    fn placement(&self, assignment: &Assignment, events: &[EventPlace]) -> Placement {
        placement(
            self.site,
            self.tiers,
            self.choices,
            assignment,
            &self.slots,
            events,
        )
    }

    fn surround(&self, placement: &Placement) -> Result<Surroundings, PlacementError> {
        Surroundings::new(self.site, self.tiers, placement, self.scale != 1.0)
    }

    /// Simulates a case. If the case has events, its surroundings are replaced by the surroundings of all of its placements.
    ///
    /// # Errors
    /// If an event leads to a placement that does not fit the recording.
    pub fn predict_events(&self, case: &mut Case, loaded: &Loaded) -> Result<Predicted, PlacementError> {
        if case.candidate.events.is_empty() {
            return Ok(self.predict(case, loaded));
        }
        let played = self.play(case, &loaded.load, loaded.span_ns)?;
        let events = self.happened(&case.candidate, &played);
        case.surroundings = played.surroundings;
        case.placement = self.placement(&case.candidate.assignment, &events);
        let traffic = Traffic::new(&played.load, loaded.span_ns);
        let found = self.judged(case, played.evaluation, &traffic);
        Ok(Predicted {
            events_ns: played.at_ns,
            ..found
        })
    }

    /// The response times of a case with another load.
    ///
    /// # Errors
    /// As for [`Predictor::predict_events`].
    pub fn times(&self, case: &Case, load: &Load, span_ns: i64) -> Result<Times, PlacementError> {
        match case.candidate.events.is_empty() {
            true => Ok(evaluate(load, &case.surroundings.platform, span_ns).times),
            false => Ok(self.play(case, load, span_ns)?.evaluation.times),
        }
    }

    fn play(&self, case: &Case, load: &Load, span_ns: i64) -> Result<Played, PlacementError> {
        let candidate = (&case.candidate.assignment, &case.candidate.events[..]);
        let surround = |assignment: &Assignment| self.surround(&self.placement(assignment, &[]));
        play((self.site, self.tiers), candidate, &surround, (load, span_ns))
    }

    /// The events that happened, as entries of a placement file, so that a real run can repeat them.
    fn happened(&self, candidate: &Candidate, played: &Played) -> Vec<EventPlace> {
        let events = candidate.events.iter().zip(&played.at_ns);
        let happened = events.filter_map(|(event, at_ns)| {
            let (node, replicas) = event.action.change(self.choices);
            let group = &self.site.groups[event.group as usize];
            let first = candidate.assignment[event.group as usize] as usize;
            let slots = node.as_deref().and_then(|node| {
                let nodes = [self.choices.nodes[first].as_str(), node];
                event_slots((self.site, self.tiers), &self.slots, group, nodes)
            });
            Some(EventPlace {
                at_s: (*at_ns)? as f64 / 1e9,
                module: group.name.clone(),
                node,
                replicas,
                slots,
                reason: event.when.above().map(|share| {
                    format!(
                        "slots busy for more than {}% of {} s",
                        // Two digits behind the point, without zeros at the end.
                        (1e4 * share).round() / 1e2,
                        played.window_s
                    )
                }),
            })
        });
        happened.collect()
    }

    /// Simulates a case without events.
    pub fn predict(&self, case: &Case, loaded: &Loaded) -> Predicted {
        let evaluation = evaluate(&loaded.load, &case.surroundings.platform, loaded.span_ns);
        self.judged(case, evaluation, &loaded.traffic)
    }

    fn judged(&self, case: &Case, evaluation: Evaluation, traffic: &Traffic) -> Predicted {
        let surroundings = &case.surroundings;
        let links = links(traffic, surroundings);
        let mut reasons: Vec<String> = surroundings.unknown.iter().cloned().collect();
        reasons.extend(overloads(self.site, surroundings, &evaluation, &links));
        Predicted {
            evaluation,
            links,
            reasons,
            events_ns: Vec::new(),
        }
    }
}
