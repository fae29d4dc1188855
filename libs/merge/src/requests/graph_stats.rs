//! [`GraphStats`]: statistics of modules and of links between nodes. They are collected trace by trace.

use std::path::Path;

use aggregate::ids::NameId;
use aggregate::links::LinkCall;
use aggregate::maps::Map;
use aggregate::modules::{InvocationFacts, Mean, ModuleStats};
use aggregate::names::{Names, endpoint_key};
use cctf_proto::cctf::SpanKind;

use crate::ids::ModuleId;
use crate::registry::EntityRegistry;
use crate::requests::clocks::Clocks;
use crate::requests::endpoints::{Endpoints, Place};
use crate::requests::link_calls::LinkCalls;
use crate::requests::partitions::trace_hash;
use crate::requests::resolve::Resolution;
use crate::requests::unlisted::UnlistedOut;
use crate::rows::row::{SpanRow, Texts};

/// Maximum number of different edges: from a module to a module, or from a module to a peer. Further edges are left out.
const EDGES_MAX: usize = 65_536;

/// The module that a call went to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Callee {
    pub module: ModuleId,
    /// Whether a row of the module answered the call. Otherwise, the call's own row names the module.
    pub is_answered: bool,
}

pub struct GraphStats {
    pub modules: Map<ModuleId, ModuleStats>,
    /// Endpoints, until [`Self::settle`].
    pub endpoints: Endpoints,
    /// Listed endpoints by number, after [`Self::settle`].
    pub endpoint_names: Names,
    /// Peers by number.
    pub peers: Names,
    /// Number of calls without an answer, by calling module and peer.
    pub unanswered: Map<(ModuleId, NameId), u64>,
    /// The module that answered calls to each peer.
    pub module_behind: Map<NameId, ModuleId>,
    /// As in the modules' calls and in `module_behind`, for callees that only the calls' own rows name; until [`Self::settle`].
    pub recorded_calls: Map<(ModuleId, ModuleId), u64>,
    pub recorded_behind: Map<NameId, ModuleId>,
    pub clocks: Clocks,
    pub links: LinkCalls,
    edge_count: usize,
    is_full: bool,
    key: String,
}

impl GraphStats {
    /// `scratch` is the folder of temporary files.
    pub fn new(scratch: &Path) -> Self {
        Self {
            modules: Map::default(),
            endpoints: Endpoints::default(),
            endpoint_names: Names::default(),
            peers: Names::default(),
            unanswered: Map::default(),
            module_behind: Map::default(),
            recorded_calls: Map::default(),
            recorded_behind: Map::default(),
            clocks: Clocks::default(),
            links: LinkCalls::new(scratch),
            edge_count: 0,
            is_full: false,
            key: String::new(),
        }
    }

    /// Whether something was left out because a table was full. Then the result depends on the order of traces.
    pub fn is_full(&self) -> bool {
        self.is_full || self.clocks.is_full
    }

    /// Takes a row and its index in its trace. `unlisted` gets the invocation if its endpoint is not listed. Without `unlisted`, these
    /// invocations count as one endpoint.
    pub fn record_invocation(
        &mut self,
        (row, index): (&SpanRow, usize),
        found: &Resolution,
        texts: Texts<'_>,
        registry: &EntityRegistry,
        unlisted: Option<&mut UnlistedOut>,
    ) -> anyhow::Result<()> {
        let (method, path) = (row.text(texts, row.method), row.text(texts, row.path));
        endpoint_key(method.as_deref(), path.as_deref(), &mut self.key);
        let module = registry.module_of(row.instance);
        let stats = self.modules.entry(module).or_default();
        stats.is_called |= found.ancestor.is_some()
            || found.caller.is_some()
            || found.caller_fields.is_some()
            || found.is_orphan
            || row.kind == SpanKind::Consumer;
        let facts = InvocationFacts {
            endpoint: None,
            service_ns: row.service_ns,
            cpu_ns: row.cpu_ns,
            bytes_in: row.bytes_in,
            bytes_out: row.bytes_out,
        };
        stats.add_to_totals(&facts);
        let place = Place {
            trace_hash: trace_hash(&row.trace_id),
            trace: row.trace_id,
            row: index as u32,
        };
        if self.endpoints.add(module, &self.key, place, &facts) {
            return Ok(());
        }
        match unlisted {
            Some(unlisted) => unlisted.add(&registry.modules[module.index()], &self.key, &facts),
            None => {
                self.endpoints.add_other(module, &facts);
                Ok(())
            }
        }
    }

