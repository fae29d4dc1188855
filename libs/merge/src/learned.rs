//! [`Learned`]: what rows tell of modules and of the links between nodes, gathered trace by trace.

use std::path::Path;

use aggregate::links::{LinkCall, LinkStats, Second};
use aggregate::maps::Map;
use aggregate::modules::{InvocationFacts, ModuleStats, OTHER_ENDPOINT};
use aggregate::names::{NAMELESS, Names, endpoint_key};
use cctf_proto::cctf::SpanKind;

use super::clocks::Clocks;
use super::directory::Directory;
use super::rows::SpanRow;
use super::sorter::{Record, Sorter, key_of};
use super::spool::place_of;
use super::trace::Resolved;

/// Endpoints told apart over all modules: their histograms take some 8 KiB each. Further ones are one endpoint a module.
const ENDPOINTS_MAX: usize = 2048;
/// Pairs of modules, and of a module and a peer, that calls are counted of; further pairs are left out.
const EDGES_MAX: usize = 65_536;
/// Records of call pairs held before they are written out.
const HELD_BYTES: usize = 4 << 20;
/// Calls whose seconds a link's figures hold before they are let go.
const CALLS_A_SWEEP: u64 = 1024;
/// Network times kept of one second of one link; of more, every other one, so that the quantiles stay.
const SECOND_CALLS_MAX: usize = 1 << 18;

/// Everything that was learnt.
pub struct Learned {
    /// By the module's number.
    pub modules: Map<u32, ModuleStats>,
    /// Endpoints by number.
    pub endpoints: Names,
    /// Peers by number.
    pub peers: Names,
    /// Calls without an answer, by calling module and peer.
    pub without_answer: Map<(u32, u32), u64>,
    /// Modules behind peers.
    pub module_behind: Map<u32, u32>,
    /// Bounds of the difference of clocks.
    pub clocks: Clocks,
    endpoint_count: usize,
    edge_count: usize,
    by_second: Sorter,
    by_link: Sorter,
    key: String,
}

/// A pair of nodes, by number.
pub type NodePair = (u32, u32);

impl Learned {
    /// Nothing yet.
    pub fn new(folder: &Path) -> Self {
        Self {
            modules: Map::default(),
            endpoints: Names::default(),
            peers: Names::default(),
            without_answer: Map::default(),
            module_behind: Map::default(),
            clocks: Clocks::default(),
            endpoint_count: 0,
            edge_count: 0,
            by_second: Sorter::new(folder, HELD_BYTES),
            by_link: Sorter::new(folder, HELD_BYTES),
            key: String::new(),
        }
    }

    /// Takes an invocation.
    pub fn add_invocation(
        &mut self,
        row: &SpanRow,
        found: &Resolved,
        partition: &[u8],
        directory: &Directory,
    ) {
        let (method, path) = (row.text(partition, row.method), row.text(partition, row.path));
        endpoint_key(method.as_deref(), path.as_deref(), &mut self.key);
        let mut endpoint = self.endpoints.number(&self.key);
        let stats = self.modules.entry(directory.module_of(row.instance)).or_default();
        if !stats.endpoints.contains_key(&endpoint) {
            if self.endpoint_count >= ENDPOINTS_MAX {
                endpoint = OTHER_ENDPOINT;
            } else {
                self.endpoint_count += 1;
            }
        }
        stats.is_called |= found.above.is_some()
            || found.caller.is_some()
            || found.told_caller.is_some()
            || found.is_orphan
            || row.kind == SpanKind::Consumer;
        stats.add(&InvocationFacts {
            endpoint,
            service_ns: row.service_ns,
            cpu_ns: row.cpu_ns,
            bytes_in: row.bytes_in,
            bytes_out: row.bytes_out,
        });
    }

    /// Takes a call and the module that answered it.
    pub fn add_call(&mut self, row: &SpanRow, to: Option<u32>, partition: &[u8], directory: &Directory) {
        let from = directory.module_of(row.instance);
        let peer = row.text(partition, row.peer);
        let peer = peer.map_or(NAMELESS, |peer| self.peers.number(&peer));
        let stats = self.modules.entry(from).or_default();
        stats.makes_calls = true;
        let Some(to) = to else {
            let is_known = self.without_answer.contains_key(&(from, peer));
            if is_known || is_below(&mut self.edge_count, EDGES_MAX) {
                *self.without_answer.entry((from, peer)).or_default() += 1;
            }
            return;
        };
        if peer != NAMELESS && row.kind != SpanKind::Producer {
            // Of several modules behind one peer the first by name, whatever the order of the calls.
            let behind = self.module_behind.entry(peer).or_insert(to);
            if directory.modules[to as usize] < directory.modules[*behind as usize] {
                *behind = to;
            }
        }
        if stats.calls.contains_key(&to) || is_below(&mut self.edge_count, EDGES_MAX) {
            *stats.calls.entry(to).or_default() += 1;
        }
    }

