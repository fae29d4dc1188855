//! [`Written`]: counts the rows that were written into one folder. If lines were dropped, these counts replace those of
//! `run_meta.json`.

use std::collections::BTreeMap;

use cctf_proto::cctf::{Counts, File, Shape};

use crate::rows::Facts;

/// Counts of the rows that were written into one folder.
#[derive(Debug, Default)]
pub struct Written {
    rows: BTreeMap<File, u64>,
    orphans: u64,
    late: u64,
    damaged: u64,
}

impl Written {
    pub fn add(&mut self, facts: &Facts<'_>) {
        self.orphans += u64::from(facts.is_orphan);
        self.late += u64::from(facts.is_late);
    }

    pub fn add_file(&mut self, file: File, rows: u64, damaged: u64) {
        if file.shape() == Shape::Lines {
            self.rows.insert(file, rows);
            self.damaged += damaged;
        }
    }

    /// If lines were dropped, replaces the counts by the numbers of written rows, because `cctf validate` compares both.
    pub fn correct(&self, counts: &mut Counts) {
        if self.damaged == 0 {
            return;
        }
        for (file, rows) in &self.rows {
            counts.rows.0.insert(file.name().to_owned(), *rows);
        }
        counts.orphans = self.orphans;
        counts.late = self.late;
        if let Some(outcomes) = &mut counts.spans_by_outcome {
            let rows = |file| self.rows.get(&file).copied().unwrap_or_default();
            outcomes.rows = rows(File::Invocations).saturating_add(rows(File::Calls));
            counts.spans = outcomes.total();
        }
    }
}
