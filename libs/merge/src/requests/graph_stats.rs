//! [`GraphStats`]: statistics of modules and of links between nodes. They are collected trace by trace.

use std::path::Path;

use aggregate::ids::NameId;
use aggregate::links::{LinkCall, LinkStats, Second};
use aggregate::maps::Map;
use aggregate::modules::{InvocationFacts, ModuleStats};
use aggregate::names::{Names, endpoint_key};
use cctf_proto::cctf::SpanKind;

use crate::ids::{ModuleId, NodeId};
use crate::registry::EntityRegistry;
use crate::requests::clocks::Clocks;
use crate::requests::partitions::trace_hash;
use crate::requests::resolve::Resolution;
use crate::rows::row::SpanRow;
use cctf_sort::record::{Record, key_of, number_of_key};
use cctf_sort::sorter::Sorter;

/// Maximum number of endpoints of all modules. Their histograms take about 8 KiB each. Above it, further endpoints of a module
/// are counted together.
const ENDPOINTS_MAX: usize = 2048;
/// Maximum number of different edges: from a module to a module, or from a module to a peer. Further edges are left out.
const EDGES_MAX: usize = 65_536;
/// Maximum size of the calls over links in memory, for each of two sort orders, bytes.
const HELD_BYTES: usize = 4 << 20;
/// Number of calls after which the statistics of each second are dropped from those of a link, because only totals are used.
const CALLS_PER_SWEEP: u64 = 1024;
/// Maximum number of network times that are kept for one second of one link. Above it, every second one is dropped, which
/// hardly changes the quantiles.
const SECOND_CALLS_MAX: usize = 1 << 18;
/// Size of a call over a link in a sorter, bytes.
const LINK_CALL_BYTES: usize = 35;

/// A caller's and a callee's node.
pub type NodePair = (NodeId, NodeId);

pub struct GraphStats {
    pub modules: Map<ModuleId, ModuleStats>,
    /// Endpoints and their numbers.
    pub endpoints: Names,
    /// Peers and their numbers.
    pub peers: Names,
    /// Number of calls without an answer, by calling module and peer.
    pub unanswered: Map<(ModuleId, NameId), u64>,
    /// The module that answered calls to each peer.
    pub module_behind: Map<NameId, ModuleId>,
    pub clocks: Clocks,
    endpoint_count: usize,
    edge_count: usize,
    by_second: Sorter,
    by_link: Sorter,
    key: String,
}

impl GraphStats {
    /// `scratch` is the folder of temporary files.
    pub fn new(scratch: &Path) -> Self {
        Self {
            modules: Map::default(),
            endpoints: Names::default(),
            peers: Names::default(),
            unanswered: Map::default(),
            module_behind: Map::default(),
            clocks: Clocks::default(),
            endpoint_count: 0,
            edge_count: 0,
            by_second: Sorter::new(scratch, HELD_BYTES),
            by_link: Sorter::new(scratch, HELD_BYTES),
            key: String::new(),
        }
    }

