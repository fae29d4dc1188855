//! CPU time by regression for simulated processes, whose CPU time of each request is known.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the failure")]

#[path = "support/process.rs"]
mod process;
#[path = "support/random.rs"]
mod random;

use analyze::regression::{Accumulator, NoEstimate, NoRegression, Regression};
use process::{Mix, Process};
use random::Random;

const S: i64 = 1_000_000_000;

fn process(burns_ms: &[f64], mix: Mix, seconds: usize, rate: f64) -> Process {
    Process {
        burns_ms: burns_ms.to_vec(),
        mix,
        seconds,
        rate,
    }
}

/// With 80 requests a second and 600 samples, estimates are within 10% and 0.1 ms.
#[test]
fn a_varied_mix_gives_each_endpoint_s_cpu_time() {
    const BURNS_MS: [f64; 4] = [0.5, 2.0, 4.0, 8.0];
    const RUNS: u64 = 40;
    let varied = process(&BURNS_MS, Mix::Varied, 600, 80.0);
    let (mut estimates, mut covered, mut close) = (0, 0, 0);
    for seed in 0..RUNS {
        let found = varied.run(&mut Random::new(seed)).regression().unwrap();
        assert_eq!(found.intervals, 600);
        assert!(
            found.r_squared > 0.5 && found.share_of_requests > 0.8,
            "{found:?}"
        );
        for (endpoint, burn_ms) in found.endpoints.iter().zip(BURNS_MS) {
            let Ok(estimate) = endpoint.cpu else { continue };
            estimates += 1;
            covered += u32::from((estimate.low..=estimate.high).contains(&(burn_ms / 1e3)));
            close += u32::from((estimate.mean * 1e3 - burn_ms).abs() <= 0.1 * burn_ms + 0.1);
        }
    }
    // The probability that fewer than 0.88 of 160 intervals at 95% contain the true value is below 0.001.
    assert!(estimates >= 120, "{estimates} estimates");
    assert!(
        f64::from(covered) >= 0.88 * f64::from(estimates),
        "{covered} of {estimates}"
    );
    assert!(
        f64::from(close) >= 0.95 * f64::from(estimates),
        "{close} of {estimates}"
    );
}

#[test]
fn endpoints_in_step_are_not_separable() {
    for seed in 0..5 {
        let turns = process(&[0.5, 2.0, 8.0], Mix::Turns, 600, 100.0);
        let found = turns.run(&mut Random::new(seed)).regression().unwrap();
        for endpoint in &found.endpoints {
            assert!(
                matches!(endpoint.cpu, Err(NoEstimate::InStep { .. })),
                "{endpoint:?}"
            );
        }
    }
}

#[test]
fn endpoints_in_exact_proportion_are_not_separable_and_leave_others_alone() {
    let mut accumulator = Accumulator::default();
    let mut random = Random::new(7);
    let mut cpu_s = 0.0;
    for second in 0..300 {
        accumulator.add_sample(second * S, cpu_s);
        let (pairs, others) = (random.bits() % 20, random.bits() % 30);
        for number in 0..pairs {
            let at = second * S + number as i64;
            accumulator.add_request(0, at, at);
            accumulator.add_request(1, at, at);
        }
        for number in 0..others {
            accumulator.add_request(2, second * S + number as i64, second * S + number as i64);
        }
        cpu_s += 0.003 * pairs as f64 + 0.005 * others as f64 + 0.001 * random.uniform();
    }
    let found = accumulator.finish().unwrap();
    for endpoint in &found.endpoints[..2] {
        assert!(
            matches!(endpoint.cpu, Err(NoEstimate::InStep { .. })),
            "{endpoint:?}"
        );
    }
    let other = found.endpoints[2].cpu.unwrap();
    assert!(
        (other.mean - 0.005).abs() < 1e-4 && other.half_width < 1e-4,
        "{other:?}"
    );
}

