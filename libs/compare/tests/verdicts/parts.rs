//! Replays of a part of a run, incomplete replays, and replays with a changed rate.

use compare::model::{Comparison, Topic, Verdict, Voter};

use crate::chain::{Chain, Request, compare_folders, compare_runs};

const NUMBER: usize = 3_000;
const RHO: f64 = 0.6;

/// A replay of some requests. Its first request is the first one of the window.
fn part(a: &Chain, places: std::ops::Range<usize>, [from, to]: [f64; 2]) -> Chain {
    let mut b = a.replay(2, 0.05);
    b.requests = b.requests[places].to_vec();
    for request in &mut b.requests {
        request.at -= from;
    }
    let start = a.requests[0].at;
    b.meta = format!(
        r#""replay_from_ms":{:.6},"replay_to_ms":{:.6},"#,
        from - start,
        to - start
    );
    b
}

/// A time in the middle between two requests.
fn between(a: &Chain, place: usize) -> f64 {
    (a.requests[place - 1].at + a.requests[place].at) / 2.0
}

fn lose(chain: &mut Chain, places: std::ops::Range<usize>) {
    for request in &mut chain.requests[places] {
        request.is_recorded = false;
    }
}

fn has_differences(comparison: &Comparison) -> bool {
    matches!(comparison.verdict, Verdict::Differs { .. })
}

fn has_cause(comparison: &Comparison, topic: Topic) -> bool {
    match &comparison.verdict {
        Verdict::Differs { causes } => causes.iter().any(|cause| cause.topic == topic),
        _ => false,
    }
}

#[test]
fn a_replay_that_lost_its_beginning_or_its_end_differs() {
    let a = Chain::new(1, NUMBER, RHO);
    for lost in [0..300, 1_800..NUMBER] {
        let mut b = a.replay(2, 0.05);
        lose(&mut b, lost.clone());
        let comparison = compare_runs(&a, &b);
        assert!(
            has_cause(&comparison, Topic::CallGraph),
            "{:?}",
            comparison.verdict
        );
        assert_eq!(comparison.pairing.roots_only_a, lost.len() as u64);
        // The remaining requests arrived at the recorded rate.
        assert!(!has_cause(&comparison, Topic::ArrivalRate));
        let comparison = compare_runs(&b, &a);
        assert!(
            has_cause(&comparison, Topic::CallGraph),
            "{:?}",
            comparison.verdict
        );
        assert_eq!(comparison.pairing.roots_only_b, lost.len() as u64);
    }
}

#[test]
fn of_a_part_of_a_run_only_this_part_is_compared() {
    let a = Chain::new(1, NUMBER, RHO);
    let window = [between(&a, 500), between(&a, 2_500)];
    let mut b = part(&a, 500..2_500, window);
    for comparison in [compare_runs(&a, &b), compare_runs(&b, &a)] {
        assert!(!has_differences(&comparison), "{:?}", comparison.verdict);
        let pairing = &comparison.pairing;
        assert_eq!((pairing.roots, pairing.roots_outside), (2_000, 1_000));
    }
    lose(&mut b, 1_990..2_000);
    for comparison in [compare_runs(&a, &b), compare_runs(&b, &a)] {
        assert!(
            has_cause(&comparison, Topic::CallGraph),
            "{:?}",
            comparison.verdict
        );
    }
}

#[test]
fn of_a_limited_replay_only_the_first_requests_are_compared() {
    let a = Chain::new(1, NUMBER, RHO);
    let mut b = a.replay(2, 0.05);
    b.requests.truncate(2_000);
    b.meta = r#""replay_limit":2000,"#.to_owned();
    let comparison = compare_runs(&a, &b);
    assert!(!has_differences(&comparison), "{:?}", comparison.verdict);
    assert_eq!(comparison.pairing.roots_outside, 1_000);
    b.requests.truncate(1_999);
    assert!(has_cause(&compare_runs(&a, &b), Topic::CallGraph));
}

