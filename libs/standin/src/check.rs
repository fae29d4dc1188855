//! [`check`]: checks that received work is within its bounds, and that its calls do not wait for each other in a cycle.

use crate::bounds::{
    BODY_BYTES_MAX, CALLEES_BEYOND, CALLEES_MAX, CALLEES_TOTAL_BEYOND, CALLEES_TOTAL_MAX, CALLS_BEYOND,
    CALLS_MAX, DURATION_NS_MAX, TEXT_BYTES_MAX, WAITS_BEYOND, WAITS_TOTAL_BEYOND, WAITS_TOTAL_MAX,
};
use crate::error::StandInError;
use crate::work::{Call, Ends, Wait, Work};

/// Checks the work of one invocation. Work that is nested in it is not checked here: each stand-in checks the work that it
/// receives.
pub fn check(work: &Work) -> Result<(), StandInError> {
    let count = work.calls.len();
    if count > CALLS_MAX {
        return Err(StandInError::Bound(CALLS_BEYOND));
    }
    text(work.method)?;
    text(work.route)?;
    text(work.error)?;
    size(work.bytes_out)?;
    wait(&work.answer, count)?;
    known(&work.fails_with, count)?;
    for call in &work.calls {
        one_call(call, count)?;
    }
    if work.calls.iter().map(Call::callee_count).sum::<usize>() > CALLEES_TOTAL_MAX {
        return Err(StandInError::Bound(CALLEES_TOTAL_BEYOND));
    }
    if work.calls.iter().map(Call::wait_count).sum::<usize>() > WAITS_TOTAL_MAX {
        return Err(StandInError::Bound(WAITS_TOTAL_BEYOND));
    }
    let own: u64 = work.calls.iter().map(|call| call.wait.cpu_ns).sum();
    duration(work.beside_cpu_ns)?;
    duration(own + work.answer.cpu_ns + work.beside_cpu_ns)?;
    order(work)
}

fn one_call(call: &Call, count: usize) -> Result<(), StandInError> {
    wait(&call.wait, count)?;
    known(call.retry_of.as_slice(), count)?;
    match call.ends {
        Ends::Duration(ns) | Ends::Timeout(ns) => duration(ns)?,
        Ends::Answer => (),
    }
    duration(call.net_ns)?;
    let needs_callee = !matches!(call.ends, Ends::Duration(_));
    if needs_callee && call.callees.is_empty() {
        return Err(StandInError::Impossible(
            "a call waits for an answer, and nothing answers",
        ));
    }
    text(call.peer)?;
    text(call.method)?;
    text(call.path)?;
    text(call.error)?;
    size(call.bytes_out)?;
    size(call.bytes_in)?;
    if call.callees.len() > CALLEES_MAX {
        return Err(StandInError::Bound(CALLEES_BEYOND));
    }
    for callee in &call.callees {
        text(Some(callee.module))?;
        text(Some(callee.instance))?;
        duration(callee.delay_ns)?;
        size(callee.body_bytes)?;
    }
    Ok(())
}

fn wait(wait: &Wait, count: usize) -> Result<(), StandInError> {
    known(&wait.after, count)?;
    known(&wait.any_of, count)?;
    if usize::from(wait.need) > wait.any_of.len() {
        return Err(StandInError::Impossible(
            "a call waits for more calls than its group has",
        ));
    }
    duration(wait.gap_ns)?;
    duration(wait.cpu_ns)
}

fn known(indices: &[u16], count: usize) -> Result<(), StandInError> {
    if indices.len() > CALLS_MAX {
        return Err(StandInError::Bound(WAITS_BEYOND));
    }
    match indices.iter().all(|index| usize::from(*index) < count) {
        true => Ok(()),
        false => Err(StandInError::Impossible("it names a call that does not exist")),
    }
}

fn text(text: Option<&str>) -> Result<(), StandInError> {
    match text.is_none_or(|text| text.len() <= TEXT_BYTES_MAX) {
        true => Ok(()),
        false => Err(StandInError::Bound("a text is longer than 4,096 bytes")),
    }
}

fn size(bytes: u32) -> Result<(), StandInError> {
    match bytes <= BODY_BYTES_MAX {
        true => Ok(()),
        false => Err(StandInError::Bound("a body is larger than 64 MiB")),
    }
}

fn duration(ns: u64) -> Result<(), StandInError> {
    match ns <= DURATION_NS_MAX {
        true => Ok(()),
        false => Err(StandInError::Bound("a time is longer than one hour")),
    }
}

/// Removes calls in an order that respects their waits; the answer counts as the last call. If calls are left over, they wait
/// for each other in a cycle.
fn order(work: &Work) -> Result<(), StandInError> {
    let answer = work.calls.len();
    let mut waiters: Vec<Vec<usize>> = vec![Vec::new(); answer + 1];
    let mut open = vec![0_usize; answer + 1];
    let mut add = |of: usize, waits_for: usize| {
        waiters[waits_for].push(of);
        open[of] += 1;
    };
    let waits = work.calls.iter().map(|call| &call.wait).chain([&work.answer]);
    for (index, wait) in waits.enumerate() {
        for earlier in wait.after.iter().chain(&wait.any_of) {
            add(index, usize::from(*earlier));
        }
    }
    for (index, call) in work.calls.iter().enumerate() {
        if let Some(attempt) = call.retry_of {
            add(index, usize::from(attempt));
        }
        if call.is_after_answer {
            add(index, answer);
        }
    }
    let mut ready: Vec<usize> = (0..=answer).filter(|index| open[*index] == 0).collect();
    let mut started = 0;
    while let Some(index) = ready.pop() {
        started += 1;
        for waiter in &waiters[index] {
            open[*waiter] -= 1;
            if open[*waiter] == 0 {
                ready.push(*waiter);
            }
        }
    }
    match started == answer + 1 {
        true => Ok(()),
        false => Err(StandInError::Impossible("calls wait for each other")),
    }
}
