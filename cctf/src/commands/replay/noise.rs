//! [`measure`]: replays one run several times against the same target, and compares consecutive replays (`--aa`). This shows
//! how often noise alone makes two replays differ.

use std::path::Path;
use std::sync::atomic::AtomicBool;

use anyhow::Context as _;
use cctf_load::clock;
use cctf_load::otlp::identity::host_name;
use cctf_proto::{keys, log_line};
use cctf_stack::running::RunningStack;
use compare::false_alarms::{FalseAlarms, Outcome, Pair};
use compare::margins::Margins;

use crate::commands::UsageError;
use crate::commands::cells::printable;
use crate::commands::compare::alarms::{Noise, noise_of};
use crate::commands::compare::between;

/// Maximum number of pairs in one command. Each pair takes longer than the recorded run, and `false-alarms.json` keeps 4,096
/// pairs.
pub const PAIRS_MAX: u64 = 1000;

/// The run to replay, and the number of replays.
#[derive(Debug, Clone, Copy)]
pub struct Repeats<'a> {
    /// The folder of all runs. The normalizer must write to it.
    pub logs_dir: &'a Path,
    /// Run id of the recorded run.
    pub replay_of: &'a str,
    /// Prefix of the run ids of the replays.
    pub run_id: &'a str,
    /// Number of pairs. One more replay than this is sent.
    pub pairs: u64,
}

/// Sends all replays; each waits until the files of the previous one are complete. Compares each replay with the previous one,
/// and stores the verdict at once, so that an interrupt loses only the pair in progress. Returns the verdicts on all pairs of
/// the recorded run on this machine; `None` if all are void.
///
/// # Errors
/// If a replay fails, its files do not become complete, or a verdict cannot be stored.
pub fn measure(
    repeats: Repeats<'_>,
    stop: &AtomicBool,
    replay: &mut dyn FnMut(&str) -> anyhow::Result<()>,
) -> anyhow::Result<Option<Noise>> {
    let Repeats { logs_dir, pairs, .. } = repeats;
    repeats.check()?;
    // Reads the file first, so that a damaged file is reported now and not after hours.
    let mut all = FalseAlarms::read(logs_dir)?;
    let mut before: Option<String> = None;
    for number in 0..=pairs {
        let run_id = repeats.run_id_of(number);
        let files = RunningStack::prepare(logs_dir, &run_id)
            .with_context(|| format!("cannot create {}", logs_dir.join(&run_id).display()))?;
        replay(&run_id)?;
        log_line!(
            "cctf: waiting for the normalizer to complete the files of {run_id} in {}",
            printable(&logs_dir.to_string_lossy())
        );
        files.settle(stop)?;
        files.wait_closed(stop)?;
        if let Some(first) = before.replace(run_id.clone()) {
            let pair = judged(repeats, [first, run_id])?;
            log_line!(
                "cctf: pair {number} of {pairs}, {} and {}: {}",
                printable(&pair.runs[0]),
                printable(&pair.runs[1]),
                pair.verdict.text()
            );
            all = FalseAlarms::append(logs_dir, [pair])?;
        }
    }
    Ok(noise_of(&all, Some(repeats.replay_of)))
}

/// Run id of a replay, counted from 0.
pub fn run_id_of(run_id: &str, number: u64) -> String {
    format!("{run_id}-aa{}", number + 1)
}

impl Repeats<'_> {
    fn run_id_of(&self, number: u64) -> String {
        run_id_of(self.run_id, number)
    }

    /// Checks everything that could fail after the first replay.
    fn check(&self) -> Result<(), UsageError> {
        let last = self.run_id_of(self.pairs);
        if !keys::is_valid_run_id(&last) {
            return Err(UsageError(format!(
                "invalid run id {last:?}: --aa appends a number; choose a shorter --run-id"
            )));
        }
        if !self.logs_dir.is_dir() {
            return Err(UsageError(format!(
                "cannot find the folder {}: --aa compares the files of the replays; set --logs-dir to the normalizer's folder",
                printable(&self.logs_dir.to_string_lossy())
            )));
        }
        Ok(())
    }
}

fn judged(repeats: Repeats<'_>, runs: [String; 2]) -> anyhow::Result<Pair> {
    let [first, second] = &runs;
    let found = between([first, second], repeats.logs_dir, Margins::default())?;
    Ok(Pair {
        host: host_name().unwrap_or_default(),
        replay_of: repeats.replay_of.to_owned(),
        verdict: Outcome::from(&found.verdict),
        at: now(),
        runs,
    })
}

