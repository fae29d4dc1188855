//! [`hand_over`]: writes the files of a bucket that the rest of the merge (`--rests`) needs.

use std::borrow::Cow;
use std::path::Path;

use aggregate::ids::NameId;
use aggregate::links::LinkCall;
use aggregate::maps::Map;
use rundir::output::LinesOut;
use serde::Serialize;

use crate::buckets::lines::{
    LINK_SAMPLES, LINK_SECONDS, ListedEndpoint, MaybeOwned, NAMES, NET_TIMES_MAX, NameLine, OfModule,
    STATISTICS, SampleLine, SecondLine, StatisticsLine,
};
use crate::ids::{ModuleId, NodeId};
use crate::registry::EntityRegistry;
use crate::requests::graph_stats::GraphStats;
use crate::requests::link_calls::{NodePair, OfLink};

/// Writes all files except the file of unlisted endpoints, which is written while traces are resolved.
pub fn hand_over(folder: &Path, registry: &EntityRegistry, graph: &mut GraphStats) -> anyhow::Result<()> {
    names(folder, registry)?;
    let mut out = Out::create(folder, STATISTICS)?;
    modules(&mut out, registry, graph)?;
    peers(&mut out, registry, graph)?;
    endpoints(&mut out, registry, graph)?;
    clocks(&mut out, registry, graph)?;
    out.finish()?;
    seconds(folder, registry, graph)?;
    samples(folder, registry, graph)
}

/// A file of JSON lines.
struct Out(LinesOut);

impl Out {
    fn create(folder: &Path, name: &str) -> anyhow::Result<Self> {
        Ok(Self(LinesOut::create(&folder.join(name))?))
    }

    fn write(&mut self, line: &impl Serialize) -> anyhow::Result<()> {
        self.0.write_with(|out| Ok(serde_json::to_writer(out, line)?))
    }

    fn finish(self) -> anyhow::Result<()> {
        self.0.finish().map(drop)
    }
}

/// A table in the order of its keys, so that the files are the same each time.
fn sorted<K: Copy + Ord, V>(table: &Map<K, V>) -> Vec<(K, &V)> {
    let mut entries: Vec<(K, &V)> = table.iter().map(|(&key, value)| (key, value)).collect();
    entries.sort_by_key(|(key, _)| *key);
    entries
}

fn of(registry: &EntityRegistry, module: ModuleId) -> OfModule<'_> {
    OfModule::new(&registry.modules[module.index()])
}

fn node(registry: &EntityRegistry, node: NodeId) -> Cow<'_, str> {
    Cow::Borrowed(registry.node_name(node))
}

fn names(folder: &Path, registry: &EntityRegistry) -> anyhow::Result<()> {
    let mut out = Out::create(folder, NAMES)?;
    for facts in &registry.nodes {
        out.write(&NameLine::Node {
            node: Cow::Borrowed(&facts.name),
            stages: facts.stages().map(|stage| stage.as_str().into()).collect(),
            first: facts.first,
        })?;
    }
    for facts in &registry.instances {
        out.write(&NameLine::Instance {
            of: of(registry, facts.module),
            instance: Cow::Borrowed(&facts.instance_id),
            node: node(registry, facts.node),
            first: facts.first,
            last_ns: facts.last_seen().to_vec(),
        })?;
    }
    out.finish()
}

fn modules(out: &mut Out, registry: &EntityRegistry, graph: &GraphStats) -> anyhow::Result<()> {
    for (module, stats) in sorted(&graph.modules) {
        let from = of(registry, module);
        out.write(&StatisticsLine::Module {
            of: from.clone(),
            invocations: stats.invocations,
            is_called: stats.is_called,
            makes_calls: stats.makes_calls,
            cpu_ns: stats.cpu_ns,
        })?;
        for (to, &calls) in sorted(&stats.calls) {
            let to = of(registry, to);
            let from = from.clone();
            out.write(&StatisticsLine::Calls { from, to, calls })?;
        }
        for (to, &bytes) in sorted(&stats.call_bytes) {
            let to = of(registry, to);
            let from = from.clone();
            out.write(&StatisticsLine::CallBytes { from, to, bytes })?;
        }
    }
    for ((from, to), &calls) in sorted(&graph.recorded_calls) {
        out.write(&StatisticsLine::RecordedCalls {
            from: of(registry, from),
            to: Cow::Borrowed(registry.module_name(to)),
            calls,
        })?;
    }
    Ok(())
}

