//! Any plan: the engine against a second implementation, which computes each call from those for which it waits.

use std::collections::BTreeMap;

use proptest::prelude::*;
use standin::{Call, Callee, Ends, Wait, What, Work};

use super::{Reply, Times, call, execute, work};

/// Start and end of each call by docs/plan.md, computed call by call in the order in which they can be known.
fn naive(work: &Work<'static>, replies: &[Reply]) -> Times {
    let mut times = Times::default();
    let count = work.calls.len();
    // End of a call or of a retry that is not sent.
    let mut ends: BTreeMap<usize, (u64, bool)> = BTreeMap::new();
    let base = |wait: &Wait, ends: &BTreeMap<usize, (u64, bool)>| -> Option<u64> {
        let mut base_ns = 0;
        for call in &wait.after {
            base_ns = base_ns.max(ends.get(&usize::from(*call))?.0);
        }
        let group = wait.any_of.iter().map(|call| ends.get(&usize::from(*call)));
        // All ends of the group are needed to know which is the one that counts.
        let mut group = group.collect::<Option<Vec<_>>>()?;
        group.sort_unstable();
        if wait.need > 0 {
            base_ns = base_ns.max(group[usize::from(wait.need) - 1].0);
        }
        Some(base_ns)
    };
    for _ in 0..=2 * count {
        if times.answered.is_none()
            && let Some(base_ns) = base(&work.answer, &ends)
        {
            times.answered = Some((base_ns + work.answer.gap_ns, work.is_failed));
        }
        for (index, call) in work.calls.iter().enumerate() {
            if ends.contains_key(&index) {
                continue;
            }
            let attempt = match call.retry_of {
                Some(attempt) => match ends.get(&usize::from(attempt)) {
                    Some((end_ns, false)) => {
                        ends.insert(index, (*end_ns, false));
                        continue;
                    }
                    Some((end_ns, true)) => *end_ns,
                    None => continue,
                },
                None => 0,
            };
            let answer = match (call.is_after_answer, times.answered) {
                (false, _) => 0,
                (true, Some((at_ns, _))) => at_ns,
                (true, None) => continue,
            };
            let Some(base_ns) = base(&call.wait, &ends) else {
                continue;
            };
            let start_ns = base_ns.max(attempt).max(answer) + call.wait.gap_ns;
            let reply = replies[index];
            let (lasts_ns, is_failed) = match call.ends {
                Ends::Duration(ns) => (ns, call.is_failed),
                Ends::Answer => (reply.after_ns, reply.is_failed),
                Ends::Timeout(ns) if reply.after_ns <= ns => (reply.after_ns, reply.is_failed),
                Ends::Timeout(ns) => (ns, true),
            };
            times.started.insert(index, start_ns);
            let sent = sent(call, start_ns, start_ns + lasts_ns).into_iter();
            times
                .sent
                .extend(sent.map(|(callee, at_ns)| (index, callee, at_ns)));
            times.ended.insert(index, (start_ns + lasts_ns, is_failed));
            ends.insert(index, (start_ns + lasts_ns, is_failed));
        }
    }
    if !work.fails_with.is_empty() {
        times.answered = times
            .answered
            .map(|(at_ns, _)| (at_ns, fails(work, &times, at_ns)));
    }
    times
}

/// Whether one of the calls with which the invocation fails had failed before its answer.
fn fails(work: &Work<'static>, times: &Times, answered_ns: u64) -> bool {
    let calls = work.fails_with.iter();
    let mut ended = calls.filter_map(|call| times.ended.get(&usize::from(*call)));
    ended.any(|(end_ns, is_failed)| *is_failed && *end_ns <= answered_ns)
}

