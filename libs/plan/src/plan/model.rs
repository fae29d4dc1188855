//! [`Tree`]: a root with its arrival, and the invocations that it causes. Each has its own work, and its calls with their
//! waits.

use cctf_proto::cctf::{SpanId, SpanKind, TraceId};

use crate::work::What;

/// Maximum number of invocations of one root. A trace of 10,000 spans fits. A reader holds one root at a time, so this also
/// bounds its memory.
pub const INVOCATIONS_PER_ROOT_MAX: usize = 16_384;
/// Maximum depth of calls below a root. It lets a reader descend by recursion.
pub const DEPTH_MAX: u32 = 64;
/// Maximum number of calls of one invocation. The time for inferring what they wait for grows with the square of this number.
pub const CALLS_PER_INVOCATION_MAX: usize = 1_024;
/// Maximum number of calls for which one call waits. A call can only exceed it if about a hundred earlier calls overlap.
pub const WAITS_PER_CALL_MAX: usize = 64;

/// A root: a request, message or job from outside. The tree has all invocations that it causes. All durations are nanoseconds.
#[derive(Debug, Clone)]
pub struct Tree {
    /// Arrival at the root's module, nanoseconds since the Unix epoch.
    pub at_ns: i64,
    pub trace_id: TraceId,
    /// Span id of the call from outside. If this call was not recorded, span id of the first invocation.
    pub span_id: SpanId,
    /// Recorded duration of the call from outside minus the response time of the invocation. 0 if the call was not recorded.
    pub client_net_ns: i64,
    /// False for an orphan: the recording lacks its caller.
    pub is_root: bool,
    /// The first one is the root's. A caller comes before its callees.
    pub invocations: Vec<Invocation>,
}

/// A request, message or job that one instance processed. Times do not include waits: an execution of the plan produces new
/// waits.
#[derive(Debug, Clone)]
pub struct Invocation {
    /// Index of the invocation in the recorded work.
    pub work: u32,
    /// Index of the instance in the names.
    pub instance: u32,
    /// Index of the endpoint in the names.
    pub endpoint: u32,
    pub kind: SpanKind,
    pub cpu: Cpu,
    /// Own time between calls that is not CPU time, such as sleeps, disk access and locks.
    pub other_ns: i64,
    /// CPU time that does not fit between the calls. It runs at the same time as the calls, and delays nothing.
    pub beside_cpu_ns: i64,
    pub bytes_in: Option<u32>,
    pub bytes_out: Option<u32>,
    pub status: Option<i32>,
    /// Index of the error class in the texts.
    pub error: Option<u32>,
    pub is_failed: bool,
    /// Failed calls of this invocation that a full queue or a timeout made fail, directly or through further calls. The
    /// invocation fails only if one of these calls fails again.
    pub fails_with: Vec<u32>,
    /// Whether a full queue refused the request. Then its work is the mean of its endpoint, and its recorded status is not part
    /// of the plan.
    pub is_refused: bool,
    /// Calls in the order of their recorded starts.
    pub calls: Vec<Call>,
    /// The calls for which the answer waits, and the own work between their end and the answer.
    pub answer: Wait,
    pub recorded: RecordedTimes,
    /// Difference between plan and recording, if there is one.
    pub deviation: Option<Deviation>,
}

/// The CPU time of one invocation, nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Cpu {
    #[default]
    Unknown,
    /// Measured for this request.
    Measured(i64),
    /// Estimated: a part of the endpoint's mean from a regression, in proportion to the invocation's own time, and at most that
    /// own time.
    Regressed(i64),
}

impl Cpu {
    pub fn ns(self) -> Option<i64> {
        match self {
            Self::Unknown => None,
            Self::Measured(ns) | Self::Regressed(ns) => Some(ns),
        }
    }
}

