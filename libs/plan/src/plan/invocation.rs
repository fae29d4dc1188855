//! [`calls`]: the planned calls of an invocation, from the recorded rows and the inferred waits.

use super::model::{Call, Ends};
use super::timeline::Timeline;
use super::waits::Waits;
use crate::work::{NONE, Recorded, What};

/// An invocation of the recording, with its calls and their results.
#[derive(Debug, Clone, Copy)]
pub struct Linked<'a> {
    pub recorded: &'a Recorded,
    pub timeline: &'a Timeline,
    /// Index of its first call.
    pub first_call: usize,
}

impl Linked<'_> {
    /// The earlier attempt of each retry, for which the retry waits: the latest call of the same internal span to the same
    /// receiver that had ended before the retry started. Counts retries without such a call in `without_attempt`.
    pub fn retries(&self, waits: &mut Waits, without_attempt: &mut u64) -> Vec<Option<u32>> {
        let made = &self.recorded.calls[self.first_call..];
        let timed = &self.timeline.calls;
        let mut attempts = vec![None; timed.len()];
        for call in 0..timed.len() {
            if made[call].facts.resends == 0 {
                continue;
            }
            let is_attempt = |other: &usize| {
                let is_same = self.is_same_request(*other, call);
                is_same && timed[*other].has_ended(timed[call].start_ns)
            };
            let Some(attempt) = (0..call).rev().find(is_attempt) else {
                *without_attempt += 1;
                continue;
            };
            attempts[call] = Some(attempt as u32);
            let after = &mut waits.of(call).after;
            let is_before_answer =
                self.timeline.is_after_answer(attempt) || !self.timeline.is_after_answer(call);
            if is_before_answer && !after.contains(&(attempt as u32)) {
                after.push(attempt as u32);
                after.sort_unstable();
            }
        }
        attempts
    }

    /// Whether two calls of one internal span have the same receiver, method and path. A failed attempt may have no known
    /// receiver.
    fn is_same_request(&self, one: usize, other: usize) -> bool {
        let timed = &self.timeline.calls;
        let facts = |call: usize| &self.recorded.calls[self.first_call + call].facts;
        let label = |call: usize| {
            let number = facts(call).label?;
            let label = &self.recorded.texts.labels[number as usize];
            Some((&label.method, &label.path))
        };
        let is_receiver = timed[one].receiver == timed[other].receiver && timed[one].receiver != NONE;
        timed[one].branch == timed[other].branch
            && (is_receiver || (label(one).is_some() && label(one) == label(other)))
    }

    /// For each call, the recorded response time of the invocation that answers it; 0 without one.
    pub fn answers_ns(&self) -> Vec<i64> {
        let calls = self.recorded.calls[self.first_call..].iter();
        let calls = calls.take(self.timeline.calls.len());
        calls
            .map(|call| self.recorded.work(call.callee).map_or(0, |work| work.response_ns))
            .collect()
    }
}

/// The calls of an invocation. Their callees are still empty.
pub fn calls(linked: &Linked<'_>, waits: &mut Waits, retries: &[Option<u32>]) -> Vec<Call> {
    let timed = linked.timeline.calls.iter().enumerate();
    let calls = timed.map(|(index, timed)| {
        let call = &linked.recorded.calls[linked.first_call + index];
        let facts = &call.facts;
        let recorded_ns = timed.end_ns - timed.start_ns;
        let callee = linked.recorded.work(call.callee);
        let has_answer = callee.is_some() && call.what != What::Message;
        let net_ns = callee.map(|callee| recorded_ns - callee.response_ns);
        Call {
            wait: std::mem::take(&mut waits.calls[index]),
            is_after_answer: linked.timeline.is_after_answer(index),
            what: call.what,
            label: facts.label,
            callees: Vec::new(),
            // If a call succeeded before the invocation that answers it ended, the answer came before that end.
            ends: match call.is_answered {
                _ if !has_answer => Ends::Duration(recorded_ns),
                false if facts.is_failed => Ends::Timeout(recorded_ns),
                true | false => Ends::Answer,
            },
            retry_of: retries[index],
            bytes_out: facts.bytes_out,
            bytes_in: facts.bytes_in,
            status: facts.status,
            error: facts.error,
            is_failed: facts.is_failed,
            net_ns: net_ns.filter(|_| has_answer),
            recorded_ns,
            recorded_end_ns: timed.end_ns,
        }
    });
    calls.collect()
}