/// Requests of a call that it does not wait for: callee and time.
fn sent(call: &Call<'static>, start_ns: u64, end_ns: u64) -> Vec<(usize, u64)> {
    let is_awaited = !matches!(call.ends, Ends::Duration(_));
    let callees = call.callees.iter().enumerate().skip(usize::from(is_awaited));
    let sent = callees.map(|(index, callee)| match (call.what, index) {
        (What::Message, _) => (index, end_ns + callee.delay_ns),
        (_, 0) => (index, start_ns),
        (_, _) => (index, start_ns + callee.delay_ns),
    });
    sent.collect()
}

/// Requests that no call waits for, in the order of their times.
fn sorted(mut times: Times) -> Times {
    times
        .sent
        .sort_unstable_by_key(|(call, callee, at_ns)| (*at_ns, *call, *callee));
    times
}

prop_compose! {
    /// A call that waits for earlier ones.
    fn any_call(index: u16)(
        waits in prop::collection::vec(0..index.max(1), 0..4),
        group in prop::collection::btree_set(0..index.max(1), 0..4),
        need in 0_usize..4,
        gap_ns in 0_u64..50,
        ends in prop_oneof![
            (0_u64..200).prop_map(Ends::Duration),
            // An answer at the very start of a call cannot come before its timeout.
            (1_u64..200).prop_map(Ends::Timeout),
            Just(Ends::Answer),
        ],
        flags in any::<(bool, bool, bool)>(),
        delays_ns in prop::collection::vec(0_u64..100, 0..3),
    ) -> Call<'static> {
        let has_earlier = index > 0;
        let any_of: Vec<u16> = group.into_iter().filter(|_| has_earlier).collect();
        let wait = Wait {
            after: waits.iter().copied().filter(|_| has_earlier).collect(),
            need: need.min(any_of.len()) as u16,
            any_of,
            gap_ns,
            cpu_ns: gap_ns / 2,
        };
        let call = call(wait, ends);
        let receiver = Callee { module: "m", instance: "m-1", delay_ns: 0, body_bytes: 0, work: b"" };
        let further = delays_ns.into_iter().map(|delay_ns| Callee { delay_ns, ..receiver });
        Call {
            callees: call.callees.iter().copied().chain(further).collect(),
            what: if flags.2 { What::Message } else { What::Request },
            is_failed: flags.0,
            retry_of: waits.first().copied().filter(|_| has_earlier && flags.1),
            ..call
        }
    }
}

fn any_work() -> impl Strategy<Value = (Work<'static>, Vec<Reply>)> {
    let calls = (1_u16..10).prop_flat_map(|count| (0..count).map(any_call).collect::<Vec<_>>());
    let answer = (any::<bool>(), 0_u64..50, 0_usize..4);
    let failing = (any::<bool>(), prop::collection::vec(0_u16..10, 0..3));
    (calls, answer, failing).prop_flat_map(
        |(mut calls, (has_late, gap_ns, need), (is_failed, fails_with))| {
            let count = calls.len();
            // The answer waits for those before the late ones, which only wait for each other and for them.
            let first_late = if has_late { count / 2 } else { count };
            for late in &mut calls[first_late..] {
                late.is_after_answer = true;
            }
            let any_of: Vec<u16> = (0..first_late as u16).skip(1).step_by(2).collect();
            let answer = Wait {
                after: (0..first_late as u16).step_by(2).collect(),
                need: need.min(any_of.len()) as u16,
                any_of,
                gap_ns,
                ..Wait::default()
            };
            let reply =
                (0_u64..300, any::<bool>()).prop_map(|(after_ns, is_failed)| Reply { after_ns, is_failed });
            let fails_with = fails_with.into_iter().filter(|call| usize::from(*call) < count);
            let work = Work {
                is_failed,
                fails_with: fails_with.collect(),
                ..work(calls, answer)
            };
            (Just(work), prop::collection::vec(reply, count))
        },
    )
}

proptest! {
    #[test]
    fn every_plan_is_executed_as_the_naive_rules_say((work, replies) in any_work()) {
        prop_assert!(standin::check(&work).is_ok());
        prop_assert_eq!(sorted(execute(&work, &replies)), sorted(naive(&work, &replies)));
    }
}
