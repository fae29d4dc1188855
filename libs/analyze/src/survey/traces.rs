//! [`Rows`]: reads the rows of a few traces in one pass, and cuts large traces to the rows nearest to the root.

use std::collections::BTreeMap;

use aggregate::maps::Map;
use cctf_proto::cctf::{File, SpanId, TraceId};
use rundir::trace_lines;

use crate::edges::collector::Probe;
use crate::stats::cells::{Key, decoded};
use crate::stats::links::call_key;
use crate::stats::row::InvocationRow;
use crate::stats::scan::Kind;
use crate::trace::{Span, Trace};

use super::lines::CompleteLines;
use super::picks::Root;

/// Maximum number of rows of a trace that are held in memory: 2 MiB for each trace.
const ROWS_READ_MAX: usize = 4096;
/// Maximum number of rows of a trace that are shown. Nobody reads more.
pub const ROWS_SHOWN_MAX: usize = 200;

/// The data of a trace that the pass collects.
#[derive(Debug, Default, Clone, Copy)]
struct Wish {
    /// Index of the trace among the traces whose rows are needed; `None` if its rows are not needed.
    rows: Option<u32>,
    has_probes: bool,
}

/// The traces and calls that a pass looks for.
#[derive(Default)]
pub struct Wanted {
    traces: Map<TraceId, Wish>,
    roots: Vec<Root>,
    /// The calls to look up, by their keys, each with the number of its edge.
    probes: Map<u64, u32>,
}

impl Wanted {
    pub fn new(roots: Vec<Root>, probes: impl Iterator<Item = (usize, Probe)>) -> Self {
        let mut wanted = Self::default();
        for (number, root) in roots.iter().enumerate() {
            wanted.traces.entry(root.trace_id).or_default().rows = Some(number as u32);
        }
        for (edge, probe) in probes {
            wanted.traces.entry(probe.trace_id).or_default().has_probes = true;
            wanted.probes.insert(probe.call, edge as u32);
        }
        wanted.roots = roots;
        wanted
    }

    pub fn is_empty(&self) -> bool {
        self.traces.is_empty()
    }
}

/// The rows that were found in a chunk.
#[derive(Default)]
pub struct ChunkRows {
    spans: Vec<(u32, Span)>,
    answers: Vec<(u32, Key)>,
    invalid: u64,
}

impl ChunkRows {
    pub fn read(kind: Kind, lines: CompleteLines<'_>, wanted: &Wanted) -> Self {
        let mut found = Self::default();
        let file = match kind {
            Kind::Invocations => File::Invocations,
            Kind::Calls => File::Calls,
        };
        for line in lines {
            // `stats` has already counted lines that are not objects as damaged.
            let id = trace_lines::trace_id(file, line).ok().flatten();
            let wish = id
                .and_then(TraceId::parse_bytes)
                .and_then(|id| wanted.traces.get(&id));
            if let Some(wish) = wish {
                found.add(file, line, *wish, wanted);
            }
        }
        found
    }

    fn add(&mut self, file: File, line: &[u8], wish: Wish, wanted: &Wanted) {
        if let Some(number) = wish.rows {
            match Span::read(file, line) {
                Ok((_, span)) => self.spans.push((number, span)),
                Err(_) => self.invalid += 1,
            }
        }
        if !wish.has_probes || file != File::Invocations {
            return;
        }
        let Ok(row) = InvocationRow::read(line) else {
            return;
        };
        if let Some(&edge) = wanted.probes.get(&call_key(row.trace_id, row.caller_span_id)) {
            let module = Key {
                app_id: decoded(row.app),
                module_id: decoded(row.module),
                ..Key::default()
            };
            self.answers.push((edge, module));
        }
    }
}

/// A trace that was found.
pub struct Found {
    pub root: Option<Span>,
    /// The rows nearest to the root.
    pub trace: Trace,
    /// Number of rows that are not in `trace`.
    pub left_out: u64,
    /// Number of failed rows, including those that are left out.
    pub failed: u64,
}

/// The rows of all traces that are needed.
pub struct Rows {
    roots: Vec<SpanId>,
    spans: Vec<Vec<Span>>,
    /// For each trace: number of rows beyond the maximum.
    left_out: Vec<u64>,
    /// For each trace: number of failed rows, including those beyond the maximum.
    failed: Vec<u64>,
    /// For each edge: the module that answered the looked-up calls; `None` if there were several.
    pub answers: BTreeMap<u32, Option<Key>>,
    /// Number of invalid rows of these traces.
    pub invalid: u64,
}

impl Rows {
    pub fn new(wanted: &Wanted) -> Self {
        let traces = wanted.roots.len();
        Self {
            roots: wanted.roots.iter().map(|root| root.span_id).collect(),
            spans: vec![Vec::new(); traces],
            left_out: vec![0; traces],
            failed: vec![0; traces],
            answers: BTreeMap::new(),
            invalid: 0,
        }
    }

    pub fn absorb(&mut self, chunk: ChunkRows) {
        for (number, span) in chunk.spans {
            let number = number as usize;
            self.failed[number] += u64::from(span.is_error());
            let is_root = !span.is_call() && span.span_id == self.roots[number];
            if self.spans[number].len() < ROWS_READ_MAX || is_root {
                self.spans[number].push(span);
            } else {
                self.left_out[number] += 1;
            }
        }
        for (edge, module) in chunk.answers {
            let answer = self.answers.entry(edge).or_insert_with(|| Some(module.clone()));
            if answer.as_ref() != Some(&module) {
                *answer = None;
            }
        }
        self.invalid += chunk.invalid;
    }

