//! Reads the roots of runs, and checks their kinds.

use cctf_proto::cctf::{SpanId, TraceId};
use plan::roots::{Bodies, JoinCounts, Kind, Origin, Orphans, Root, Roots, Survey};
use proptest::prelude::*;

use crate::run::{Files, Line, all, answer, call, invocation, span};

/// A time in 2026 that a double cannot represent exactly.
const AT: i64 = 1_795_000_000_000_123_457;

fn modules(roots: &Roots) -> Vec<String> {
    roots
        .iter()
        .map(|root| root.unwrap().module.to_string())
        .collect()
}

#[test]
fn a_call_is_joined_with_its_answer_in_another_part() {
    let files = Files::new();
    let first = answer(1, 3, 2, AT + 5)
        .with("query", "\"q=1\"")
        .with("session_id", "\"s\"");
    files.part(1, &[], &[first]);
    files.part(2, &[call(1, 2, AT).with("resend_count", "1")], &[]);
    let roots = files.read();
    let expected = Root {
        at_ns: AT,
        trace_id: TraceId(1_u128.to_be_bytes()),
        span_id: SpanId(2_u64.to_be_bytes()),
        origin: Origin::Call,
        kind: Kind::Http,
        module: "shop".into(),
        instance: Some("shop-1".into()),
        method: Some("POST".into()),
        path: Some("/items/7".into()),
        protocol: Some("http".into()),
        query: Some("q=1".into()),
        route: Some("/items/{id}".into()),
        peer: Some("10.0.0.1:80".into()),
        body_bytes: Some(100),
        answer_bytes: Some(200),
        status: Some(200),
        is_answered: true,
        is_resent: true,
        has_session: true,
    };
    assert_eq!(all(&roots), [expected]);
    assert_eq!((roots.is_open, roots.run_id.as_str()), (false, "r"));
}

#[test]
fn what_the_client_does_not_report_comes_from_the_answer() {
    let silent = ["method", "path", "bytes_out", "bytes_in", "status"];
    let silent = silent
        .into_iter()
        .fold(call(1, 2, AT), |line, name| line.with(name, "null"));
    let files = Files::of(&[silent.without("protocol")], &[answer(1, 3, 2, AT)]);
    let root = &all(&files.read())[0];
    assert_eq!(root.kind, Kind::Http);
    assert_eq!(
        (root.body_bytes, root.answer_bytes, root.status),
        (Some(101), Some(201), Some(201))
    );
    assert_eq!(
        (root.method.as_deref(), root.path.as_deref()),
        (Some("POST"), Some("/items/7"))
    );
}

#[test]
fn an_invocation_without_parent_and_caller_is_a_root() {
    let inner = invocation(1, 2, AT + 1)
        .with("parent_id", &span(1))
        .with("parent_span_id", &span(9));
    let files = Files::of(
        &[call(1, 9, AT)
            .with("ancestor_id", &span(1))
            .with("parent_span_id", &span(1))],
        &[inner, invocation(1, 1, AT)],
    );
    let roots = all(&files.read());
    assert_eq!(roots.len(), 1);
    let root = &roots[0];
    assert_eq!((root.origin, root.is_answered), (Origin::Invocation, true));
    assert_eq!(
        (root.span_id.0, root.body_bytes),
        (1_u64.to_be_bytes(), Some(101))
    );
}

#[test]
fn a_call_without_answer_has_the_module_of_its_peer() {
    let failed = |id: u64| call(1, id, AT + id as i64).with("status", "null");
    let files = Files::of(
        &[
            failed(1).with("peer_module", "\"known\""),
            failed(2),
            failed(3).with("peer", "\"cart.shop.svc:80\""),
            failed(4).with("peer", "\"example.org:443\""),
            failed(5).without("peer"),
            failed(6).with("peer", "\"gateway\""),
            call(1, 7, AT + 7),
            call(1, 8, AT + 8).with("peer", "\"gateway\""),
            call(1, 9, AT + 9).with("peer", "\"gateway\""),
        ],
        &[
            answer(1, 17, 7, AT),
            answer(1, 18, 8, AT),
            answer(1, 19, 9, AT).with("module_id", "\"other\""),
        ],
    );
    files.raw(
        1,
        "module_inventory.json",
        r#"[{"app_id":"shop","module_id":"cart","name":"cart","type":"SINK","resources":null},
            {"app_id":null,"module_id":"example.org","name":"x","type":"SINK","resources":null,"external":true}]"#,
    );
    // The row of the first call names a module for the peer. The second call has the same peer, but another module answered it.
    assert_eq!(
        modules(&files.read())[..6],
        [
            "known",
            "10.0.0.1:80",
            "cart",
            "example.org:443",
            "unknown",
            "gateway"
        ]
    );
    let files = Files::of(&[failed(2), call(1, 7, AT + 7)], &[answer(1, 17, 7, AT)]);
    let roots = files.read();
    assert_eq!(modules(&roots), ["shop", "shop"]);
    assert_eq!((roots.survey.unanswered, roots.survey.statuses[&None]), (1, 1));
}

