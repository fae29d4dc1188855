//! [`check`]: adds the recorded waits and network times to an invocation's plan, and compares the result with the recorded
//! response.

use super::gaps::OwnTime;
use super::model::{Call, Deviation, Ends, Invocation, Reason, Wait};
use crate::work::{Recorded, Waited};

/// Differences up to this many nanoseconds are ignored. Rows are exact to a nanosecond, so the tolerance is generous.
const DIFFERENCE_MAX_NS: i64 = 1_000;

/// Returns the deviation of an invocation's plan from its row. Refused invocations are not checked: they have no recorded work.
///
/// `answers_ns` has, for each call that ends with an answer, the recorded response time of that answer.
pub fn check(
    recorded: &Recorded,
    invocation: &Invocation,
    own: &OwnTime,
    answers_ns: &[i64],
) -> Option<Deviation> {
    let work = recorded.work(invocation.work)?;
    let facts = &work.facts;
    if work.waited == Waited::Refused {
        return None;
    }
    let ns = work.wait_ns + work.setup_ns + answer_ns(invocation, answers_ns) - work.response_ns;
    let is_beyond = invocation.cpu.ns() > Some(work.service_ns() + DIFFERENCE_MAX_NS);
    let reason = match ns.abs() > DIFFERENCE_MAX_NS {
        _ if !facts.has_duration => Reason::NoDuration,
        _ if own.misplaced_wait_ns > DIFFERENCE_MAX_NS => Reason::WaitAboveOwnTime,
        true if own.negative_gaps > 0 => Reason::NegativeGap,
        true => Reason::Unexplained,
        false if is_beyond => Reason::CpuAboveOwnTime,
        false => return None,
    };
    Some(Deviation { reason, ns })
}

/// Time from the invocation's start to its answer, as a program that executes the plan would measure it.
fn answer_ns(invocation: &Invocation, answers_ns: &[i64]) -> i64 {
    let mut ends_ns: Vec<i64> = Vec::with_capacity(invocation.calls.len());
    for (index, call) in invocation.calls.iter().enumerate() {
        if call.is_after_answer {
            break;
        }
        let lasts_ns = duration_ns(call, answers_ns[index]);
        ends_ns.push(start_ns(&call.wait, &ends_ns) + lasts_ns);
    }
    start_ns(&invocation.answer, &ends_ns)
}

fn duration_ns(call: &Call, answer_ns: i64) -> i64 {
    match call.ends {
        Ends::Answer => answer_ns + call.net_ns.unwrap_or(0),
        Ends::Duration(ns) => ns,
        Ends::Timeout(ns) => ns.min(answer_ns),
    }
}

/// When the call (or answer) of a wait starts: the last end for which it waits, plus its gap and its recorded waits.
fn start_ns(wait: &Wait, ends_ns: &[i64]) -> i64 {
    let end = |call: &u32| ends_ns[*call as usize];
    let after_ns = wait.after.iter().map(end).fold(0, i64::max);
    let mut any_ns: Vec<i64> = wait.any_of.iter().map(end).collect();
    any_ns.sort_unstable();
    let enough_ns = (wait.need as usize)
        .checked_sub(1)
        .and_then(|last| any_ns.get(last));
    after_ns.max(enough_ns.copied().unwrap_or(0)) + wait.gap_ns + wait.slot_wait_ns + wait.cpu_wait_ns
}