/// Each request chooses its endpoint with the same probabilities. A result is then either missing, or has a correct interval.
#[test]
fn a_random_mix_with_constant_shares_is_not_overrated() {
    let (mut estimates, mut covered) = (0, 0);
    for seed in 0..15 {
        let constant = process(&[0.5, 2.0, 8.0], Mix::Constant, 600, 60.0);
        let found = constant.run(&mut Random::new(seed)).regression().unwrap();
        for (endpoint, burn_ms) in found.endpoints.iter().zip([0.5, 2.0, 8.0]) {
            if let Ok(estimate) = endpoint.cpu {
                estimates += 1;
                covered += u32::from((estimate.low..=estimate.high).contains(&(burn_ms / 1e3)));
            }
        }
    }
    assert!(
        f64::from(covered) >= 0.8 * f64::from(estimates),
        "{covered} of {estimates}"
    );
}

fn plain(samples: impl IntoIterator<Item = (i64, f64)>) -> Result<Regression, NoRegression> {
    let mut accumulator = Accumulator::default();
    for (at, cpu_s) in samples {
        accumulator.add_sample(at, cpu_s);
        accumulator.add_request(0, at, at + 1);
    }
    accumulator.finish()
}

#[test]
fn too_little_gives_its_reason() {
    let needed = |intervals| NoRegression::TooShort {
        intervals,
        needed: 60,
    };
    assert_eq!(Accumulator::default().finish().unwrap_err(), needed(0));
    assert_eq!(plain([(0, 1.0)]).unwrap_err(), needed(0));
    assert_eq!(plain([(0, 1.0), (S, 2.0)]).unwrap_err(), needed(1));
    let constant = (0..100).map(|second| (second * S, 0.0));
    assert_eq!(plain(constant).unwrap_err(), NoRegression::NoCpu);
    let random = (0..100).map(|second| (second * S, (second * 7919 % 100) as f64));
    assert_eq!(plain(random).unwrap_err(), NoRegression::NotCumulative);
    let falling = (0..100).map(|second| (second * S, 100.0 - second as f64));
    assert_eq!(plain(falling).unwrap_err(), NoRegression::NotCumulative);
}

#[test]
fn an_endpoint_with_few_or_no_requests_has_no_estimate() {
    let mut observed = process(&[2.0, 2.0, 2.0], Mix::Varied, 300, 50.0).run(&mut Random::new(3));
    let mut seen = 0;
    observed.requests.retain(|&(endpoint, _, _)| {
        seen += usize::from(endpoint == 2);
        endpoint == 0 || (endpoint == 2 && seen <= 3)
    });
    let found = observed.regression().unwrap();
    assert_eq!(found.endpoints[1].cpu.unwrap_err(), NoEstimate::NoRequests);
    assert!(matches!(found.endpoints[2].cpu, Err(NoEstimate::TooFew { .. })));
}

/// The process restarts twice, and the requests and samples of a minute are lost.
#[test]
fn restarts_and_gaps_change_nothing() {
    let mut observed = process(&[1.0, 6.0], Mix::Varied, 900, 100.0).run(&mut Random::new(11));
    let restarts = [300, 600];
    for at in restarts {
        let before = observed.samples[at].1;
        observed.samples[at..]
            .iter_mut()
            .for_each(|sample| sample.1 -= before);
    }
    let (begin, end) = (observed.samples[400].0, observed.samples[460].0);
    observed.samples.drain(401..460);
    observed
        .requests
        .retain(|&(_, start, _)| start < begin || start >= end);
    let found = observed.regression().unwrap();
    assert_eq!(found.intervals, 900 - 2 - 60);
    for (endpoint, burn_ms) in found.endpoints.iter().zip([1.0, 6.0]) {
        let estimate = endpoint.cpu.unwrap();
        assert!(
            (estimate.mean * 1e3 - burn_ms).abs() <= 0.1 * burn_ms + 0.1,
            "{estimate:?}"
        );
    }
}