    /// Takes a call and its only answer.
    pub fn add_pair(
        &mut self,
        call: &SpanRow,
        answer: &SpanRow,
        net_ns: i64,
        directory: &Directory,
    ) -> anyhow::Result<()> {
        let (from, to) = (
            directory.module_of(call.instance),
            directory.module_of(answer.instance),
        );
        let stats = self.modules.entry(from).or_default();
        if stats.call_bytes.contains_key(&to) || is_below(&mut self.edge_count, EDGES_MAX) {
            let bytes = answer.bytes_in.zip(answer.bytes_out);
            let bytes = bytes.map(|(sent, received)| sent.saturating_add(received));
            stats.call_bytes.entry(to).or_default().add(bytes);
        }
        let (u, v) = (call.node, answer.node);
        if u == v || directory.known_node(u).is_none() || directory.known_node(v).is_none() {
            return Ok(());
        }
        self.clocks.add((u, v), call, answer);
        let mut line = [0; 35];
        encode(call, answer, net_ns, &mut line);
        let mut pair = [0; 8];
        pair[..4].copy_from_slice(&u.to_be_bytes());
        pair[4..].copy_from_slice(&v.to_be_bytes());
        let second = u64::try_from(call.end).unwrap_or(0) / 1_000_000_000;
        self.by_second.push(&Record {
            key: second,
            identity: &pair,
            line: &line,
        })?;
        // In the order of traces and spans: which calls a fit is made of when there are too many follows from their ids.
        let mut identity = [0; 16];
        identity[..8].copy_from_slice(&place_of(&answer.trace_id).to_be_bytes());
        identity[8..].copy_from_slice(&answer.span_id.0);
        self.by_link.push(&Record {
            key: u64::from(u) << 32 | u64::from(v),
            identity: &identity,
            line: &line,
        })
    }

    /// Hands out the calls of each second and pair of nodes, in the order of seconds, then each link's figures.
    pub fn take_links(
        &mut self,
        folder: &Path,
        mut on_second: impl FnMut(NodePair, u64, Second) -> anyhow::Result<()>,
        mut on_link: impl FnMut(NodePair, &LinkStats),
    ) -> anyhow::Result<()> {
        let mut open: Option<(NodePair, u64, Second)> = None;
        std::mem::replace(&mut self.by_second, Sorter::new(folder, 0)).drain(|record| {
            let pair = pair_of(record.identity);
            let call = decode(record.line);
            if open
                .as_ref()
                .is_none_or(|(of, second, _)| (*of, *second) != (pair, record.key))
                && let Some((pair, second, calls)) = open.replace((pair, record.key, Second::default()))
            {
                on_second(pair, second, calls)?;
            }
            if let Some((_, _, calls)) = &mut open {
                calls.add(&call, SECOND_CALLS_MAX);
            }
            Ok(())
        })?;
        if let Some((pair, second, calls)) = open {
            on_second(pair, second, calls)?;
        }
        let mut open: Option<(u64, LinkStats, u64)> = None;
        let pair_of_key = |key: u64| ((key >> 32) as u32, key as u32);
        std::mem::replace(&mut self.by_link, Sorter::new(folder, 0)).drain(|record| {
            if open.as_ref().is_none_or(|(key, ..)| *key != record.key)
                && let Some((key, stats, _)) = open.replace((record.key, LinkStats::default(), 0))
            {
                on_link(pair_of_key(key), &stats);
            }
            if let Some((_, stats, calls)) = &mut open {
                stats.add(&decode(record.line), 0);
                *calls += 1;
                if calls.is_multiple_of(CALLS_A_SWEEP) {
                    stats.take_seconds(u64::MAX);
                }
            }
            Ok(())
        })?;
        if let Some((key, stats, _)) = open {
            on_link(pair_of_key(key), &stats);
        }
        Ok(())
    }
}

/// Counts one more if there is room for it.
fn is_below(count: &mut usize, max: usize) -> bool {
    let fits = *count < max;
    *count += usize::from(fits);
    fits
}

fn pair_of(bytes: &[u8]) -> NodePair {
    let number = |at: usize| {
        let mut four = [0; 4];
        four.copy_from_slice(&bytes[at..at + 4]);
        u32::from_be_bytes(four)
    };
    (number(0), number(4))
}

/// Network time first, so that the calls of a second are sorted by it.
fn encode(call: &SpanRow, answer: &SpanRow, net_ns: i64, line: &mut [u8; 35]) {
    let told = |bytes: Option<u64>| bytes.unwrap_or(0).to_be_bytes();
    line[..8].copy_from_slice(&key_of(net_ns).to_be_bytes());
    line[8..16].copy_from_slice(&told(answer.bytes_in));
    line[16..24].copy_from_slice(&told(answer.bytes_out));
    line[24] = u8::from(answer.bytes_in.is_some());
    line[25] = u8::from(answer.bytes_out.is_some());
    line[26] = u8::from(answer.starts_after_body);
    line[27..].copy_from_slice(&u64::try_from(call.end).unwrap_or(0).to_be_bytes());
}

fn decode(line: &[u8]) -> LinkCall {
    let number = |at: usize| {
        let mut eight = [0; 8];
        eight.copy_from_slice(&line[at..at + 8]);
        u64::from_be_bytes(eight)
    };
    LinkCall {
        net_ns: (number(0) ^ 1 << 63) as i64,
        sent: (line[24] != 0).then(|| number(8)),
        received: (line[25] != 0).then(|| number(16)),
        sent_counts: line[26] != 0,
        end_unix_ns: number(27),
    }
}
