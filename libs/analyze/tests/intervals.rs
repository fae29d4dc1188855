//! Confidence intervals of known queues, and of values that differ from those of a queue.

#[path = "support/chance.rs"]
mod chance;
#[path = "support/random.rs"]
mod random;
#[path = "support/waits.rs"]
mod waits;

use analyze::intervals::{Accumulator, Interval, NoInterval, RunLength};
use chance::fewest;
use random::Random;
use waits::{mean_wait, quantile_of_waits, relaxations, waits};

const LONG: RunLength = RunLength::Relaxations(f64::INFINITY);

fn accumulate(values: impl IntoIterator<Item = f64>) -> Accumulator {
    let mut accumulator = Accumulator::new();
    values.into_iter().for_each(|value| accumulator.push(value));
    accumulator
}

fn covers(found: &Interval, truth: f64) -> bool {
    found.low.is_none_or(|low| low <= truth) && found.high.is_none_or(|high| truth <= high)
}

#[test]
fn intervals_cover_the_truth_of_a_queue() {
    const RUNS: u32 = 200;
    const VALUES: usize = 20_000;
    let mut missed = 0;
    for rho in [0.3, 0.5, 0.8] {
        let (mut mean, mut p99) = (0, 0);
        for run in 0..RUNS {
            let mut random = Random::new((u64::from(run) << 8) | (rho * 10.0) as u64);
            let values = accumulate(waits(&mut random, rho, VALUES));
            let length = RunLength::Relaxations(relaxations(rho, VALUES));
            let found = values.mean_interval(0.95, length).unwrap();
            mean += u32::from(covers(&found, mean_wait(rho)));
            let found = values.quantile_interval(0.99, 0.95, length).unwrap();
            p99 += u32::from(covers(&found, quantile_of_waits(rho, 0.99)));
        }
        // docs/statistics.md promises a coverage of 92 to 98% for the mean, and of 85% for p99.
        assert!(mean >= fewest(RUNS, 0.92), "mean at rho {rho}: {mean} of {RUNS}");
        assert!(p99 >= fewest(RUNS, 0.85), "p99 at rho {rho}: {p99} of {RUNS}");
        missed += RUNS - mean;
    }
    // Intervals that always contain the true value are too wide.
    assert!(missed >= fewest(3 * RUNS, 0.02), "{missed} of {}", 3 * RUNS);
}

#[test]
fn a_short_run_is_covered_better_than_by_plain_batch_means() {
    const RUNS: u32 = 200;
    let mut mean = 0;
    for run in 0..RUNS {
        let values = accumulate(waits(&mut Random::new(u64::from(run) + 1_000_000), 0.8, 800));
        let found = values.mean_interval(0.95, LONG).unwrap();
        mean += u32::from(covers(&found, mean_wait(0.8)));
    }
    // Without the two adjustments, the coverage is 0.71 (docs/statistics.md).
    assert!(mean >= fewest(RUNS, 0.85), "{mean} of {RUNS}");
}

#[test]
fn a_sequence_in_parts_gives_the_interval_of_the_whole() {
    let values = waits(&mut Random::new(1), 0.5, 30_000);
    let whole = accumulate(values.iter().copied());
    for parts in [2, 7, 100, 3_000] {
        let mut joined = Accumulator::new();
        joined.append(Accumulator::new());
        for part in values.chunks(values.len() / parts) {
            joined.append(accumulate(part.iter().copied()));
            joined.append(Accumulator::new());
        }
        assert_eq!(joined.count(), whole.count());
        let [found, expected] = [&joined, &whole].map(|all| all.mean_interval(0.95, LONG).unwrap());
        assert!((found.estimate - expected.estimate).abs() < 1e-9);
        let widths = [found, expected].map(|found| found.high.unwrap() - found.low.unwrap());
        // The batches begin at other values, so the estimated errors differ, too.
        assert!(
            widths[0] / widths[1] > 0.5 && widths[0] / widths[1] < 2.0,
            "{parts}: {widths:?}"
        );
        let [found, expected] = [&joined, &whole].map(|all| all.quantile_interval(0.95, 0.95, LONG).unwrap());
        assert_eq!(found.estimate, expected.estimate);
        for (end, of_whole) in [(found.low, expected.low), (found.high, expected.high)] {
            let ratio = end.unwrap() / of_whole.unwrap();
            assert!((0.9..1.1).contains(&ratio), "{parts}: {found:?} {expected:?}");
        }
    }
}

