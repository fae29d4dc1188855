//! [`Timeline`]: recorded start and end of an invocation and of its calls, and the rule for which calls had ended when another
//! one started.

use cctf_proto::cctf::SpanId;

use super::model::CALLS_PER_INVOCATION_MAX;
use crate::work::{NONE, Recorded};

/// A call counts as ended if its span ends at most this many nanoseconds after a later call starts. Instrumentations end a span
/// only after the program already has the answer.
const EARLY_START_MAX_NS: i64 = 50_000;

/// One invocation's times, nanoseconds since the Unix epoch.
#[derive(Debug, Default)]
pub struct Timeline {
    pub start_ns: i64,
    pub end_ns: i64,
    /// Calls in the order of their starts.
    pub calls: Vec<Timed>,
    /// Number of further calls, which the plan leaves out.
    pub calls_left_out: usize,
}

/// The times of one call, clamped so that it starts within the invocation and does not end before its start.
#[derive(Debug, Clone, Copy)]
pub struct Timed {
    pub start_ns: i64,
    pub end_ns: i64,
    /// The internal span that made the call.
    pub branch: Option<SpanId>,
    /// Receiver of the call, as one number. If an invocation answers the call, it is twice the number of the invocation's
    /// endpoint; otherwise, twice the number of the call's label plus 1.
    pub receiver: u32,
}

impl Timeline {
    /// Reads the times of another invocation in place of the current ones.
    pub fn read(&mut self, recorded: &Recorded, work: u32) {
        let invocation = &recorded.works[work as usize];
        self.start_ns = invocation.start_ns();
        self.end_ns = invocation.end_ns();
        let all = invocation.calls();
        let calls = all.clone().take(CALLS_PER_INVOCATION_MAX).map(|index| {
            let call = &recorded.calls[index];
            let start_ns = call.start_ns.max(invocation.start_ns());
            Timed {
                start_ns,
                end_ns: call.end_ns.max(start_ns),
                branch: call.facts.branch,
                receiver: match recorded.work(call.callee) {
                    Some(callee) => 2 * callee.endpoint,
                    None => call.facts.label.map_or(NONE, |label| 2 * label + 1),
                },
            }
        });
        self.calls.clear();
        self.calls.extend(calls);
        self.calls_left_out = all.len() - self.calls.len();
    }

    /// Whether a call starts after the invocation has answered.
    pub fn is_after_answer(&self, call: usize) -> bool {
        self.calls[call].start_ns >= self.end_ns
    }
}

impl Timed {
    /// Whether a call that has started counts as ended at `at_ns`. A call that is shorter than the tolerance must be at least
    /// half over.
    pub fn has_ended(&self, at_ns: i64) -> bool {
        let early_ns = EARLY_START_MAX_NS.min((self.end_ns - self.start_ns) / 2);
        at_ns >= self.end_ns - early_ns
    }
}
