//! [`LinkJoin`]: groups invocations by the node of their caller. This node is in the row of the call, so calls and invocations
//! are joined.

use std::hash::BuildHasher;

use aggregate::maps::Map;
use foldhash::fast::FixedState;

use crate::intervals::Accumulator;

use super::arrivals::{Arrivals, Gaps};
use super::cells::{Key, OTHER_NAME, decoded};
use super::figures::{Sums, Time};
use super::flow::{Flow, Span};
use super::load::{self, LoadBuckets};
use super::row::{CallRow, InvocationRow};

/// Maximum number of calls in memory. Beyond it, the oldest calls are dropped, up to half of them at once. Both files are read in
/// parallel, so a call and its invocation are close together. The number is the capacity of a hash map just before it would
/// double its size: 17 MiB for each of the two [`Generations`].
const CALLS_MAX: usize = (1 << 19) / 8 * 7;
/// Maximum number of invocations that wait for the row of their call, in each of two generations of 48 MiB.
const WAITING_MAX: usize = CALLS_MAX;
/// Maximum number of links, and of calling nodes. It equals the maximum number of endpoints.
const LINKS_MAX: usize = 2048;
/// Maximum number of links with intervals. The links that appear first in the files have intervals. With 55 KiB each, they take
/// 14 MiB.
pub const LINK_INTERVALS_MAX: usize = 256;
/// Stands for all calling nodes beyond the maximum.
const OTHER_CALLER: u32 = u32::MAX;

/// Identity of a call: a hash of trace id and span id. Among 10^6 calls, the probability that two are equal is 10^-7.
pub fn call_key(trace_id: &[u8], span_id: &[u8]) -> u64 {
    FixedState::default().hash_one((trace_id, span_id))
}

/// The fields of an invocation that a link needs.
#[derive(Debug, Clone, Copy)]
pub struct Crossing {
    /// The [`call_key`] of the invocation's call.
    pub call: u64,
    /// Number of the invocation's cell in its chunk.
    pub cell: u32,
    pub ts_enqueue: i64,
    pub ts_end: i64,
    /// The origin for [`load::add`].
    pub origin: i64,
    pub network_ns: Option<u64>,
    pub bytes_in: Option<u64>,
    pub bytes_out: Option<u64>,
    pub is_error: bool,
}

/// The calls of a chunk: their keys and the nodes that made them.
#[derive(Default)]
pub struct ChunkCalls {
    calls: Vec<ChunkCall>,
    nodes: Vec<Box<[u8]>>,
    peers: Vec<Box<[u8]>>,
}

struct ChunkCall {
    key: u64,
    /// Number of the node in the chunk.
    node: u32,
    peer: u32,
    span: Span,
}

/// A call that was read.
#[derive(Clone, Copy)]
struct Call {
    caller: u32,
    peer: u32,
    span: Span,
}

impl ChunkCalls {
    pub fn add(&mut self, row: &CallRow<'_>) {
        let node = number_of(&mut self.nodes, row.node);
        let answered = if row.is_answered { row.peer } else { &[] };
        let peer = number_of(&mut self.peers, answered);
        self.calls.push(ChunkCall {
            key: call_key(row.trace_id, row.span_id),
            node,
            peer,
            span: (row.ts_start, row.ts_end),
        });
    }
}

/// The number of a text. A linear search is enough, because a chunk has few texts.
fn number_of(texts: &mut Vec<Box<[u8]>>, text: &[u8]) -> u32 {
    let known = texts.iter().position(|known| **known == *text);
    let number = known.unwrap_or_else(|| {
        texts.push(text.into());
        texts.len() - 1
    });
    number as u32
}

/// A map with two generations. When the young one is full, the old one is dropped, and the young one becomes the old one.
struct Generations<V> {
    young: Map<u64, V>,
    old: Map<u64, V>,
    max: usize,
}