fn peers(out: &mut Out, registry: &EntityRegistry, graph: &GraphStats) -> anyhow::Result<()> {
    let name = |peer: NameId| Cow::Borrowed(graph.peers.text(peer).unwrap_or_default());
    for ((from, peer), &calls) in sorted(&graph.unanswered) {
        out.write(&StatisticsLine::Unanswered {
            from: of(registry, from),
            peer: name(peer),
            calls,
        })?;
    }
    for (peer, &module) in sorted(&graph.module_behind) {
        out.write(&StatisticsLine::Behind {
            peer: name(peer),
            module: of(registry, module),
        })?;
    }
    for (peer, &module) in sorted(&graph.recorded_behind) {
        out.write(&StatisticsLine::RecordedBehind {
            peer: name(peer),
            module: Cow::Borrowed(registry.module_name(module)),
        })?;
    }
    Ok(())
}

fn endpoints(out: &mut Out, registry: &EntityRegistry, graph: &GraphStats) -> anyhow::Result<()> {
    let mut endpoints: Vec<_> = graph.endpoints.iter().collect();
    endpoints.sort_by_key(|(module, listed, _)| (*module, listed.map(|(_, first)| first)));
    for (module, listed, stats) in endpoints {
        let listed = listed.map(|(endpoint, first)| ListedEndpoint {
            endpoint: Cow::Borrowed(endpoint),
            trace: Cow::Owned(first.trace.to_string()),
            row: first.row,
        });
        out.write(&StatisticsLine::Endpoint {
            of: of(registry, module),
            listed,
            statistics: MaybeOwned::Borrowed(stats),
        })?;
    }
    Ok(())
}

fn clocks(out: &mut Out, registry: &EntityRegistry, graph: &GraphStats) -> anyhow::Result<()> {
    for (&(from, to), &bounds) in &graph.clocks.pairs {
        out.write(&StatisticsLine::Clock {
            from: node(registry, from),
            to: node(registry, to),
            bounds,
        })?;
    }
    Ok(())
}

/// The calls of one second and pair that are not written yet.
struct OpenSecond {
    pair: NodePair,
    second: u64,
    sent: Option<u64>,
    received: Option<u64>,
    net_ns: Vec<i64>,
}

impl OpenSecond {
    fn new(pair: NodePair, second: u64) -> Self {
        Self {
            pair,
            second,
            sent: None,
            received: None,
            net_ns: Vec::new(),
        }
    }

    fn add(&mut self, call: &LinkCall) {
        let add = |sum: &mut Option<u64>, more: Option<u64>| {
            if let Some(more) = more {
                *sum = Some(sum.unwrap_or(0).saturating_add(more));
            }
        };
        add(&mut self.sent, call.sent);
        add(&mut self.received, call.received);
        self.net_ns.push(call.net_ns);
    }

    fn write(&mut self, out: &mut Out, registry: &EntityRegistry) -> anyhow::Result<()> {
        out.write(&SecondLine {
            second: self.second,
            from: node(registry, self.pair.0),
            to: node(registry, self.pair.1),
            sent: self.sent.take(),
            received: self.received.take(),
            net_ns: std::mem::take(&mut self.net_ns),
        })
    }
}

fn seconds(folder: &Path, registry: &EntityRegistry, graph: &mut GraphStats) -> anyhow::Result<()> {
    let mut out = Out::create(folder, LINK_SECONDS)?;
    let mut open: Option<OpenSecond> = None;
    graph.links.drain_seconds(|pair, second, call| {
        let fits = |open: &OpenSecond| {
            (open.pair, open.second) == (pair, second) && open.net_ns.len() < NET_TIMES_MAX
        };
        if !open.as_ref().is_some_and(fits)
            && let Some(mut full) = open.replace(OpenSecond::new(pair, second))
        {
            full.write(&mut out, registry)?;
        }
        if let Some(open) = &mut open {
            open.add(call);
        }
        Ok(())
    })?;
    if let Some(mut last) = open {
        last.write(&mut out, registry)?;
    }
    out.finish()
}

fn samples(folder: &Path, registry: &EntityRegistry, graph: &mut GraphStats) -> anyhow::Result<()> {
    let mut out = Out::create(folder, LINK_SAMPLES)?;
    graph.links.drain_samples(|(from, to), of_link| {
        let (from, to) = (node(registry, from), node(registry, to));
        let number = |bytes: &[u8]| {
            bytes
                .iter()
                .fold(0, |number, &byte| number << 8 | u64::from(byte))
        };
        let line = match of_link {
            OfLink::Sample(sample) => SampleLine::Sample {
                from,
                to,
                order: (number(&sample.order[..8]), number(&sample.order[8..])),
                net_ns: sample.net_ns,
                bytes: sample.bytes,
            },
            OfLink::Further(Some(further)) => SampleLine::Further {
                from,
                to,
                calls: further.calls,
                least_net_ns: further.least_net_ns,
            },
            OfLink::Further(None) => return Ok(()),
        };
        out.write(&line)
    })?;
    out.finish()
}
