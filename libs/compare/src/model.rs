//! [`Comparison`]: the result of a comparison, from which JSON, table and page are rendered.
//!
//! Times are in milliseconds, shares are from 0 to 1. "A" is the first run and "B" the second one. Texts of the telemetry are in
//! it as they are: whoever renders them escapes them.

use serde::Serialize;

use crate::margins::Margins;

/// Two runs, held against one another.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    pub verdict: Verdict,
    pub a: RunFacts,
    pub b: RunFacts,
    pub pairing: Pairing,
    /// Every voter, in a fixed order: by topic, then by module.
    pub voters: Vec<Voter>,
    /// Differences of call graph and statuses, the most frequent ones first.
    pub graph: Vec<GraphDifference>,
    /// Distinct differences that the bound keeps out of `graph`.
    pub graph_left_out: u64,
    /// Differences of slots, instances and placement.
    pub configuration: Vec<ConfigurationDifference>,
    /// Figures that do not vote.
    pub shown: Vec<Shown>,
    /// Parts of a difference that follow from arrivals, services, slots and placement. Empty if the verdict is *same*, or a run
    /// cannot be simulated.
    pub attributions: Vec<Attribution>,
    /// What the comparison lacks, and what a reader has to know.
    pub notes: Vec<String>,
    pub margins: Margins,
}

/// A run.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct RunFacts {
    pub run_id: String,
    /// As specified by the user.
    pub path: String,
    /// The run that it replays.
    pub replay_of: Option<String>,
    /// The simulator that computed it.
    pub simulated_by: Option<String>,
    pub started_ms: Option<f64>,
    pub is_open: bool,
    pub invocations: u64,
    pub calls: u64,
    pub roots: u64,
    /// From the first root to the last one, ms.
    pub duration_ms: f64,
    /// Lines that are no rows.
    pub damaged: u64,
}

/// How the rows of both runs were matched.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Pairing {
    pub kind: PairingKind,
    /// Pairs of roots, invocations and calls. 0 if unpaired.
    pub roots: u64,
    pub invocations: u64,
    pub calls: u64,
    /// Roots of A that have no counterpart although B should have them.
    pub roots_only_a: u64,
    pub roots_only_b: u64,
    /// Roots of one run outside the part that the other one replays. They are not compared.
    pub roots_outside: u64,
    /// Roots that no HTTP request can repeat, such as jobs and messages. They are not compared.
    pub roots_not_replayable: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PairingKind {
    /// Request by request: one run replays the other one, both replay a third one, or both have the same ids.
    Paired,
    /// By module and endpoint.
    #[default]
    Unpaired,
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum Verdict {
    /// Every voter is inside its margin.
    Same,
    /// At least one voter is outside its margin. The most important cause is first.
    Differs { causes: Vec<Cause> },
    /// Neither was shown.
    CannotTell { reasons: Vec<Undecided> },
    /// The load driver was too late, so the runs had different arrivals for a reason that is not the workload.
    Void { reason: String },
}

impl Verdict {
    /// A few words for people.
    pub fn text(&self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::Differs { .. } => "differs",
            Self::CannotTell { .. } => "cannot tell",
            Self::Void { .. } => "void",
        }
    }
}

/// Why two runs differ.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Cause {
    pub topic: Topic,
    pub module: Option<String>,
    /// A sentence without a full stop.
    pub text: String,
    /// Whether it is a fact of both runs, without chance.
    pub is_exact: bool,
    /// The difference in margins; `None` for an exact one.
    pub margins: Option<f64>,
}

/// A voter that neither shows sameness nor a difference.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Undecided {
    pub topic: Topic,
    pub module: Option<String>,
    pub reason: String,
    /// Requests that the run would need for an answer.
    pub needed: Option<u64>,
}

/// The figure of a voter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Topic {
    /// 99th percentile of the driver's lateness.
    LatenessP99,
    /// Its maximum.
    LatenessMax,
    /// Requests per second.
    ArrivalRate,
    /// Deviation of a request's time from its place in the other run.
    ArrivalOffset,
    CallGraph,
    Statuses,
    /// Requests that failed for want of a slot or of time.
    FailureShare,
    Slots,
    /// Causes only: placement alone makes no difference of a workload.
    Placement,
    ServiceMean,
    CpuMean,
    /// Mean wait for a CPU within the service time.
    CpuWaitMean,
    /// Mean time in which a slot was free, but its thread had no CPU yet. The simulator repeats it, so it explains no difference.
    WakeupMean,
    UnexplainedWaitP50,
    UnexplainedWaitP95,
    UnexplainedWaitP99,
    /// Attributions only, as `ResponseP99` and those of waits.
    ResponseMean,
    ResponseP50,
    ResponseP95,
    ResponseP99,
    WaitMean,
    WaitP50,
    WaitP95,
    WaitP99,
}

impl Topic {
    pub const fn text(self) -> &'static str {
        match self {
            Self::LatenessP99 => "lateness p99",
            Self::LatenessMax => "lateness maximum",
            Self::ArrivalRate => "arrival rate",
            Self::ArrivalOffset => "arrival offsets p99",
            Self::CallGraph => "call graph",
            Self::Statuses => "statuses",
            Self::FailureShare => "overload failures",
            Self::Slots => "slots",
            Self::Placement => "placement",
            Self::ServiceMean => "service mean",
            Self::CpuMean => "CPU mean",
            Self::CpuWaitMean => "CPU wait mean",
            Self::WakeupMean => "wake-up mean",
            Self::UnexplainedWaitP50 => "unexplained wait p50",
            Self::UnexplainedWaitP95 => "unexplained wait p95",
            Self::UnexplainedWaitP99 => "unexplained wait p99",
            Self::ResponseP50 => "root response p50",
            Self::ResponseP95 => "root response p95",
            Self::ResponseMean => "root response mean",
            Self::ResponseP99 => "root response p99",
            Self::WaitMean => "wait mean",
            Self::WaitP50 => "wait p50",
            Self::WaitP95 => "wait p95",
            Self::WaitP99 => "wait p99",
        }
    }

    /// With its module: `service mean of front`.
    pub fn text_of(self, module: Option<&str>) -> String {
        of_module(self.text(), module)
    }
}

