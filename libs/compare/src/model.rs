//! [`Comparison`]: the result of a comparison, from which JSON, table and page are rendered.
//!
//! Times are in milliseconds, shares are from 0 to 1. "A" is the first run and "B" the second one. Texts from the telemetry are
//! not escaped; the code that renders them must do so.

use serde::Serialize;

use crate::margins::Margins;

/// The result of comparing two runs.
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
    /// Number of further distinct differences that are not in `graph`, because it is full.
    pub graph_left_out: u64,
    /// Differences of slots, instances and placement.
    pub configuration: Vec<ConfigurationDifference>,
    /// Figures that are shown, but do not vote.
    pub shown: Vec<Shown>,
    /// Contributions of arrivals, services, slots and placement to the differences. Empty if the verdict is *same*, or if a run
    /// cannot be simulated.
    pub attributions: Vec<Attribution>,
    /// Sentences about missing data and other things that a reader must know.
    pub notes: Vec<String>,
    pub margins: Margins,
}

/// A run.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct RunFacts {
    pub run_id: String,
    /// The path that the user gave.
    pub path: String,
    /// The run that it replays.
    pub replay_of: Option<String>,
    /// Name of the simulator, if one computed this run.
    pub simulated_by: Option<String>,
    pub started_ms: Option<f64>,
    pub is_open: bool,
    pub invocations: u64,
    pub calls: u64,
    pub roots: u64,
    /// Time from the first root to the last one, ms.
    pub duration_ms: f64,
    /// Number of lines that are not valid rows.
    pub damaged: u64,
}

/// How the rows of both runs were matched.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Pairing {
    pub kind: PairingKind,
    /// Number of pairs of roots, invocations and calls. 0 if unpaired.
    pub roots: u64,
    pub invocations: u64,
    pub calls: u64,
    /// Roots of A that have no counterpart although B should have them.
    pub roots_only_a: u64,
    pub roots_only_b: u64,
    /// Roots of one run outside of the part that the other run replays. They are not compared.
    pub roots_outside: u64,
    /// Roots that no HTTP request can repeat, such as jobs and messages. They are not compared.
    pub roots_not_replayable: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PairingKind {
    /// Requests are compared one by one: one run replays the other, or both replay a third run, or both have the same ids.
    Paired,
    /// Figures are compared by module and endpoint.
    #[default]
    Unpaired,
}

/// The verdict.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum Verdict {
    /// Every voter is inside its margin.
    Same,
    /// At least one voter is outside its margin. The most important cause is first.
    Differs { causes: Vec<Cause> },
    /// The data shows neither that the runs are the same nor that they differ.
    CannotTell { reasons: Vec<Undecided> },
    /// The load driver was too late, so the arrivals of the runs differ for a reason other than the workload.
    Void { reason: String },
}

impl Verdict {
    /// A short text of the verdict.
    pub fn text(&self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::Differs { .. } => "differs",
            Self::CannotTell { .. } => "cannot tell",
            Self::Void { .. } => "void",
        }
    }
}

/// A reason for the verdict *differs*.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Cause {
    pub topic: Topic,
    pub module: Option<String>,
    /// A sentence without a full stop.
    pub text: String,
    /// Whether the difference is a fact, in which chance plays no part.
    pub is_exact: bool,
    /// The difference divided by its margin; `None` for an exact cause.
    pub margins: Option<f64>,
}

/// A voter that shows neither sameness nor a difference.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Undecided {
    pub topic: Topic,
    pub module: Option<String>,
    pub reason: String,
    /// Number of requests that the run would need for a decision.
    pub needed: Option<u64>,
}