    /// Builds the trees of all traces, and counts the rows that are left out.
    pub fn finish(self, wanted: &Wanted) -> Vec<Found> {
        let rows = self.spans.into_iter().zip(self.left_out).zip(self.failed);
        let laid_out = rows
            .zip(&wanted.roots)
            .map(|(((spans, left_out), failed), root)| {
                let is_root = |span: &&Span| !span.is_call() && span.span_id == root.span_id;
                let found = spans.iter().find(is_root).cloned();
                let (trace, cut) = upper_rows(Trace::new(root.trace_id, spans), ROWS_SHOWN_MAX);
                Found {
                    root: found,
                    trace,
                    left_out: left_out + cut,
                    failed,
                }
            });
        laid_out.collect()
    }
}

/// The rows of a trace that are nearest to the roots, and the number of the remaining rows.
pub fn upper_rows(trace: Trace, max: usize) -> (Trace, u64) {
    let Some(left_out) = trace.nodes.len().checked_sub(max).filter(|count| *count > 0) else {
        return (trace, 0);
    };
    let mut shown: Vec<usize> = (0..trace.nodes.len()).collect();
    // A parent comes before its children.
    shown.sort_by_key(|&index| trace.nodes[index].depth);
    shown.truncate(max);
    shown.sort_unstable();
    let mut places = vec![None; trace.nodes.len()];
    for (place, &index) in shown.iter().enumerate() {
        places[index] = Some(place);
    }
    let mut nodes = Vec::with_capacity(max);
    for (index, mut node) in trace.nodes.into_iter().enumerate() {
        if places[index].is_some() {
            node.parent = node.parent.and_then(|parent| places[parent]);
            nodes.push(node);
        }
    }
    let trace = Trace {
        trace_id: trace.trace_id,
        nodes,
    };
    (trace, left_out as u64)
}

#[cfg(test)]
mod tests {
    use super::super::picks::Picks;
    use super::*;

    fn line(number: u64, parent: u64, start: u64) -> String {
        let parent = match parent {
            0 => "null".to_owned(),
            parent => format!("\"{parent:016x}\""),
        };
        format!(
            r#"{{"trace_id":"{:032x}","span_id":"{number:016x}","parent_id":{parent},"parent_span_id":null,"module_id":"m","instance_id":"i","ts_enqueue":{start}.000000,"ts_start":{start}.000000,"ts_end":900.000000,"node":"n","stage":"edge","method":null,"path":null,"bytes_in":null,"bytes_out":null,"cpu_time_ms":null,"queue_time_ms":null,"service_time_ms":null,"rt_ms":null,"status":null,"downstream_ms":null,"kind":"server"}}"#,
            1
        )
    }

    fn span(line: &str) -> Span {
        Span::read(File::Invocations, line.as_bytes()).unwrap().1
    }

    #[test]
    fn the_picked_root_and_every_failure_are_found_in_a_large_trace() {
        let picked = InvocationRow {
            trace_id: b"\"00000000000000000000000000000001\"",
            span_id: b"\"0000000000000002\"",
            times: [Some(5); 5],
            ..InvocationRow::default()
        };
        let mut picks = Picks::default();
        picks.add(&picked);
        let roots = picks.finish().into_iter().map(|(_, root)| root).collect();
        let wanted = Wanted::new(roots, std::iter::empty());
        let mut rows = Rows::new(&wanted);
        // Another root is earlier, and its descendants failed.
        let mut spans = vec![span(&line(1, 0, 1)), span(&line(2, 0, 2))];
        let below = 2 * ROWS_READ_MAX as u64;
        spans.extend((0..below).map(|number| Span {
            status: Some(500),
            ..span(&line(3 + number, 1, 3))
        }));
        rows.absorb(ChunkRows {
            spans: spans.into_iter().map(|span| (0, span)).collect(),
            ..ChunkRows::default()
        });
        let found = rows.finish(&wanted);
        let [found] = found.as_slice() else {
            panic!("{} traces", found.len());
        };
        assert_eq!(found.root.as_ref().map(|root| root.span_id.0[7]), Some(2));
        assert_eq!(found.failed, below);
        assert_eq!(found.trace.nodes.len() as u64 + found.left_out, below + 2);
    }

    #[test]
    fn the_upper_rows_stay_below_their_parents() {
        // A root with two chains below it.
        let lines = [
            line(1, 0, 1),
            line(2, 1, 2),
            line(3, 2, 3),
            line(4, 3, 4),
            line(5, 1, 5),
            line(6, 5, 6),
        ];
        let spans = lines.iter().map(|line| span(line));
        let trace_id = TraceId([1; 16]);
        let trace = Trace::new(trace_id, spans.collect());
        let (whole, left_out) = upper_rows(trace.clone(), 6);
        assert_eq!((&whole, left_out), (&trace, 0));
        let (upper, left_out) = upper_rows(trace, 4);
        let rows: Vec<(u8, Option<usize>)> = upper
            .nodes
            .iter()
            .map(|node| (node.span.span_id.0[7], node.parent))
            .collect();
        assert_eq!(rows, [(1, None), (2, Some(0)), (3, Some(1)), (5, Some(0))]);
        assert_eq!(left_out, 2);
    }
}
