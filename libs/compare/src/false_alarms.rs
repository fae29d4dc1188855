//! [`FalseAlarms`]: a file of verdicts on pairs of replays of one run against the same target. It shows how often this
//! machine's noise alone makes two runs differ.

use std::collections::BTreeSet;
use std::error::Error;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use cli::bounded;
use rundir::output::replace_whole;
use rundir::regular;
use serde::{Deserialize, Serialize};

use crate::binomial::clopper_pearson;
use crate::model::Verdict;

/// Name of the file in the folder of all runs.
pub const FALSE_ALARMS: &str = "false-alarms.json";
/// Version of the file's format.
const VERSION: u32 = 1;
/// Maximum number of pairs in the file. When the file is full, the oldest pairs are dropped. With this many pairs, the ends of
/// [`Tally::interval`] are at most about 1.5 percentage points from the measured share.
const PAIRS_MAX: usize = 4096;
/// Maximum size of the file, bytes. A pair takes a few hundred bytes.
const BYTES_MAX: u64 = 8 << 20;
/// Confidence level of [`Tally::interval`].
pub const LEVEL: f64 = 0.95;

/// The verdict on a pair of replays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Same,
    /// A false alarm: the verdict is "differs", although only chance differs between the two replays.
    Differs,
    CannotTell,
    /// The driver was late. The pair says nothing about the machine, so [`Tally::judged`] leaves it out.
    Void,
}

impl Outcome {
    pub const fn text(self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::Differs => "differs",
            Self::CannotTell => "cannot tell",
            Self::Void => "void",
        }
    }
}

impl From<&Verdict> for Outcome {
    fn from(verdict: &Verdict) -> Self {
        match verdict {
            Verdict::Same => Self::Same,
            Verdict::Differs { .. } => Self::Differs,
            Verdict::CannotTell { .. } => Self::CannotTell,
            Verdict::Void { .. } => Self::Void,
        }
    }
}

/// Two replays of the same run against the same target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pair {
    /// Name of the machine that sent the requests.
    pub host: String,
    /// Run id of the recorded run.
    pub replay_of: String,
    /// Run ids of both replays, in their order.
    pub runs: [String; 2],
    pub verdict: Outcome,
    /// Time of the verdict, UTC, as in RFC 3339.
    pub at: String,
}

/// The content of the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FalseAlarms {
    version: u32,
    /// Oldest first.
    pairs: Vec<Pair>,
}

#[derive(Debug, thiserror::Error)]
pub enum FalseAlarmsError {
    #[error("cannot read {}: {source}; check its permissions, or delete it to start over", .path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("cannot read {}: {cause}; delete it to start over", .path.display())]
    Invalid { path: PathBuf, cause: String },
    #[error(transparent)]
    Write(Box<dyn Error + Send + Sync>),
}

/// Numbers of pairs by verdict.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    pub same: u64,
    pub differs: u64,
    pub cannot_tell: u64,
    pub void: u64,
}

impl FalseAlarms {
    /// Reads the file in the folder of all runs. A missing file counts as an empty one.
    ///
    /// # Errors
    /// If the file cannot be read, or its content is invalid.
    pub fn read(logs_dir: &Path) -> Result<Self, FalseAlarmsError> {
        let path = logs_dir.join(FALSE_ALARMS);
        let text = match regular::open(&path).and_then(|file| bounded::read(file, BYTES_MAX)) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Self::default()),
            Err(source) => return Err(FalseAlarmsError::Read { path, source }),
        };
        let invalid = |cause: String| FalseAlarmsError::Invalid {
            path: path.clone(),
            cause,
        };
        let found: Self = serde_json::from_slice(&text).map_err(|error| {
            let place = format!("line {}, column {}", error.line(), error.column());
            invalid(format!("it is not as cctf replay --aa writes it ({place})"))
        })?;
        match found.version {
            VERSION => Ok(found),
            other => Err(invalid(format!("version {other} is unknown"))),
        }
    }

    /// Appends pairs to the file in the folder of all runs, and returns the new content. The file is replaced as a whole, so
    /// two processes must not append at the same time. They would disturb each other's replays anyway.
    ///
    /// # Errors
    /// If the file cannot be read or written, or its content is invalid.
    pub fn append(logs_dir: &Path, pairs: impl IntoIterator<Item = Pair>) -> Result<Self, FalseAlarmsError> {
        let mut all = Self::read(logs_dir)?;
        all.pairs.extend(pairs);
        let dropped = all.pairs.len().saturating_sub(PAIRS_MAX);
        all.pairs.drain(..dropped);
        let text = serde_json::to_vec_pretty(&all).map_err(|error| FalseAlarmsError::Write(error.into()))?;
        replace_whole(&logs_dir.join(FALSE_ALARMS), &text)
            .map_err(|error| FalseAlarmsError::Write(error.into()))?;
        Ok(all)
    }

    /// The pairs of one machine; with `replay_of`, only replays of that recorded run.
    pub fn tally(&self, host: &str, replay_of: Option<&str>) -> Tally {
        let mut tally = Tally::default();
        for pair in self.of(host, replay_of) {
            let count = match pair.verdict {
                Outcome::Same => &mut tally.same,
                Outcome::Differs => &mut tally.differs,
                Outcome::CannotTell => &mut tally.cannot_tell,
                Outcome::Void => &mut tally.void,
            };
            *count += 1;
        }
        tally
    }

    /// Number of recorded runs with at least one pair of replays on this machine that is not void.
    pub fn recorded_runs(&self, host: &str) -> usize {
        let judged = self.of(host, None).filter(|pair| pair.verdict != Outcome::Void);
        let runs: BTreeSet<&str> = judged.map(|pair| pair.replay_of.as_str()).collect();
        runs.len()
    }

    fn of(&self, host: &str, replay_of: Option<&str>) -> impl Iterator<Item = &Pair> {
        self.pairs.iter().filter(move |pair| {
            pair.host == host && replay_of.is_none_or(|replay_of| pair.replay_of == replay_of)
        })
    }
}