#[test]
fn values_without_an_interval_are_named() {
    let few = accumulate([1.0, 2.0]);
    let too_few = |values, needed| NoInterval::TooFew { values, needed };
    for values in [Accumulator::new(), Accumulator::default()] {
        assert_eq!(values.mean_interval(0.95, LONG), Err(too_few(0, 16)));
        assert_eq!(values.effective_sample_size(), None);
    }
    assert_eq!(accumulate([1.0]).mean_interval(0.95, LONG), Err(too_few(1, 16)));
    assert_eq!(few.quantile_interval(0.5, 0.95, LONG), Err(too_few(2, 16)));
    let hundred = accumulate((0..100).map(f64::from));
    assert_eq!(
        hundred.quantile_interval(0.99, 0.95, LONG),
        Err(too_few(100, 500))
    );
    for level in [0.0, 1.0, -1.0, f64::NAN] {
        assert_eq!(
            hundred.mean_interval(level, LONG),
            Err(NoInterval::InvalidRequest)
        );
        assert_eq!(
            hundred.quantile_interval(level, 0.95, LONG),
            Err(NoInterval::InvalidRequest)
        );
    }
    let constant = accumulate([5.0; 1000]);
    assert_eq!(constant.mean_interval(0.95, LONG), Err(NoInterval::Constant));
    assert_eq!(
        constant.quantile_interval(0.5, 0.95, LONG),
        Err(NoInterval::Constant)
    );
    let mut damaged = hundred;
    for value in [f64::INFINITY, f64::NEG_INFINITY, f64::NAN, 1e300] {
        damaged.append(accumulate([value]));
    }
    let not_finite = Err(NoInterval::NotFinite { count: 4 });
    assert_eq!(damaged.mean_interval(0.95, LONG), not_finite);
    assert_eq!(damaged.quantile_interval(0.5, 0.95, LONG), not_finite);
    assert_eq!(damaged.count(), 100);
}

#[test]
fn a_short_run_is_refused() {
    let values = accumulate(waits(&mut Random::new(2), 0.8, 5_000));
    let length = RunLength::of_queue(5_000.0 / 0.8, 0.8, 1.0, 1);
    let refused = values.mean_interval(0.95, length).unwrap_err();
    assert!(matches!(refused, NoInterval::TooShort { relaxations } if (69.0..71.0).contains(&relaxations)));
    assert_eq!(
        refused.to_string(),
        "too short: 70 relaxation times of 200 needed"
    );
    assert_eq!(values.quantile_interval(0.5, 0.95, length), Err(refused));
    for unsettled in [0.0, f64::NAN] {
        let refused = values.mean_interval(0.95, RunLength::Relaxations(unsettled));
        assert!(matches!(refused, Err(NoInterval::TooShort { .. })), "{unsettled}");
    }
}

#[test]
fn dependence_is_estimated_where_no_queue_is_known() {
    let mut random = Random::new(3);
    let independent = accumulate((0..5_000).map(|_| random.exponential(1.0)));
    let found = independent.mean_interval(0.95, RunLength::Unknown).unwrap();
    assert!(
        covers(&found, 1.0) && found.effective_sample_size <= 5_000.0,
        "{found:?}"
    );
    assert!(found.effective_sample_size > 2_000.0, "{found:?}");
    let mut place = 0.0;
    let walk = accumulate((0..5_000).map(|_| {
        place += random.uniform() - 0.5;
        place
    }));
    let refused = walk.mean_interval(0.95, RunLength::Unknown);
    assert!(
        matches!(refused, Err(NoInterval::TooDependent { size, .. }) if size < 20.0),
        "{refused:?}"
    );
    let refused = walk.quantile_interval(0.5, 0.95, RunLength::Unknown);
    assert!(
        matches!(refused, Err(NoInterval::TooDependent { .. })),
        "{refused:?}"
    );
    assert!(walk.mean_interval(0.95, LONG).unwrap().low.unwrap() < 0.0);
}

