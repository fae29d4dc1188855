//! Predictions against queueing theory: M/M/1 at the recorded load, and at a greater one.

use place::assignments::Choices;
use place::evaluation::Metric;
use place::predictor::Predictor;
use place::ranking::{Options, rank};
use place::tiers::Tiers;
use place::uncertainty::Interval;

use crate::run::{MS, poisson, site};

const RHO: f64 = 0.5;
/// Mean service, milliseconds.
const SERVICE: f64 = 4.0;

pub fn options() -> Options {
    Options {
        by: Metric::P95,
        replications: 20,
        seed: 1,
        top: 10,
        threads: 2,
    }
}

/// Root responses of one queue at `scale` times the recorded load: mean and p95, without the constant rest of a request.
fn predicted(scale: f64) -> [Interval; 2] {
    let shop = poisson(20_000, RHO, 3);
    let rest = (shop.front_ns[0] + shop.front_ns[1] + 2 * shop.net_ns) as f64 / MS as f64;
    let site = site(&shop).unwrap();
    let tiers = Tiers::recorded(&site.recording, &site.groups);
    let choices = Choices::new(&site, &tiers);
    let predictor = Predictor {
        site: &site,
        tiers: &tiers,
        choices: &choices,
        slots: Default::default(),
        scale,
    };
    let ranking = rank(&predictor, Vec::new(), &options(), &|_, _, _| true).unwrap();
    let recorded = ranking
        .ranked
        .iter()
        .find(|ranked| ranked.case.candidate.assignment == *choices.recorded())
        .unwrap();
    assert_eq!(recorded.predicted.reasons, [] as [String; 0]);
    [Metric::Mean, Metric::P95].map(|metric| {
        let interval = recorded
            .replicated
            .interval(metric, ranking.calibration.error(metric));
        Interval {
            value: interval.value - rest,
            low: interval.low - rest,
            high: interval.high - rest,
        }
    })
}

#[test]
fn intervals_at_other_loads_contain_the_values_of_theory() {
    for scale in [1.0, 1.4, 0.6] {
        let mean = SERVICE / (1.0 - RHO * scale);
        // The response of M/M/1 is exponential.
        let expected = [mean, -mean * 0.05_f64.ln()];
        for (found, expected) in predicted(scale).into_iter().zip(expected) {
            assert!(
                found.low < expected && expected < found.high,
                "{scale}: {found:?} {expected}"
            );
            let half = (found.high - found.low) / 2.0;
            assert!(half < 0.35 * expected, "an interval that says nothing: {found:?}");
        }
    }
}
