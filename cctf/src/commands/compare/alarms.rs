//! [`sentence`]: how often this machine's noise alone makes two replays of one run differ.

use std::path::Path;

use cctf_load::otlp::identity::host_name;
use compare::false_alarms::{FALSE_ALARMS, FalseAlarms, Tally};
use compare::model::Comparison;
use page::number::{counted, share};
use serde::Serialize;

/// The verdicts of earlier replays on this machine.
#[derive(Debug, Clone, Serialize)]
pub struct Noise {
    host: String,
    /// The recorded run that was replayed; `None` for all runs.
    replay_of: Option<String>,
    /// Number of recorded runs whose replays were compared.
    recorded_runs: usize,
    #[serde(flatten)]
    tally: Tally,
    /// 95% interval for the probability that a pair of replays differs.
    interval: Option<[f64; 2]>,
}

/// The verdicts of earlier replays of the same recorded run. If there are none, the verdicts of all other runs. `None` if there are no
/// verdicts at all.
///
/// # Errors
/// A sentence for the notes, if the file cannot be read.
pub fn noise(logs_dir: &Path, found: &Comparison) -> Result<Option<Noise>, String> {
    let all = FalseAlarms::read(logs_dir).map_err(|error| cli::describe(&error))?;
    let replay_of = found.b.replay_of.as_ref().or(found.a.replay_of.as_ref());
    Ok(replay_of
        .and_then(|run_id| noise_of(&all, Some(run_id)))
        .or_else(|| noise_of(&all, None)))
}

/// The verdicts on this machine, for one recorded run or for all. `None` if there are none.
pub fn noise_of(all: &FalseAlarms, replay_of: Option<&str>) -> Option<Noise> {
    let host = host_name().unwrap_or_default();
    let tally = all.tally(&host, replay_of);
    (tally.judged() > 0).then(|| Noise {
        recorded_runs: match replay_of {
            Some(_) => 1,
            None => all.recorded_runs(&host),
        },
        interval: tally.interval(),
        host,
        replay_of: replay_of.map(str::to_owned),
        tally,
    })
}

pub fn sentence(noise: &Noise) -> String {
    let Noise { tally, .. } = noise;
    let pairs = counted(tally.judged(), "pair of replays", "pairs of replays");
    let of = match (&noise.replay_of, noise.recorded_runs) {
        (Some(run), _) => format!("of run `{run}`"),
        (None, 1) => "of another run".to_owned(),
        (None, runs) => format!("of {runs} other runs"),
    };
    let [low, high] = noise.interval.unwrap_or([0.0, 1.0]);
    let same = counted(tally.same, "was the same", "were the same");
    let void = match tally.void {
        0 => String::new(),
        void => format!(
            " {} void and not counted.",
            counted(void, "further pair is", "further pairs are")
        ),
    };
    format!(
        "On this machine, {} of {pairs} {of} differed although nothing was changed, {same}, and {} undecided.{void} The 95% interval of the false-alarm rate is {} to {} ({FALSE_ALARMS}).",
        tally.differs,
        tally.cannot_tell,
        share(low),
        share(high)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(replay_of: Option<&str>, recorded_runs: usize, tally: Tally) -> Noise {
        Noise {
            host: "h".to_owned(),
            replay_of: replay_of.map(str::to_owned),
            recorded_runs,
            interval: tally.interval(),
            tally,
        }
    }

    #[test]
    fn the_sentence_has_three_counts_and_the_interval_of_false_alarms() {
        let tally = Tally {
            same: 30,
            differs: 1,
            cannot_tell: 9,
            void: 0,
        };
        assert_eq!(
            sentence(&noise(Some("before"), 1, tally)),
            "On this machine, 1 of 40 pairs of replays of run `before` differed although nothing was changed, 30 were the same, and 9 \
             undecided. The 95% interval of the false-alarm rate is 0.06% to 13.2% (false-alarms.json)."
        );
        let void = Tally { void: 3, ..tally };
        let text = sentence(&noise(None, 2, void));
        assert!(
            text.contains("40 pairs of replays of 2 other runs differed")
                && text.contains("9 undecided. 3 further pairs are void and not counted. The 95% interval"),
            "{text}"
        );
    }
}