impl<V> Generations<V> {
    fn new(max: usize) -> Self {
        Self {
            young: Map::default(),
            old: Map::default(),
            max,
        }
    }

    /// Drops the old generation if the young one is full. The maps keep their memory, so it is allocated only once for the run.
    fn make_room(&mut self, mut on_dropped: impl FnMut(&V)) {
        if self.young.len() < self.max {
            return;
        }
        self.old.values().for_each(&mut on_dropped);
        self.old.clear();
        std::mem::swap(&mut self.young, &mut self.old);
    }

    fn get(&self, key: u64) -> Option<&V> {
        self.young.get(&key).or_else(|| self.old.get(&key))
    }

    fn remove(&mut self, key: u64) -> Option<V> {
        self.young.remove(&key).or_else(|| self.old.remove(&key))
    }
}

/// Invocations whose call has not been read yet. Their field `cell` has the number of their node instead.
type Waiting = Vec<Crossing>;

/// Finds the caller of each invocation and sums by link.
pub struct LinkJoin {
    callers: Map<Box<[u8]>, u32>,
    caller_names: Vec<Box<[u8]>>,
    calls: Generations<Call>,
    waiting: Generations<Waiting>,
    pub flow: Flow,
    /// By the node of the caller and the node of the invocation.
    numbers: Map<(u32, u32), u32>,
    links: Vec<Option<(u32, u32)>>,
    /// The link for everything beyond the maximum, if there is one.
    other: Option<u32>,
    sums: Vec<Sums>,
    /// The series of the first links, in the order of the links.
    series: Vec<LinkSeries>,
    arrivals: Arrivals,
    /// Number of invocations whose call is in no file, or so far away in the file that one of the two was dropped before the
    /// other was read.
    pub unmatched: u64,
    /// Number of invocations on links beyond the maximum.
    pub beyond: u64,
}

/// The data from which the intervals of a link are computed.
#[derive(Default)]
pub struct LinkSeries {
    pub network: Accumulator,
    /// By the time `ts_enqueue`.
    pub load: LoadBuckets,
}

/// A link with its figures.
pub struct Link {
    pub key: Key,
    pub sums: Sums,
    pub gaps: Gaps,
    /// `None` beyond the maximum number of links with intervals.
    pub series: Option<LinkSeries>,
}

impl Default for LinkJoin {
    fn default() -> Self {
        Self {
            callers: Map::default(),
            caller_names: Vec::new(),
            calls: Generations::new(CALLS_MAX),
            waiting: Generations::new(WAITING_MAX),
            flow: Flow::default(),
            numbers: Map::default(),
            links: Vec::new(),
            other: None,
            sums: Vec::new(),
            series: Vec::new(),
            arrivals: Arrivals::new(1),
            unmatched: 0,
            beyond: 0,
        }
    }
}

impl LinkJoin {
    pub fn add_calls(&mut self, chunk: &ChunkCalls) {
        let nodes: Vec<u32> = chunk.nodes.iter().map(|node| self.caller(node)).collect();
        let peers: Vec<u32> = chunk.peers.iter().map(|peer| self.flow.peer(peer)).collect();
        let mut found = Vec::new();
        for call in &chunk.calls {
            let key = call.key;
            let call = Call {
                caller: nodes[call.node as usize],
                peer: peers[call.peer as usize],
                span: call.span,
            };
            self.flow.add_call(call.peer);
            // A key can have entries in both generations.
            while let Some(waiting) = self.waiting.remove(key) {
                found.extend(waiting.into_iter().map(|crossing| (call, crossing)));
            }
            self.calls.make_room(|_| {});
            self.calls.young.insert(key, call);
        }
        self.add_found(found);
    }

