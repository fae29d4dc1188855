//! [`Load`]: the trees of a plan as flat lists, with stations and recorded wake-up times.

use cctf_proto::cctf::{SpanId, TraceId};

use crate::plan::Ends;
use crate::work::{NONE, Names, Notes, Waited};

/// The input of the simulator. All times are integer nanoseconds.
#[derive(Debug, Clone, Default)]
pub struct Load {
    pub names: Names,
    /// All visits. Each root's own visit is followed by the visits that it causes.
    pub visits: Vec<Visit>,
    /// Calls of all visits. The calls of one visit are contiguous and in the order of the plan; calls after the answer come
    /// last.
    pub calls: Vec<Call>,
    /// Indices into `calls`: each [`Wait`] has a range of them.
    pub waits_for: Vec<u32>,
    /// The visits that no other visit causes, in the order of their arrival.
    pub arrivals: Vec<Arrival>,
    pub notes: Notes,
}

/// One invocation of the plan, as a visit to a station.
#[derive(Debug, Clone, Copy)]
pub struct Visit {
    pub trace_id: TraceId,
    pub span_id: SpanId,
    /// Recorded arrival, nanoseconds since the Unix epoch.
    pub enqueue_ns: i64,
    /// Recorded wait for the first slot: queue time without the wake-up.
    pub wait_ns: i64,
    /// Recorded wake-up: time from the assignment of a slot until its thread runs. The slot is occupied during this time.
    pub setup_ns: i64,
    /// Recorded waits for further slots, without the wake-ups that [`handover`](super::handover) inferred.
    pub slot_wait_ns: i64,
    /// Recorded time from arrival to end.
    pub response_ns: i64,
    /// CPU time of the visit that runs beside its calls and delays nothing.
    pub beside_cpu_ns: i64,
    /// Time from the arrival of the first visit that the same call causes to the arrival of this visit. For a message, time
    /// from the end of the call.
    pub delay_ns: i64,
    /// The calls of this visit: `first_call..first_call + calls` in [`Load::calls`].
    pub first_call: u32,
    pub calls: u32,
    /// The call that causes this visit, or [`NONE`].
    pub caller: u32,
    /// The next visit that the same call causes, or `NONE`.
    pub sibling: u32,
    /// Index of the instance in [`Names::instances`].
    pub instance: u32,
    /// Index of the endpoint in [`Names::endpoints`].
    pub endpoint: u32,
    pub waited: Waited,
    pub fails: Fails,
    /// The calls for which the answer waits, and the own work before it.
    pub answer: Wait,
}

impl Visit {
    /// Indices of the calls of this visit.
    pub fn calls(&self) -> std::ops::Range<usize> {
        let first = self.first_call as usize;
        first..first + self.calls as usize
    }
}

/// The condition under which a visit fails. A refused visit always fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Fails {
    #[default]
    Never,
    Always,
    /// The visit fails if a call with [`Call::fails_visit`] has failed.
    WithCalls,
}

/// The calls for which a call or the answer waits, and the own time that follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Wait {
    /// Start of these calls in [`Load::waits_for`]. The calls that must all end come first, then the group of which only `need`
    /// must end.
    pub first: u32,
    pub after: u16,
    pub any_of: u16,
    pub need: u16,
    /// Wake-up time of the slot that the visit must get before this gap. At most 4.3 s; 0 if it needs no new slot.
    pub setup_ns: u32,
    /// Own time after the last of these ends. It includes the recorded waits for CPUs.
    pub gap_ns: i64,
    /// CPU time in the gap.
    pub cpu_ns: i64,
    /// Recorded waits for CPUs in the gap. On a platform with CPUs, the simulator computes the part that the instances cause.
    pub cpu_wait_ns: i64,
    /// Recorded wait for the slot that the visit must get before this gap, without the wake-up.
    pub slot_wait_ns: i64,
}

impl Wait {
    /// The range of these calls in [`Load::waits_for`].
    pub fn places(&self) -> std::ops::Range<usize> {
        let first = self.first as usize;
        first..first + usize::from(self.after) + usize::from(self.any_of)
    }

    /// The calls that must all end, and the group in which `need` calls must end.
    pub fn of<'l>(&self, waits_for: &'l [u32]) -> (&'l [u32], &'l [u32]) {
        waits_for[self.places()].split_at(usize::from(self.after))
    }
}

/// One call of a visit.
#[derive(Debug, Clone, Copy)]
pub struct Call {
    pub wait: Wait,
    /// Time from the start of the call to the arrival of the visit that it causes.
    pub out_ns: i64,
    /// Time from the end of that visit to the end of the call.
    pub back_ns: i64,
    /// Time by which the answer arrives before that visit ends.
    pub ahead_ns: i64,
    pub ends: Ends,
    /// The visit that makes it.
    pub visit: u32,
    /// The visit that the call causes and that answers it, or `NONE`. Further visits follow as siblings.
    pub callee: u32,
    /// The earlier attempt, for which this call waits, or `NONE`.
    pub retry_of: u32,
    /// Time from the release of the slot to the start of the call, if it was inferred. At most 4.3 s.
    pub early_ns: u32,
    /// Bodies of request and answer. 0 if unknown.
    pub bytes_out: u32,
    pub bytes_in: u32,
    pub is_after_answer: bool,
    pub is_message: bool,
    /// Whether the call fails. This counts only for a call that ends after a fixed duration.
    pub is_failed: bool,
    /// Whether a failure of this call makes the visit fail.
    pub fails_visit: bool,
}

impl Call {
    /// Whether it uses the link between its visit and the callee. A message goes to its broker, whose link is unknown.
    pub fn passes_link(&self) -> bool {
        self.callee != NONE && !self.is_message
    }
}

/// A visit that no call of this load causes.
#[derive(Debug, Clone, Copy)]
pub struct Arrival {
    pub visit: u32,
    /// Arrival at its station.
    pub at_ns: i64,
    /// Recorded times of the call from outside: from its start to the arrival, and from the end of the visit to its own end. 0
    /// without a row of that call.
    pub out_ns: i64,
    pub back_ns: i64,
    /// Bodies of request and answer. 0 if unknown.
    pub bytes_in: u32,
    pub bytes_out: u32,
    /// Span id of the call from outside. If this call was not recorded, span id of the first invocation.
    pub span_id: SpanId,
    /// False for an orphan: the recording lacks its caller.
    pub is_root: bool,
}
