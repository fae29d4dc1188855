//! [`Losses`]: counts of what OTLP cannot give back, and of spans that are no rows.

use crate::assumptions::Assumptions;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Losses {
    pub damaged_lines: u64,
    pub duplicates: u64,
    /// Spans between two rows.
    pub inner_spans: u64,
    /// Orphans whose caller comes back.
    pub connected: u64,
    /// Rows whose ancestor is not in the run.
    pub without_ancestor: u64,
    /// Invocations whose call is not in the run.
    pub without_call: u64,
    /// Calls whose answer is not in the run.
    pub without_answer: u64,
    pub late: u64,
    /// Rows with fields that the conventions cannot state.
    pub fields: u64,
    /// Rows whose node had another stage before.
    pub stages: u64,
    /// Rows before 1970.
    pub without_time: u64,
    /// Placement events that the normalizer inferred.
    pub inferred_events: u64,
    /// Rows of samples of hosts, links and services.
    pub samples: u64,
}

impl Losses {
    /// Adds a sentence for each count. The names of assumptions are part of the contract.
    pub fn note(&self, assumptions: &mut Assumptions) {
        let notes: [(&'static str, bool, u64, &str, &str); 13] = [
            (
                "damaged_lines",
                true,
                self.damaged_lines,
                "line is damaged and is left out; cctf validate shows what is wrong with it",
                "lines are damaged and are left out; cctf validate shows what is wrong with them",
            ),
            (
                "time_before_1970",
                true,
                self.without_time,
                "row has a time before 1970, which no receiver takes, and is left out",
                "rows have a time before 1970, which no receiver takes, and are left out",
            ),
            (
                "fields_without_convention",
                true,
                self.fields,
                "row has fields that no semantic convention can state: they come back differently",
                "rows have fields that no semantic convention can state: they come back differently",
            ),
            (
                "ancestor_missing",
                true,
                self.without_ancestor,
                "row names an invocation above it that is not in the run: it comes back as an orphan",
                "rows name an invocation above them that is not in the run: they come back as orphans",
            ),
            (
                "caller_missing",
                true,
                self.without_call,
                "invocation names a call that is not in the run: its net_ms does not come back",
                "invocations name a call that is not in the run: their net_ms does not come back",
            ),
            (
                "answer_missing",
                false,
                self.without_answer,
                "call names a module that answered, but has no answer in the run: its peer_module does not come back",
                "calls name a module that answered, but have no answer in the run: their peer_module does not come back",
            ),
            (
                "orphans_connected",
                false,
                self.connected,
                "orphan names a parent that is known: it comes back as cctf merge writes it",
                "orphans name a parent that is known: they come back as cctf merge writes them",
            ),
            (
                "duplicates",
                false,
                self.duplicates,
                "row has the id of an earlier row and is left out",
                "rows have the id of an earlier row and are left out",
            ),
            (
                "late",
                false,
                self.late,
                "row arrived after the end of its run: the flag late does not come back",
                "rows arrived after the end of their run: the flag late does not come back",
            ),
            (
                "stages_differ",
                false,
                self.stages,
                "row has another stage than an earlier row of its node: receivers use the first one",
                "rows have another stage than an earlier row of their node: receivers use the first one",
            ),
            (
                "inner_spans",
                false,
                self.inner_spans,
                "span has no row and is made as the parent that rows name: its name and times are not those of the original",
                "spans have no row and are made as the parents that rows name: their names and times are not those of the originals",
            ),
            (
                "inferred_events",
                false,
                self.inferred_events,
                "inferred placement event is left out: receivers infer it again",
                "inferred placement events are left out: receivers infer them again",
            ),
            (
                "samples_left_out",
                false,
                self.samples,
                "row of host_metrics.jsonl, link_metrics.jsonl or system_stats.jsonl is left out",
                "rows of host_metrics.jsonl, link_metrics.jsonl and system_stats.jsonl are left out",
            ),
        ];
        for (id, matters, count, one, more) in notes {
            assumptions.add(id, matters, count, one, more);
        }
    }
}