/// The figure of a voter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Topic {
    /// 99th percentile of the driver's lateness.
    LatenessP99,
    /// Maximum of the driver's lateness.
    LatenessMax,
    /// Requests per second.
    ArrivalRate,
    /// Deviation of a request's time from the time of its counterpart in the other run.
    ArrivalOffset,
    CallGraph,
    Statuses,
    /// Share of requests that failed because a queue was full or an answer was late.
    FailureShare,
    Slots,
    /// Only as a cause: another placement alone is no difference of the workload.
    Placement,
    ServiceMean,
    CpuMean,
    /// Mean wait for a CPU within the service time.
    CpuWaitMean,
    /// Mean time during which a slot was free but its thread had no CPU yet. The simulator uses recorded wake-ups, so it
    /// explains no difference.
    WakeupMean,
    UnexplainedWaitP50,
    UnexplainedWaitP95,
    UnexplainedWaitP99,
    /// Only in attributions, like `ResponseP99` and the figures of waits.
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
            Self::ServiceMean => "mean service time",
            Self::CpuMean => "mean CPU time",
            Self::CpuWaitMean => "mean CPU wait",
            Self::WakeupMean => "mean wake-up time",
            Self::UnexplainedWaitP50 => "unexplained wait p50",
            Self::UnexplainedWaitP95 => "unexplained wait p95",
            Self::UnexplainedWaitP99 => "unexplained wait p99",
            Self::ResponseP50 => "root response p50",
            Self::ResponseP95 => "root response p95",
            Self::ResponseMean => "mean root response",
            Self::ResponseP99 => "root response p99",
            Self::WaitMean => "mean wait",
            Self::WaitP50 => "wait p50",
            Self::WaitP95 => "wait p95",
            Self::WaitP99 => "wait p99",
        }
    }

    /// The text of the topic with its module: `mean service time of front`.
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
    /// From 0 to 1. Differences have the same unit.
    Share,
    PerSecond,
    Count,
    Bytes,
    /// A number without a unit.
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
    /// The part of `b - a` that the simulator explains by arrivals, services and slots. It does not count as a difference.
    pub explained: Option<f64>,
    /// `b - a` without the explained part.
    pub difference: Option<f64>,
    /// The largest difference that is ignored, in the same unit.
    pub margin: Option<f64>,
    /// 90 % interval of the difference: two one-sided tests at 5 %.
    pub interval: Option<[f64; 2]>,
    /// The interval at the level of Holm's method, which decides *differs*.
    pub adjusted: Option<[f64; 2]>,
    /// Whether chance plays no part, so that a single difference counts.
    pub is_exact: bool,
    pub vote: Vote,
    /// The reason why there is no decision, or a description of the difference.
    pub reason: Option<String>,
    /// Number of pairs of requests; if unpaired, number of requests of the shorter run.
    pub requests: u64,
    /// Number of requests that would be enough for a decision, if there is none.
    pub needed: Option<u64>,
}

impl Voter {
    /// The difference divided by the margin. `None` if either is missing.
    pub fn in_margins(&self) -> Option<f64> {
        let margin = self.margin.filter(|margin| *margin > 0.0)?;
        Some(self.difference?.abs() / margin)
    }
}

/// A row that only one run has, or that has different statuses in the two runs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GraphDifference {
    pub kind: GraphKind,
    /// The caller of a call, `None` for roots.
    pub caller: Option<String>,
    /// Module that was called, or the peer.
    pub module: String,
    /// Method and route.
    pub endpoint: String,
    /// Module and endpoint in B, only for [`GraphKind::OtherRequest`]. `module` and `endpoint` are then those in A.
    pub module_b: Option<String>,
    pub endpoint_b: Option<String>,
    pub status_a: Option<String>,
    pub status_b: Option<String>,
    pub count: u64,
    /// Whether the difference can be chance: a full queue or a missing answer caused it, or it occurs in both directions.
    pub is_by_chance: bool,
    /// Examples of the difference. There are at most [`EXAMPLES_MAX`].
    pub examples: Vec<Example>,
}

/// Maximum number of examples that are kept for each difference.
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
    /// Both runs have the root, but with another module, method or path.
    OtherRequest,
    CallOnlyA,
    CallOnlyB,
    /// Both runs have the call, but only one has the invocation that answers it.
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

/// A difference in the deployment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ConfigurationDifference {
    /// [`Topic::Slots`] or [`Topic::Placement`].
    pub topic: Topic,
    pub module: String,
    /// Name of the setting, such as `slots` or `queue limit`.
    pub what: &'static str,
    pub a: String,
    pub b: String,
}

/// A figure that is shown but does not vote.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Shown {
    pub module: Option<String>,
    /// Such as `wait distance (KS)`.
    pub name: &'static str,
    pub unit: Unit,
    pub a: Option<f64>,
    pub b: Option<f64>,
    /// A figure that describes both runs together, such as a distance or a correlation.
    pub both: Option<f64>,
}

/// The contributions to one difference.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Attribution {
    pub topic: Topic,
    pub module: Option<String>,
    /// Recorded figures, ms.
    pub a: f64,
    pub b: f64,
    /// Contribution (Shapley value) of each exchanged part, ms.
    pub parts: Vec<Part>,
    /// Recorded difference minus all contributions, ms.
    pub residual: f64,
    /// The simulator's own error on each run, ms.
    pub simulator_error: [f64; 2],
    /// The reason why there is no attribution.
    pub cannot_tell: Option<String>,
}

/// The contribution of one part.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Part {
    /// `arrivals`, `services`, `slots` or `placement`.
    pub name: &'static str,
    pub value: f64,
}