/// A figure's name with its module, if it has one.
pub fn of_module(name: &str, module: Option<&str>) -> String {
    match module {
        Some(module) => format!("{name} of {module}"),
        None => name.to_owned(),
    }
}

/// The unit of a voter's or shown figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    Ms,
    /// From 0 to 1; its difference is in the same unit.
    Share,
    PerSecond,
    Count,
    Bytes,
    /// Without a unit.
    Number,
}

/// A vote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Vote {
    Same,
    Differs,
    CannotTell,
}

impl Vote {
    pub const fn text(self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::Differs => "differs",
            Self::CannotTell => "cannot tell",
        }
    }
}

/// One named figure of both runs with its vote.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Voter {
    pub topic: Topic,
    /// Module, or `None` for the whole run.
    pub module: Option<String>,
    pub unit: Unit,
    pub a: Option<f64>,
    pub b: Option<f64>,
    /// The part of `b - a` that the simulator explains by arrivals, services and slots. It does not count.
    pub explained: Option<f64>,
    /// B minus A, without the explained part.
    pub difference: Option<f64>,
    /// The largest difference that counts as none, in the same unit.
    pub margin: Option<f64>,
    /// 90 % interval of the difference: two one-sided tests at 5 %.
    pub interval: Option<[f64; 2]>,
    /// The interval at Holm's level, by which *differs* is decided.
    pub adjusted: Option<[f64; 2]>,
    /// Whether chance plays no part: a single difference counts.
    pub is_exact: bool,
    pub vote: Vote,
    /// Why there is no answer, or what differs.
    pub reason: Option<String>,
    /// Pairs of requests, or requests of the shorter run.
    pub requests: u64,
    /// Requests that would decide, if this is not decided.
    pub needed: Option<u64>,
}

impl Voter {
    /// How many margins the difference has. `None` without either.
    pub fn in_margins(&self) -> Option<f64> {
        let margin = self.margin.filter(|margin| *margin > 0.0)?;
        Some(self.difference?.abs() / margin)
    }
}

/// A row that only one run has, or that has another status in the other one.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GraphDifference {
    pub kind: GraphKind,
    /// The caller of a call, `None` for roots.
    pub caller: Option<String>,
    /// Module that was called, or the peer.
    pub module: String,
    /// Method and route.
    pub endpoint: String,
    /// Module and endpoint in B, of [`GraphKind::OtherRequest`] only: the ones above are those in A.
    pub module_b: Option<String>,
    pub endpoint_b: Option<String>,
    pub status_a: Option<String>,
    pub status_b: Option<String>,
    pub count: u64,
    /// Whether it follows from a full queue or a missing answer in only one of the runs, or occurs in both directions.
    pub is_by_chance: bool,
    /// At most [`EXAMPLES_MAX`].
    pub examples: Vec<Example>,
}

/// Examples of a difference that are kept.
pub const EXAMPLES_MAX: usize = 3;

/// The traces of one difference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Example {
    pub trace_a: Option<String>,
    pub trace_b: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum GraphKind {
    RootOnlyA,
    RootOnlyB,
    /// Both have the root, but at another module, or with another method or path.
    OtherRequest,
    CallOnlyA,
    CallOnlyB,
    /// Both have the call, and only one has the invocation that answers it.
    AnswerOnlyA,
    AnswerOnlyB,
    Status,
}

impl GraphKind {
    pub const fn text(self) -> &'static str {
        match self {
            Self::RootOnlyA => "root only in A",
            Self::RootOnlyB => "root only in B",
            Self::OtherRequest => "other request",
            Self::CallOnlyA => "call only in A",
            Self::CallOnlyB => "call only in B",
            Self::AnswerOnlyA => "invocation only in A",
            Self::AnswerOnlyB => "invocation only in B",
            Self::Status => "other status",
        }
    }
}

/// A fact of the deployment that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ConfigurationDifference {
    /// [`Topic::Slots`] or [`Topic::Placement`].
    pub topic: Topic,
    pub module: String,
    /// Such as `slots` or `queue limit`.
    pub what: &'static str,
    pub a: String,
    pub b: String,
}

/// A figure that is shown and does not vote.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Shown {
    pub module: Option<String>,
    /// Such as `wait distance (KS)`.
    pub name: &'static str,
    pub unit: Unit,
    pub a: Option<f64>,
    pub b: Option<f64>,
    /// A figure of both runs, such as a distance or a correlation.
    pub both: Option<f64>,
}

/// The parts of one difference.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Attribution {
    pub topic: Topic,
    pub module: Option<String>,
    /// Recorded figures, ms.
    pub a: f64,
    pub b: f64,
    /// Shapley value of each exchanged part, ms.
    pub parts: Vec<Part>,
    /// Recorded difference minus the parts, ms.
    pub residual: f64,
    /// The simulator's own error on each run, ms.
    pub simulator_error: [f64; 2],
    /// Why there is no answer.
    pub cannot_tell: Option<String>,
}

/// A part of a difference.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Part {
    /// `arrivals`, `services`, `slots` or `placement`.
    pub name: &'static str,
    pub value: f64,
}
