//! [`Load`]: the trees of a plan as flat lists, with the stations and the wake-ups that the recording shows.

use cctf_proto::cctf::{SpanId, TraceId};

use crate::plan::Ends;
use crate::work::{Names, Notes, Waited};

/// What a simulator needs. All times are integer nanoseconds.
#[derive(Debug, Clone, Default)]
pub struct Load {
    pub names: Names,
    /// Each root is followed by the visits below it.
    pub visits: Vec<Visit>,
    /// Calls of visits. Those of one visit are neighbours, in the order of the plan; those after its answer are the last ones.
    pub calls: Vec<Call>,
    /// Indices into `calls`: each [`Wait`] has a range of them.
    pub waits_for: Vec<u32>,
    /// The visits that no visit causes, in the order of their arrival.
    pub arrivals: Vec<Arrival>,
    pub notes: Notes,
}

/// One invocation of the plan: it visits a station.
#[derive(Debug, Clone, Copy)]
pub struct Visit {
    pub trace_id: TraceId,
    pub span_id: SpanId,
    /// Recorded arrival, nanoseconds since the Unix epoch.
    pub enqueue_ns: i64,
    /// Recorded wait for the first slot: queue time without the wake-up.
    pub wait_ns: i64,
    /// Recorded wake-up: from the moment at which a slot was free for it to its start. The slot is occupied meanwhile.
    pub setup_ns: i64,
    /// Recorded waits for further slots, without the wake-ups that were inferred.
    pub slot_wait_ns: i64,
    /// Recorded time from arrival to end.
    pub response_ns: i64,
    /// From the arrival of the first visit of the same call to its own; for a message, from the end of that call.
    pub delay_ns: i64,
    /// Its calls: `first_call..first_call + calls` in [`Load::calls`].
    pub first_call: u32,
    pub calls: u32,
    /// The call that causes it, or [`NONE`](crate::work::NONE).
    pub caller: u32,
    /// The next visit that the same call causes, or `NONE`.
    pub sibling: u32,
    /// Index of its instance in [`Names::instances`].
    pub instance: u32,
    /// Index of its endpoint in [`Names::endpoints`].
    pub endpoint: u32,
    pub waited: Waited,
    pub fails: Fails,
    /// What its answer waits for.
    pub answer: Wait,
}

impl Visit {
    /// The indices of its calls.
    pub fn calls(&self) -> std::ops::Range<usize> {
        let first = self.first_call as usize;
        first..first + self.calls as usize
    }
}

/// When a visit fails. One that is refused always does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Fails {
    #[default]
    Never,
    Always,
    /// If a call with [`Call::fails_visit`] has failed.
    WithCalls,
}

/// What a call, or the answer, waits for, and the own time after that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Wait {
    /// Begin of its calls in [`Load::waits_for`]: first those that must all have ended, then those of which a number must have.
    pub first: u32,
    pub after: u16,
    pub any_of: u16,
    pub need: u16,
    /// Wake-up of the slot that it needs first, if it waits for one. At most 4.3 s.
    pub setup_ns: u32,
    /// Own time after the last of these ends, with waits for CPUs: a station has no model of the CPUs behind it.
    pub gap_ns: i64,
    /// Recorded wait for the slot that it needs first, without the wake-up.
    pub slot_wait_ns: i64,
}

impl Wait {
    /// The places of all its calls in [`Load::waits_for`].
    pub fn places(&self) -> std::ops::Range<usize> {
        let first = self.first as usize;
        first..first + usize::from(self.after) + usize::from(self.any_of)
    }

    /// The calls that must all have ended, and those of which `need` must have.
    pub fn of<'l>(&self, waits_for: &'l [u32]) -> (&'l [u32], &'l [u32]) {
        waits_for[self.places()].split_at(usize::from(self.after))
    }
}

/// One call of a visit.
#[derive(Debug, Clone, Copy)]
pub struct Call {
    pub wait: Wait,
    /// From its start to the arrival of the visit that it causes.
    pub out_ns: i64,
    /// From the end of that visit to its own end.
    pub back_ns: i64,
    /// How long before the end of that visit the answer comes.
    pub ahead_ns: i64,
    pub ends: Ends,
    /// The visit that makes it.
    pub visit: u32,
    /// The visit that it causes and that answers, or `NONE`. Further ones follow as siblings.
    pub callee: u32,
    /// The earlier attempt, for which it waits, or `NONE`.
    pub retry_of: u32,
    /// How long before the call its slot is released, if that was inferred. At most 4.3 s.
    pub early_ns: u32,
    pub is_after_answer: bool,
    pub is_message: bool,
    /// Whether it fails, if it ends after a duration.
    pub is_failed: bool,
    /// Whether its failure makes its visit fail.
    pub fails_visit: bool,
}

/// A visit that nothing in this load causes.
#[derive(Debug, Clone, Copy)]
pub struct Arrival {
    pub visit: u32,
    /// Arrival at its station.
    pub at_ns: i64,
    /// Time of the root call before it, and after its end. Both are 0 without a row of that call.
    pub out_ns: i64,
    pub back_ns: i64,
    /// Span id of the root: of the call from outside, else of the invocation.
    pub span_id: SpanId,
    /// Whether it is a root. Otherwise its caller is missing in the recording.
    pub is_root: bool,
}
