//! Two runs of which neither replays the other one.

use compare::model::{PairingKind, Topic, Verdict, Vote};

use crate::chain::{Chain, compare_runs};

const NUMBER: usize = 6_000;
const RHO: f64 = 0.5;

fn other(seed: u64) -> Chain {
    let mut chain = Chain::new(seed, NUMBER, RHO);
    (chain.id, chain.base) = ("b", 5_000_000);
    chain
}

#[test]
fn independent_runs_of_one_system_do_not_differ() {
    for seed in 0..3 {
        let comparison = compare_runs(&Chain::new(seed, NUMBER, RHO), &other(seed + 50));
        assert_eq!(comparison.pairing.kind, PairingKind::Unpaired);
        let verdict = &comparison.verdict;
        assert!(!matches!(verdict, Verdict::Differs { .. }), "{seed}: {verdict:?}");
        let graph: Vec<Vote> = comparison
            .voters
            .iter()
            .filter(|voter| voter.topic == Topic::CallGraph)
            .map(|voter| voter.vote)
            .collect();
        assert_eq!(graph, [Vote::Same]);
        let wait = comparison
            .voters
            .iter()
            .find(|voter| voter.topic == Topic::UnexplainedWaitP95);
        assert!(wait.unwrap().interval.is_some(), "{wait:?}");
    }
}

#[test]
fn longer_services_of_an_independent_run_are_found() {
    let b = other(61).with_services(|service| service * 1.2);
    let comparison = compare_runs(&Chain::new(60, NUMBER, RHO), &b);
    let Verdict::Differs { causes } = &comparison.verdict else {
        panic!("{:?}", comparison.verdict);
    };
    assert!(
        matches!(causes[0].topic, Topic::ServiceMean | Topic::CpuMean),
        "{causes:?}"
    );
    assert_eq!(causes[0].module.as_deref(), Some("back"));
}

#[test]
fn another_number_of_calls_of_an_independent_run_is_found() {
    let mut b = other(71);
    for request in &mut b.requests {
        let service = request.calls[0].0 / 2.0;
        request.calls = vec![(service, 200), (service, 200)];
    }
    let comparison = compare_runs(&Chain::new(70, NUMBER, RHO), &b);
    let Verdict::Differs { causes } = &comparison.verdict else {
        panic!("{:?}", comparison.verdict);
    };
    assert_eq!(causes[0].topic, Topic::CallGraph);
}

#[test]
fn a_short_unpaired_run_is_too_short_for_its_queue() {
    let mut b = Chain::new(81, 1_000, 0.85);
    (b.id, b.base) = ("b", 5_000_000);
    let comparison = compare_runs(&Chain::new(80, 1_000, 0.85), &b);
    let wait = |topic: Topic| {
        comparison
            .voters
            .iter()
            .find(|voter| voter.topic == topic)
            .unwrap()
    };
    for topic in [Topic::UnexplainedWaitP50, Topic::ResponseP50] {
        let of_topic = comparison.voters.iter().filter(|voter| voter.topic == topic);
        let back = of_topic
            .clone()
            .find(|voter| voter.module.as_deref() != Some("front"))
            .unwrap();
        assert_eq!(back.vote, Vote::CannotTell, "{back:?}");
        assert!(
            back.reason.as_deref().unwrap().starts_with("too short"),
            "{back:?}"
        );
        assert!(back.needed.unwrap() > 10_000, "{back:?}");
    }
    assert!(wait(Topic::ServiceMean).interval.is_some());
}

#[test]
fn a_slower_database_of_an_independent_run_is_found() {
    let with = |mut chain: Chain, database: f64| {
        chain
            .requests
            .iter_mut()
            .for_each(|request| request.database = database);
        chain
    };
    let comparison = compare_runs(&with(Chain::new(90, NUMBER, RHO), 2.0), &with(other(91), 2.5));
    let Verdict::Differs { causes } = &comparison.verdict else {
        panic!("{:?}", comparison.verdict);
    };
    assert_eq!(causes[0].topic, Topic::ServiceMean);
    assert_eq!(causes[0].module.as_deref(), Some("postgresql (external)"));
    // The response is as much longer, and no wait explains it.
    let response = comparison
        .voters
        .iter()
        .find(|voter| voter.topic == Topic::ResponseP50);
    let difference = response.unwrap().difference.unwrap();
    assert!((difference - 0.5).abs() < 0.1, "{response:?}");
}
