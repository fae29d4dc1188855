//! [`Recorded`]: the invocations and calls of a run, who caused whom, and their recorded times and results.

use std::collections::BTreeSet;

use cctf_proto::cctf::{SpanId, SpanKind, TraceId};

use super::names::Names;
use super::notes::Notes;
use super::texts::Texts;

/// Maximum number of invocations. An invocation takes about 190 bytes and a call about 110, so a run at both maxima stays below
/// 2 GiB.
pub const INVOCATIONS_MAX: usize = 4_000_000;
/// Maximum number of calls; see [`INVOCATIONS_MAX`] for the reason.
pub const CALLS_MAX: usize = 8_000_000;
/// An index that means "none".
pub const NONE: u32 = u32::MAX;

/// The rows of a run, connected. All times are integer nanoseconds.
#[derive(Debug, Clone, Default)]
pub struct Recorded {
    pub names: Names,
    pub texts: Texts,
    /// Invocations in the order of their rows.
    pub works: Vec<Work>,
    /// Calls of all invocations. The calls of one invocation are contiguous and in the order of their start.
    pub calls: Vec<Call>,
    /// The invocations that no invocation of this run called, in the order of their arrival.
    pub arrivals: Vec<Arrival>,
    /// Problems in the rows.
    pub notes: Notes,
}

impl Recorded {
    pub fn names(&self) -> &Names {
        &self.names
    }

    /// An invocation by its index; `None` for [`NONE`].
    pub fn work(&self, index: u32) -> Option<&Work> {
        self.works.get(index as usize)
    }

    /// The invocations that a call caused, with their indices. `first` is [`Call::callee`].
    pub fn callees(&self, first: u32) -> impl Iterator<Item = (u32, &Work)> {
        let with = |index| Some((index, self.work(index)?));
        std::iter::successors(with(first), move |(_, work)| with(work.sibling))
    }

    /// Calling and called instances of all calls that reached an invocation.
    pub fn called_instances(&self) -> BTreeSet<(u32, u32)> {
        let calls = self.calls.iter();
        let calls = calls.filter_map(|call| Some((self.work(call.work)?.instance, call.callee)));
        let pairs = calls.flat_map(|(caller, first)| {
            let called = self.callees(first);
            called.map(move |(_, callee)| (caller, callee.instance))
        });
        pairs.collect()
    }
}

/// How an invocation's wait for its first slot is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Waited {
    /// The row has a queue time.
    Recorded,
    /// The source does not report queue times, so the own time includes the waits.
    #[default]
    Unknown,
    /// A full queue refused the request (503), so it has no own time.
    Refused,
}

/// One invocation.
#[derive(Debug, Clone, Copy)]
pub struct Work {
    pub trace_id: TraceId,
    pub span_id: SpanId,
    /// Recorded arrival, nanoseconds since the Unix epoch.
    pub enqueue_ns: i64,
    /// Recorded wait for the first slot: queue time without the wake-up.
    pub wait_ns: i64,
    /// Recorded wake-up: time from the assignment of a slot until its thread runs. No other request can use the slot during this
    /// time.
    pub setup_ns: i64,
    /// Recorded waits, including wake-ups, for another slot. An invocation needs another slot if it released its own during a call.
    /// At most the service time.
    pub slot_wait_ns: i64,
    /// Recorded time from arrival to end.
    pub response_ns: i64,
    /// The calls of this invocation: `first_call..first_call + calls` in [`Recorded::calls`].
    pub first_call: u32,
    pub calls: u32,
    /// The call that caused this invocation, or [`NONE`].
    pub caller: u32,
    /// The next invocation that the same call caused, or [`NONE`].
    pub sibling: u32,
    /// Index of the instance in [`Names::instances`].
    pub instance: u32,
    /// Index of the endpoint in [`Names::endpoints`].
    pub endpoint: u32,
    pub waited: Waited,
    pub facts: InvocationFacts,
}

/// Further fields of an invocation's row, as the row states them: CPU time, waits, sizes of bodies, and the result. Sizes above
/// 4 GiB - 1 are stored as 4 GiB - 1.
#[derive(Debug, Clone, Copy)]
pub struct InvocationFacts {
    pub cpu_ns: Option<i64>,
    pub cpu_wait_ns: i64,
    /// Waits for further slots, as the row states them.
    pub slot_wait_ns: i64,
    pub queue_ns: Option<i64>,
    pub bytes_in: Option<u32>,
    pub bytes_out: Option<u32>,
    pub status: Option<i32>,
    /// Index in [`Texts::errors`].
    pub error: Option<u32>,
    pub kind: SpanKind,
    pub is_failed: bool,
    pub has_duration: bool,
}

impl Work {
    /// Indices of the calls of this invocation.
    pub fn calls(&self) -> std::ops::Range<usize> {
        let first = self.first_call as usize;
        first..first + self.calls as usize
    }

    /// Recorded start: the slot was assigned and its thread was awake.
    pub fn start_ns(&self) -> i64 {
        self.enqueue_ns + self.wait_ns + self.setup_ns
    }

    /// Recorded end.
    pub fn end_ns(&self) -> i64 {
        self.enqueue_ns + self.response_ns
    }

    /// Recorded time from its start to its end.
    pub fn service_ns(&self) -> i64 {
        self.response_ns - self.wait_ns - self.setup_ns
    }
}

/// One call of an invocation.
#[derive(Debug, Clone, Copy)]
pub struct Call {
    pub span_id: SpanId,
    /// Recorded start and end, nanoseconds since the Unix epoch.
    pub start_ns: i64,
    pub end_ns: i64,
    /// Time from the start of the call to the arrival of the invocation that it caused.
    pub out_ns: i64,
    /// Time from the end of that invocation to the end of the call. 0 if the call ended earlier.
    pub back_ns: i64,
    /// The invocation that made the call.
    pub work: u32,
    /// The invocation that the call caused, or [`NONE`]. Further invocations follow as siblings; only the first one answers.
    pub callee: u32,
    /// Whether the call ended after the invocation that answers it. False for messages.
    pub is_answered: bool,
    pub what: What,
    pub facts: CallFacts,
}

/// The kind of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum What {
    #[default]
    Request,
    Message,
    /// A sleep, for which the request released its slot.
    Sleep,
}

/// Fields of a call's row other than its times. All are empty for an inferred call.
#[derive(Debug, Clone, Copy, Default)]
pub struct CallFacts {
    /// The internal span that made the call; `None` if it was made directly by the invocation.
    pub branch: Option<SpanId>,
    /// Index in [`Texts::labels`].
    pub label: Option<u32>,
    /// Index in [`Texts::errors`].
    pub error: Option<u32>,
    pub bytes_out: Option<u32>,
    pub bytes_in: Option<u32>,
    pub status: Option<i32>,
    /// Number of earlier attempts.
    pub resends: u32,
    pub is_failed: bool,
}

/// An invocation that no invocation in this run called.
#[derive(Debug, Clone, Copy)]
pub struct Arrival {
    pub work: u32,
    /// Arrival at its station, nanoseconds since the Unix epoch.
    pub at_ns: i64,
    /// Recorded network times of the call from outside: from the start of the call to the arrival of the request, and from the
    /// end of the invocation to the end of the call. 0 without a row of that call.
    pub out_ns: i64,
    pub back_ns: i64,
    /// Span id of the call from outside. If this call was not recorded, span id of the invocation.
    pub span_id: SpanId,
    /// Whether the request came from outside. False for an orphan: the run lacks its caller.
    pub is_root: bool,
    /// Whether a plan leaves out this arrival although it is in the plan's window.
    pub is_left_out: bool,
}
