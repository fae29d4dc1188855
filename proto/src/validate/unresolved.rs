//! [`Unresolved`]: open questions about the call graph of a folder, which rows in other parts of the run may answer.

use std::collections::HashSet;

use super::report::{Findings, Place};
use super::rules::Broken;
use crate::cctf::{SpanId, TraceId};

/// References that the rows of the folder do not resolve, and cycles that may not be real.
#[derive(Debug, Default)]
pub(super) struct Unresolved {
    pub invocations: References,
    pub calls: References,
}

/// References to rows of one file.
#[derive(Debug, Default)]
pub(super) struct References {
    wanted: HashSet<(TraceId, SpanId)>,
    references: Vec<(Broken, TraceId, SpanId, Place)>,
    /// Ids of rows on cycles. As far as is known, no other part has a row with these ids.
    used_once: HashSet<(TraceId, SpanId)>,
    cycles: Vec<Cycle>,
}

/// Rows that are each other's ancestors. If another part has a row with the id of one of them, a reference to that id may mean
/// the other row. Then there may be no cycle.
#[derive(Debug)]
pub(super) struct Cycle {
    pub trace: TraceId,
    /// Span of the row that comes first in the file.
    pub first: SpanId,
    /// Place of that row.
    pub place: Place,
    pub spans: Vec<SpanId>,
}

impl References {
    pub fn add(&mut self, broken: Broken, trace: TraceId, span: SpanId, place: Place) {
        self.wanted.insert((trace, span));
        self.references.push((broken, trace, span, place));
    }

    pub fn add_cycle(&mut self, cycle: Cycle) {
        let ids = cycle.spans.iter().map(|&span| (cycle.trace, span));
        self.used_once.extend(ids);
        self.cycles.push(cycle);
    }

    pub fn is_empty(&self) -> bool {
        self.wanted.is_empty() && self.used_once.is_empty()
    }

    /// Resolves everything that depends on this row of another part.
    pub fn resolve(&mut self, trace: TraceId, span: SpanId) {
        self.wanted.remove(&(trace, span));
        self.used_once.remove(&(trace, span));
    }

    /// Reports everything that is still unresolved. `may_be_elsewhere` states that rows may be in a part that cannot be read.
    pub fn report(&self, may_be_elsewhere: bool, findings: &mut Findings) {
        let mut add = |broken, place, message: &dyn Fn() -> String| match may_be_elsewhere {
            true => findings.add_as_if_open(broken, place, message),
            false => findings.add(broken, place, message),
        };
        for &(broken, trace, span, place) in &self.references {
            if self.wanted.contains(&(trace, span)) {
                add(broken, place, &|| {
                    format!("trace {trace} has no row with span_id {span}")
                });
            }
        }
        for cycle in &self.cycles {
            let mut spans = cycle.spans.iter();
            if spans.all(|&span| self.used_once.contains(&(cycle.trace, span))) {
                let (first, count) = (cycle.first, cycle.spans.len());
                add(Broken::ParentNoCycle, cycle.place, &|| {
                    format!("span {first} is its own ancestor, in a cycle of {count} invocations")
                });
            }
        }
    }
}