/// The time in whole seconds, as in RFC 3339.
fn now() -> String {
    let seconds = i64::try_from(clock::unix_ns() / 1_000_000_000).unwrap_or(i64::MAX);
    // The time is within jiff's range, which ends in the year 9999.
    jiff::Timestamp::from_second(seconds)
        .unwrap_or_default()
        .to_string()
}

#[cfg(test)]
#[path = "../../../tests/all/compare/made.rs"]
mod made;

#[cfg(test)]
mod tests {
    use super::made::{Made, RECORDED, REPLAYED};
    use super::*;
    use crate::commands::compare::alarms;

    #[test]
    fn each_replay_is_compared_with_the_one_before() {
        let logs = tempfile::tempdir().unwrap();
        RECORDED.write(logs.path());
        let repeats = Repeats {
            logs_dir: logs.path(),
            replay_of: "before",
            run_id: "noise",
            pairs: 2,
        };
        let mut sent = Vec::new();
        let noise = measure(repeats, &AtomicBool::new(false), &mut |run_id| {
            sent.push(run_id.to_owned());
            let made = Made {
                run: run_id,
                // The service is slower during the third replay.
                service_factor: if sent.len() == 3 { 1.2 } else { 1.0 },
                seed: sent.len() as u64,
                ..REPLAYED
            };
            made.write(logs.path());
            Ok(())
        });
        assert_eq!(sent, ["noise-aa1", "noise-aa2", "noise-aa3"]);
        let sentence = alarms::sentence(&noise.unwrap().unwrap());
        assert!(
            sentence.starts_with("On this machine, 1 of 2 pairs of replays of run `before` differed"),
            "{sentence}"
        );
        let kept = FalseAlarms::read(logs.path()).unwrap();
        let tally = kept.tally(&host_name().unwrap_or_default(), Some("before"));
        assert_eq!((tally.same, tally.differs), (1, 1));
    }

    #[test]
    fn pairs_of_other_runs_do_not_count_for_the_measured_one() {
        let logs = tempfile::tempdir().unwrap();
        let pair = |replay_of: &str, verdict| Pair {
            host: host_name().unwrap_or_default(),
            replay_of: replay_of.to_owned(),
            runs: ["a".to_owned(), "b".to_owned()],
            verdict,
            at: now(),
        };
        let pairs = [pair("other", Outcome::Same), pair("before", Outcome::Void)];
        let all = FalseAlarms::append(logs.path(), pairs).unwrap();
        assert!(noise_of(&all, Some("before")).is_none());
        assert!(noise_of(&all, Some("other")).is_some());
    }

    #[test]
    fn a_replay_that_fails_ends_the_measurement() {
        let logs = tempfile::tempdir().unwrap();
        let repeats = Repeats {
            logs_dir: logs.path(),
            replay_of: "before",
            run_id: "noise",
            pairs: 2,
        };
        let failed = measure(repeats, &AtomicBool::new(false), &mut |_| {
            anyhow::bail!("no target")
        });
        assert_eq!(failed.unwrap_err().to_string(), "no target");
        let stopped = measure(repeats, &AtomicBool::new(true), &mut |_| Ok(()));
        assert_eq!(stopped.unwrap_err().to_string(), "interrupted");
    }

    #[test]
    fn what_would_fail_at_the_end_is_refused_before_the_first_replay() {
        let logs = tempfile::tempdir().unwrap();
        let long = "x".repeat(126);
        let repeats = Repeats {
            logs_dir: logs.path(),
            replay_of: "before",
            run_id: &long,
            pairs: 2,
        };
        let refusal = |repeats| {
            let refused = measure(repeats, &AtomicBool::new(false), &mut |_| unreachable!());
            refused.unwrap_err().to_string()
        };
        assert!(refusal(repeats).contains("choose a shorter --run-id"));
        let absent = logs.path().join("absent");
        let repeats = Repeats {
            logs_dir: &absent,
            run_id: "noise",
            ..repeats
        };
        assert!(refusal(repeats).contains("set --logs-dir"));
        std::fs::write(logs.path().join("false-alarms.json"), "{").unwrap();
        let repeats = Repeats {
            logs_dir: logs.path(),
            ..repeats
        };
        assert!(refusal(repeats).contains("delete it to start over"));
    }
}
