//! Tests of [`nest`], which turns a tree of a plan into nested work.

use plan::plan::{Plan, Tree};
use proptest::prelude::*;
use replay::stand_in::nested::{Changes, Tally, Turns, nest};
use replay::stand_in::ways::{Link, Ways};
use serde_json::json;
use standin::{Ends, Kind, What, Work, body, decode};

use crate::made::{add_call, of};
use crate::rows::{MS, Rows, child_of, trees, with};

fn nested(plan: &Plan, tree: &Tree, factors: &[f64]) -> (Vec<u8>, Tally) {
    let mut tally = Tally::default();
    let changes = Changes {
        factors: factors.to_vec(),
        ..Changes::default()
    };
    let work = nest(plan, tree, &changes, &mut tally).unwrap();
    (work, tally)
}

/// The body without padding, from which the work is decoded.
fn whole(work: &[u8]) -> Vec<u8> {
    body(work, 0).0.to_vec()
}

#[test]
fn a_body_has_the_work_of_each_level() {
    let mut rows = Rows::default();
    let root = with(
        of("front"),
        json!({"cpu_time_ms": 4.0, "bytes_in": 700, "bytes_out": 90, "status": 502, "error_type": "502"}),
    );
    rows.invocation(1, [0, 0, 30 * MS], root);
    add_call(
        &mut rows,
        1,
        2,
        [5 * MS, 20 * MS],
        with(of("cart"), json!({"bytes_in": 41, "cpu_time_ms": 1.0})),
    );
    let query = json!({"method": "SELECT", "peer": "redis", "error_type": "refused", "bytes_out": 12});
    rows.calls_later.push((9, 2, [6 * MS, 8 * MS], query));
    let plan = rows.plan();
    let (work, tally) = nested(&plan, &trees(&plan)[0], &[]);
    let bytes = whole(&work);
    let front = decode(&bytes).unwrap();
    assert_eq!(
        (front.kind, front.method, front.route),
        (Kind::Server, Some("GET"), Some("/front/{id}"))
    );
    assert_eq!(
        (front.bytes_out, front.status, front.error, front.is_failed),
        (90, Some(502), Some("502"), true)
    );
    // 4 ms of CPU time in gaps of 5 and 10 ms.
    let call = &front.calls[0];
    assert_eq!((call.what, call.ends), (What::Request, Ends::Answer));
    assert_eq!(call.wait.gap_ns, 5 * MS as u64);
    assert_eq!(
        (front.answer.after.as_slice(), front.answer.gap_ns),
        (&[0][..], 10 * MS as u64)
    );
    assert_eq!(call.wait.cpu_ns + front.answer.cpu_ns, 4 * MS as u64);
    let callee = call.callees[0];
    assert_eq!(
        (callee.module, callee.instance, callee.body_bytes),
        ("cart", "cart-1", 41)
    );
    let bytes = whole(callee.work);
    let cart = decode(&bytes).unwrap();
    let query = &cart.calls[0];
    assert_eq!((query.peer, query.method), (Some("redis"), Some("SELECT")));
    assert_eq!(
        (query.ends, query.error, query.is_failed),
        (Ends::Duration(2 * MS as u64), Some("refused"), true)
    );
    // The plan of cart does not fit into 41 bytes.
    assert_eq!((tally.bodies, tally.larger), (1, 1));
    assert_eq!(tally.larger_bytes, 5 + callee.work.len() as u64 - 41);
}

#[test]
fn cpu_times_are_multiplied_and_other_own_time_is_not() {
    let mut rows = Rows::default();
    rows.invocation(1, [0, 0, 10 * MS], with(of("front"), json!({"cpu_time_ms": 4.0})));
    let plan = rows.plan();
    let (work, _) = nested(&plan, &trees(&plan)[0], &[1.5]);
    let bytes = whole(&work);
    let answer = decode(&bytes).unwrap().answer;
    assert_eq!((answer.cpu_ns, answer.gap_ns), (6 * MS as u64, 12 * MS as u64));
}

#[test]
fn network_times_are_recorded_ones_with_the_links_of_now() {
    let mut rows = Rows::default();
    rows.invocation(1, [0, 0, 30 * MS], with(of("front"), json!({"node": "edge0"})));
    let cart = with(
        of("cart"),
        json!({"node": "cloud0", "bytes_in": 600, "bytes_out": 400}),
    );
    rows.invocation(2, [10 * MS, 10 * MS, 15 * MS], with(child_of(1, 9), cart));
    // The call takes 15 ms longer than its callee.
    rows.call(9, 1, [5 * MS, 25 * MS], json!({}));
    let plan = rows.plan();
    let invocations = &trees(&plan)[0].invocations;
    let recorded_ns = invocations[0].calls[0].net_ns.unwrap();
    let link = |delay_ms: f64, rate_bps| {
        Some(Link {
            delay_s: delay_ms / 1e3,
            rate_bps,
        })
    };
    let net_ns = |node: Option<&'static str>, recorded: Option<Link>, now: Option<Link>| {
        let node_of = |module: &str, _: &str| node.filter(|_| module == "cart");
        let is_link = |u: &str| u == "edge0";
        let ways = Ways::new(
            plan.recorded.names(),
            node_of,
            |u, _| recorded.filter(|_| is_link(u)),
            |u, _| now.filter(|_| is_link(u)),
        );
        let changes = Changes {
            ways,
            ..Changes::default()
        };
        let work = nest(&plan, &trees(&plan)[0], &changes, &mut Tally::default()).unwrap();
        decode(&whole(&work)).unwrap().calls[0].net_ns as i64
    };
    let (before, after) = (link(1.0, None), link(20.0, Some(1e6)));
    assert_eq!(net_ns(None, before, before), recorded_ns);
    assert_eq!(net_ns(None, None, None), recorded_ns);
    // The delay is longer by 19 ms in each direction, and 8,000 bits take 8 ms at one million bits a second.
    assert_eq!(net_ns(Some("far0"), before, after), recorded_ns + 46 * MS);
    assert_eq!(net_ns(Some("edge0"), before, after), recorded_ns - 2 * MS);
    // The recorded delay of the link is longer than the call.
    assert_eq!(net_ns(Some("edge0"), link(1e3, None), after), 0);
}