    /// `node_of` takes the number of a cell in the chunk, and returns the number that the cell's node has in the run.
    pub fn add_invocations(&mut self, chunk: &[Crossing], node_of: impl Fn(u32) -> u32) {
        let mut found = Vec::new();
        for crossing in chunk {
            let mut crossing = *crossing;
            crossing.cell = node_of(crossing.cell);
            match self.calls.get(crossing.call) {
                Some(&call) => found.push((call, crossing)),
                None => {
                    let unmatched = &mut self.unmatched;
                    self.waiting
                        .make_room(|dropped| *unmatched += dropped.len() as u64);
                    let waiting = self.waiting.young.entry(crossing.call).or_default();
                    waiting.push(crossing);
                }
            }
        }
        self.add_found(found);
    }

    /// The links after the last chunk. `node` returns the name for a number that `node_of` returned.
    pub fn finish<'n>(&mut self, node: impl Fn(u32) -> &'n Key) -> Vec<Link> {
        let waiting = [&self.waiting.young, &self.waiting.old];
        let waiting = waiting.into_iter().flat_map(|generation| generation.values());
        self.unmatched += waiting.map(|waiting| waiting.len() as u64).sum::<u64>();
        let gaps = self.arrivals.finish(|link| [link], has_intervals).pop();
        let gaps = gaps.unwrap_or_default();
        let sums = std::mem::take(&mut self.sums);
        let mut series = std::mem::take(&mut self.series).into_iter();
        let links = self.links.iter().zip(sums).enumerate();
        links
            .map(|(number, (ends, sums))| Link {
                key: match ends {
                    Some((from, to)) => Key {
                        from_node: decoded(&self.caller_names[*from as usize]),
                        ..node(*to).clone()
                    },
                    None => Key {
                        is_other: true,
                        ..Key::default()
                    },
                },
                sums,
                gaps: gaps.get(number).cloned().unwrap_or_default(),
                series: series.next(),
            })
            .collect()
    }

    /// Whether there are more links than the maximum with intervals.
    pub fn has_more_than_intervals(&self) -> bool {
        self.links.len() > LINK_INTERVALS_MAX
    }

    /// Number of arrivals that came too late to be sorted.
    pub fn arrivals_left_out(&self) -> u64 {
        self.arrivals.left_out
    }

    /// The name of a calling node.
    pub fn caller_name(&self, caller: u32) -> String {
        let name = self.caller_names.get(caller as usize);
        name.and_then(|name| decoded(name))
            .unwrap_or_else(|| OTHER_NAME.to_owned())
    }

    fn add_found(&mut self, mut found: Vec<(Call, Crossing)>) {
        found.sort_by_key(|(_, crossing)| crossing.ts_enqueue);
        let mut arrivals = Vec::with_capacity(found.len());
        for (call, crossing) in found {
            let nodes = (call.caller, crossing.cell);
            let invocation = (crossing.ts_enqueue, crossing.ts_end);
            self.flow.add_found(call.peer, nodes, call.span, invocation);
            let link = self.link(nodes);
            let sums = &mut self.sums[link as usize];
            sums.calls += 1;
            sums.errors += u64::from(crossing.is_error);
            sums.times[Time::Network as usize].add(crossing.network_ns);
            if let Some(series) = self.series.get_mut(link as usize) {
                series.add(&crossing);
            }
            sums.bytes_in.add(crossing.bytes_in);
            sums.bytes_out.add(crossing.bytes_out);
            arrivals.push((crossing.ts_enqueue, link));
        }
        self.arrivals
            .extend(arrivals.into_iter(), |link| [link], has_intervals);
    }

    fn link(&mut self, ends: (u32, u32)) -> u32 {
        if let Some(&number) = self.numbers.get(&ends) {
            return number;
        }
        let is_other = ends.0 == OTHER_CALLER || self.numbers.len() >= LINKS_MAX;
        if is_other {
            self.beyond += 1;
            if let Some(other) = self.other {
                return other;
            }
        }
        let number = self.links.len() as u32;
        if is_other {
            self.other = Some(number);
        } else {
            self.numbers.insert(ends, number);
        }
        self.links.push((!is_other).then_some(ends));
        self.sums.push(Sums::default());
        if self.series.len() < LINK_INTERVALS_MAX {
            self.series.push(LinkSeries::default());
        }
        number
    }

    fn caller(&mut self, node: &[u8]) -> u32 {
        if let Some(&number) = self.callers.get(node) {
            return number;
        }
        if self.caller_names.len() >= LINKS_MAX {
            return OTHER_CALLER;
        }
        let number = self.caller_names.len() as u32;
        self.caller_names.push(node.into());
        self.callers.insert(node.into(), number);
        number
    }
}

