//! A run and its replay: with the same workload, and with each kind of difference.

use compare::model::{Attribution, Comparison, PairingKind, Topic, Undecided, Verdict, Vote, Voter};

use crate::chain::{Chain, compare_folders, compare_runs};

pub const NUMBER: usize = 3_000;
pub const RHO: f64 = 0.7;

pub fn first_cause(comparison: &Comparison) -> (Topic, Option<&str>) {
    match &comparison.verdict {
        Verdict::Differs { causes } => (causes[0].topic, causes[0].module.as_deref()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_replay_with_five_percent_jitter_is_the_same_workload() {
    for seed in 0..4 {
        let a = Chain::new(seed, NUMBER, RHO);
        let comparison = compare_runs(&a, &a.replay(seed + 100, 0.05));
        assert_eq!(
            comparison.verdict,
            Verdict::Same,
            "{seed}: {:#?}",
            comparison.voters
        );
        assert_eq!(comparison.pairing.kind, PairingKind::Paired);
        assert_eq!(comparison.pairing.roots, NUMBER as u64);
        assert_eq!(comparison.pairing.invocations, 2 * NUMBER as u64);
        assert!(comparison.graph.is_empty());
    }
}

#[test]
fn two_replays_of_one_run_are_paired_through_it() {
    let original = Chain::new(5, NUMBER, RHO);
    let a = original.replay(6, 0.05);
    let mut b = original.replay(7, 0.05);
    (b.id, b.base) = ("c", 5_000_000);
    let comparison = compare_runs(&a, &b);
    assert_eq!(comparison.verdict, Verdict::Same, "{:#?}", comparison.voters);
    assert_eq!(comparison.pairing.roots, NUMBER as u64);
}

#[test]
fn a_prediction_with_the_same_ids_is_paired() {
    let a = Chain::new(8, NUMBER, RHO);
    let mut b = a.replay(9, 0.05);
    (b.base, b.replay_of) = (a.base, None);
    let logs = tempfile::tempdir().unwrap();
    let (of_a, of_b) = (a.write(logs.path()), b.write(logs.path()));
    // This run has no rows of the load driver. So its roots are invocations.
    let without_driver = |file: &str, change: fn(&str) -> Option<String>| {
        let path = of_b.join("cctf").join(file);
        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<String> = text.lines().filter_map(change).collect();
        std::fs::write(&path, lines.join("\n") + "\n").unwrap();
    };
    without_driver("calls.jsonl", |line| {
        (!line.contains("\"module_id\":\"driver\"")).then(|| line.to_owned())
    });
    without_driver("invocations.jsonl", |line| {
        let line = line.replace(
            "\"parent_span_id\":\"0000000000000001\"",
            "\"parent_span_id\":null",
        );
        Some(line.replace(",\"caller_span_id\":\"0000000000000001\"", ""))
    });
    let comparison = compare_folders(&of_a, &of_b);
    assert_eq!(comparison.pairing.roots, NUMBER as u64);
    assert_eq!(
        comparison.verdict,
        Verdict::Same,
        "{:?} {:?}",
        comparison.verdict,
        comparison.graph
    );
}

/// In the row of an invocation, the normalizer names the call only if this is the call's only answer, and if the answer ended
/// before the call.
#[test]
fn invocations_that_do_not_name_their_calls_are_paired_too() {
    let a = Chain::new(8, NUMBER, RHO);
    let b = a.replay(9, 0.05);
    let logs = tempfile::tempdir().unwrap();
    let (of_a, of_b) = (a.write(logs.path()), b.write(logs.path()));
    let path = of_b.join("cctf/invocations.jsonl");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("\"caller_span_id\"", "\"unknown_field\"")).unwrap();
    let comparison = compare_folders(&of_a, &of_b);
    assert_eq!(comparison.pairing.invocations, 2 * NUMBER as u64);
    assert!(comparison.graph.is_empty(), "{:?}", comparison.graph);
    assert_eq!(comparison.verdict, Verdict::Same);
}

#[test]
fn services_within_their_margin_explain_longer_waits() {
    let a = Chain::new(11, NUMBER, 0.75);
    let b = a.replay(12, 0.05).with_services(|service| service * 1.015);
    let comparison = compare_runs(&a, &b);
    let wait = comparison
        .voters
        .iter()
        .find(|voter| voter.topic == Topic::UnexplainedWaitP50 && voter.module.as_deref() == Some("back"))
        .unwrap();
    // The waiting time grew by more than its margin, and the service times explain all of it.
    assert!(wait.explained.unwrap() > wait.margin.unwrap(), "{wait:?}");
    assert_eq!(wait.vote, Vote::Same, "{wait:?}");
    assert!(
        !matches!(comparison.verdict, Verdict::Differs { .. }),
        "{:?}",
        comparison.verdict
    );
}

#[test]
fn one_millisecond_more_in_one_module_is_found_there() {
    let a = Chain::new(1, NUMBER, RHO);
    let b = a.replay(2, 0.05).with_services(|service| service + 1.0);
    let comparison = compare_runs(&a, &b);
    let (topic, module) = first_cause(&comparison);
    // The CPU time is half of the service time, so both are outside of their margins by the same factor.
    assert!(matches!(topic, Topic::ServiceMean | Topic::CpuMean), "{topic:?}");
    assert_eq!(module, Some("back"));
}

#[test]
fn ten_percent_longer_services_are_found() {
    let a = Chain::new(3, NUMBER, RHO);
    let b = a.replay(4, 0.05).with_services(|service| service * 1.1);
    let comparison = compare_runs(&a, &b);
    let (topic, module) = first_cause(&comparison);
    assert!(matches!(topic, Topic::ServiceMean | Topic::CpuMean), "{topic:?}");
    assert_eq!(module, Some("back"));
}

/// The simulation of B repeats the wake-ups of B. So the wake-ups explain the longer waiting and response times.
#[test]
fn later_wake_ups_are_found_although_a_simulation_explains_them() {
    let mut a = Chain::new(1, NUMBER, 0.3);
    a.requests.iter_mut().for_each(|request| request.wakeup = 0.02);
    let mut b = a.replay(2, 0.05);
    assert_eq!(compare_runs(&a, &b).verdict, Verdict::Same);
    b.requests.iter_mut().for_each(|request| request.wakeup = 0.5);
    let comparison = compare_runs(&a, &b);
    assert_eq!(first_cause(&comparison), (Topic::WakeupMean, Some("back")));
}

fn of_back(comparison: &Comparison, topic: Topic) -> &Voter {
    let is_wanted = |voter: &&Voter| voter.topic == topic && voter.module.as_deref() == Some("back");
    comparison.voters.iter().find(is_wanted).unwrap()
}

/// Other programs on the machine make requests wait for a CPU. This is not a change of the service.
#[test]
fn waits_for_a_cpu_are_no_service_time() {
    let waiting = |chain: &Chain, wait: Option<f64>| {
        let mut chain = chain.clone();
        chain
            .requests
            .iter_mut()
            .for_each(|request| request.cpu_wait = wait);
        chain
    };
    let (a, b) = (
        Chain::new(1, NUMBER, 0.3),
        Chain::new(1, NUMBER, 0.3).replay(2, 0.01),
    );
    let comparison = compare_runs(&waiting(&a, Some(0.02)), &waiting(&b, Some(0.11)));
    assert_eq!(comparison.verdict, Verdict::Same);
    let service = of_back(&comparison, Topic::ServiceMean);
    assert!(service.a.unwrap() < 4.1 && service.b.unwrap() < 4.1);
    let comparison = compare_runs(&waiting(&a, Some(0.02)), &waiting(&b, Some(0.5)));
    assert_eq!(first_cause(&comparison), (Topic::CpuWaitMean, Some("back")));
}

/// If only one of the runs reports waits for a CPU, these are not subtracted, because the subtraction itself would cause a
/// difference.
#[test]
fn waits_for_a_cpu_that_one_run_reports_stay_in_the_service_time() {
    let (mut a, mut b) = (
        Chain::new(1, NUMBER, 0.3),
        Chain::new(1, NUMBER, 0.3).replay(2, 0.01),
    );
    a.requests
        .iter_mut()
        .for_each(|request| request.cpu_wait = Some(0.5));
    b = b.with_services(|service| service + 0.5);
    let comparison = compare_runs(&a, &b);
    assert_eq!(of_back(&comparison, Topic::ServiceMean).vote, Vote::Same);
    assert!(
        comparison
            .voters
            .iter()
            .all(|voter| voter.topic != Topic::CpuWaitMean)
    );
}

#[test]
fn one_extra_call_is_found_with_its_trace() {
    let a = Chain::new(1, NUMBER, RHO);
    let mut b = a.replay(2, 0.05);
    b.requests[1_000].calls.push((1.0, 200));
    let comparison = compare_runs(&a, &b);
    assert_eq!(first_cause(&comparison), (Topic::CallGraph, None));
    assert_eq!(comparison.graph.len(), 1);
    let difference = &comparison.graph[0];
    assert_eq!((difference.count, difference.module.as_str()), (1, "back"));
    let trace = format!("{:032x}", b.base + 1_000);
    assert_eq!(difference.examples[0].trace_b.as_deref(), Some(trace.as_str()));
}

#[test]
fn a_lost_retry_is_found_and_one_after_another_refusal_is_not() {
    let mut a = Chain::new(1, NUMBER, RHO);
    a.requests[700].calls = vec![(0.5, 503), (4.0, 200)];
    let mut b = a.replay(2, 0.05);
    b.requests[700].calls.pop();
    assert_eq!(first_cause(&compare_runs(&a, &b)), (Topic::CallGraph, None));
    // In B, the first attempt succeeds, so no retry is needed.
    b.requests[700].calls = vec![(4.0, 200)];
    let comparison = compare_runs(&a, &b);
    assert_eq!(comparison.verdict, Verdict::Same, "{:?}", comparison.verdict);
    assert!(comparison.graph.iter().all(|difference| difference.is_by_chance));
    assert_eq!(comparison.graph.len(), 2);
}

#[test]
fn a_root_that_was_not_sent_is_found() {
    let a = Chain::new(1, NUMBER, RHO);
    let mut b = a.replay(2, 0.05);
    b.requests[500].is_recorded = false;
    let comparison = compare_runs(&a, &b);
    assert_eq!(first_cause(&comparison), (Topic::CallGraph, None));
    assert_eq!(comparison.pairing.roots_only_a, 1);
}

#[test]
fn another_status_is_found() {
    let a = Chain::new(1, NUMBER, RHO);
    let mut b = a.replay(2, 0.05);
    b.requests[500].status = 404;
    let comparison = compare_runs(&a, &b);
    assert_eq!(first_cause(&comparison), (Topic::Statuses, None));
    let difference = &comparison.graph[0];
    let Verdict::Differs { causes } = &comparison.verdict else {
        panic!("{:?}", comparison.verdict);
    };
    let text = "1 request with status 200 in A and 404 in B: GET /front of front from outside";
    assert_eq!(causes[0].text, text);
    let statuses = (difference.status_a.as_deref(), difference.status_b.as_deref());
    assert_eq!(statuses, (Some("200"), Some("404")));
}

#[test]
fn arrivals_two_percent_faster_are_found() {
    let a = Chain::new(1, NUMBER, RHO);
    let mut b = a.replay(2, 0.05);
    for request in &mut b.requests {
        request.at /= 1.02;
    }
    assert_eq!(first_cause(&compare_runs(&a, &b)), (Topic::ArrivalRate, None));
}

#[test]
fn half_the_slots_are_found() {
    let mut a = Chain::new(1, NUMBER, RHO);
    a.slots = 2;
    let mut b = a.replay(2, 0.05);
    b.slots = 1;
    let comparison = compare_runs(&a, &b);
    assert_eq!(first_cause(&comparison), (Topic::Slots, Some("back")));
    assert_eq!(comparison.configuration.len(), 1);
    // The number of slots explains the longer waiting times.
    let of_back = |attribution: &&Attribution| attribution.module.as_deref() == Some("back");
    let attribution = comparison.attributions.iter().find(of_back).unwrap();
    let largest = attribution
        .parts
        .iter()
        .max_by(|a, b| a.value.total_cmp(&b.value))
        .unwrap();
    assert_eq!(largest.name, "slots", "{attribution:?}");
}

#[test]
fn a_stopped_driver_makes_the_verdict_void() {
    let a = Chain::new(1, NUMBER, RHO);
    let mut b = a.replay(2, 0.05);
    let stop = b.requests[1_000].at;
    for request in &mut b.requests[1_000..] {
        let late = (stop + 500.0 - request.at).max(0.0);
        request.at += late;
        request.lateness = Some(late);
    }
    let comparison = compare_runs(&a, &b);
    let Verdict::Void { reason } = &comparison.verdict else {
        panic!("{:?}", comparison.verdict);
    };
    assert!(
        reason.contains("load driver of B was 500.0 ms late") || reason.contains("late; the limit"),
        "{reason}"
    );
}

#[test]
fn a_short_run_gives_no_answer_and_says_how_many_requests_would() {
    let a = Chain::new(1, 100, RHO);
    let comparison = compare_runs(&a, &a.replay(2, 0.05));
    let Verdict::CannotTell { reasons } = &comparison.verdict else {
        panic!("{:?}", comparison.verdict);
    };
    let service = reasons
        .iter()
        .find(|reason| reason.topic == Topic::ServiceMean)
        .unwrap();
    assert_eq!(service.needed, Some(200));
    assert!(service.reason.starts_with("too short"), "{}", service.reason);
}

#[test]
fn a_short_run_at_high_load_is_the_same_only_with_room_to_spare() {
    // The run has 14 relaxation times of the queue of `back`. The simulator explains all waiting times, so their intervals have
    // no width. The intervals of response times are those of the service times.
    let a = Chain::new(1, 2_000, 0.85);
    let comparison = compare_runs(&a, &a.replay(2, 0.05));
    assert_eq!(comparison.verdict, Verdict::Same, "{:?}", comparison.verdict);
    // Of 1,000 requests, ten are above the 99th percentile.
    let a = Chain::new(1, 1_000, 0.5);
    let comparison = compare_runs(&a, &a.replay(2, 0.05));
    assert_eq!(comparison.verdict, Verdict::Same, "{:?}", comparison.verdict);
    // 4 relaxation times are much too few.
    let a = Chain::new(1, 600, 0.85);
    let comparison = compare_runs(&a, &a.replay(2, 0.05));
    let Verdict::CannotTell { reasons } = &comparison.verdict else {
        panic!("{:?}", comparison.verdict);
    };
    let is_p50 = |reason: &&Undecided| reason.topic == Topic::UnexplainedWaitP50;
    let back = reasons.iter().find(is_p50).unwrap();
    assert!(back.reason.starts_with("too short: 600 requests of"), "{back:?}");
}

#[test]
fn a_module_without_waits_needs_few_requests() {
    let a = Chain::new(1, 320, 0.3);
    let comparison = compare_runs(&a, &a.replay(2, 0.05));
    let p99 = |module: &str| {
        let is_it = |voter: &&Voter| {
            voter.topic == Topic::UnexplainedWaitP99 && voter.module.as_deref() == Some(module)
        };
        comparison.voters.iter().find(is_it).unwrap()
    };
    assert_eq!(
        (p99("front").vote, p99("front").interval),
        (Vote::Same, Some([0.0, 0.0]))
    );
    assert_eq!(p99("back").vote, Vote::CannotTell);
}

#[test]
fn a_comparison_is_json_without_numbers_that_json_lacks() {
    let a = Chain::new(1, NUMBER, RHO);
    let comparison = compare_runs(&a, &a.replay(2, 0.05));
    let json = serde_json::to_value(&comparison).unwrap();
    assert_eq!(json["verdict"]["answer"], "same");
    assert_eq!(json["voters"][0]["topic"], "lateness_p99");
    assert_eq!(json["pairing"]["kind"], "paired");
    assert!(json["shown"].as_array().unwrap().len() > 10);
}

#[test]
fn a_slower_database_is_found_by_its_calls() {
    let mut a = Chain::new(1, NUMBER, RHO);
    a.requests.iter_mut().for_each(|request| request.database = 2.0);
    let mut b = a.replay(2, 0.05);
    b.requests.iter_mut().for_each(|request| request.database = 2.5);
    let comparison = compare_runs(&a, &b);
    let cause = first_cause(&comparison);
    assert_eq!(cause, (Topic::ServiceMean, Some("postgresql (external)")));
    // The own time of the caller does not include its calls.
    let front =
        |voter: &&Voter| voter.topic == Topic::ServiceMean && voter.module.as_deref() == Some("front");
    assert_eq!(comparison.voters.iter().find(front).unwrap().vote, Vote::Same);
}