#[test]
fn rows_that_are_no_roots_are_counted() {
    let flagged = |line: Line| line.with("flags", "[\"late\",\"orphan\"]");
    let files = Files::of(
        &[
            call(1, 1, AT),
            call(1, 1, AT + 9),
            call(1, 2, AT).with("parent_span_id", &span(1)),
            flagged(call(2, 3, AT).with("parent_span_id", &span(77))),
        ],
        &[
            answer(1, 11, 1, AT + 2),
            answer(1, 10, 1, AT + 1).with("module_id", "\"first\""),
            answer(1, 11, 1, AT + 2),
            answer(1, 12, 2, AT),
            flagged(answer(2, 13, 3, AT)),
            flagged(invocation(3, 14, AT).with("parent_span_id", &span(88))),
            invocation(3, 15, AT).with("parent_span_id", &span(88)),
            answer(4, 16, 99, AT),
        ],
    );
    let roots = files.read();
    let counts = JoinCounts {
        duplicates: 2,
        nested_calls: 1,
        further_answers: 1,
    };
    assert_eq!(roots.counts, counts);
    assert_eq!((roots.survey.roots, roots.survey.orphans), (2, 3));
    let origins: Vec<(u128, Origin)> = all(&roots)
        .iter()
        .map(|root| (u128::from_be_bytes(root.trace_id.0), root.origin))
        .collect();
    assert_eq!(
        origins,
        [
            (1, Origin::Call),
            (2, Origin::OrphanCall),
            (3, Origin::OrphanInvocation),
            (3, Origin::Invocation),
            (4, Origin::OrphanInvocation)
        ]
    );
    assert_eq!(modules(&roots)[0], "first");
    assert!(all(&roots)[1].is_answered);
}

#[test]
fn roots_of_other_protocols_are_counted_by_kind() {
    let consumer = invocation(1, 1, AT)
        .with("protocol", "\"messaging\"")
        .with("kind", "\"consumer\"");
    let job = ["method", "path"].into_iter().fold(
        invocation(2, 2, AT)
            .without("protocol")
            .with("kind", "\"internal\""),
        |line, name| line.with(name, "null"),
    );
    let files = Files::of(
        &[call(3, 3, AT).with("path", "null"), call(4, 4, AT)],
        &[consumer, job],
    );
    let survey = files.read().survey;
    let found: Vec<(Kind, u64)> = survey.not_sendable().collect();
    assert_eq!(
        found,
        [(Kind::HttpIncomplete, 1), (Kind::Messaging, 1), (Kind::Job, 1)]
    );
    assert_eq!((survey.roots, survey.sendable()), (4, 1));
}

#[test]
fn a_service_s_own_calls_do_not_come_from_outside() {
    let own = |line: Line| line.with("module_id", "\"worker\"");
    let orphan = own(call(3, 3, AT)).with("flags", "[\"orphan\"]");
    let files = Files::of(
        &[own(call(1, 1, AT)), call(2, 2, AT), orphan],
        &[answer(1, 11, 1, AT), answer(2, 12, 2, AT)],
    );
    files.raw(
        1,
        "module_inventory.json",
        r#"[{"app_id":null,"module_id":"worker","name":"w","type":"SOURCE","resources":null,
             "endpoints":[{"method":null,"route":"jobs","calls":1}]},
            {"app_id":null,"module_id":"driver","name":"d","type":"SOURCE","resources":null}]"#,
    );
    let kinds: Vec<Kind> = all(&files.read()).iter().map(|root| root.kind).collect();
    assert_eq!(kinds, [Kind::Background, Kind::Http, Kind::Http]);
}

