//! Confidence intervals of rates, shares and averages over time: for queues with known figures, and for cases that have no
//! interval.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the failure")]

#[path = "support/chance.rs"]
mod chance;
#[path = "support/random.rs"]
mod random;
#[path = "support/requests.rs"]
mod requests;

use std::collections::BTreeMap;

use analyze::intervals::{Interval, NoInterval, RunLength};
use analyze::stats::load::Load;
use analyze::stats::row::InvocationRow;
use analyze::stats::window::Bounds;
use chance::fewest;
use random::Random;
use requests::{Arriving, Recorded, one_slot, run};

const LONG: RunLength = RunLength::Relaxations(f64::INFINITY);
const MS: i64 = 1_000_000;

/// A request of 1 ms that starts at this millisecond.
fn row(ms: i64) -> InvocationRow<'static> {
    InvocationRow {
        ts_enqueue: ms * MS,
        ts_start: ms * MS,
        ts_end: (ms + 1) * MS,
        times: [Some(0), Some(MS as u64), Some(MS as u64), None, None],
        bytes_in: Some(100),
        ..InvocationRow::default()
    }
}

fn recorded(rows: impl Iterator<Item = InvocationRow<'static>>) -> Recorded {
    let mut recorded = Recorded::new();
    rows.for_each(|row| recorded.add(&row));
    recorded
}

fn interval(recorded: &Recorded, load: Load) -> Option<Result<Interval, NoInterval>> {
    recorded.intervals(LONG, &one_slot)[load as usize]
}

fn half_width(interval: &Interval) -> f64 {
    (interval.high.unwrap() - interval.low.unwrap()) / 2.0 / interval.estimate
}

#[test]
fn intervals_of_rates_and_shares_cover_the_truth() {
    const RUNS: u32 = 200;
    let mut covered: BTreeMap<&str, u32> = BTreeMap::new();
    for number in 0..RUNS {
        let random = &mut Random::new(u64::from(number));
        for (load, truth, found) in run(random, 0.5, Arriving::Poisson { errors: 0.05 }, 5_000) {
            let found = found.unwrap();
            let is_covered = found.low.unwrap() <= truth && truth <= found.high.unwrap();
            *covered.entry(load.name()).or_default() += u32::from(is_covered);
        }
    }
    assert_eq!(covered.len(), 7);
    for (name, covered) in &covered {
        // docs/statistics.md promises a coverage of 92%.
        assert!(*covered >= fewest(RUNS, 0.92), "{name}: {covered} of {RUNS}");
    }
    // Intervals that always contain the true value are too wide.
    let missed = 7 * RUNS - covered.values().sum::<u32>();
    assert!(missed >= fewest(7 * RUNS, 0.01), "{missed}");
}

#[test]
fn dependent_arrivals_give_a_wider_interval_or_none() {
    let of = |arriving, number| run(&mut Random::new(7), 0.5, arriving, number).remove(0).2;
    let independent = of(Arriving::Varied, 20_000).unwrap();
    let bursts = of(Arriving::Bursts, 20_000).unwrap();
    assert!(half_width(&bursts) > 2.0 * half_width(&independent));
    let short = of(Arriving::Bursts, 800);
    assert!(matches!(short, Err(NoInterval::TooDependent { .. })), "{short:?}");
}

#[test]
fn a_regular_schedule_gives_a_narrow_interval_of_the_rate() {
    // A Poisson process with the same number of arrivals would give 6%.
    let regular = recorded((0..1000).map(|number| row(10 * number + number * 7 % 5)));
    let rate = interval(&regular, Load::Rate).unwrap().unwrap();
    assert!((rate.estimate - 100.0).abs() < 0.1, "{rate:?}");
    assert!(half_width(&rate) < 0.03, "{rate:?}");
}

#[test]
fn more_slots_in_a_part_of_the_run_do_not_make_the_utilisation_uncertain() {
    // From the middle of the run on, there are twice as many slots and requests.
    let middle = 20_000;
    let rows = (0..2 * middle).filter(|ms| ms % 4 < if *ms < middle { 1 } else { 2 });
    let jitter = |ms: i64| row(ms + ms * 7919 % 3);
    let scaled = recorded(rows.map(jitter));
    let slots = |bounds: Bounds| {
        let later = bounds.end
            - bounds
                .begin
                .clamp(middle * MS, bounds.end.max(middle * MS))
                .min(bounds.end);
        Some(bounds.end.abs_diff(bounds.begin) as u128 + later as u128)
    };
    let found = scaled.intervals(LONG, &slots)[Load::Utilisation as usize];
    let found = found.unwrap().unwrap();
    assert!((found.estimate - 0.25).abs() < 0.001, "{found:?}");
    assert!(half_width(&found) < 0.02, "{found:?}");
    let rate = interval(&scaled, Load::Rate).unwrap();
    assert!(rate.is_err_and(|reason| reason.words() == Some("too short")));
}

#[test]
fn figures_without_an_interval_are_named() {
    let of = |recorded: &Recorded, load| interval(recorded, load).map(Result::unwrap_err);
    let too_few = |values, needed| Some(NoInterval::TooFew { values, needed });
    let few = recorded((0..15).map(|number| row(number * 100)));
    for load in [Load::Rate, Load::Variation, Load::Concurrency, Load::BytesIn] {
        assert!(
            matches!(of(&few, load), Some(NoInterval::TooFew { needed: 16, .. })),
            "{load:?}"
        );
    }
    let equal = recorded((0..1000).map(|number| row(number * 100)));
    for load in [Load::Variation, Load::ErrorShare, Load::BytesIn] {
        assert_eq!(of(&equal, load), Some(NoInterval::Constant), "{load:?}");
    }
    assert_eq!(of(&few, Load::BytesOut), None);
    assert_eq!(of(&few, Load::CpuShare), None);
    let failed = recorded((0..1000).map(|number| InvocationRow {
        is_error: number % 200 == 0,
        ..row(number * 100)
    }));
    assert_eq!(of(&failed, Load::ErrorShare), too_few(5, 10));
    let unknown = failed.intervals(LONG, &|_| None);
    assert_eq!(unknown[Load::Utilisation as usize], None);
    let short = failed.intervals(RunLength::Relaxations(70.0), &one_slot);
    let concurrency = short[Load::Concurrency as usize];
    assert_eq!(concurrency, Some(Err(NoInterval::TooShort { relaxations: 70.0 })));
    let brief = recorded((0..100).map(|number| InvocationRow {
        ts_start: number * 10_000,
        ..row(0)
    }));
    assert!(matches!(
        of(&brief, Load::Rate),
        Some(NoInterval::TooBrief { .. })
    ));
}

#[test]
fn a_row_with_a_wrong_clock_leaves_no_interval_of_the_rate() {
    let year = 365 * 24 * 3_600_000;
    let rows = (0..5000).map(|number| row(number * 10));
    let found = interval(&recorded(rows.chain([row(year)])), Load::Rate).unwrap();
    assert!(found.is_err_and(|reason| reason.words() == Some("too short")));
}
