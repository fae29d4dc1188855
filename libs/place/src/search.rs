//! [`search`]: simulates all assignments or, if there are too many, the assignments that a local search finds.
//!
//! The local search begins with at most 64 assignments: the recorded one; for each node, everything on this node; and one that
//! fills the nodes in their order. Assignments that the rules forbid are left out. The search starts from each of them, the best
//! one first. It then goes to the best of all assignments that differ in one module, as long as this one is better (steepest
//! descent). It never simulates an assignment twice.

use std::collections::{HashMap, HashSet};

use cctf_stack::stand_ins::PlacementError;

use crate::assignments::{Assignment, Choices};
use crate::evaluation::Metric;
use crate::parallel::{Progress, on_all_cores};
use crate::predictor::{Loaded, Predictor};

/// Maximum number of assignments that are simulated. If there are no more than this, all are simulated.
pub const ASSIGNMENTS_MAX: usize = 4_096;
/// Maximum number of starting points of a local search.
const STARTS_MAX: usize = 64;

/// A simulated assignment, with only what decides whether it is simulated again with further loads.
#[derive(Debug, Clone, PartialEq)]
pub struct Screened {
    pub assignment: Assignment,
    /// Milliseconds.
    pub figure: f64,
    /// Why nothing is predicted.
    pub reasons: Vec<String>,
}

/// All simulated assignments, best first.
#[derive(Debug, Clone, PartialEq)]
pub struct Searched {
    pub screened: Vec<Screened>,
    /// Whether these are all allowed assignments.
    pub is_complete: bool,
}

/// Why a search has no result.
#[derive(Debug, thiserror::Error)]
pub enum SearchError {
    #[error(transparent)]
    Placement(#[from] PlacementError),
    #[error("interrupted")]
    Interrupted,
    #[error(
        "cannot place the modules: the limits of the nodes (modules_max) leave no assignment; raise one of them"
    )]
    NoAssignment,
}

/// Simulates assignments on several threads.
///
/// # Errors
/// If there is no assignment, or the user interrupts it.
pub fn search(
    predictor: &Predictor<'_>,
    loaded: &Loaded,
    by: Metric,
    threads: usize,
    progress: Progress<'_>,
) -> Result<Searched, SearchError> {
    let choices = predictor.choices;
    let screen = |assignments: &[Assignment]| -> Result<Vec<Screened>, SearchError> {
        let each = |assignment: &Assignment| {
            let case = predictor.case(assignment.into())?;
            let predicted = predictor.predict(&case, loaded);
            Ok(Screened {
                assignment: assignment.clone(),
                figure: predicted.evaluation.times[by as usize],
                reasons: predicted.reasons,
            })
        };
        let found = on_all_cores(assignments, threads, each, progress).ok_or(SearchError::Interrupted)?;
        let found: Result<Vec<Screened>, PlacementError> = found.into_iter().collect();
        Ok(found?)
    };
    let is_complete = choices.count() <= ASSIGNMENTS_MAX as u128;
    let mut screened = match is_complete {
        true => screen(&choices.all().collect::<Vec<_>>())?,
        false => local(choices, screen)?,
    };
    if screened.is_empty() {
        return Err(SearchError::NoAssignment);
    }
    screened.sort_by(order);
    Ok(Searched {
        screened,
        is_complete,
    })
}

/// Assignments with a prediction come first, the best one before all others.
pub fn order(a: &Screened, b: &Screened) -> std::cmp::Ordering {
    let key = |one: &Screened| !one.reasons.is_empty();
    key(a).cmp(&key(b)).then(a.figure.total_cmp(&b.figure))
}

fn local(
    choices: &Choices,
    mut screen: impl FnMut(&[Assignment]) -> Result<Vec<Screened>, SearchError>,
) -> Result<Vec<Screened>, SearchError> {
    let mut seen: HashMap<Assignment, Screened> = HashMap::new();
    let mut see =
        |wanted: Vec<Assignment>, seen: &mut HashMap<Assignment, Screened>| -> Result<(), SearchError> {
            let room = ASSIGNMENTS_MAX.saturating_sub(seen.len());
            let mut new = wanted;
            new.retain(|assignment| !seen.contains_key(assignment));
            new.truncate(room);
            for found in screen(&new)? {
                seen.insert(found.assignment.clone(), found);
            }
            Ok(())
        };
    let mut starts = vec![choices.recorded().clone()];
    starts.extend((0..choices.nodes.len() as u32).map(|node| choices.all_on(node)));
    starts.extend(choices.first_fit());
    starts.retain(|start| choices.is_allowed(start));
    let mut met = HashSet::new();
    starts.retain(|start| met.insert(start.clone()));
    starts.truncate(STARTS_MAX);
    see(starts, &mut seen)?;
    let mut begins: Vec<Screened> = seen.values().cloned().collect();
    begins.sort_by(|a, b| order(a, b).then(a.assignment.cmp(&b.assignment)));
    for begin in begins {
        let mut at = begin.assignment;
        loop {
            let neighbours = choices.neighbours(&at);
            see(neighbours.clone(), &mut seen)?;
            let best = neighbours
                .iter()
                .filter_map(|neighbour| seen.get(neighbour))
                .min_by(|a, b| order(a, b));
            match (best, seen.get(&at)) {
                (Some(best), Some(own)) if order(best, own).is_lt() => at = best.assignment.clone(),
                _ => break,
            }
        }
    }
    let mut found: Vec<Screened> = seen.into_values().collect();
    // A hash map has no order of its own.
    found.sort_by(|a, b| a.assignment.cmp(&b.assignment));
    Ok(found)
}