/// The calls for which a call or the answer waits, and the own time that follows. Indices refer to calls of the same
/// invocation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wait {
    /// Calls that must all have ended. If empty, the gap counts from the invocation's start.
    pub after: Vec<u32>,
    /// Of these calls, at least `need` must have ended.
    pub any_of: Vec<u32>,
    pub need: u32,
    /// The gap: own time from the last of these ends to the start of the call. It includes `cpu_ns`.
    pub gap_ns: i64,
    /// Own CPU time in the gap. If gaps overlap, the CPU time in the overlap is assigned to the earlier call only.
    pub cpu_ns: i64,
    /// Recorded waits for slots and CPUs between the last of these ends and the call. They are neither in `gap_ns` nor in the
    /// plan.
    pub slot_wait_ns: i64,
    pub cpu_wait_ns: i64,
}

/// When a call ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ends {
    /// When the invocation that the call causes has answered.
    Answer,
    /// After this time. The peer is without telemetry (such as a database), or the call is a message, or it stands for a sleep
    /// without a slot.
    Duration(i64),
    /// With the answer, or after this time if that is earlier: the caller stops waiting.
    Timeout(i64),
}

/// One call of an invocation.
#[derive(Debug, Clone)]
pub struct Call {
    pub wait: Wait,
    /// Whether the call starts after the answer. Such a call holds no slot and delays nothing.
    pub is_after_answer: bool,
    pub what: What,
    /// Index of receiver, method and path in the texts.
    pub label: Option<u32>,
    /// The invocations that the call causes. The first one answers.
    pub callees: Vec<Callee>,
    pub ends: Ends,
    /// The earlier attempt. This call, a retry, is sent only if that attempt failed.
    pub retry_of: Option<u32>,
    pub bytes_out: Option<u32>,
    pub bytes_in: Option<u32>,
    pub status: Option<i32>,
    pub error: Option<u32>,
    pub is_failed: bool,
    /// Recorded duration of the call minus the response time of the answering invocation. Negative if the answer came before
    /// that invocation's end.
    pub net_ns: Option<i64>,
    /// Recorded duration.
    pub recorded_ns: i64,
    /// Recorded end, nanoseconds since the Unix epoch.
    pub recorded_end_ns: i64,
}

/// An invocation that a call causes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Callee {
    /// Index in [`Tree::invocations`].
    pub invocation: u32,
    /// For a message, the broker's delay: from the end of the call to the arrival. For further invocations of a request, the
    /// time after the arrival of the first one.
    pub delay_ns: i64,
}

/// Recorded times of an invocation, for comparison. Nanoseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RecordedTimes {
    pub response_ns: i64,
    /// Queue time. `None` if the source does not report it; then the own time includes the waits.
    pub queue_ns: Option<i64>,
    /// Waits for a slot after calls.
    pub slot_wait_ns: i64,
    pub cpu_wait_ns: i64,
}

/// The difference between an invocation's recorded response and the response that follows from its plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deviation {
    pub reason: Reason,
    /// Response time by the plan, with the recorded waits added, minus the recorded response time. Nanoseconds.
    pub ns: i64,
}

/// A contradiction in the rows of an invocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// A call starts before the invocation or before the end of a call for which it waits.
    NegativeGap,
    /// The CPU time is longer than the service time.
    CpuAboveOwnTime,
    /// The waits for slots are longer than the own time.
    WaitAboveOwnTime,
    /// The row has no valid duration.
    NoDuration,
    /// None of the other reasons: the plan itself is wrong.
    Unexplained,
}

impl Reason {
    pub const ALL: [Self; 5] = [
        Self::NegativeGap,
        Self::CpuAboveOwnTime,
        Self::WaitAboveOwnTime,
        Self::NoDuration,
        Self::Unexplained,
    ];

    /// The name of the reason in the files.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NegativeGap => "negative_gap",
            Self::CpuAboveOwnTime => "cpu_above_own_time",
            Self::WaitAboveOwnTime => "wait_above_own_time",
            Self::NoDuration => "no_duration",
            Self::Unexplained => "unexplained",
        }
    }
}
