//! [`rank`]: the assignments of a site, predicted and ranked.

use std::sync::atomic::{AtomicUsize, Ordering};

use cctf_load::plan::random;
use cctf_stack::stand_ins::PlacementError;

use crate::arrivals::Sample;
use crate::calibration::Calibration;
use crate::evaluation::{Metric, Times};
use crate::parallel::{Progress, on_all_cores, threads_for};
use crate::predictor::{Candidate, Case, Loaded, Predicted, Predictor};
use crate::search::{ASSIGNMENTS_MAX, SearchError, Searched, search};
use crate::surroundings::Surroundings;
use crate::tiers::Tiers;
use crate::uncertainty::{Replicated, probability_first_is_best};
use crate::validity::too_short;

/// Maximum number of visits of a simulated load. A simulation of this size takes some 0.2 s.
pub const VISITS_MAX: usize = 300_000;
/// Maximum number of visits of all simulations of a search. If a search with the whole run would need more visits, the
/// assignments are screened with the beginning of the run.
const SCREENED_VISITS_MAX: usize = 100_000_000;
/// Minimum number of visits with which assignments are screened.
const SCREENED_VISITS_MIN: usize = 10_000;

/// Why a run of very few requests has no intervals.
const TOO_FEW: &str =
    "there are so few requests that a further load has none that is served; use a longer part of the run";

/// What is predicted.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    pub by: Metric,
    /// Number of further loads.
    pub replications: u32,
    pub seed: u64,
    /// Number of assignments that are simulated with further loads.
    pub top: usize,
    pub threads: usize,
}

/// A candidate that a strategy proposes.
#[derive(Debug, Clone, PartialEq)]
pub struct Proposal {
    /// Name of the strategy.
    pub by: String,
    pub name: String,
    pub candidate: Candidate,
}

/// A candidate with its prediction.
#[derive(Debug)]
pub struct Ranked {
    pub case: Case,
    pub predicted: Predicted,
    pub replicated: Replicated,
    /// Length of the run in relaxation times of its slowest queue, if it is too short for intervals.
    pub too_short: Option<f64>,
    /// Whether all modules are where they were recorded.
    pub is_recorded: bool,
}

/// The result.
#[derive(Debug)]
pub struct Ranking {
    pub calibration: Calibration,
    /// Why nothing is predicted for any assignment.
    pub refusal: Option<String>,
    pub searched: Searched,
    /// Number of visits with which assignments were screened.
    pub screened_visits: usize,
    /// The part of the run that was simulated with further loads.
    pub sample: Sample,
    /// Assignments with a prediction, best first; then assignments without a prediction. They include the recorded one and all
    /// proposals.
    pub ranked: Vec<Ranked>,
    /// Number of assignments with a prediction, which are the first in `ranked`.
    pub predicted: usize,
    /// The probability that the first assignment in `ranked` is really the best of them.
    pub probability: Option<f64>,
    /// For each proposal, its place in `ranked`.
    pub proposals: Vec<(Proposal, usize)>,
}

/// Simulates assignments, then the best ones with further loads.
///
/// # Errors
/// If there is no assignment, or the user interrupts it.
pub fn rank(
    predictor: &Predictor<'_>,
    proposals: Vec<Proposal>,
    options: &Options,
    progress: &(dyn Fn(&str, usize, usize) -> bool + Sync),
) -> Result<Ranking, SearchError> {
    let sample = Sample::new(&predictor.site.load, VISITS_MAX);
    let calibration = calibration(predictor, &sample)?;
    let count = usize::try_from(predictor.choices.count()).unwrap_or(usize::MAX);
    let visits = (SCREENED_VISITS_MAX / count.clamp(1, ASSIGNMENTS_MAX)).max(SCREENED_VISITS_MIN);
    let screening = Sample::new(&sample.load, visits);
    let loaded = Loaded::new(screening.scaled(predictor.scale, options.seed), &screening);
    let screened_visits = loaded.load.visits.len();
    let total = count.min(ASSIGNMENTS_MAX);
    let screened = AtomicUsize::new(0);
    let searched = search(
        predictor,
        &loaded,
        options.by,
        threads_for(screened_visits, options.threads),
        &|more| {
            let done = screened.fetch_add(more, Ordering::Relaxed) + more;
            progress("searching", done, total)
        },
    )?;
    drop(loaded);
    let chosen = chosen(predictor, &searched, &proposals, options.top);
    let mut ranked = replicate(predictor, &chosen, &sample, options, progress)?;
    for one in &mut ranked {
        if !predictor.choices.is_allowed(&one.case.candidate.assignment) {
            let reason = "the rules of the tiers do not allow it".to_owned();
            one.predicted.reasons.push(reason);
        }
    }
    let refusal = calibration.refusal(options.by);
    ranked.sort_by(|a, b| {
        let key = |one: &Ranked| !one.predicted.reasons.is_empty();
        let figure = |one: &Ranked| one.replicated.times[options.by as usize];
        key(a).cmp(&key(b)).then(figure(a).total_cmp(&figure(b)))
    });
    let is_prediction = |one: &&Ranked| refusal.is_none() && one.predicted.reasons.is_empty();
    let predicted = ranked.iter().filter(is_prediction).count();
    let replicated: Vec<&Replicated> = ranked[..predicted].iter().map(|one| &one.replicated).collect();
    let probability = probability_first_is_best(&replicated, options.by, calibration.error(options.by));
    let place = |candidate: &Candidate| ranked.iter().position(|one| one.case.candidate == *candidate);
    let proposals = proposals
        .into_iter()
        .filter_map(|proposal| place(&proposal.candidate).map(|place| (proposal, place)));
    Ok(Ranking {
        proposals: proposals.collect(),
        calibration,
        refusal,
        searched,
        screened_visits,
        sample,
        predicted,
        probability,
        ranked,
    })
}

