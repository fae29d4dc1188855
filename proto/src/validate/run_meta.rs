//! Rules on `run_meta.json`, and on what it says about the other files.

use std::collections::BTreeMap;

use super::report::{Findings, Place};
use super::rows::check_stamp;
use super::rules::Broken;
use crate::cctf::{Counts, File, Flag, Flags, RunMeta, Shape, SpanOutcomes};
use crate::keys::is_valid_run_id;

const CCTF_VERSION: &str = "1";
const TIME_BASE: &str = "unix_utc";

/// Checks the run by itself.
pub(super) fn check(row: &RunMeta<'_>, place: Place, findings: &mut Findings) {
    if !is_valid_run_id(&row.run_id) {
        findings.add(Broken::RunIdValid, place, || {
            format!("run_id is {:?}", row.run_id)
        });
    }
    if &*row.cctf_version != CCTF_VERSION {
        findings.add(Broken::CctfVersion, place, || {
            format!("cctf_version is {:?}", row.cctf_version)
        });
    }
    if &*row.time_base != TIME_BASE {
        findings.add(Broken::TimeBase, place, || {
            format!("time_base is {:?}", row.time_base)
        });
    }
    if let Some(outcomes) = &row.counts.spans_by_outcome
        && outcomes.total() != row.counts.spans
    {
        findings.add(Broken::CountsSpans, place, || {
            format!(
                "{} spans are counted, and {} by what became of them",
                row.counts.spans,
                outcomes.total()
            )
        });
    }
    check_stamp("started_ts", row.started_ts, place, findings);
    if let Some(ended) = row.ended_ts.filter(|&ended| ended < row.started_ts) {
        findings.add(Broken::EndedAfterStarted, place, || {
            format!("started at {}, ended at {ended}", row.started_ts)
        });
    }
}

/// What was counted while the files were read.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub lines: BTreeMap<File, u64>,
    pub orphans: u64,
    pub late: u64,
}

impl Tally {
    pub fn add_flags(&mut self, flags: Option<Flags>) {
        let flags = flags.unwrap_or_default();
        self.orphans += u64::from(flags.has(Flag::Orphan));
        self.late += u64::from(flags.has(Flag::Late));
    }

    /// Compares the rows of spans with what the run's writer counted.
    fn check_spans(&self, outcomes: &SpanOutcomes, place: Place, findings: &mut Findings) {
        let lines = [File::Invocations, File::Calls].map(|file| self.lines.get(&file));
        // A file that is missing is reported as that.
        let [Some(invocations), Some(calls)] = lines else {
            return;
        };
        if outcomes.rows != invocations + calls {
            findings.add(Broken::CountsSpans, place, || {
                format!(
                    "{} rows of spans are counted, and there are {}",
                    outcomes.rows,
                    invocations + calls
                )
            });
        }
    }

    /// Compares with what the run's writer counted.
    pub fn check(&self, counts: &Counts, place: Place, findings: &mut Findings) {
        for file in File::ALL.iter().filter(|file| file.shape() == Shape::Lines) {
            let told = counts.rows.0.get(file.name()).copied().unwrap_or_default();
            // A file that is missing is reported as that.
            let read = self.lines.get(file).copied().unwrap_or(told);
            if told != read {
                findings.add(Broken::CountsRows, place, || {
                    format!("counts.rows tells {told} for {}, which has {read}", file.name())
                });
            }
        }
        if let Some(outcomes) = &counts.spans_by_outcome {
            self.check_spans(outcomes, place, findings);
        }
        if counts.orphans != self.orphans {
            findings.add(Broken::CountsOrphans, place, || {
                format!(
                    "counts.orphans tells {}, {} rows are flagged",
                    counts.orphans, self.orphans
                )
            });
        }
        if counts.late != self.late {
            findings.add(Broken::CountsLate, place, || {
                format!(
                    "counts.late tells {}, {} rows are flagged",
                    counts.late, self.late
                )
            });
        }
    }
}