    /// `partition` contains the texts of the row.
    pub fn record_invocation(
        &mut self,
        row: &SpanRow,
        found: &Resolution,
        partition: &[u8],
        registry: &EntityRegistry,
    ) {
        let (method, path) = (row.text(partition, row.method), row.text(partition, row.path));
        endpoint_key(method.as_deref(), path.as_deref(), &mut self.key);
        let mut endpoint = self.endpoints.number(&self.key);
        let stats = self.modules.entry(registry.module_of(row.instance)).or_default();
        if !stats.endpoints.contains_key(&endpoint) {
            if self.endpoint_count >= ENDPOINTS_MAX {
                endpoint = None;
            } else {
                self.endpoint_count += 1;
            }
        }
        stats.is_called |= found.ancestor.is_some()
            || found.caller.is_some()
            || found.caller_fields.is_some()
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

    /// `callee` is the module that answered. `partition` contains the texts of the row.
    pub fn record_call(
        &mut self,
        row: &SpanRow,
        callee: Option<ModuleId>,
        partition: &[u8],
        registry: &EntityRegistry,
    ) {
        let from = registry.module_of(row.instance);
        let peer = row.text(partition, row.peer);
        let peer = peer.and_then(|peer| self.peers.number(&peer));
        let stats = self.modules.entry(from).or_default();
        stats.makes_calls = true;
        let Some(to) = callee else {
            let Some(peer) = peer else { return };
            let is_known = self.unanswered.contains_key(&(from, peer));
            if is_known || is_below(&mut self.edge_count, EDGES_MAX) {
                *self.unanswered.entry((from, peer)).or_default() += 1;
            }
            return;
        };
        if let Some(peer) = peer.filter(|_| row.kind != SpanKind::Producer) {
            // If several modules answered calls to the same peer, the first one by name is kept, so that the order of calls
            // does not matter.
            let behind = self.module_behind.entry(peer).or_insert(to);
            if registry.modules[to.index()] < registry.modules[behind.index()] {
                *behind = to;
            }
        }
        if stats.calls.contains_key(&to) || is_below(&mut self.edge_count, EDGES_MAX) {
            *stats.calls.entry(to).or_default() += 1;
        }
    }

    /// Adds a call that has exactly one answer, and this answer.
    pub fn record_answer(
        &mut self,
        call: &SpanRow,
        answer: &SpanRow,
        net_ns: i64,
        registry: &EntityRegistry,
    ) -> anyhow::Result<()> {
        let from = registry.module_of(call.instance);
        let to = registry.module_of(answer.instance);
        let stats = self.modules.entry(from).or_default();
        if stats.call_bytes.contains_key(&to) || is_below(&mut self.edge_count, EDGES_MAX) {
            let bytes = answer.bytes_in.zip(answer.bytes_out);
            let bytes = bytes.map(|(sent, received)| sent.saturating_add(received));
            stats.call_bytes.entry(to).or_default().add(bytes);
        }
        let (u, v) = (call.node, answer.node);
        if u == v || !registry.is_known(u) || !registry.is_known(v) {
            return Ok(());
        }
        self.clocks.add(call, answer);
        let line = encode_link_call(call, answer, net_ns);
        let pair = key_of_pair((u, v));
        self.by_second.push(&Record {
            key: u64::try_from(call.end).unwrap_or(0) / 1_000_000_000,
            identity: &pair.to_be_bytes(),
            line: &line,
        })?;
        // Calls are sorted by trace hash and span id. If there are too many calls, the sample of them depends only on their
        // ids.
        let mut identity = [0; 16];
        identity[..8].copy_from_slice(&trace_hash(&answer.trace_id).to_be_bytes());
        identity[8..].copy_from_slice(&answer.span_id.0);
        self.by_link.push(&Record {
            key: pair,
            identity: &identity,
            line: &line,
        })
    }

    /// Removes all calls between nodes. Passes the calls of each second and pair of nodes to `on_second`, in order of time, and
    /// then the statistics of each pair to `on_link`.
    pub fn drain_links(
        &mut self,
        on_second: impl FnMut(NodePair, u64, Second) -> anyhow::Result<()>,
        on_link: impl FnMut(NodePair, &LinkStats) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        drain_seconds(&mut self.by_second, on_second)?;
        drain_pairs(&mut self.by_link, on_link)
    }
}

fn drain_seconds(
    sorter: &mut Sorter,
    mut on_second: impl FnMut(NodePair, u64, Second) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut open: Option<(NodePair, u64, Second)> = None;
    sorter.drain(|record| {
        let pair = pair_of_identity(record.identity);
        let is_open = |(of, second, _): &(NodePair, u64, Second)| (*of, *second) == (pair, record.key);
        if !open.as_ref().is_some_and(is_open)
            && let Some((pair, second, calls)) = open.replace((pair, record.key, Second::default()))
        {
            on_second(pair, second, calls)?;
        }
        if let Some((_, _, calls)) = &mut open {
            calls.add(&decode_link_call(record.line), SECOND_CALLS_MAX);
        }
        Ok(())
    })?;
    match open {
        Some((pair, second, calls)) => on_second(pair, second, calls),
        None => Ok(()),
    }
}

fn drain_pairs(
    sorter: &mut Sorter,
    mut on_link: impl FnMut(NodePair, &LinkStats) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut open: Option<(u64, LinkStats, u64)> = None;
    sorter.drain(|record| {
        if open.as_ref().is_none_or(|(key, ..)| *key != record.key)
            && let Some((key, stats, _)) = open.replace((record.key, LinkStats::default(), 0))
        {
            on_link(pair_of_key(key), &stats)?;
        }
        if let Some((_, stats, calls)) = &mut open {
            stats.add(&decode_link_call(record.line), 0);
            *calls += 1;
            if calls.is_multiple_of(CALLS_PER_SWEEP) {
                stats.take_seconds(u64::MAX);
            }
        }
        Ok(())
    })?;
    match open {
        Some((key, stats, _)) => on_link(pair_of_key(key), &stats),
        None => Ok(()),
    }
}

/// Increments the count if it is below the maximum. Returns whether it was.
fn is_below(count: &mut usize, max: usize) -> bool {
    let fits = *count < max;
    *count += usize::from(fits);
    fits
}

fn key_of_pair((u, v): NodePair) -> u64 {
    u64::from(u.0) << 32 | u64::from(v.0)
}

fn pair_of_key(key: u64) -> NodePair {
    (NodeId((key >> 32) as u32), NodeId(key as u32))
}

fn pair_of_identity(identity: &[u8]) -> NodePair {
    pair_of_key(u64_at(identity, 0))
}

fn u64_at(bytes: &[u8], offset: usize) -> u64 {
    let mut eight = [0; 8];
    eight.copy_from_slice(&bytes[offset..offset + 8]);
    u64::from_be_bytes(eight)
}

/// The network time comes first, so that the calls of a second are sorted by it.
fn encode_link_call(call: &SpanRow, answer: &SpanRow, net_ns: i64) -> [u8; LINK_CALL_BYTES] {
    let mut line = [0; LINK_CALL_BYTES];
    let or_zero = |bytes: Option<u64>| bytes.unwrap_or(0).to_be_bytes();
    line[..8].copy_from_slice(&key_of(net_ns).to_be_bytes());
    line[8..16].copy_from_slice(&or_zero(answer.bytes_in));
    line[16..24].copy_from_slice(&or_zero(answer.bytes_out));
    line[24] = u8::from(answer.bytes_in.is_some());
    line[25] = u8::from(answer.bytes_out.is_some());
    line[26] = u8::from(answer.starts_after_body);
    line[27..].copy_from_slice(&u64::try_from(call.end).unwrap_or(0).to_be_bytes());
    line
}

fn decode_link_call(line: &[u8]) -> LinkCall {
    LinkCall {
        net_ns: number_of_key(u64_at(line, 0)),
        sent: (line[24] != 0).then(|| u64_at(line, 8)),
        received: (line[25] != 0).then(|| u64_at(line, 16)),
        sent_counts: line[26] != 0,
        end_unix_ns: u64_at(line, 27),
    }
}
