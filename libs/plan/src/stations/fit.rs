//! [`fits`]: compares the simulated waits of a run with the recorded ones.

use super::model::Load;
use super::outcome::{Outcome, State};
use crate::work::Waited;

/// Maximum relative error of a mean or 95th percentile. Above it, the simulator does not describe a module's waits.
pub const FIT_ERROR_MAX: f64 = 0.10;
/// Errors below this many milliseconds are ignored, because a relative error means nothing for waits near zero.
pub const FIT_FLOOR_MS: f64 = 0.1;

/// Comparison of a module's recorded and simulated waits.
#[derive(Debug, Clone, PartialEq)]
pub struct ModuleFit {
    pub module: String,
    /// Number of waits.
    pub count: usize,
    pub mean: Pair,
    pub p95: Pair,
    /// Invocations that were refused only in the recording or only in the simulation.
    pub refused_otherwise: usize,
}

/// A recorded and a simulated value, milliseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pair {
    pub recorded: f64,
    pub simulated: f64,
}

impl Pair {
    /// Difference as a share of the recorded value.
    pub fn error(&self) -> f64 {
        let difference = (self.simulated - self.recorded).abs();
        match difference == 0.0 {
            true => 0.0,
            false => difference / self.recorded.abs(),
        }
    }

    /// Whether the relative error is at most [`FIT_ERROR_MAX`], or the absolute error is below [`FIT_FLOOR_MS`].
    pub fn is_good(&self) -> bool {
        (self.simulated - self.recorded).abs() <= FIT_FLOOR_MS || self.error() <= FIT_ERROR_MAX
    }
}

impl ModuleFit {
    pub fn is_good(&self) -> bool {
        self.mean.is_good() && self.p95.is_good()
    }
}

/// Waits of one module's invocations, for their first slot and for further slots.
#[derive(Debug, Clone, Default)]
pub struct Waits {
    /// Nanoseconds, in the order of the rows.
    pub recorded: Vec<i64>,
    pub simulated: Vec<i64>,
    pub refused_otherwise: usize,
}

/// The recorded and simulated waits of each module. Modules without recorded waits get an empty entry.
pub fn waits(load: &Load, outcomes: &[Outcome]) -> Vec<Waits> {
    let mut by_module = vec![Waits::default(); load.names.modules.len()];
    for (visit, outcome) in load.visits.iter().zip(outcomes) {
        let waits = &mut by_module[load.names.module_of(visit.instance) as usize];
        match (visit.waited, outcome.state) {
            (Waited::Recorded, State::Served) => {
                waits.recorded.push(visit.wait_ns + visit.slot_wait_ns);
                waits.simulated.push(outcome.wait_ns + outcome.slot_wait_ns);
            }
            (Waited::Recorded, State::Refused) | (Waited::Refused, State::Served) => {
                waits.refused_otherwise += 1;
            }
            _ => {}
        }
    }
    by_module
}

/// The fit of each module with recorded waits.
pub fn fits(load: &Load, outcomes: &[Outcome]) -> Vec<ModuleFit> {
    let by_module = waits(load, outcomes).into_iter().zip(&load.names.modules);
    by_module
        .filter(|(waits, _)| !waits.recorded.is_empty())
        .map(|(mut waits, module)| {
            waits.recorded.sort_unstable();
            waits.simulated.sort_unstable();
            ModuleFit {
                module: module.clone(),
                count: waits.recorded.len(),
                mean: pair(mean_ms(&waits.recorded), mean_ms(&waits.simulated)),
                p95: pair(
                    quantile_ms(&waits.recorded, 0.95),
                    quantile_ms(&waits.simulated, 0.95),
                ),
                refused_otherwise: waits.refused_otherwise,
            }
        })
        .collect()
}

fn pair(recorded: f64, simulated: f64) -> Pair {
    Pair { recorded, simulated }
}

/// Mean of nanoseconds, in milliseconds. NaN for an empty slice.
pub fn mean_ms(values: &[i64]) -> f64 {
    let sum: i128 = values.iter().map(|value| i128::from(*value)).sum();
    sum as f64 / values.len() as f64 / 1e6
}

/// The `q` quantile of sorted nanoseconds, in milliseconds: the smallest value with at least a share `q` of the values at or
/// below it. NaN for an empty slice.
pub fn quantile_ms(sorted: &[i64], q: f64) -> f64 {
    let rank = (q * sorted.len() as f64).ceil() as usize;
    let value = sorted.get(rank.saturating_sub(1).min(sorted.len().saturating_sub(1)));
    value.map_or(f64::NAN, |value| *value as f64 / 1e6)
}
