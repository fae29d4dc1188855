//! Compares mean waiting times with queueing theory.

use plan::stations::simulate;

use crate::build::{Random, Tree, add_root, empty, station};

const COUNT: usize = 200_000;
const RHO: f64 = 0.7;
/// Mean service time. Rounding to nanoseconds changes it by less than a thousandth.
const SERVICE_NS: f64 = 10_000.0;

fn mean_wait(seed: u64, mut service: impl FnMut(&mut Random) -> i64) -> f64 {
    let mut random = Random(seed);
    let mut load = empty(&[station(1, false, None)]);
    let mut at = 0;
    for _ in 0..COUNT {
        at += random.exponential(SERVICE_NS / RHO);
        add_root(&mut load, at, &Tree::leaf(service(&mut random)));
    }
    let sum: i64 = simulate(&load).iter().map(|outcome| outcome.wait_ns).sum();
    sum as f64 / COUNT as f64 / SERVICE_NS
}

/// Standard error of the mean of `COUNT` waiting times in M/M/1, in mean service times (Daley, 1968). The asymptotic variance
/// is rho (2 + 5 rho - 4 rho^2 + rho^3) / (1 - rho)^4.
fn standard_error() -> f64 {
    let variance = RHO * (2.0 + 5.0 * RHO - 4.0 * RHO * RHO + RHO.powi(3)) / (1.0 - RHO).powi(4);
    (variance / COUNT as f64).sqrt()
}

#[test]
fn the_mean_wait_of_exponential_services_is_that_of_theory() {
    let mean = mean_wait(1, |random| random.exponential(SERVICE_NS));
    let expected = RHO / (1.0 - RHO);
    assert!(
        (mean - expected).abs() < 4.0 * standard_error(),
        "{mean} {expected}"
    );
}

#[test]
fn the_mean_wait_of_constant_services_is_that_of_theory() {
    let mean = mean_wait(2, |_| SERVICE_NS as i64);
    let expected = RHO / (2.0 * (1.0 - RHO));
    // Waiting times vary less if service times are constant than if they are exponential.
    assert!(
        (mean - expected).abs() < 2.0 * standard_error(),
        "{mean} {expected}"
    );
}
