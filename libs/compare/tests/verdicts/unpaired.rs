//! Two runs that are not replays of each other.

use compare::model::{Comparison, PairingKind, Topic, Verdict, Vote, Voter};

use crate::chain::{Chain, compare_runs};

const NUMBER: usize = 3_000;
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
    // The response time is longer by the same time, and no waiting time explains it.
    let response = comparison
        .voters
        .iter()
        .find(|voter| voter.topic == Topic::ResponseP50);
    let difference = response.unwrap().difference.unwrap();
    assert!((difference - 0.5).abs() < 0.1, "{response:?}");
}

fn voter<'c>(comparison: &'c Comparison, topic: Topic, module: &str) -> &'c Voter {
    let is_it = |voter: &&Voter| voter.topic == topic && voter.module.as_deref() == Some(module);
    comparison.voters.iter().find(is_it).unwrap()
}

/// For example, its calls depend on a cache.
#[test]
fn an_endpoint_that_was_requested_once_shows_no_difference() {
    let mut a = Chain::new(100, NUMBER, RHO);
    let mut b = other(101);
    (a.requests[500].front, b.requests[500].front) = ("/once", "/once");
    a.requests[500].calls.clear();
    let comparison = compare_runs(&a, &b);
    let once = voter(&comparison, Topic::CallGraph, "front GET /once to back GET /back");
    assert_eq!((once.vote, once.is_exact), (Vote::CannotTell, false), "{once:?}");
    // If both runs have the same number of calls, they are the same, even if there are few.
    a.requests[500].calls = vec![(1.0, 200)];
    let comparison = compare_runs(&a, &b);
    let once = voter(&comparison, Topic::CallGraph, "front GET /once to back GET /back");
    assert_eq!(once.vote, Vote::Same, "{once:?}");
}

#[test]
fn one_call_in_thousands_to_another_receiver_is_within_its_margin() {
    let mut b = other(111);
    b.requests[500].path = "/other";
    let comparison = compare_runs(&Chain::new(110, NUMBER, RHO), &b);
    let other = voter(
        &comparison,
        Topic::CallGraph,
        "front GET /front to back GET /other",
    );
    assert_eq!(other.vote, Vote::Same, "{other:?}");
}

#[test]
fn another_mix_of_endpoints_is_found_by_its_own_margin() {
    let with = |mut chain: Chain, percent: usize| {
        for (number, request) in chain.requests.iter_mut().enumerate() {
            if number * 37 % 100 < percent {
                request.front = "/rare";
            }
        }
        chain
    };
    let comparison = compare_runs(&with(Chain::new(120, NUMBER, RHO), 10), &with(other(121), 14));
    let rare = voter(&comparison, Topic::ArrivalRate, "front GET /rare");
    assert_eq!(rare.vote, Vote::Differs, "{rare:?}");
    assert!((rare.margin.unwrap() - 0.01).abs() < 1e-9, "{rare:?}");
}

#[test]
fn endpoints_without_a_vote_are_counted_in_a_note() {
    let with = |mut chain: Chain| {
        for (number, request) in chain.requests.iter_mut().enumerate() {
            // The most frequent endpoint appears last. Its name has letters, because a number would count as a variable part of
            // the path.
            let endpoint = (number % 100).min(59) as u8;
            let letters = [b'a' + endpoint / 10, b'a' + endpoint % 10].map(char::from);
            request.front = Box::leak(format!("/{}{}", letters[0], letters[1]).into_boxed_str());
        }
        chain
    };
    let comparison = compare_runs(
        &with(Chain::new(130, 1_000, RHO)),
        &with({
            let mut chain = Chain::new(131, 1_000, RHO);
            (chain.id, chain.base) = ("b", 5_000_000);
            chain
        }),
    );
    let note = "the shares of the 50 most frequent endpoints are compared, and 10 rarer ones are not";
    assert!(
        comparison.notes.iter().any(|of_run| of_run == note),
        "{:?}",
        comparison.notes
    );
    assert_eq!(
        voter(&comparison, Topic::ArrivalRate, "front GET /fj").a,
        Some(0.41)
    );
}

#[test]
fn a_late_driver_voids_the_comparison_of_independent_runs() {
    let mut b = other(141);
    b.requests
        .iter_mut()
        .for_each(|request| request.lateness = Some(0.05));
    b.requests[500].lateness = Some(500.0);
    let comparison = compare_runs(&Chain::new(140, NUMBER, RHO), &b);
    assert!(
        matches!(&comparison.verdict, Verdict::Void { reason } if reason.contains("B was 500.0 ms late"))
    );
}

#[test]
fn other_statuses_of_an_independent_run_are_found() {
    let with = |mut chain: Chain, status: u16| {
        let requests = chain.requests.iter_mut().step_by(10);
        requests.for_each(|request| request.status = status);
        chain
    };
    let comparison = compare_runs(&with(Chain::new(150, NUMBER, RHO), 400), &with(other(151), 404));
    for (module, shares) in [("front 400", [0.1, 0.0]), ("front 404", [0.0, 0.1])] {
        let status = voter(&comparison, Topic::Statuses, module);
        assert_eq!(status.vote, Vote::Differs, "{status:?}");
        assert_eq!([status.a, status.b], shares.map(Some));
    }
    // Neither of the two shows that the load was too high.
    assert!(
        comparison
            .voters
            .iter()
            .all(|voter| voter.topic != Topic::FailureShare)
    );
    // If all requests are redirected, no other status occurs.
    let all = |mut chain: Chain| {
        chain.requests.iter_mut().for_each(|request| request.status = 302);
        chain
    };
    let comparison = compare_runs(&Chain::new(150, NUMBER, RHO), &all(other(151)));
    assert!(
        comparison
            .voters
            .iter()
            .any(|voter| voter.topic == Topic::Statuses && voter.vote == Vote::Differs)
    );
}
