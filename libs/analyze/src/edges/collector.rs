//! [`Collector`]: counts calls by the texts in their rows: caller, peer and callee.

use aggregate::maps::Map;
use cctf_proto::cctf::TraceId;

use super::names::Names;
use crate::stats::cells::decoded;
use crate::stats::figures::{Bytes, Time, Times};
use crate::stats::links::call_key;
use crate::stats::row::{CallRow, InvocationRow};

/// Maximum number of edges. An edge is all calls of one module to another. For times from 1 us to 1 s, 4,096 edges with a sketch
/// of 10 KiB take 40 MiB.
pub const EDGES_MAX: usize = 4096;
/// Size of all sketches at which no edge is added any more, bytes. Existing edges still grow, each to at most 30 KiB.
const SKETCHES_BYTES_MAX: usize = 48 << 20;
/// Maximum number of answers that are looked up for an edge whose rows do not state the callee.
const PROBES_MAX: usize = 8;
/// Maximum number of such answers from one chunk. It is lower than [`PROBES_MAX`], so that the answers of an edge come from
/// several periods of the run.
const CHUNK_PROBES_MAX: usize = 2;

/// A call whose answer is looked up, because it shows the module behind a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Probe {
    pub trace_id: TraceId,
    /// The [`call_key`].
    pub call: u64,
}

#[derive(Debug, Clone, Default)]
pub struct EdgeSums {
    pub calls: u64,
    pub errors: u64,
    pub times: Times,
    pub bytes_out: Bytes,
    pub bytes_in: Bytes,
}

impl EdgeSums {
    pub fn merge(&mut self, other: &Self) {
        self.calls += other.calls;
        self.errors += other.errors;
        self.times.merge(&other.times);
        self.bytes_out.merge(other.bytes_out);
        self.bytes_in.merge(other.bytes_in);
    }
}

/// The texts that the calls of an edge have in common, as in the rows; empty if unknown.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Texts {
    Call {
        module: Box<[u8]>,
        /// Empty, except if modules of several applications have the same name.
        instance: Box<[u8]>,
        peer: Box<[u8]>,
        peer_module: Box<[u8]>,
    },
    /// Invocations of a module whose callers are not in the files.
    Root { app: Box<[u8]>, module: Box<[u8]> },
}

#[derive(Debug)]
pub struct Entry {
    pub texts: Texts,
    pub sums: EdgeSums,
    pub probes: Vec<Probe>,
}

/// Sums of a chunk.
#[derive(Default)]
pub struct ChunkEdges {
    numbers: Map<Box<[u8]>, u32>,
    entries: Vec<Entry>,
    scratch: Vec<u8>,
    /// Number of invocations with a parent invocation but without a recorded call.
    pub without_call: u64,
}

impl ChunkEdges {
    #[inline]
    pub fn add_call(&mut self, row: &CallRow<'_>, names: &Names) {
        let is_ambiguous =
            names.has_ambiguous && decoded(row.module).is_some_and(|module| names.is_ambiguous(&module));
        let instance = if is_ambiguous { row.instance } else { &[] };
        let entry = self.entry([row.module, instance, row.peer, row.peer_module], |parts| {
            let [module, instance, peer, peer_module] = parts.map(Box::from);
            Texts::Call {
                module,
                instance,
                peer,
                peer_module,
            }
        });
        let sums = &mut entry.sums;
        sums.calls += 1;
        sums.errors += u64::from(row.is_error);
        sums.times
            .add(u64::try_from(row.ts_end.saturating_sub(row.ts_start)).ok());
        sums.bytes_out.add(row.bytes_out);
        sums.bytes_in.add(row.bytes_in);
        let is_probe = row.is_answered && row.peer_module.is_empty();
        if is_probe && entry.probes.len() < CHUNK_PROBES_MAX {
            let probe = trace_id(row.trace_id).map(|trace_id| Probe {
                trace_id,
                call: call_key(row.trace_id, row.span_id),
            });
            entry.probes.extend(probe);
        }
    }

    /// Adds an invocation if no call of the run caused it.
    #[inline]
    pub fn add_invocation(&mut self, row: &InvocationRow<'_>) {
        if !row.caller_span_id.is_empty() {
            return;
        }
        if !row.parent_id.is_empty() {
            self.without_call += 1;
            return;
        }
        let entry = self.entry([b"root", &[], row.app, row.module], |[_, _, app, module]| {
            Texts::Root {
                app: app.into(),
                module: module.into(),
            }
        });
        let sums = &mut entry.sums;
        sums.calls += 1;
        sums.errors += u64::from(row.is_error);
        sums.times.add(row.times[Time::Response as usize]);
        sums.bytes_out.add(row.bytes_in);
        sums.bytes_in.add(row.bytes_out);
    }

