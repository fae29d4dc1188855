//! [`Recorded`]: the invocations and calls of a run, who caused whom, and their recorded times and results.

use cctf_proto::cctf::{SpanId, SpanKind, TraceId};

use super::names::Names;
use super::notes::Notes;
use super::texts::Texts;

/// Maximum number of invocations. Each takes about 190 bytes and each of their calls about 110, so that a run at both maxima
/// stays below 2 GiB.
pub const INVOCATIONS_MAX: usize = 4_000_000;
/// Maximum number of calls, for the same reason.
pub const CALLS_MAX: usize = 8_000_000;
/// An index that stands for none.
pub const NONE: u32 = u32::MAX;

/// The rows of a run, connected. All times are integer nanoseconds.
#[derive(Debug, Clone, Default)]
pub struct Recorded {
    pub names: Names,
    pub texts: Texts,
    /// Invocations in the order of their rows.
    pub works: Vec<Work>,
    /// Calls of invocations. Those of one invocation are neighbours, in the order of their start.
    pub calls: Vec<Call>,
    /// The invocations that no invocation of this run called, in the order of their arrival.
    pub arrivals: Vec<Arrival>,
    /// Whether the rows left anything out.
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
}

/// How a recorded invocation waited for its first slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Waited {
    /// The row has its queue time.
    Recorded,
    /// The source reports no queue time: waits are in its own time.
    #[default]
    Unknown,
    /// A full queue refused it (503). Its own time is unknown.
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
    /// Recorded wake-up: from the moment at which a slot was free for it to its start. The slot is occupied meanwhile.
    pub setup_ns: i64,
    /// Recorded waits for further slots, after calls during which the slot was released, with the wake-ups. At most the service time.
    pub slot_wait_ns: i64,
    /// Recorded time from arrival to end.
    pub response_ns: i64,
    /// Its calls: `first_call..first_call + calls` in [`Recorded::calls`].
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
    pub facts: InvocationFacts,
}

/// Fields of an invocation's row that do not place it in time. Sizes of 4 GiB and more count as 4 GiB.
#[derive(Debug, Clone, Copy)]
pub struct InvocationFacts {
    pub cpu_ns: Option<i64>,
    pub cpu_wait_ns: i64,
    /// Waits for further slots as the row has them.
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

/// One call of an invocation.
#[derive(Debug, Clone, Copy)]
pub struct Call {
    pub span_id: SpanId,
    /// Recorded start and end, nanoseconds since the Unix epoch.
    pub start_ns: i64,
    pub end_ns: i64,
    /// From its start to the arrival of the invocation that it caused.
    pub out_ns: i64,
    /// From the end of that invocation to its own end. 0 if that end was earlier.
    pub back_ns: i64,
    /// The invocation that made it.
    pub work: u32,
    /// The invocation that it caused, or [`NONE`]. Further ones follow as siblings; only the first one answers.
    pub callee: u32,
    /// Whether it ended after the invocation that answers it. False for messages.
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
    /// A sleep of an instance that releases its slot for it.
    Sleep,
}

/// Fields of a call's row that do not place it in time. A call without a row has none.
#[derive(Debug, Clone, Copy, Default)]
pub struct CallFacts {
    /// The internal span that made it; `None` if the invocation itself did.
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
    /// Whether a plan leaves it out although it arrives in the plan's window.
    pub is_left_out: bool,
}
