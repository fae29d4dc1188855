//! [`Report`]: what `validate` found, bounded in what it keeps and exact in what it counts.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};

use super::rules::{Broken, RULES, Rule, Severity};
use crate::cctf::File;

/// One place where a rule is broken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The rule, by its id in JSON.
    #[serde(serialize_with = "by_id")]
    pub rule: &'static Rule,
    /// How bad it is in this run: the rule's severity, or the milder one while the run is open.
    pub severity: Severity,
    /// The file, by its name in JSON.
    pub file: File,
    /// The line, from 1; `None` when it is the whole file's fault.
    pub line: Option<u64>,
    /// What is wrong there.
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
    /// How often each broken rule was broken, by its id: all of them, kept or not.
    pub counts: BTreeMap<&'static str, u64>,
    /// Rows read, by file.
    pub lines: BTreeMap<File, u64>,
    /// How many findings are errors.
    pub errors: u64,
    /// How many findings are warnings.
    pub warnings: u64,
    /// Whether the run had not ended.
    pub open: bool,
}

impl Report {
    /// Whether no error was found; warnings do not matter.
    pub fn is_valid(&self) -> bool {
        self.errors == 0
    }
}

/// Where a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub file: File,
    pub line: Option<u64>,
}

/// Collects findings: counts all, keeps the first of each rule.
#[derive(Debug)]
pub(super) struct Findings {
    /// Whether the run is open, which makes some rules milder.
    pub open: bool,
    kept_per_rule: usize,
    counts: Vec<u64>,
    /// How many of them have the severity of an open run, though this one is not.
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

    /// Counts a finding; builds its message only when it is among the first of its rule by file and line, whatever
    /// the order in which they are found.
    pub fn add(&mut self, broken: Broken, place: Place, message: impl FnOnce() -> String) {
        self.add_with(self.open, broken, place, message);
    }

    /// The same for what another part of the run may set right.
    pub fn add_as_if_open(&mut self, broken: Broken, place: Place, message: impl FnOnce() -> String) {
        self.as_if_open[broken as usize] += 1;
        self.add_with(true, broken, place, message);
    }

    fn add_with(&mut self, open: bool, broken: Broken, place: Place, message: impl FnOnce() -> String) {
        self.counts[broken as usize] += 1;
        let kept = &mut self.kept[broken as usize];
        let at = kept.partition_point(|finding| (finding.file, finding.line) <= (place.file, place.line));
        if at >= self.kept_per_rule {
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
        kept.insert(at, finding);
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
