//! Waiting times in a stationary M/M/1 queue and their exact figures, for tests and for the example that measures coverage.

use crate::random::Random;

/// Waiting times at utilisation `rho`, in mean service times. The first one has the stationary distribution.
pub fn waits(random: &mut Random, rho: f64, number: usize) -> Vec<f64> {
    let is_busy = random.uniform() < rho;
    let mut wait = if is_busy {
        random.exponential(1.0 / (1.0 - rho))
    } else {
        0.0
    };
    let mut waits = Vec::with_capacity(number);
    for _ in 0..number {
        waits.push(wait);
        let service = random.exponential(1.0);
        wait = (wait + service - random.exponential(1.0 / rho)).max(0.0);
    }
    waits
}

pub fn mean_wait(rho: f64) -> f64 {
    rho / (1.0 - rho)
}

/// The quantile `q` of waiting times.
pub fn quantile_of_waits(rho: f64, q: f64) -> f64 {
    // The margin allows for rounding: at rho 0.5, the median is 0.
    let ratio = rho / (1.0 - q);
    if ratio > 1.0 + 1e-9 {
        ratio.ln() / (1.0 - rho)
    } else {
        0.0
    }
}

/// Number of relaxation times that `number` arrivals take.
pub fn relaxations(rho: f64, number: usize) -> f64 {
    number as f64 / rho * (1.0 - rho.sqrt()).powi(2)
}