#[test]
fn damaged_lines_are_counted_and_the_last_one_may_be_incomplete() {
    let files = Files::of(&[], &[]);
    let bad = [
        "{".to_owned(),
        call(1, 1, AT).with("ts_start", "1e3").text(),
        call(1, 1, AT).with("trace_id", "\"0\"").text(),
        call(1, 1, AT).with("bytes_out", "-1").text(),
        call(1, 1, AT).with("path", "7").text(),
        call(1, 1, AT).without("span_id").text(),
        call(1, 1, AT)
            .with("ancestor_id", &span(5))
            .text()
            .replace('}', ""),
    ];
    let lines: String = bad.iter().map(|line| format!("{}\n", line.trim_end())).collect();
    let last = call(1, 2, AT).text();
    let good = call(1, 3, AT).text();
    files.raw(1, "calls.jsonl", &format!("{lines}{good}{}", last.trim_end()));
    files.raw(1, "run_meta.json", r#"{"run_id":"r","part":1,"ended_ts":null}"#);
    let roots = files.read();
    assert_eq!((roots.damaged, roots.damages.len(), all(&roots).len()), (7, 7, 1));
    assert_eq!(roots.damages[6].line, 7);
    assert!(roots.is_open && roots.damages[0].path.ends_with("r/cctf/calls.jsonl"));
}

#[test]
fn a_missing_file_or_part_is_noted() {
    let files = Files::of(&[call(1, 1, AT)], &[]);
    files.part(3, &[call(1, 2, AT)], &[]);
    std::fs::remove_file(files.path().join("r/cctf/invocations.jsonl")).unwrap();
    let roots = files.read();
    assert_eq!(all(&roots).len(), 2);
    assert_eq!(
        roots.notes,
        [
            "part 2 of r is missing or has no valid run_meta.json",
            "r has no valid module_inventory.json, so calls that modules make on their own may count as requests from outside",
            "r has no invocations.jsonl"
        ]
    );
}

#[test]
fn a_survey_counts_endpoints_statuses_and_sizes() {
    let files = Files::of(
        &[
            call(1, 1, AT),
            call(2, 2, AT).with("bytes_out", "null").with("status", "503"),
            call(3, 3, AT + 7)
                .with("method", "\"GET\"")
                .with("bytes_out", "0"),
        ],
        &[
            answer(1, 11, 1, AT),
            answer(2, 12, 2, AT).with("bytes_in", "null"),
        ],
    );
    let survey = files.read().survey;
    let endpoints: Vec<(String, u64)> = survey
        .endpoints()
        .iter()
        .map(|found| {
            (
                format!("{} {} {}", found.module, found.method, found.shape),
                found.requests,
            )
        })
        .collect();
    assert_eq!(
        endpoints,
        [
            ("shop POST /items/{id}".to_owned(), 2),
            ("shop GET /items/7".to_owned(), 1)
        ]
    );
    let bodies = Bodies {
        min: Some(0),
        max: Some(100),
        unknown: 1,
    };
    assert_eq!(survey.bodies, bodies);
    assert_eq!(
        Vec::from_iter(survey.statuses.clone()),
        [(Some(200), 2), (Some(503), 1)]
    );
    assert_eq!((survey.first_ns, survey.last_ns), (Some(AT), Some(AT + 7)));
    assert_eq!(Vec::from_iter(survey.modules()), [("shop".into(), 3)]);
}

#[test]
fn a_survey_has_a_bound_on_every_table() {
    let files = Files::of(&[call(1, 1, AT)], &[]);
    let mut root = all(&files.read()).remove(0);
    let mut survey = Survey::new(Orphans::Drop);
    for number in 0..10_050_i64 {
        root.module = number.to_string().into();
        root.status = Some(number);
        survey.add(&root);
    }
    assert_eq!((survey.statuses.len(), survey.other_statuses), (100, 9_950));
    assert_eq!((survey.modules().len(), survey.other_modules), (10_000, 50));
    assert_eq!((survey.endpoints().len(), survey.other_endpoints), (10_000, 50));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Compares with a sort of all rows in memory. Rows are in any order and part. Ids and times are a few values, and extreme
    /// values.
    #[test]
    fn roots_come_in_order_however_few_fit_into_memory(
        rows in prop::collection::vec((1..4_u128, 1..40_u64, time(), 1..4_u64, any::<bool>()), 0..120),
        held_bytes in prop_oneof![Just(0), Just(2000), Just(1 << 20)],
    ) {
        let files = Files::new();
        let mut expected = std::collections::BTreeMap::new();
        for part in 1..4 {
            let of_part = rows.iter().filter(|(.., own, _)| *own == part);
            let calls: Vec<Line> = of_part.clone().map(|&(trace, id, at, ..)| call(trace, id, at)).collect();
            let answered = rows.iter().filter(|(.., own, is_answered)| *own % 3 + 1 == part && *is_answered);
            let answers: Vec<Line> = answered.map(|&(trace, id, at, ..)| answer(trace, id + 1000, id, at)).collect();
            files.part(part, &calls, &answers);
        }
        for &(trace, id, at, _, is_answered) in &rows {
            let (first, found) = expected.entry((trace, id)).or_insert((at, is_answered));
            *first = at.min(*first);
            *found |= is_answered;
        }
        let mut expected: Vec<(i64, u128, u64, bool)> = expected
            .into_iter()
            .map(|((trace, id), (at, is_answered))| (at, trace, id, is_answered))
            .collect();
        expected.sort_unstable();
        let roots = files.read_within(held_bytes);
        let found: Vec<(i64, u128, u64, bool)> = all(&roots)
            .iter()
            .map(|root| {
                let trace = u128::from_be_bytes(root.trace_id.0);
                (root.at_ns, trace, u64::from_be_bytes(root.span_id.0), root.is_answered)
            })
            .collect();
        prop_assert_eq!(&found, &expected);
        prop_assert_eq!(roots.survey.roots, expected.len() as u64);
        for from_ns in [i64::MIN, 0, AT, AT + 60_000_000_000, i64::MAX] {
            let later: Vec<i64> = roots.iter_from(from_ns).map(|root| root.unwrap().at_ns).collect();
            let expected: Vec<i64> = expected.iter().map(|row| row.0).filter(|at| *at >= from_ns).collect();
            prop_assert_eq!(later, expected);
        }
    }
}

/// Times within some minutes, and times that cause overflows.
fn time() -> impl Strategy<Value = i64> {
    prop_oneof![
        8 => (0..600_000_000_000_i64).prop_map(|offset| AT + offset),
        1 => prop::sample::select(vec![i64::MIN, -1, 0, 1, i64::MAX]),
    ]
}