#[test]
fn without_the_recorded_links_root_responses_do_not_vote() {
    let a = Chain::new(1, NUMBER, RHO);
    let votes = |meta: &str| {
        let mut b = a.replay(2, 0.05);
        b.meta = meta.to_owned();
        let comparison = compare_runs(&a, &b);
        let topics = comparison.voters.iter().map(|voter| voter.topic);
        let count = topics.filter(|topic| [Topic::ResponseP50, Topic::ResponseP95].contains(topic));
        let note = "root responses do not vote: the stand-ins of B ran on one machine";
        let has_note = comparison.notes.iter().any(|found| found.contains(note));
        (count.count(), has_note)
    };
    assert_eq!(votes(""), (2, false));
    assert_eq!(votes(r#""replay_network":"loopback","#), (0, true));
}

#[test]
fn of_two_replays_the_common_part_is_compared() {
    let original = Chain::new(1, NUMBER, RHO);
    let begin = original.requests[0].at;
    let a = part(&original, 0..2_000, [begin, between(&original, 2_000)]);
    let window = [between(&original, 500), between(&original, 2_500)];
    let mut b = part(&original, 500..2_500, window);
    (b.id, b.base) = ("c", 5_000_000);
    for comparison in [compare_runs(&a, &b), compare_runs(&b, &a)] {
        assert!(!has_differences(&comparison), "{:?}", comparison.verdict);
        let pairing = &comparison.pairing;
        assert_eq!((pairing.roots, pairing.roots_outside), (1_500, 1_000));
    }
    lose(&mut b, 0..200);
    for comparison in [compare_runs(&a, &b), compare_runs(&b, &a)] {
        assert!(
            has_cause(&comparison, Topic::CallGraph),
            "{:?}",
            comparison.verdict
        );
    }
}

/// Two copies of a run at the same time. The second copy is shifted cyclically.
fn overlap(a: &Chain, seed: u64) -> Chain {
    let mut b = a.replay(seed, 0.05);
    let end = a.requests[NUMBER - 1].at + 1.0;
    let shifted = |request: &Request| Request {
        at: (request.at + 0.4 * end) % end,
        ..request.clone()
    };
    let copy: Vec<Request> = b.requests.iter().map(shifted).collect();
    b.requests.extend(copy);
    b.requests.sort_by(|left, right| left.at.total_cmp(&right.at));
    b.meta = r#""replay_scale":2,"replay_by":"overlap","seed":7,"#.to_owned();
    b
}

#[test]
fn all_copies_of_an_overlap_are_compared_with_the_original() {
    let a = Chain::new(1, NUMBER, 0.3);
    let b = overlap(&a, 2);
    let comparison = compare_runs(&a, &b);
    assert_eq!(comparison.pairing.roots, 2 * NUMBER as u64);
    let is_rate = |voter: &&Voter| voter.topic == Topic::ArrivalRate;
    let rate = comparison.voters.iter().find(is_rate).unwrap();
    let ratio = rate.b.unwrap() / rate.a.unwrap();
    assert!((ratio - 2.0).abs() < 0.01, "{rate:?}");
    assert!(has_cause(&comparison, Topic::ArrivalRate));
    assert!(
        !has_cause(&comparison, Topic::CallGraph),
        "{:?}",
        comparison.graph
    );
}

#[test]
fn copies_of_two_replays_are_paired_in_the_order_of_their_times() {
    let original = Chain::new(1, NUMBER, 0.3);
    let a = overlap(&original, 2);
    let mut b = overlap(&original, 3);
    (b.id, b.base) = ("c", 5_000_000);
    let comparison = compare_runs(&a, &b);
    assert_eq!(comparison.pairing.roots, 2 * NUMBER as u64);
    assert_eq!(comparison.verdict, Verdict::Same, "{:#?}", comparison.verdict);
    lose(&mut b, 5_000..6_000);
    assert!(has_cause(&compare_runs(&a, &b), Topic::CallGraph));
}

/// A replay without --scale that sends a request twice differs from the recording.
#[test]
fn a_repeated_request_of_a_plain_replay_is_a_difference() {
    let a = Chain::new(1, NUMBER, RHO);
    let mut b = a.replay(2, 0.05);
    b.requests[1_000].original = 999;
    let comparison = compare_runs(&a, &b);
    let pairing = &comparison.pairing;
    assert_eq!((pairing.roots_only_a, pairing.roots_only_b), (1, 1));
    assert!(
        has_cause(&comparison, Topic::CallGraph),
        "{:?}",
        comparison.verdict
    );
}

/// Writes both runs, changes the lines of `calls.jsonl` of each, and compares them.
fn compare_with_calls([a, b]: [&Chain; 2], change: impl Fn(usize, usize, &str) -> Vec<String>) -> Comparison {
    let logs = tempfile::tempdir().unwrap();
    let folders = [a.write(logs.path()), b.write(logs.path())];
    for (run, folder) in folders.iter().enumerate() {
        let path = folder.join("cctf/calls.jsonl");
        let text = std::fs::read_to_string(&path).unwrap();
        let lines = text.lines().enumerate();
        let lines = lines.flat_map(|(number, line)| change(run, number, line));
        std::fs::write(&path, lines.map(|line| line + "\n").collect::<String>()).unwrap();
    }
    compare_folders(&folders[0], &folders[1])
}

/// Changes the root of one request of the recorded run. The replay lacks this request.
fn compare_without(number: usize, change: impl Fn(&str) -> String) -> Comparison {
    let a = Chain::new(1, 1_000, RHO);
    let mut b = a.replay(2, 0.05);
    lose(&mut b, number..number + 1);
    let trace = format!(
        "{:032x}\",\"span_id\":\"0000000000000001\"",
        a.base + number as u64
    );
    compare_with_calls([&a, &b], |run, _, line| match run == 0 && line.contains(&trace) {
        true => vec![change(line)],
        false => vec![line.to_owned()],
    })
}

#[test]
fn a_root_that_no_replay_sends_is_no_difference() {
    for (from, to) in [
        (r#""path":"/""#, r#""path":"/a b""#.to_owned()),
        (r#""method":"GET""#, r#""method":"CONNECT""#.to_owned()),
        (r#""bytes_out":0"#, r#""bytes_out":67108865"#.to_owned()),
        (r#""protocol":"http""#, r#""protocol":"rpc""#.to_owned()),
    ] {
        let comparison = compare_without(700, |line| line.replacen(from, &to, 1));
        assert!(!has_differences(&comparison), "{to}: {:?}", comparison.verdict);
        assert_eq!(comparison.pairing.roots_not_replayable, 1, "{to}");
    }
    // A function that was called over HTTP is replayed.
    let comparison = compare_without(700, |line| {
        line.replacen(r#""protocol":"http""#, r#""protocol":"faas""#, 1)
    });
    assert!(
        has_cause(&comparison, Topic::CallGraph),
        "{:?}",
        comparison.verdict
    );
}

#[test]
fn a_root_with_calls_inside_has_the_answer_of_the_last_one() {
    let a = Chain::new(1, NUMBER, RHO);
    let b = a.replay(2, 0.05);
    let outer = r#""span_id":"000000000000000e","parent_span_id":null"#;
    let comparison = compare_with_calls([&a, &b], |run, _, line| {
        let own = r#""span_id":"0000000000000001","parent_span_id":null"#;
        match (run, line.contains(own)) {
            (0, true) => vec![
                line.replace(own, outer),
                line.replace(
                    "\"parent_span_id\":null",
                    "\"parent_span_id\":\"000000000000000e\"",
                ),
            ],
            // The replay refers to the outer call.
            (1, true) => vec![line.replace(
                r#""replay_of_span_id":"0000000000000001""#,
                r#""replay_of_span_id":"000000000000000e""#,
            )],
            _ => vec![line.to_owned()],
        }
    });
    assert!(!has_differences(&comparison), "{:?}", comparison.verdict);
    assert_eq!(comparison.pairing.invocations, 2 * NUMBER as u64);
    assert!(comparison.notes.iter().all(|note| !note.contains("no caller")));
}

#[test]
fn an_error_by_name_is_a_fact_unless_it_says_that_no_answer_came() {
    let mut a = Chain::new(1, NUMBER, RHO);
    a.requests.iter_mut().for_each(|request| request.database = 0.5);
    let b = a.replay(2, 0.05);
    // They are less than half a percent of the requests.
    let with_error = |error: &str| {
        let fields = format!(r#""peer":"postgresql","error_type":"{error}"}}"#);
        compare_with_calls([&a, &b], |run, number, line| {
            match run == 1 && number % 1_000 < 3 {
                true => vec![line.replace(r#""peer":"postgresql"}"#, &fields)],
                false => vec![line.to_owned()],
            }
        })
    };
    let comparison = with_error("23505");
    assert!(
        has_cause(&comparison, Topic::Statuses),
        "{:?}",
        comparison.verdict
    );
    let comparison = with_error("timeout");
    assert!(!has_differences(&comparison), "{:?}", comparison.verdict);
    assert!(!comparison.graph.is_empty());
}