impl Default for FalseAlarms {
    fn default() -> Self {
        Self {
            version: VERSION,
            pairs: Vec::new(),
        }
    }
}

impl Tally {
    /// Number of pairs that are not void. "Cannot tell" counts, because such a pair caused no false alarm.
    pub fn judged(&self) -> u64 {
        self.same + self.differs + self.cannot_tell
    }

    /// Interval for the probability of a false alarm at [`LEVEL`]; `None` if all pairs are void.
    pub fn interval(&self) -> Option<[f64; 2]> {
        clopper_pearson(self.differs, self.judged(), LEVEL)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn pair(number: usize, host: &str, replay_of: &str, verdict: Outcome) -> Pair {
        Pair {
            host: host.to_owned(),
            replay_of: replay_of.to_owned(),
            runs: [format!("r{number}"), format!("r{}", number + 1)],
            verdict,
            at: "2026-11-29T16:00:00Z".to_owned(),
        }
    }

    #[test]
    fn pairs_are_counted_by_machine_and_recorded_run() {
        let logs = tempfile::tempdir().unwrap();
        assert_eq!(FalseAlarms::read(logs.path()).unwrap(), FalseAlarms::default());
        let verdicts = [
            Outcome::Same,
            Outcome::Differs,
            Outcome::CannotTell,
            Outcome::Void,
        ];
        for (number, verdict) in verdicts.into_iter().enumerate() {
            FalseAlarms::append(logs.path(), [pair(number, "h", "a", verdict)]).unwrap();
        }
        let others = [
            pair(9, "h", "b", Outcome::Same),
            pair(9, "h", "late", Outcome::Void),
            pair(9, "other", "a", Outcome::Differs),
        ];
        FalseAlarms::append(logs.path(), others).unwrap();
        let all = FalseAlarms::read(logs.path()).unwrap();
        let expected = Tally {
            same: 1,
            differs: 1,
            cannot_tell: 1,
            void: 1,
        };
        assert_eq!(all.tally("h", Some("a")), expected);
        let of_all = Tally {
            same: 2,
            void: 2,
            ..expected
        };
        assert_eq!(all.tally("h", None), of_all);
        assert_eq!((all.tally("h", None).judged(), all.recorded_runs("h")), (4, 2));
        assert_eq!(all.tally("h", Some("c")), Tally::default());
        assert_eq!(
            Tally {
                void: 3,
                ..Tally::default()
            }
            .interval(),
            None
        );
    }

    #[test]
    fn the_file_keeps_the_newest_pairs_only() {
        let logs = tempfile::tempdir().unwrap();
        let many = |verdict, count| (0..count).map(move |number| pair(number, "h", "a", verdict));
        FalseAlarms::append(logs.path(), many(Outcome::Differs, 10)).unwrap();
        let all = FalseAlarms::append(logs.path(), many(Outcome::Same, PAIRS_MAX - 3)).unwrap();
        let tally = all.tally("h", None);
        assert_eq!((tally.differs, tally.same), (3, PAIRS_MAX as u64 - 3));
        assert!(fs::metadata(logs.path().join(FALSE_ALARMS)).unwrap().len() < BYTES_MAX);
        assert_eq!(FalseAlarms::read(logs.path()).unwrap(), all);
    }

    #[test]
    fn a_file_that_is_invalid_is_kept_and_named() {
        let logs = tempfile::tempdir().unwrap();
        let path = logs.path().join(FALSE_ALARMS);
        for text in ["", "{", r#"{"version":2,"pairs":[]}"#, r#"{"version":1}"#] {
            fs::write(&path, text).unwrap();
            let error = FalseAlarms::append(logs.path(), []).unwrap_err().to_string();
            assert!(
                error.starts_with("cannot read ") && error.contains(FALSE_ALARMS),
                "{error}"
            );
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        let error = FalseAlarms::read(logs.path()).unwrap_err().to_string();
        assert!(error.contains("it is not a regular file"), "{error}");
    }
}
