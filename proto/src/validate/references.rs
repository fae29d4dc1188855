//! [`PendingReferences`]: references to rows that are missing in a folder. They stay pending until the run's other parts have
//! been searched.

use serde::Deserialize;

use super::report::{Findings, Place, Report};
use super::run_meta::Observed;
use super::unresolved::{References, Unresolved};
use crate::cctf::{Call, Counts, File, Invocation, Row, SpanId, TraceId, field_index};

/// A validation whose files have all been read. Rows in other parts of the run may still resolve references.
pub struct PendingReferences {
    unresolved: Unresolved,
    findings: Findings,
    observed: Observed,
    counts: Option<(Counts, Place)>,
}

/// The ids by which other rows refer to a row.
#[derive(Deserialize)]
struct RowIds {
    trace_id: TraceId,
    span_id: SpanId,
}

// Compile-time check: fails if CCTF renames one of these fields.
const _: [usize; 4] = [
    field_index(Invocation::FIELDS, "trace_id"),
    field_index(Invocation::FIELDS, "span_id"),
    field_index(Call::FIELDS, "trace_id"),
    field_index(Call::FIELDS, "span_id"),
];

impl PendingReferences {
    pub(super) fn new(
        unresolved: Unresolved,
        findings: Findings,
        observed: Observed,
        counts: Option<(Counts, Place)>,
    ) -> Self {
        Self {
            unresolved,
            findings,
            observed,
            counts,
        }
    }

    /// The files whose rows in other parts could resolve a reference.
    pub fn files(&mut self) -> impl Iterator<Item = File> {
        let by_file = [
            (File::Invocations, &self.unresolved.invocations),
            (File::Calls, &self.unresolved.calls),
        ];
        by_file
            .map(|(file, references)| (!references.is_empty()).then_some(file))
            .into_iter()
            .flatten()
    }

    /// Resolves the references to the row in this line of another part. Ignores a line without ids.
    pub fn resolve(&mut self, file: File, line: &[u8]) {
        let Ok(row) = serde_json::from_slice::<RowIds>(line) else {
            return;
        };
        if let Some(references) = self.references_to(file) {
            references.resolve(row.trace_id, row.span_id);
        }
    }

    fn references_to(&mut self, file: File) -> Option<&mut References> {
        match file {
            File::Invocations => Some(&mut self.unresolved.invocations),
            File::Calls => Some(&mut self.unresolved.calls),
            _ => None,
        }
    }

    /// Reports the references that are still unresolved. `may_be_elsewhere` states that the rows may be in a part that was
    /// deleted or has not ended.
    pub fn finish(mut self, may_be_elsewhere: bool) -> Report {
        for references in [&self.unresolved.invocations, &self.unresolved.calls] {
            references.report(may_be_elsewhere, &mut self.findings);
        }
        if let Some((counts, place)) = self.counts.filter(|_| !self.findings.open) {
            self.observed.check(&counts, place, &mut self.findings);
        }
        self.findings.into_report(self.observed.lines())
    }
}
