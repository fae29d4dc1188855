//! Differences between a run and its replay that are due to chance, and differences that do not show in a mean.

use compare::model::{Comparison, Topic, Verdict, Vote, Voter};

use crate::chain::{Chain, compare_runs};
use crate::paired::{NUMBER, RHO, first_cause};
use crate::support::Random;

#[test]
fn errors_that_come_and_go_are_chance_and_compared_as_shares() {
    let mut a = Chain::new(1, NUMBER, RHO);
    let mut b = a.replay(2, 0.05);
    for place in [100, 900, 1_700] {
        a.requests[place].status = 500;
        b.requests[place + 300].status = 500;
    }
    let comparison = compare_runs(&a, &b);
    assert_eq!(comparison.verdict, Verdict::Same, "{:?}", comparison.verdict);
    let shares: Vec<&Voter> = comparison
        .voters
        .iter()
        .filter(|voter| voter.topic == Topic::FailureShare)
        .collect();
    assert_eq!(shares.len(), 1);
    assert_eq!((shares[0].a, shares[0].b), (Some(0.001), Some(0.001)));
    // If one run has many more of them, this is a difference nevertheless.
    for place in 2_000..2_200 {
        b.requests[place].status = 500;
    }
    assert_eq!(first_cause(&compare_runs(&a, &b)).0, Topic::FailureShare);
}

#[test]
fn full_queues_are_chance_and_compared_as_shares() {
    let mut a = Chain::new(1, NUMBER, RHO);
    let mut b = a.replay(2, 0.05);
    let refuse = |chain: &mut Chain, places: std::ops::Range<usize>, step: usize| {
        for request in chain.requests[places].iter_mut().step_by(step) {
            request.calls[0] = (0.01, 503);
            request.status = 503;
        }
    };
    refuse(&mut a, 500..503, 1);
    refuse(&mut b, 900..902, 1);
    let comparison = compare_runs(&a, &b);
    assert!(
        !matches!(comparison.verdict, Verdict::Differs { .. }),
        "{:?}",
        comparison.verdict
    );
    assert!(comparison.graph.iter().all(|difference| difference.is_by_chance));
    // The refusals are spread over the run. If they were close together, a single long queue could have caused them by chance.
    refuse(&mut b, 0..NUMBER, 10);
    assert_eq!(first_cause(&compare_runs(&a, &b)).0, Topic::FailureShare);
}

fn voter<'c>(comparison: &'c Comparison, topic: Topic, module: Option<&str>) -> &'c Voter {
    let is_it = |voter: &&Voter| voter.topic == topic && voter.module.as_deref() == module;
    comparison.voters.iter().find(is_it).unwrap()
}

/// Service times are constant in A. In B, half of them are half as long, and the others one and a half times as long.
#[test]
fn services_with_the_same_mean_and_another_spread_are_found() {
    let a = Chain::new(1, NUMBER, 0.3).with_services(|_| 4.0);
    let mut b = a.replay(2, 0.0);
    let mut random = Random::new(3);
    for pair in b.requests.chunks_mut(2) {
        let shift = if random.uniform() < 0.5 { 2.0 } else { -2.0 };
        for (request, shift) in pair.iter_mut().zip([shift, -shift]) {
            request.calls[0].0 += shift;
        }
    }
    let comparison = compare_runs(&a, &b);
    let Verdict::Differs { causes } = &comparison.verdict else {
        panic!("{:#?}", comparison.voters);
    };
    assert!(
        causes.iter().any(|cause| cause.topic == Topic::ResponseP95),
        "{causes:?}"
    );
    assert_eq!(
        voter(&comparison, Topic::ServiceMean, Some("back")).vote,
        Vote::Same
    );
    // There is no waiting time. The 95th percentile of the service time is 2 ms longer.
    let p95 = voter(&comparison, Topic::ResponseP95, None);
    assert!((p95.difference.unwrap() - 2.0).abs() < 0.1, "{p95:?}");
    let raw = p95.b.unwrap() - p95.a.unwrap();
    assert!((raw - p95.explained.unwrap() - 2.0).abs() < 0.1, "{p95:?}");
}

#[test]
fn changes_of_two_endpoints_that_cancel_in_the_mean_are_found() {
    let mut a = Chain::new(1, NUMBER, 0.3);
    a.requests
        .iter_mut()
        .skip(1)
        .step_by(2)
        .for_each(|request| request.path = "/other");
    let mut b = a.replay(2, 0.05);
    assert_eq!(compare_runs(&a, &b).verdict, Verdict::Same);
    let sum = |chain: &Chain, path: &str| {
        let requests = chain.requests.iter().filter(|request| request.path == path);
        requests.map(|request| request.calls[0].0).sum::<f64>()
    };
    let less = 0.1 * sum(&b, "/back") / sum(&b, "/other");
    for request in &mut b.requests {
        request.calls[0].0 *= if request.path == "/back" { 1.1 } else { 1.0 - less };
    }
    let comparison = compare_runs(&a, &b);
    let (topic, module) = first_cause(&comparison);
    assert_eq!(topic, Topic::ServiceMean);
    assert!(
        matches!(module, Some("back GET /back" | "back GET /other")),
        "{module:?}"
    );
    assert_eq!(
        voter(&comparison, Topic::ServiceMean, Some("back")).vote,
        Vote::Same
    );
}

/// The run is a little too short for the queue, and much too short for the quantile.
#[test]
fn a_quantile_of_too_few_requests_stays_open_behind_a_short_queue() {
    let a = Chain::new(1, 390, 0.6);
    let comparison = compare_runs(&a, &a.replay(2, 0.05));
    let p99 = voter(&comparison, Topic::UnexplainedWaitP99, Some("back"));
    assert_eq!(p99.vote, Vote::CannotTell, "{p99:?}");
    assert_eq!(p99.needed, Some(2_000));
}
