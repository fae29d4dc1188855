//! Rules on `run_meta.json`, including its counts of the other files' rows.

use std::collections::BTreeMap;

use super::report::{Findings, Place};
use super::rows::check_timestamp;
use super::rules::Broken;
use crate::cctf::{Counts, File, Flag, Flags, RunMeta, Shape, SpanOutcomes};
use crate::keys::is_valid_run_id;

const CCTF_VERSION: &str = "1";
const TIME_BASE: &str = "unix_utc";

/// Checks the fields of `run_meta.json`, without regard to other files.
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
                "counts.spans is {}, but the outcomes add up to {}",
                row.counts.spans,
                outcomes.total()
            )
        });
    }
    check_timestamp("started_ts", row.started_ts, place, findings);
    if let Some(ended) = row.ended_ts.filter(|&ended| ended < row.started_ts) {
        findings.add(Broken::EndedAfterStarted, place, || {
            format!("started at {}, ended at {ended}", row.started_ts)
        });
    }
}

/// Counts that were made while the files were read.
#[derive(Debug, Default)]
pub(super) struct Observed {
    /// By file; `None` for a file that is missing or cannot be read.
    lines: [Option<u64>; File::ALL.len()],
    orphans: u64,
    late: u64,
}

impl Observed {
    pub fn add_lines(&mut self, file: File, count: u64) {
        *self.lines[file as usize].get_or_insert(0) += count;
    }

    pub fn add_flags(&mut self, flags: Option<Flags>) {
        let flags = flags.unwrap_or_default();
        self.orphans += u64::from(flags.has(Flag::Orphan));
        self.late += u64::from(flags.has(Flag::Late));
    }

    /// The lines of each file that was read.
    pub fn lines(&self) -> BTreeMap<File, u64> {
        let counted = |&file: &File| Some((file, self.lines[file as usize]?));
        File::ALL.iter().filter_map(counted).collect()
    }

    /// Compares the number of invocations and calls with the number of spans that the normalizer counted as rows.
    fn check_spans(&self, outcomes: &SpanOutcomes, place: Place, findings: &mut Findings) {
        let lines = [File::Invocations, File::Calls].map(|file| self.lines[file as usize]);
        // A missing file already has a finding.
        let [Some(invocations), Some(calls)] = lines else {
            return;
        };
        let found = invocations + calls;
        if outcomes.rows != found {
            findings.add(Broken::CountsSpans, place, || {
                format!(
                    "counts.spans_by_outcome.rows is {}, but invocations.jsonl and calls.jsonl have {found} lines",
                    outcomes.rows
                )
            });
        }
    }

    /// Compares the counts with those in `run_meta.json`.
    pub fn check(&self, counts: &Counts, place: Place, findings: &mut Findings) {
        for file in File::ALL.iter().filter(|file| file.shape() == Shape::Lines) {
            let stated = counts.rows.0.get(file.name()).copied().unwrap_or_default();
            // A missing file already has a finding.
            let found = self.lines[*file as usize].unwrap_or(stated);
            if stated != found {
                findings.add(Broken::CountsRows, place, || {
                    format!(
                        "counts.rows states {stated} lines for {}, which has {found}",
                        file.name()
                    )
                });
            }
        }
        if let Some(outcomes) = &counts.spans_by_outcome {
            self.check_spans(outcomes, place, findings);
        }
        for (field, broken, stated, found) in [
            ("orphans", Broken::CountsOrphans, counts.orphans, self.orphans),
            ("late", Broken::CountsLate, counts.late, self.late),
        ] {
            if stated != found {
                findings.add(broken, place, || {
                    format!("counts.{field} is {stated}, but {found} rows have the flag")
                });
            }
        }
    }
}
