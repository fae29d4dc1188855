//! [`Counts`]: what a plan has, what it leaves out and what it had to assume, as counts and as sentences.

use super::model::Reason;
use super::model::{CALLS_PER_INVOCATION_MAX, DEPTH_MAX, INVOCATIONS_PER_ROOT_MAX, WAITS_PER_CALL_MAX};
use super::orders::COMPARED_CALLS_MAX;

/// Maximum number of invocations that are named for each reason.
const EXAMPLES_MAX: usize = 3;

/// Counts of a plan.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    pub roots: u64,
    /// Arrivals whose caller is missing in the recording.
    pub orphans: u64,
    pub invocations: u64,
    pub calls: u64,
    /// Calls that nobody with telemetry answers.
    pub leaf_calls: u64,
    pub messages: u64,
    pub retries: u64,
    pub quorums: u64,
    /// Calls that their callers gave up.
    pub timeouts: u64,
    pub refused: u64,
    /// Failures that follow from a full queue or a timeout.
    pub conditional_failures: u64,
    pub cpu_regressed: u64,
    pub cpu_unknown: u64,
    /// Regressed CPU times above the own time.
    pub cpu_cut: u64,
    /// Invocations with CPU time beside their calls.
    pub beside_cpu: u64,
    pub late_calls: u64,
    pub early_answers: u64,
    /// Messages that arrived before their calls had ended.
    pub negative_delays: u64,
    pub retries_without_attempt: u64,
    pub shortened_waits: u64,
    pub calls_left_out: u64,
    /// Invocations beyond the bounds of depth and size.
    pub invocations_left_out: u64,
    /// Invocations that no arrival leads to: they call each other in a cycle.
    pub unreached: u64,
    /// Arrivals outside of the window.
    pub outside: u64,
    pub deviations: [Listed; Reason::ALL.len()],
}

/// Invocations that deviate for one reason.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listed {
    pub count: u64,
    /// The largest deviation, nanoseconds.
    pub largest_ns: i64,
    /// The first ones, as `module trace_id/span_id`.
    pub examples: Vec<String>,
}

impl Listed {
    pub fn add(&mut self, ns: i64, name: impl FnOnce() -> String) {
        self.count += 1;
        if ns.abs() > self.largest_ns.abs() {
            self.largest_ns = ns;
        }
        if self.examples.len() < EXAMPLES_MAX {
            self.examples.push(name());
        }
    }
}

impl Counts {
    /// The deviations by reason, without those that do not occur.
    pub fn deviations(&self) -> impl Iterator<Item = (Reason, &Listed)> {
        let all = Reason::ALL.into_iter().zip(&self.deviations);
        all.filter(|(_, listed)| listed.count > 0)
    }

    /// Number of invocations that deviate.
    pub fn deviating(&self) -> u64 {
        self.deviations.iter().map(|listed| listed.count).sum()
    }

    /// One sentence for each count that limits the plan.
    pub fn sentences(&self, not_compared: u64, unnamed: u64) -> Vec<String> {
        let counted = self
            .assumed()
            .into_iter()
            .chain(self.bounded(not_compared, unnamed));
        let counted = counted.filter(|(count, _)| *count > 0);
        counted.map(|(count, text)| format!("{count} {text}")).collect()
    }

    fn assumed(&self) -> [(u64, String); 10] {
        [
            (self.cpu_regressed, "invocations report no CPU time: they have the mean of their endpoint by regression, in proportion to their own time"),
            (self.cpu_cut, "invocations have an endpoint whose regressed CPU time is longer than its own time: it is cut to that"),
            (self.cpu_unknown, "invocations have an unknown CPU time, which no regression gives: all of their own time is other time"),
            (self.beside_cpu, "invocations have CPU time that does not fit between their calls: it runs beside them and delays nothing"),
            (self.timeouts, "calls failed before their invocation had answered: each gives up after its recorded time"),
            (self.conditional_failures, "invocations failed because of a full queue or a timeout further down: they fail only if that fails again"),
            (self.early_answers, "calls ended before the invocation that answered them: their network time is negative"),
            (self.negative_delays, "messages arrived before their call had ended: their delay is 0"),
            (self.retries_without_attempt, "calls are retries without a recorded earlier attempt: they are sent like other calls"),
            (self.unreached, "invocations are left out, because they are in a cycle that no root leads to"),
        ]
        .map(|(count, text)| (count, text.to_owned()))
    }

    fn bounded(&self, not_compared: u64, unnamed: u64) -> [(u64, String); 5] {
        [
            (
                self.shortened_waits,
                format!(
                    "calls wait for more than {WAITS_PER_CALL_MAX} others: in the plan they wait for those that ended last"
                ),
            ),
            (
                not_compared,
                format!(
                    "invocations are compared with no others, because they have more than {COMPARED_CALLS_MAX} calls or there are too many kinds: their calls wait for all that had ended"
                ),
            ),
            (
                self.calls_left_out,
                format!(
                    "calls are left out, because their invocations have more than {CALLS_PER_INVOCATION_MAX}: their time counts as own time"
                ),
            ),
            (
                self.invocations_left_out,
                format!(
                    "invocations are left out, because their root has more than {INVOCATIONS_PER_ROOT_MAX}, they are deeper than {DEPTH_MAX}, or the call to them is left out: other calls to them last their recorded time"
                ),
            ),
            (
                unnamed,
                "receivers and errors are beyond the maximum and have no name".to_owned(),
            ),
        ]
    }
}