    pub fn record_call(
        &mut self,
        row: &SpanRow,
        callee: Option<Callee>,
        texts: Texts<'_>,
        registry: &EntityRegistry,
    ) {
        let from = registry.module_of(row.instance);
        let peer = row.text(texts, row.peer);
        let peer = peer.and_then(|peer| self.peer(&peer));
        self.modules.entry(from).or_default().makes_calls = true;
        let Some(callee) = callee else {
            if let Some(peer) = peer {
                self.add_unanswered(from, peer, 1);
            }
            return;
        };
        if let Some(peer) = peer.filter(|_| row.kind != SpanKind::Producer) {
            self.offer_behind(peer, callee, registry);
        }
        self.add_calls(from, callee, 1);
    }

    /// The number of a peer.
    pub fn peer(&mut self, name: &str) -> Option<NameId> {
        let number = self.peers.number(name);
        self.is_full |= number.is_none();
        number
    }

    pub fn add_unanswered(&mut self, from: ModuleId, peer: NameId, calls: u64) {
        if let Some(known) = self.unanswered.get_mut(&(from, peer)) {
            *known += calls;
        } else if self.is_room() {
            self.unanswered.insert((from, peer), calls);
        }
    }

    pub fn add_calls(&mut self, from: ModuleId, callee: Callee, calls: u64) {
        let to = callee.module;
        if !callee.is_answered {
            if let Some(known) = self.recorded_calls.get_mut(&(from, to)) {
                *known += calls;
            } else if self.is_room() {
                self.recorded_calls.insert((from, to), calls);
            }
            return;
        }
        let stats = self.modules.get_mut(&from);
        if let Some(known) = stats.and_then(|stats| stats.calls.get_mut(&to)) {
            *known += calls;
        } else if self.is_room() {
            self.modules.entry(from).or_default().calls.insert(to, calls);
        }
    }

    /// Of several modules behind one peer, the first by name is kept, so that the order of calls does not matter.
    pub fn offer_behind(&mut self, peer: NameId, callee: Callee, registry: &EntityRegistry) {
        let behind = match callee.is_answered {
            true => &mut self.module_behind,
            false => &mut self.recorded_behind,
        };
        let behind = behind.entry(peer).or_insert(callee.module);
        if registry.modules[callee.module.index()] < registry.modules[behind.index()] {
            *behind = callee.module;
        }
    }

    /// Adds body bytes of calls.
    pub fn add_bytes(&mut self, from: ModuleId, to: ModuleId, bytes: Mean) {
        let stats = self.modules.get_mut(&from);
        if let Some(known) = stats.and_then(|stats| stats.call_bytes.get_mut(&to)) {
            known.merge(bytes);
        } else if self.is_room() {
            self.modules.entry(from).or_default().call_bytes.insert(to, bytes);
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
        let bytes = answer.bytes_in.zip(answer.bytes_out);
        let mut mean = Mean::default();
        mean.add(bytes.map(|(sent, received)| sent.saturating_add(received)));
        self.add_bytes(from, to, mean);
        let (u, v) = (call.node, answer.node);
        if u == v || !registry.is_known(u) || !registry.is_known(v) {
            return Ok(());
        }
        self.clocks.add(call, answer);
        let mut order = [0; 16];
        order[..8].copy_from_slice(&trace_hash(&answer.trace_id).to_be_bytes());
        order[8..].copy_from_slice(&answer.span_id.0);
        let link_call = LinkCall {
            net_ns,
            sent: answer.bytes_in,
            received: answer.bytes_out,
            sent_counts: answer.starts_after_body,
            end_unix_ns: u64::try_from(call.end).unwrap_or(0),
        };
        self.links.add((u, v), order, &link_call)
    }

    /// Concludes what needs all traces: which endpoints are listed, and the calls whose callees only their own rows name.
    pub fn settle(&mut self, registry: &EntityRegistry) {
        for ((from, to), calls) in self.recorded_calls.drain() {
            let stats = self.modules.entry(from).or_default();
            *stats.calls.entry(to).or_default() += calls;
        }
        for (peer, module) in std::mem::take(&mut self.recorded_behind) {
            let is_answered = true;
            self.offer_behind(peer, Callee { module, is_answered }, registry);
        }
        self.endpoints
            .move_to(&mut self.modules, &mut self.endpoint_names);
    }

    /// Makes room for another pair. Returns whether there was room.
    fn is_room(&mut self) -> bool {
        let fits = self.edge_count < EDGES_MAX;
        self.edge_count += usize::from(fits);
        self.is_full |= !fits;
        fits
    }
}
