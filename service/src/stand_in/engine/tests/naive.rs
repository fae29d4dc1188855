//! Any plan: the engine against a second implementation, which computes each call from those for which it waits.

use std::collections::BTreeMap;

use proptest::prelude::*;
use standin::{Call, Ends, Wait, Work};

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
            times.ended.insert(index, (start_ns + lasts_ns, is_failed));
            ends.insert(index, (start_ns + lasts_ns, is_failed));
        }
    }
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
            (0_u64..200).prop_map(Ends::Timeout),
            Just(Ends::Answer),
        ],
        flags in any::<(bool, bool, bool)>(),
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
        Call {
            is_failed: flags.0,
            retry_of: waits.first().copied().filter(|_| has_earlier && flags.1),
            ..call(wait, ends)
        }
    }
}

fn any_work() -> impl Strategy<Value = (Work<'static>, Vec<Reply>)> {
    let calls = (1_u16..10).prop_flat_map(|count| (0..count).map(any_call).collect::<Vec<_>>());
    (calls, any::<bool>(), 0_u64..50).prop_flat_map(|(mut calls, has_late, gap_ns)| {
        let count = calls.len();
        // The answer waits for those before the late ones, which only wait for each other and for them.
        let first_late = if has_late { count / 2 } else { count };
        for late in &mut calls[first_late..] {
            late.is_after_answer = true;
        }
        let answer = Wait {
            after: (0..first_late as u16).step_by(2).collect(),
            gap_ns,
            ..Wait::default()
        };
        let reply =
            (0_u64..300, any::<bool>()).prop_map(|(after_ns, is_failed)| Reply { after_ns, is_failed });
        (Just(work(calls, answer)), prop::collection::vec(reply, count))
    })
}

proptest! {
    #[test]
    fn every_plan_is_executed_as_the_naive_rules_say((work, replies) in any_work()) {
        prop_assert!(standin::check(&work).is_ok());
        prop_assert_eq!(execute(&work, &replies), naive(&work, &replies));
    }
}
