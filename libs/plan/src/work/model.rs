//! [`Works`]: the invocations of a run with their own time, their calls and what each call waits for, without any waits.

use cctf_proto::cctf::{SpanId, TraceId};

use super::names::Names;
use super::notes::Notes;

/// Maximum number of invocations. Each takes about 100 bytes and each of their calls about 110, so that a run of two rows each
/// stays below 1 GiB.
pub const INVOCATIONS_MAX: usize = 4_000_000;
/// Maximum number of calls, for the same reason.
pub const CALLS_MAX: usize = 8_000_000;
/// An index that stands for none.
pub const NONE: u32 = u32::MAX;

/// The work of a run, and the stations that did it. All times are integer nanoseconds.
#[derive(Debug, Clone, Default)]
pub struct Works {
    pub names: Names,
    /// Invocations in the order of their rows.
    pub works: Vec<Work>,
    /// Calls of invocations. Those of one invocation are neighbours, in the order of their start.
    pub calls: Vec<Call>,
    /// Indices into `calls`: each call has a range of them.
    pub waits_for: Vec<u32>,
    /// The invocations that no invocation of this run called, in the order of their arrival.
    pub arrivals: Vec<Arrival>,
    /// Whether the rows left anything out.
    pub notes: Notes,
}

/// How a recorded invocation waited for its first slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Waited {
    /// The row has its queue time.
    Recorded,
    /// The source reports no queue time: waits are in its own time.
    #[default]
    Unknown,
    /// A full queue refused it (503). Its own time is unknown and replaced by the mean of its endpoint.
    Refused,
}

/// One invocation. It needs a slot from its start to its end, except during the calls of an instance that releases slots.
#[derive(Debug, Clone, Copy)]
pub struct Work {
    pub trace_id: TraceId,
    pub span_id: SpanId,
    /// Recorded arrival, nanoseconds since the Unix epoch.
    pub enqueue_ns: i64,
    /// Recorded wait for the first slot: queue time without the wake-up.
    pub wait_ns: i64,
    /// Recorded wake-up: from the moment at which a slot was free for it to its start. The slot is occupied meanwhile.
    pub setup_ns: i64,
    /// Recorded waits for further slots, after calls during which the slot was released, without the wake-ups that were inferred.
    pub slot_wait_ns: i64,
    /// Recorded time from arrival to end.
    pub response_ns: i64,
    /// Own time after the last group of calls, or all of it if there are no calls.
    pub tail_ns: i64,
    /// Its calls: `first_call..first_call + calls` in [`Works::calls`].
    pub first_call: u32,
    pub calls: u32,
    /// The call that caused it, or [`NONE`].
    pub caller: u32,
    /// The next invocation that the same call caused, or [`NONE`].
    pub sibling: u32,
    /// Index of its instance in [`Names::instances`].
    pub instance: u32,
    /// Index of its endpoint in [`Names::endpoints`].
    pub endpoint: u32,
    pub waited: Waited,
}

impl Work {
    /// The indices of its calls.
    pub fn calls(&self) -> std::ops::Range<usize> {
        let first = self.first_call as usize;
        first..first + self.calls as usize
    }

    /// Recorded start: the slot was assigned and its thread awake.
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

/// The event that ends a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Ending {
    /// The answer of the invocation that it caused, after the way back.
    #[default]
    Answer,
    /// Its recorded duration: there is no such invocation (a database), or the call did not wait for it (a message, a timeout).
    Duration,
}

/// One call of an invocation.
///
/// The calls of an invocation form groups: calls that overlap, directly or through others. A group begins with the end of the
/// group before it, or with the invocation's start. The own time before its first call is worked on a slot. It ends when
/// all calls ended for which the invocation waits.
#[derive(Debug, Clone, Copy)]
pub struct Call {
    pub span_id: SpanId,
    /// Own time before it: after the last of the calls for which it waits, else after the beginning of its group. For a call
    /// after the invocation's end, after that end.
    pub gap_ns: i64,
    /// From its start to the arrival of the invocation that it caused.
    pub out_ns: i64,
    /// From the end of that invocation to its own end.
    pub back_ns: i64,
    /// Recorded duration.
    pub duration_ns: i64,
    /// For the first call of a group after which the invocation queued for a slot again: its recorded wait, without the wake-up.
    pub slot_wait_ns: i64,
    /// For the same call: the wake-up of that slot, which is occupied meanwhile. At most 4.3 s.
    pub setup_ns: u32,
    /// How long before the call its slot was released, if that was inferred. At most 4.3 s.
    pub early_ns: u32,
    /// The invocation that made it.
    pub work: u32,
    /// The invocation that it caused, or [`NONE`]. Further ones follow as siblings; only the first one answers.
    pub callee: u32,
    /// The calls of its group for which it waits: `first_wait..first_wait + waits` in [`Works::waits_for`].
    pub first_wait: u32,
    pub waits: u32,
    pub ending: Ending,
    pub place: Place,
    /// Whether it is the first call of its group.
    pub begins_group: bool,
}

impl Call {
    /// The indices of the calls for which it waits.
    pub fn waits(&self) -> std::ops::Range<usize> {
        let first = self.first_wait as usize;
        first..first + self.waits as usize
    }
}

/// Where in its invocation a call is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Place {
    /// The invocation waits for its end.
    #[default]
    Joined,
    /// It starts before the invocation ends, but ends later: the invocation does not wait for it.
    Detached,
    /// It starts after the invocation's end, without a slot.
    After,
}

/// An invocation that nothing in this run called.
#[derive(Debug, Clone, Copy)]
pub struct Arrival {
    pub work: u32,
    /// Arrival at its station, nanoseconds since the Unix epoch.
    pub at_ns: i64,
    /// Time of the root call before it, and after its end. Both are 0 without a row of that call.
    pub out_ns: i64,
    pub back_ns: i64,
    /// Span id of the root: of the call from outside, else of the invocation.
    pub span_id: SpanId,
    /// Whether it is a root: its request came from outside. Otherwise its caller is missing in this run.
    pub is_root: bool,
}
