//! [`Counts`]: numbers of invocations, calls, omissions and assumptions of a plan, and the sentences that report them.

use super::model::Reason;
use super::model::{CALLS_PER_INVOCATION_MAX, DEPTH_MAX, INVOCATIONS_PER_ROOT_MAX, WAITS_PER_CALL_MAX};
use super::orders::COMPARED_CALLS_MAX;
use crate::work::counted;

/// Maximum number of example invocations for each reason.
const EXAMPLES_MAX: usize = 3;

/// Numbers of everything that a plan contains, leaves out or assumes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    pub roots: u64,
    /// Roots that are orphans: the recording lacks their caller.
    pub orphans: u64,
    pub invocations: u64,
    pub calls: u64,
    /// Calls to peers without telemetry: no recorded invocation answers them.
    pub leaf_calls: u64,
    pub messages: u64,
    pub retries: u64,
    pub quorums: u64,
    /// Calls whose callers stopped waiting before the answer.
    pub timeouts: u64,
    pub refused: u64,
    /// Failures that a full queue or a timeout caused. They recur only if their cause does.
    pub conditional_failures: u64,
    pub cpu_regressed: u64,
    pub cpu_unknown: u64,
    /// Invocations whose estimated CPU time was cut because it was longer than their own time.
    pub cpu_cut: u64,
    /// Invocations with CPU time that does not fit between their calls, so that it runs at the same time as the calls.
    pub beside_cpu: u64,
    pub late_calls: u64,
    pub early_answers: u64,
    /// Messages that arrived before their calls had ended.
    pub negative_delays: u64,
    pub retries_without_attempt: u64,
    pub shortened_waits: u64,
    pub calls_left_out: u64,
    /// Invocations that were left out because their tree would exceed a bound on depth or size.
    pub invocations_left_out: u64,
    /// Invocations that no root causes, because they call each other in a cycle.
    pub unreached: u64,
    /// Roots outside the window.
    pub outside: u64,
    pub deviations: [Listed; Reason::ALL.len()],
}

/// The invocations that deviate for one reason: their number and some examples.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listed {
    pub count: u64,
    /// The largest deviation, nanoseconds.
    pub largest_ns: i64,
    /// The first few of these invocations, as `module trace_id/span_id`.
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
    /// The reasons that occur, with their invocations.
    pub fn deviations(&self) -> impl Iterator<Item = (Reason, &Listed)> {
        let all = Reason::ALL.into_iter().zip(&self.deviations);
        all.filter(|(_, listed)| listed.count > 0)
    }

    /// Number of invocations that deviate.
    pub fn deviating(&self) -> u64 {
        self.deviations.iter().map(|listed| listed.count).sum()
    }

    /// One sentence for each count that limits how well the plan describes the run.
    pub fn sentences(&self, not_compared: u64, unnamed: u64) -> Vec<String> {
        let bounded = self.bounded(not_compared, unnamed);
        let bounded = bounded
            .iter()
            .map(|(count, one, more)| (*count, one.as_str(), more.as_str()));
        let all = self.assumed().into_iter().chain(bounded);
        let all = all.filter(|(count, ..)| *count > 0);
        all.map(|(count, one, more)| counted(count, one, more)).collect()
    }

    fn assumed(&self) -> [(u64, &'static str, &'static str); 10] {
        [
            (
                self.cpu_regressed,
                "invocation reports no CPU time: it has the mean of its endpoint by regression, in proportion to its own time",
                "invocations report no CPU time: they have the mean of their endpoint by regression, in proportion to their own time",
            ),
            (
                self.cpu_cut,
                "invocation has an endpoint whose regressed CPU time is longer than its own time: it is cut to that",
                "invocations have an endpoint whose regressed CPU time is longer than its own time: it is cut to that",
            ),
            (
                self.cpu_unknown,
                "invocation has an unknown CPU time, which no regression gives: all of its own time is other time",
                "invocations have an unknown CPU time, which no regression gives: all of their own time is other time",
            ),
            (
                self.beside_cpu,
                "invocation has CPU time that does not fit between its calls: it runs beside them and delays nothing",
                "invocations have CPU time that does not fit between their calls: it runs beside them and delays nothing",
            ),
            (
                self.timeouts,
                "call failed before its invocation had answered: it gives up after its recorded time",
                "calls failed before their invocation had answered: each gives up after its recorded time",
            ),
            (
                self.conditional_failures,
                "invocation failed because of a full queue or a timeout further down: it fails only if that fails again",
                "invocations failed because of a full queue or a timeout further down: they fail only if that fails again",
            ),
            (
                self.early_answers,
                "call ended before the invocation that answered it: its network time is negative",
                "calls ended before the invocation that answered them: their network time is negative",
            ),
            (
                self.negative_delays,
                "message arrived before its call had ended: its delay is 0",
                "messages arrived before their call had ended: their delay is 0",
            ),
            (
                self.retries_without_attempt,
                "call is a retry without a recorded earlier attempt: it is sent like other calls",
                "calls are retries without a recorded earlier attempt: they are sent like other calls",
            ),
            (
                self.unreached,
                "invocation is left out, because it is in a cycle that no root leads to",
                "invocations are left out, because they are in a cycle that no root leads to",
            ),
        ]
    }

    fn bounded(&self, not_compared: u64, unnamed: u64) -> [(u64, String, String); 5] {
        let many_calls = format!("more than {COMPARED_CALLS_MAX} calls or there are too many kinds");
        let below_root = format!("root has more than {INVOCATIONS_PER_ROOT_MAX}");
        [
            (
                self.shortened_waits,
                format!(
                    "call waits for more than {WAITS_PER_CALL_MAX} others: in the plan it waits for those that ended last"
                ),
                format!(
                    "calls wait for more than {WAITS_PER_CALL_MAX} others: in the plan they wait for those that ended last"
                ),
            ),
            (
                not_compared,
                format!(
                    "invocation is compared with no others, because it has {many_calls}: its calls wait for all that had ended"
                ),
                format!(
                    "invocations are compared with no others, because they have {many_calls}: their calls wait for all that had ended"
                ),
            ),
            (
                self.calls_left_out,
                format!(
                    "call is left out, because its invocation has more than {CALLS_PER_INVOCATION_MAX}: its time counts as own time"
                ),
                format!(
                    "calls are left out, because their invocations have more than {CALLS_PER_INVOCATION_MAX}: their time counts as own time"
                ),
            ),
            (
                self.invocations_left_out,
                format!(
                    "invocation is left out, because its {below_root}, it is deeper than {DEPTH_MAX}, or the call to it is left out: other calls to it last their recorded time"
                ),
                format!(
                    "invocations are left out, because their {below_root}, they are deeper than {DEPTH_MAX}, or the call to them is left out: other calls to them last their recorded time"
                ),
            ),
            (
                unnamed,
                "receiver or error is beyond the maximum and has no name".to_owned(),
                "receivers and errors are beyond the maximum and have no name".to_owned(),
            ),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_thing_has_the_singular() {
        let counts = Counts {
            unreached: 1,
            shortened_waits: 2,
            ..Counts::default()
        };
        let expected = [
            "1 invocation is left out, because it is in a cycle that no root leads to",
            "2 calls wait for more than 64 others: in the plan they wait for those that ended last",
            "1 receiver or error is beyond the maximum and has no name",
        ];
        assert_eq!(counts.sentences(0, 1), expected);
    }
}