#[test]
fn zeros_are_exact_and_no_wait_is_negative() {
    let values = accumulate(waits(&mut Random::new(4), 0.3, 5_000));
    let median = values.quantile_interval(0.5, 0.95, LONG).unwrap();
    assert_eq!(
        (median.low, median.estimate, median.high),
        (Some(0.0), 0.0, Some(0.0))
    );
    assert!(covers(
        &values.quantile_interval(0.95, 0.95, LONG).unwrap(),
        quantile_of_waits(0.3, 0.95)
    ));
    let rare = accumulate((0..1_000).map(|place| f64::from(place == 500)));
    let found = rare.mean_interval(0.95, LONG).unwrap();
    assert_eq!(found.low, Some(0.0));
    assert!(found.high.unwrap() > 0.002, "{found:?}");
    // All values but one are zero, and nothing shows how many further ones could be above zero.
    let found = rare.quantile_interval(0.99, 0.95, LONG).unwrap();
    assert_eq!((found.low, found.estimate), (Some(0.0), 0.0));
}

#[test]
fn rounded_values_give_nearly_the_interval_of_exact_ones() {
    let exact = waits(&mut Random::new(5), 0.5, 20_000);
    let [rounded, exact] =
        [1.0, 1e-9].map(|unit| accumulate(exact.iter().map(|value| (value / unit).round() * unit)));
    let [found, expected] = [&rounded, &exact].map(|values| values.mean_interval(0.95, LONG).unwrap());
    assert!(
        (found.low.unwrap() - expected.low.unwrap()).abs() < 0.05,
        "{found:?} {expected:?}"
    );
    assert!(
        (found.high.unwrap() - expected.high.unwrap()).abs() < 0.05,
        "{found:?} {expected:?}"
    );
    let found = rounded.quantile_interval(0.99, 0.95, LONG).unwrap();
    assert!(covers(&found, quantile_of_waits(0.5, 0.99)), "{found:?}");
    // Two neighbouring values are in the same bucket, so only the range of all values is known.
    let mut random = Random::new(6);
    let two = accumulate((0..5_000).map(|_| if random.uniform() < 0.5 { 1_000.0 } else { 1_001.0 }));
    let found = two.quantile_interval(0.5, 0.95, LONG).unwrap();
    assert_eq!((found.low, found.high), (Some(1_000.0), Some(1_001.0)));
    assert!(covers(&two.mean_interval(0.95, LONG).unwrap(), 1_000.5));
}

#[test]
fn a_large_common_part_does_not_hide_the_differences() {
    let values = waits(&mut Random::new(7), 0.5, 5_000);
    let plain = accumulate(values.iter().copied())
        .mean_interval(0.95, LONG)
        .unwrap();
    let (left, right) = values.split_at(1_000);
    let mut raised = accumulate(left.iter().map(|value| value + 1e12));
    raised.append(accumulate(right.iter().map(|value| value + 1e12)));
    let raised = raised.mean_interval(0.95, LONG).unwrap();
    let width = |found: &Interval| found.high.unwrap() - found.low.unwrap();
    assert!(
        (width(&raised) / width(&plain) - 1.0).abs() < 0.3,
        "{raised:?} {plain:?}"
    );
    assert!((raised.estimate - 1e12 - plain.estimate).abs() < 1e-3);
}

#[test]
fn a_lower_quantile_mirrors_an_upper_one() {
    let values = waits(&mut Random::new(8), 0.5, 5_000);
    let upper = accumulate(values.iter().copied())
        .quantile_interval(0.95, 0.95, LONG)
        .unwrap();
    let lower = accumulate(values.iter().map(|value| -value))
        .quantile_interval(0.05, 0.95, LONG)
        .unwrap();
    let close = |a: f64, b: f64| (a / b - 1.0).abs() < 0.02;
    assert!(
        close(-lower.low.unwrap(), upper.high.unwrap()),
        "{lower:?} {upper:?}"
    );
    assert!(
        close(-lower.high.unwrap(), upper.low.unwrap()),
        "{lower:?} {upper:?}"
    );
    assert!(close(-lower.estimate, upper.estimate), "{lower:?} {upper:?}");
}

#[test]
fn a_run_that_does_not_bound_a_quantile_has_an_open_end() {
    // The largest values are adjacent, so another run may have none or many of them.
    let values = accumulate((0..600).map(|place| {
        if place < 30 {
            f64::from(place) + 100.0
        } else {
            1.0 + f64::from(place % 7)
        }
    }));
    let found = values.quantile_interval(0.99, 0.95, LONG).unwrap();
    assert_eq!(found.high, None, "{found:?}");
    assert!(found.low.is_some_and(|low| low < found.estimate), "{found:?}");
}