impl LinkSeries {
    fn add(&mut self, crossing: &Crossing) {
        if let Some(ns) = crossing.network_ns {
            self.network.push(ns as f64);
        }
        let row = InvocationRow {
            ts_start: crossing.ts_enqueue,
            bytes_in: crossing.bytes_in,
            bytes_out: crossing.bytes_out,
            is_error: crossing.is_error,
            ..InvocationRow::default()
        };
        load::add(&mut self.load, &row, crossing.origin);
    }
}

/// Whether the times between arrivals of a link get an interval.
fn has_intervals(_grouping: usize, link: usize) -> bool {
    link < LINK_INTERVALS_MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    fn crossing(call: u64) -> Crossing {
        Crossing {
            call,
            cell: 0,
            ts_enqueue: call as i64,
            ts_end: call as i64 + 2,
            origin: 0,
            network_ns: Some(call),
            bytes_in: None,
            bytes_out: Some(1),
            is_error: false,
        }
    }

    #[test]
    fn a_call_is_found_before_and_after_its_invocation() {
        let mut join = LinkJoin::default();
        let mut calls = ChunkCalls::default();
        for key in 0..10 {
            let node = number_of(&mut calls.nodes, if key < 4 { b"\"a\"" } else { b"\"b\"" });
            let peer = number_of(&mut calls.peers, b"\"p\"");
            let span = (key as i64 - 1, key as i64 + 4);
            calls.calls.push(ChunkCall {
                key,
                node,
                peer,
                span,
            });
        }
        let first: Vec<Crossing> = [0, 1, 5, 99].map(crossing).to_vec();
        let second: Vec<Crossing> = [2, 6, 7].map(crossing).to_vec();
        join.add_invocations(&first, |_| 3);
        join.add_calls(&calls);
        join.add_invocations(&second, |_| 3);
        let node = Key {
            node: Some("n".into()),
            ..Key::default()
        };
        let links = join.finish(|number| {
            assert_eq!(number, 3);
            &node
        });
        let found: Vec<(&str, u64, u128)> = links
            .iter()
            .map(|link| {
                let from = link.key.from_node.as_deref().unwrap();
                (from, link.sums.calls, link.sums.of(Time::Network).sum_ns)
            })
            .collect();
        assert_eq!(found, [("a", 3, 3), ("b", 3, 18)]);
        assert_eq!(join.unmatched, 1);
        let peers: Vec<(&[u8], u64, u64)> = join
            .flow
            .peers()
            .map(|(peer, flow)| (peer, flow.calls, flow.found))
            .collect();
        assert_eq!(peers, [(&b"\"p\""[..], 10, 6)]);
        let bounds: Vec<(i64, i64)> = join
            .flow
            .clocks()
            .iter()
            .map(|(_, bound)| (bound.low, bound.high))
            .collect();
        assert_eq!(bounds, [(-2, 1), (-2, 1)]);
    }

    #[test]
    fn old_entries_are_dropped_and_counted() {
        let mut join = LinkJoin {
            waiting: Generations::new(2),
            ..LinkJoin::default()
        };
        let chunk: Vec<Crossing> = (0..7).map(crossing).collect();
        join.add_invocations(&chunk, |_| 0);
        assert_eq!(join.unmatched, 4);
        join.finish(|_| unreachable!());
        assert_eq!(join.unmatched, 7);
    }
}