#[test]
fn a_refusal_becomes_a_success_and_an_unknown_time_is_counted() {
    let mut rows = Rows::default();
    rows.invocation(1, [0, 0, MS], of("front"));
    let plan = rows.plan();
    let mut tree = trees(&plan)[0].clone();
    // The plan contains a refused request like this. The recorded refusal is not part of it.
    tree.invocations[0].is_refused = true;
    tree.invocations[0].status = None;
    let (work, tally) = nested(&plan, &tree, &[]);
    let bytes = whole(&work);
    let work = decode(&bytes).unwrap();
    assert_eq!((work.status, work.is_failed), (Some(200), false));
    assert_eq!(tally.cpu_unknown, 1);
}

#[test]
fn a_message_has_a_consumer_with_its_delay() {
    let mut rows = Rows::default();
    rows.invocation(1, [0, 0, 30 * MS], of("front"));
    let consumer = with(of("worker"), json!({"kind": "consumer"}));
    rows.invocation(2, [40 * MS, 40 * MS, 45 * MS], with(child_of(1, 9), consumer));
    let send = json!({"kind": "producer", "peer": "topic"});
    rows.call(9, 1, [10 * MS, 12 * MS], send);
    let plan = rows.plan();
    let (work, _) = nested(&plan, &trees(&plan)[0], &[]);
    let bytes = whole(&work);
    let call = &decode(&bytes).unwrap().calls[0];
    assert_eq!(
        (call.what, call.ends),
        (What::Message, Ends::Duration(2 * MS as u64))
    );
    assert_eq!(call.callees[0].delay_ns, 28 * MS as u64);
    let bytes = whole(call.callees[0].work);
    assert_eq!(decode(&bytes).unwrap().kind, Kind::Consumer);
}

#[test]
fn a_time_above_one_hour_is_cut_and_counted() {
    let mut rows = Rows::default();
    rows.invocation(1, [0, 0, 4_000_000 * MS], of("front"));
    let plan = rows.plan();
    let (work, tally) = nested(&plan, &trees(&plan)[0], &[]);
    let bytes = whole(&work);
    assert_eq!(decode(&bytes).unwrap().answer.gap_ns, 3_600_000 * MS as u64);
    assert_eq!(tally.cut_times, 1);
}

/// Number of invocations in nested work.
fn count(work: &Work) -> usize {
    let callees = work.calls.iter().flat_map(|call| &call.callees);
    let below = callees.map(|callee| {
        let bytes = whole(callee.work);
        count(&decode(&bytes).unwrap())
    });
    1 + below.sum::<usize>()
}

/// Adds calls at random times within an invocation, and calls within these calls, up to a maximum depth.
fn fill(
    rows: &mut Rows,
    next: &mut u64,
    random: &mut u64,
    (span, depth): (u64, u32),
    [start, end]: [i64; 2],
) {
    let mut draw = |below: i64| {
        *random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        // Times are whole microseconds, and there are only few different numbers of calls.
        let value = (*random >> 33) as i64;
        match below < 10 {
            true => value % below.max(1),
            false => value % (below / 1_000).max(1) * 1_000,
        }
    };
    let calls = if depth == 4 { 0 } else { draw(4) };
    let mut windows = Vec::new();
    for _ in 0..calls {
        let from = start + draw(end - start);
        windows.push([from, from + draw(end - from)]);
    }
    for window in windows {
        let callee = *next;
        *next += 2;
        add_call(
            rows,
            span,
            callee,
            window,
            of(["a", "b", "c"][callee as usize % 3]),
        );
        fill(rows, next, random, (callee, depth + 1), window);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn every_invocation_of_a_tree_is_in_its_body_once(seed in any::<u64>()) {
        let (mut rows, mut next, mut random) = (Rows::default(), 2, seed);
        rows.invocation(1, [0, 0, 1_000 * MS], of("front"));
        fill(&mut rows, &mut next, &mut random, (1, 0), [0, 1_000 * MS]);
        let plan = rows.plan();
        let tree = &trees(&plan)[0];
        let (work, tally) = nested(&plan, tree, &[]);
        let bytes = whole(&work);
        prop_assert_eq!(count(&decode(&bytes).unwrap()), tree.invocations.len());
        prop_assert_eq!(tally.bodies as usize, tree.invocations.len() - 1);
    }
}

#[test]
fn stand_ins_take_turns_with_the_requests_of_their_instance() {
    let turns = |ids: &[&str]| Turns::from(ids.iter().map(|id| (*id).to_owned()).collect::<Vec<String>>());
    let changes = Changes {
        turns: vec![turns(&["a", "b"]), turns(&[])],
        ..Changes::default()
    };
    // Requests to another instance take no turn.
    let sent = [(0, "x"), (1, "y"), (0, "x"), (1, "y")];
    let sent = sent.map(|(instance, recorded)| changes.stand_in(instance, recorded));
    assert_eq!(sent, ["a", "y", "b", "y"]);
}
