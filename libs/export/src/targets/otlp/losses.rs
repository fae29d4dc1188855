//! [`Losses`]: counts of rows and fields that the export to OTLP loses or changes, and of spans that it makes without a row.

use crate::assumptions::Assumptions;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Losses {
    pub damaged_lines: u64,
    /// Traces that start outside of the window that the user chose.
    pub outside: u64,
    pub duplicates: u64,
    /// Spans that have no row, and that the export makes because rows name them as their parents.
    pub inner_spans: u64,
    /// Orphans whose parent span is in the export, so that they are no orphans in the run of a receiver.
    pub connected: u64,
    /// Rows whose ancestor is not in the run.
    pub without_ancestor: u64,
    /// Invocations whose call is not in the run.
    pub without_call: u64,
    /// Calls that name the module that answered, but whose answer is not in the run.
    pub without_answer: u64,
    pub late: u64,
    /// Rows with fields that no semantic convention can state.
    pub fields: u64,
    /// Rows without a protocol that are exported as HTTP.
    pub protocols: u64,
    /// Rows whose node has another stage in an earlier row.
    pub stages: u64,
    /// Rows and placement events with a time before 1970.
    pub without_time: u64,
    /// Placement events that the normalizer inferred.
    pub inferred_events: u64,
    /// Rows of `host_metrics.jsonl`, `link_metrics.jsonl` and `system_stats.jsonl`.
    pub samples: u64,
}

impl Losses {
    /// Adds a sentence for each count.
    pub fn note(&self, assumptions: &mut Assumptions) {
        for note in &NOTES {
            assumptions.add(note.id, note.matters, (note.count)(self), note.one, note.more);
        }
    }
}

/// The assumption that a count becomes. Programs that read `assumptions.json` recognise it by its `id`.
struct Note {
    id: &'static str,
    matters: bool,
    count: fn(&Losses) -> u64,
    one: &'static str,
    more: &'static str,
}

const NOTES: [Note; 15] = [
    Note {
        id: "damaged_lines",
        matters: true,
        count: |losses| losses.damaged_lines,
        one: "line is damaged and is left out; cctf validate shows what is wrong with it",
        more: "lines are damaged and are left out; cctf validate shows what is wrong with them",
    },
    Note {
        id: "outside_window",
        matters: false,
        count: |losses| losses.outside,
        one: "trace starts outside of --from and --to and is left out",
        more: "traces start outside of --from and --to and are left out",
    },
    Note {
        id: "time_before_1970",
        matters: true,
        count: |losses| losses.without_time,
        one: "row has a time before 1970, which receivers do not accept, and is left out",
        more: "rows have a time before 1970, which receivers do not accept, and are left out",
    },
    Note {
        id: "fields_without_convention",
        matters: true,
        count: |losses| losses.fields,
        one: "row has fields that no semantic convention can state: they come back differently",
        more: "rows have fields that no semantic convention can state: they come back differently",
    },
    Note {
        id: "ancestor_missing",
        matters: true,
        count: |losses| losses.without_ancestor,
        one: "row names an invocation above it that is not in the run: it comes back as an orphan",
        more: "rows name an invocation above them that is not in the run: they come back as orphans",
    },
    Note {
        id: "caller_missing",
        matters: true,
        count: |losses| losses.without_call,
        one: "invocation names a call that is not in the run: its net_ms is lost",
        more: "invocations name a call that is not in the run: their net_ms is lost",
    },
    Note {
        id: "answer_missing",
        matters: false,
        count: |losses| losses.without_answer,
        one: "call names a module that answered, but has no answer in the run: its peer_module is lost",
        more: "calls name a module that answered, but have no answer in the run: their peer_module is lost",
    },
    Note {
        id: "orphans_connected",
        matters: false,
        count: |losses| losses.connected,
        one: "orphan names a parent that is known: it comes back as cctf merge writes it",
        more: "orphans name a parent that is known: they come back as cctf merge writes them",
    },
    Note {
        id: "duplicates",
        matters: false,
        count: |losses| losses.duplicates,
        one: "row has the id of an earlier row and is left out",
        more: "rows have the id of an earlier row and are left out",
    },
    Note {
        id: "late",
        matters: false,
        count: |losses| losses.late,
        one: "row arrived after the end of its run: the flag late is lost",
        more: "rows arrived after the end of their run: the flag late is lost",
    },
    Note {
        id: "protocol_unknown",
        matters: false,
        count: |losses| losses.protocols,
        one: "row states no protocol and comes back as HTTP",
        more: "rows state no protocol and come back as HTTP",
    },
    Note {
        id: "stages_differ",
        matters: false,
        count: |losses| losses.stages,
        one: "row has another stage than an earlier row of its node: receivers use the first one",
        more: "rows have another stage than an earlier row of their node: receivers use the first one",
    },
    Note {
        id: "inner_spans",
        matters: false,
        count: |losses| losses.inner_spans,
        one: "span has no row and is created because rows name it as their parent: its name and times are not the original ones",
        more: "spans have no row and are created because rows name them as their parents: their names and times are not the original ones",
    },
    Note {
        id: "inferred_events",
        matters: false,
        count: |losses| losses.inferred_events,
        one: "inferred placement event is left out: receivers infer it again",
        more: "inferred placement events are left out: receivers infer them again",
    },
    Note {
        id: "samples_left_out",
        matters: false,
        count: |losses| losses.samples,
        one: "row of host_metrics.jsonl, link_metrics.jsonl or system_stats.jsonl is left out",
        more: "rows of host_metrics.jsonl, link_metrics.jsonl and system_stats.jsonl are left out",
    },
];
