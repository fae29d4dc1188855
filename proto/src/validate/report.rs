//! [`Report`]: the findings of a validation. All are counted, and a limited number for each rule is kept.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};

use super::rules::{Broken, RULES, Rule, Severity};
use crate::cctf::File;

/// A place at which a rule is broken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// In JSON, this is the id of the rule.
    #[serde(serialize_with = "by_id")]
    pub rule: &'static Rule,
    /// Severity of the finding. It can be lower while the run has not ended.
    pub severity: Severity,
    /// In JSON, this is the name of the file.
    pub file: File,
    /// Line number, from 1. `None` if the finding is about the whole file.
    pub line: Option<u64>,
    /// Description for users.
    pub message: String,
}

fn by_id<S: Serializer>(rule: &&'static Rule, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(rule.id)
}

/// The outcome of a validation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The first findings of each rule, by file, line and rule.
    pub broken: Vec<Finding>,
    /// Number of findings by id of the rule, including those that were not kept.
    pub counts: BTreeMap<&'static str, u64>,
    /// Rows read, by file.
    pub lines: BTreeMap<File, u64>,
    pub errors: u64,
    pub warnings: u64,
    /// Whether the run has not ended yet.
    pub open: bool,
}

impl Report {
    /// Whether there are no errors. Warnings do not count.
    pub fn is_valid(&self) -> bool {
        self.errors == 0
    }
}

/// File and line of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub file: File,
    pub line: Option<u64>,
}

/// Collects findings. Counts all, and keeps the first ones of each rule.
#[derive(Debug)]
pub(super) struct Findings {
    /// Whether the run has not ended, which lowers the severity of some rules.
    pub open: bool,
    kept_per_rule: usize,
    counts: Vec<u64>,
    /// For each rule: the number of findings that have the severity of a run in progress, although this run has ended.
    as_if_open: Vec<u64>,
    kept: Vec<Vec<Finding>>,
}

impl Findings {
    pub fn new(kept_per_rule: usize) -> Self {
        Self {
            open: false,
            kept_per_rule,
            counts: vec![0; RULES.len()],
            as_if_open: vec![0; RULES.len()],
            kept: vec![Vec::new(); RULES.len()],
        }
    }

    /// Counts a finding. The message is built only if the finding is one of the first of its rule, by file and line. Findings
    /// may be added in any order.
    pub fn add(&mut self, broken: Broken, place: Place, message: impl FnOnce() -> String) {
        self.add_with(self.open, broken, place, message);
    }

    /// Like [`Self::add`], for a finding that another part of the run may resolve.
    pub fn add_as_if_open(&mut self, broken: Broken, place: Place, message: impl FnOnce() -> String) {
        self.as_if_open[broken as usize] += 1;
        self.add_with(true, broken, place, message);
    }

    fn add_with(&mut self, open: bool, broken: Broken, place: Place, message: impl FnOnce() -> String) {
        self.counts[broken as usize] += 1;
        let kept = &mut self.kept[broken as usize];
        let index = kept.partition_point(|finding| (finding.file, finding.line) <= (place.file, place.line));
        if index >= self.kept_per_rule {
            return;
        }
        let rule = broken.rule();
        let severity = if open { rule.while_open } else { rule.severity };
        let finding = Finding {
            rule,
            severity,
            file: place.file,
            line: place.line,
            message: message(),
        };
        kept.insert(index, finding);
        kept.truncate(self.kept_per_rule);
    }

    pub fn into_report(self, lines: BTreeMap<File, u64>) -> Report {
        let mut counts = BTreeMap::new();
        let (mut errors, mut warnings) = (0, 0);
        let counted = self.counts.iter().zip(&self.as_if_open);
        for (rule, (&count, &as_if_open)) in RULES.iter().zip(counted).filter(|&(_, (&count, _))| count > 0) {
            counts.insert(rule.id, count);
            let milder = if self.open { count } else { as_if_open };
            for (severity, count) in [(rule.while_open, milder), (rule.severity, count - milder)] {
                match severity {
                    Severity::Error => errors += count,
                    Severity::Warning => warnings += count,
                }
            }
        }
        let mut broken: Vec<_> = self.kept.into_iter().flatten().collect();
        broken.sort_by_key(|finding| (finding.file, finding.line));
        Report {
            broken,
            counts,
            lines,
            errors,
            warnings,
            open: self.open,
        }
    }
}
