//! [`Timeline`]: the recorded start and end of an invocation and of its calls, and which of them had ended before others started.

use cctf_proto::cctf::SpanId;

use super::model::CALLS_PER_INVOCATION_MAX;
use crate::work::{NONE, Recorded};

/// A call that starts so long before another one's end, or earlier, still waits for it: instrumentations end a span after the
/// program has the answer. Nanoseconds.
const EARLY_START_MAX_NS: i64 = 50_000;

/// One invocation's times, nanoseconds since the Unix epoch.
#[derive(Debug, Default)]
pub struct Timeline {
    pub start_ns: i64,
    pub end_ns: i64,
    /// In the order of their start.
    pub calls: Vec<Timed>,
    /// Further calls, which a plan leaves out.
    pub calls_left_out: usize,
}

/// One call's times. The start is not before that of the invocation, and the end not before the start.
#[derive(Debug, Clone, Copy)]
pub struct Timed {
    pub start_ns: i64,
    pub end_ns: i64,
    /// The internal span that made it.
    pub branch: Option<SpanId>,
    /// What it calls: for an invocation twice the number of its endpoint, else twice the number of its label plus 1.
    pub receiver: u32,
}

impl Timeline {
    /// Replaces the times by those of another invocation.
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

    /// Whether a call starts when the invocation has answered.
    pub fn is_after_answer(&self, call: usize) -> bool {
        self.calls[call].start_ns >= self.end_ns
    }
}

impl Timed {
    /// Whether it counts as ended at a time at which it has started. One that is shorter than the tolerance must be half over.
    pub fn has_ended(&self, at_ns: i64) -> bool {
        let early_ns = EARLY_START_MAX_NS.min((self.end_ns - self.start_ns) / 2);
        at_ns >= self.end_ns - early_ns
    }
}
