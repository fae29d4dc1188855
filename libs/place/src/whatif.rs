//! [`what_if`]: one change of a recorded run, predicted beside the run as it is.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::arrivals::Sample;
use crate::assignments::{Assignment, Choices};
use crate::calibration::{Calibrated, Calibration};
use crate::deployment::SlotChanges;
use crate::evaluation::Metric;
use crate::model::{Placed, Responses, SampleFacts, VERSION, shown};
use crate::predictor::{Candidate, Predictor};
use crate::ranking::{Options, Ranked, calibration, replicate};
use crate::search::SearchError;
use crate::site::Site;
use crate::tiers::Tiers;
use crate::uncertainty::Interval;

/// Maximum number of visits of the sample: an answer within five seconds on two cores.
pub const VISITS_MAX: usize = 40_000;

/// The changes. Everything else is as recorded.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// Node by group or module.
    pub moves: BTreeMap<String, String>,
    /// Slots of each instance, by group or module.
    pub slots: SlotChanges,
    /// Factor on the arrival rate.
    pub scale: f64,
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Answer {
    pub version: u32,
    pub run_id: String,
    /// How well the simulator repeats the recorded run.
    pub calibration: Vec<Calibrated>,
    /// The run as it is, simulated.
    pub before: Placed,
    pub after: Placed,
    /// After minus before, milliseconds.
    pub difference_ms: Responses,
    pub sample: SampleFacts,
    pub notes: Vec<String>,
}

/// Predicts a change. `recorded` are the tiers of the recording, and `changed` has other speeds and links. Both are complete and
/// have the same nodes.
///
/// # Errors
/// If the change does not fit the recording, or the user interrupts it.
pub fn what_if(
    site: &Site,
    (recorded, changed): (&Tiers, &Tiers),
    change: &Change,
    options: &Options,
    progress: &(dyn Fn(&str, usize, usize) -> bool + Sync),
) -> Result<Answer, SearchError> {
    let sample = Sample::new(&site.load, VISITS_MAX);
    let choices = Choices::new(site, changed);
    let predictor = |tiers, slots, scale| Predictor {
        site,
        tiers,
        choices: &choices,
        slots,
        scale,
    };
    let as_recorded = predictor(recorded, SlotChanges::new(), 1.0);
    let as_changed = predictor(changed, change.slots.clone(), change.scale);
    let calibration = calibration(&as_recorded, &sample)?;
    let assignment = moved(site, &choices, change);
    let one = |predictor: &Predictor<'_>, assignment: &Assignment| -> Result<Option<Ranked>, SearchError> {
        let found = replicate(
            predictor,
            &[Candidate::from(assignment)],
            &sample,
            options,
            progress,
        )?;
        Ok(found.into_iter().next())
    };
    let before = one(&as_recorded, choices.recorded())?;
    let after = one(&as_changed, &assignment)?;
    // One assignment has one result.
    let (Some(before), Some(mut after)) = (before, after) else {
        return Err(SearchError::NoAssignment);
    };
    let refused = Metric::ALL
        .into_iter()
        .filter_map(|metric| calibration.refusal(metric));
    after.predicted.reasons.extend(refused);
    let notes = site.notes.iter().chain(&after.case.surroundings.notes).cloned();
    Ok(Answer {
        version: VERSION,
        run_id: site.recording.run_id.clone(),
        before: shown(&as_recorded, &before, intervals(&before, &calibration)),
        after: shown(&as_changed, &after, intervals(&after, &calibration)),
        difference_ms: responses(|metric| {
            after
                .replicated
                .difference(&before.replicated, metric, calibration.error(metric))
        }),
        calibration: calibration.figures(),
        sample: SampleFacts {
            roots: sample.load.arrivals.len(),
            invocations: sample.load.visits.len(),
            seconds: sample.span_ns as f64 / 1e9,
            is_part: sample.is_part,
            screened_invocations: 0,
            replications: options.replications,
            seed: options.seed,
        },
        notes: notes.collect(),
    })
}

/// The recorded assignment with the moves.
fn moved(site: &Site, choices: &Choices, change: &Change) -> Assignment {
    let recorded = site.groups.iter().zip(choices.recorded());
    recorded
        .map(|(group, recorded)| {
            let node = group.value(&change.moves);
            let number = node.and_then(|node| choices.nodes.iter().position(|known| known == node));
            number.map_or(*recorded, |number| number as u32)
        })
        .collect()
}

fn intervals(ranked: &Ranked, calibration: &Calibration) -> Responses {
    responses(|metric| ranked.replicated.interval(metric, calibration.error(metric)))
}

fn responses(of: impl Fn(Metric) -> Interval) -> Responses {
    Responses {
        mean: of(Metric::Mean),
        p50: of(Metric::P50),
        p95: of(Metric::P95),
        p99: of(Metric::P99),
    }
}