/// Simulates the recorded placement on its recorded nodes.
///
/// # Errors
/// If the recording has no valid placement.
pub fn calibration(predictor: &Predictor<'_>, sample: &Sample) -> Result<Calibration, SearchError> {
    let site = predictor.site;
    let tiers = Tiers::recorded(&site.recording, &site.groups);
    let recorded = Surroundings::new(site, &tiers, &Default::default(), false)?;
    Ok(Calibration::new(sample, &recorded))
}

/// The best assignments, the recorded one, and the proposals, each once.
fn chosen(
    predictor: &Predictor<'_>,
    searched: &Searched,
    proposals: &[Proposal],
    top: usize,
) -> Vec<Candidate> {
    let best = searched.screened.iter().take(top);
    let best = best.map(|screened| Candidate::from(&screened.assignment));
    let recorded = Candidate::from(predictor.choices.recorded());
    let proposed = proposals.iter().map(|proposal| proposal.candidate.clone());
    let mut chosen: Vec<Candidate> = Vec::new();
    for candidate in best.chain([recorded]).chain(proposed) {
        if !chosen.contains(&candidate) {
            chosen.push(candidate);
        }
    }
    chosen
}

/// Simulates candidates with the load of the sample, and with further ones.
///
/// # Errors
/// If a candidate does not fit the recording, or the user interrupts it.
pub fn replicate(
    predictor: &Predictor<'_>,
    candidates: &[Candidate],
    sample: &Sample,
    options: &Options,
    progress: &(dyn Fn(&str, usize, usize) -> bool + Sync),
) -> Result<Vec<Ranked>, SearchError> {
    let cases: Result<Vec<Case>, _> = candidates
        .iter()
        .map(|candidate| predictor.case(candidate.clone()))
        .collect();
    let cases = cases?;
    let total = cases.len() * (1 + options.replications as usize);
    let done = AtomicUsize::new(0);
    let counted = |more| {
        let done = done.fetch_add(more, Ordering::Relaxed) + more;
        progress("simulating", done, total)
    };
    let visits = sample.load.visits.len() as f64 * predictor.scale.max(1.0);
    let threads = threads_for(visits as usize, options.threads);
    let loaded = Loaded::new(sample.scaled(predictor.scale, options.seed), sample);
    let predict = |case: &Case| -> Result<(Case, Predicted), PlacementError> {
        let mut case = case.clone();
        let predicted = predictor.predict_events(&mut case, &loaded)?;
        Ok((case, predicted))
    };
    let first = on_all_cores(&cases, threads, predict, &counted as Progress<'_>);
    let first: Result<Vec<_>, PlacementError> = first.ok_or(SearchError::Interrupted)?.into_iter().collect();
    let first = first?;
    // Each job simulates all cases with one further load. So even a single case keeps all cores busy.
    let replications: Vec<u64> = (1..=u64::from(options.replications)).collect();
    let simulate = |replication: &u64| -> Result<Vec<Times>, PlacementError> {
        let seed = random::at(options.seed, *replication);
        let load = sample.again(predictor.scale, seed);
        let times = |case: &Case| predictor.times(case, &load, sample.span_ns);
        cases.iter().map(times).collect()
    };
    let found = on_all_cores(&replications, threads, simulate, &|jobs| {
        counted(jobs * cases.len())
    });
    let mut further: Vec<Vec<Times>> = vec![Vec::new(); cases.len()];
    for times in found.ok_or(SearchError::Interrupted)? {
        for (all, times) in further.iter_mut().zip(times?) {
            all.push(times);
        }
    }
    let recorded = Candidate::from(predictor.choices.recorded());
    let ranked = first.into_iter().zip(further);
    Ok(ranked
        .map(|((case, mut predicted), further)| {
            let has_empty_load = further.iter().flatten().any(|time| time.is_nan());
            if has_empty_load && predicted.evaluation.served > 0 {
                predicted.reasons.push(TOO_FEW.to_owned());
            }
            Ranked {
                too_short: too_short(
                    &case.surroundings.platform.hosts,
                    &predicted.evaluation,
                    sample.span_ns,
                ),
                replicated: Replicated::new(predicted.evaluation.times, further, predictor.scale == 1.0),
                is_recorded: case.candidate == recorded,
                case,
                predicted,
            }
        })
        .collect())
}