    /// The entry for these texts. Its key has a line break after each text. Texts are JSON, which begins with a quote and
    /// contains no line break, so different texts have different keys.
    #[inline]
    fn entry<'t>(&mut self, parts: [&'t [u8]; 4], texts: impl FnOnce([&'t [u8]; 4]) -> Texts) -> &mut Entry {
        self.scratch.clear();
        for part in parts {
            self.scratch.extend_from_slice(part);
            self.scratch.push(b'\n');
        }
        let next = self.entries.len() as u32;
        let number = match self.numbers.get(&*self.scratch) {
            Some(&number) => number,
            None => {
                self.numbers.insert(self.scratch.as_slice().into(), next);
                self.entries.push(Entry {
                    texts: texts(parts),
                    sums: EdgeSums::default(),
                    probes: Vec::new(),
                });
                next
            }
        };
        &mut self.entries[number as usize]
    }
}

/// Parses a trace id, given as JSON text.
pub fn trace_id(raw: &[u8]) -> Option<TraceId> {
    let digits = raw.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    TraceId::parse_bytes(digits)
}

/// Sums of a run.
#[derive(Default)]
pub struct Collector {
    numbers: Map<Texts, u32>,
    pub entries: Vec<Entry>,
    /// Sums over the calls beyond the maximum number of edges.
    pub other: EdgeSums,
    pub without_call: u64,
    /// Size of the sketches of all entries in memory, bytes.
    sketches_bytes: usize,
}

impl Collector {
    pub fn absorb(&mut self, chunk: ChunkEdges) {
        self.without_call += chunk.without_call;
        for entry in chunk.entries {
            let Some(&number) = self.numbers.get(&entry.texts) else {
                self.insert(entry);
                continue;
            };
            let known = &mut self.entries[number as usize];
            let before = known.sums.times.sketch.bytes();
            known.sums.merge(&entry.sums);
            self.sketches_bytes += known.sums.times.sketch.bytes() - before;
            let room = PROBES_MAX.saturating_sub(known.probes.len());
            known.probes.extend(entry.probes.into_iter().take(room));
        }
    }

    fn insert(&mut self, entry: Entry) {
        if self.entries.len() >= EDGES_MAX || self.sketches_bytes >= SKETCHES_BYTES_MAX {
            self.other.merge(&entry.sums);
            return;
        }
        self.numbers
            .insert(entry.texts.clone(), self.entries.len() as u32);
        self.sketches_bytes += entry.sums.times.sketch.bytes();
        self.entries.push(entry);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_beyond_the_maximum_of_edges_share_one() {
        let mut collector = Collector::default();
        for chunk in 0..3 {
            let mut edges = ChunkEdges::default();
            for peer in 0..EDGES_MAX + 5 {
                let peer = format!("\"{peer}\"");
                let row = CallRow {
                    module: b"\"m\"",
                    peer: peer.as_bytes(),
                    ts_end: chunk,
                    ..CallRow::default()
                };
                edges.add_call(&row, &Names::default());
            }
            collector.absorb(edges);
        }
        assert_eq!(collector.entries.len(), EDGES_MAX);
        assert!(collector.entries.iter().all(|entry| entry.sums.calls == 3));
        assert_eq!((collector.other.calls, collector.other.times.sum_ns), (15, 15));
    }

    #[test]
    fn edges_with_large_sketches_share_one_earlier() {
        let mut collector = Collector::default();
        let edges = EDGES_MAX - 100;
        for peer in 0..edges {
            let peer = format!("\"{peer}\"");
            let mut chunk = ChunkEdges::default();
            for ts_end in [0, i64::MAX] {
                let row = CallRow {
                    module: b"\"m\"",
                    peer: peer.as_bytes(),
                    ts_end,
                    ..CallRow::default()
                };
                chunk.add_call(&row, &Names::default());
            }
            collector.absorb(chunk);
        }
        let sketches = collector
            .entries
            .iter()
            .map(|entry| entry.sums.times.sketch.bytes());
        let (bytes, of_one) = (sketches.clone().sum::<usize>(), sketches.max().unwrap());
        assert_eq!(bytes, collector.sketches_bytes);
        assert!(
            (SKETCHES_BYTES_MAX..SKETCHES_BYTES_MAX + of_one).contains(&bytes),
            "{bytes}"
        );
        assert_eq!(
            collector.other.calls,
            2 * (edges - collector.entries.len()) as u64
        );
    }

    #[test]
    fn probes_are_answered_calls_whose_answer_is_unknown() {
        let mut collector = Collector::default();
        for _ in 0..10 {
            let mut edges = ChunkEdges::default();
            for (is_answered, peer_module) in [
                (true, &b""[..]),
                (false, b""),
                (true, b"\"b\""),
                (true, b""),
                (true, b""),
            ] {
                let row = CallRow {
                    trace_id: b"\"0000000000000000000000000000000f\"",
                    span_id: b"\"000000000000000a\"",
                    module: b"\"m\"",
                    peer_module,
                    is_answered,
                    ..CallRow::default()
                };
                edges.add_call(&row, &Names::default());
            }
            collector.absorb(edges);
        }
        let probes: Vec<usize> = collector.entries.iter().map(|entry| entry.probes.len()).collect();
        assert_eq!(probes, [PROBES_MAX, 0]);
    }
}
