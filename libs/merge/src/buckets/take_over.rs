//! [`take_over`]: reads the files that all buckets wrote for the rest of the merge. The state is then the same as in a merge that has
//! resolved all traces itself.

use std::path::{Path, PathBuf};

use aggregate::links::LinkCall;
use anyhow::{Context, ensure};
use cctf_proto::cctf::{File, Stage, Text, TraceId};
use rundir::{Ending, Lines, UsageError};
use serde::de::DeserializeOwned;

use crate::buckets::lines::{
    LINK_SAMPLES, LINK_SECONDS, MaybeOwned, NAMES, NameLine, OfModule, STATISTICS, SampleLine, SecondLine,
    StatisticsLine, UNLISTED,
};
use crate::ids::{ModuleId, NodeId};
use crate::registry::{EntityRegistry, RowPlace};
use crate::requests::endpoints::Place;
use crate::requests::graph_stats::{Callee, GraphStats};
use crate::requests::link_calls::{FurtherCalls, Sample};
use crate::requests::partitions::trace_hash;
use crate::requests::unlisted::Unlisted;
use crate::values::encoded;
use cctf_sort::record::Record;
use cctf_sort::sorter::Sorter;

/// Bytes of names, and of listed endpoints, that are sorted in memory.
const HELD_BYTES: usize = 8 << 20;
// A row's place starts with the number of its file. A merge reads invocations before calls, so their numbers must have this order.
const _: () = assert!((File::Invocations as u8) < File::Calls as u8);

/// Reads the files of all buckets in `folders`.
///
/// # Errors
/// A [`UsageError`] if the buckets cannot be combined; otherwise an error of reading.
pub fn take_over(
    folders: &[PathBuf],
    scratch: &Path,
    registry: &mut EntityRegistry,
    graph: &mut GraphStats,
) -> anyhow::Result<()> {
    names(folders, scratch, registry)?;
    let mut endpoints = Sorter::new(scratch, HELD_BYTES);
    for folder in folders {
        each_line(
            folder,
            STATISTICS,
            |line: StatisticsLine<'static>, raw| match line {
                StatisticsLine::Endpoint { of, listed, .. } => {
                    // Unlisted endpoints come last, because they can be united in any order.
                    let mut identity = vec![u8::MAX; 28];
                    if let Some(listed) = listed {
                        let trace = TraceId::parse(&listed.trace).context("invalid trace id")?;
                        identity[..8].copy_from_slice(&trace_hash(&trace).to_be_bytes());
                        identity[8..24].copy_from_slice(&trace.0);
                        identity[24..].copy_from_slice(&listed.row.to_be_bytes());
                    }
                    registry.module(&of.name())?;
                    let key = 0;
                    endpoints.push(&Record {
                        key,
                        identity: &identity,
                        line: raw,
                    })
                }
                other => statistics(other, registry, graph),
            },
        )?;
    }
    let mut state = State { registry, graph };
    endpoints.drain(|record| state.endpoint(serde_json::from_slice(record.line)?))?;
    for folder in folders {
        each_line(folder, UNLISTED, |line, _| state.unlisted(&line))?;
        each_line(folder, LINK_SECONDS, |line, _| state.second(&line))?;
        each_line(folder, LINK_SAMPLES, |line, _| state.sample(&line))?;
    }
    check_full(state.graph)
}

/// Refuses the merge in buckets if a table is full. A single merge would have left out some peers or pairs then.
///
/// # Errors
/// A [`UsageError`].
pub fn check_full(graph: &GraphStats) -> anyhow::Result<()> {
    if graph.is_full() {
        return Err(UsageError(
            "cannot merge in buckets: the run has too many peers, or pairs of modules or nodes that call each other; \
             merge the folders with one cctf merge, which leaves some of them out"
                .to_owned(),
        )
        .into());
    }
    Ok(())
}

/// Passes each line of a bucket's file to `take`, decoded and as it is written.
fn each_line<T: DeserializeOwned>(
    folder: &Path,
    name: &str,
    mut take: impl FnMut(T, &[u8]) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let path = folder.join(name);
    let missing = || format!("cannot read {}: it is missing", path.display());
    let mut lines = Lines::open(path.clone())?.with_context(missing)?;
    while let Some(line) = lines.next_line()? {
        let taken = match line.ending {
            Ending::Newline => serde_json::from_slice(line.bytes)
                .map_err(anyhow::Error::from)
                .and_then(|decoded| take(decoded, line.bytes)),
            _ => Err(anyhow::anyhow!("the line is incomplete or too long")),
        };
        if let Err(error) = taken {
            return Err(error.context(lines.place()));
        }
    }
    Ok(())
}

/// Registers the names of all buckets in the order of the first rows that have them.
fn names(folders: &[PathBuf], scratch: &Path, registry: &mut EntityRegistry) -> anyhow::Result<()> {
    let mut sorter = Sorter::new(scratch, HELD_BYTES);
    for folder in folders {
        each_line(folder, NAMES, |line: NameLine<'static>, raw| {
            let (first, is_instance) = match line {
                NameLine::Node { first, .. } => (first, 0),
                NameLine::Instance { first, .. } => (first, 1),
            };
            let place: RowPlace = first.unwrap_or_default();
            let mut identity = vec![u8::from(first.is_some()), place.0];
            identity.extend_from_slice(&place.1.to_be_bytes());
            identity.extend_from_slice(&place.2.to_be_bytes());
            // A row names its node before its instance.
            identity.push(is_instance);
            let key = 0;
            sorter.push(&Record {
                key,
                identity: &identity,
                line: raw,
            })
        })?;
    }
    sorter.drain(|record| match serde_json::from_slice(record.line)? {
        NameLine::Node { node, stages, first } => {
            registry.row = first;
            for stage in stages {
                let stage = Stage::parse(&stage).context("invalid stage")?;
                registry.node(&encoded(&Text::from(&*node)), stage)?;
            }
            Ok(())
        }
        NameLine::Instance {
            of,
            instance,
            node,
            first,
            last_ns,
        } => {
            registry.row = first;
            register_instance(registry, &of, &instance, &node, &last_ns)
        }
    })
}

fn register_instance(
    registry: &mut EntityRegistry,
    of: &OfModule<'_>,
    instance: &str,
    node: &str,
    last_ns: &[(u32, i64)],
) -> anyhow::Result<()> {
    let json = |text: &str| encoded(&Text::from(text));
    let node = node_id(registry, node)?;
    let (module, named, app) = (json(&of.module), json(instance), of.app.as_deref().map(json));
    let register = |registry: &mut EntityRegistry, last: Option<i64>| {
        registry.instance(&module, &named, app.as_deref(), node, last)
    };
    let id = register(registry, None)?;
    for &(folder, end) in last_ns {
        registry.reading = folder;
        register(registry, Some(end))?;
    }
    let known = &registry.modules[registry.module_of(id).index()];
    if *known != of.name() {
        return Err(UsageError(format!(
            "cannot merge in buckets: the rows of instance {instance} of module {} name several applications; \
             merge the folders with one cctf merge, which takes the first",
            of.module
        ))
        .into());
    }
    Ok(())
}

fn node_id(registry: &mut EntityRegistry, name: &str) -> anyhow::Result<NodeId> {
    Ok(registry.node(&encoded(&Text::from(name)), Stage::Unknown)?)
}

fn module_id(registry: &mut EntityRegistry, of: &OfModule<'_>) -> anyhow::Result<ModuleId> {
    Ok(registry.module(&of.name())?)
}

/// Takes a line about modules, calls or clocks.
fn statistics(
    line: StatisticsLine<'_>,
    registry: &mut EntityRegistry,
    graph: &mut GraphStats,
) -> anyhow::Result<()> {
    let answered = |module| Callee {
        module,
        is_answered: true,
    };
    let recorded = |module| Callee {
        module,
        is_answered: false,
    };
    match line {
        StatisticsLine::Module {
            of,
            invocations,
            is_called,
            makes_calls,
            cpu_ns,
        } => {
            let id = module_id(registry, &of)?;
            let stats = graph.modules.entry(id).or_default();
            stats.invocations += invocations;
            stats.is_called |= is_called;
            stats.makes_calls |= makes_calls;
            stats.cpu_ns.merge(cpu_ns);
        }
        StatisticsLine::Calls { from, to, calls } => {
            let (from, to) = (module_id(registry, &from)?, module_id(registry, &to)?);
            graph.add_calls(from, answered(to), calls);
        }
        StatisticsLine::RecordedCalls { from, to, calls } => {
            let (from, to) = (module_id(registry, &from)?, registry.module_by_name(&to)?);
            graph.add_calls(from, recorded(to), calls);
        }
        StatisticsLine::Unanswered { from, peer, calls } => {
            let from = module_id(registry, &from)?;
            if let Some(peer) = graph.peer(&peer) {
                graph.add_unanswered(from, peer, calls);
            }
        }
        StatisticsLine::CallBytes { from, to, bytes } => {
            let (from, to) = (module_id(registry, &from)?, module_id(registry, &to)?);
            graph.add_bytes(from, to, bytes);
        }
        StatisticsLine::Behind { peer, module } => {
            let module = module_id(registry, &module)?;
            if let Some(peer) = graph.peer(&peer) {
                graph.offer_behind(peer, answered(module), registry);
            }
        }
        StatisticsLine::RecordedBehind { peer, module } => {
            let module = registry.module_by_name(&module)?;
            if let Some(peer) = graph.peer(&peer) {
                graph.offer_behind(peer, recorded(module), registry);
            }
        }
        StatisticsLine::Clock { from, to, bounds } => {
            let pair = (node_id(registry, &from)?, node_id(registry, &to)?);
            graph.clocks.unite(pair, bounds);
        }
        StatisticsLine::Endpoint { .. } => {}
    }
    Ok(())
}

struct State<'s> {
    registry: &'s mut EntityRegistry,
    graph: &'s mut GraphStats,
}

impl State<'_> {
    fn pair(&mut self, from: &str, to: &str) -> anyhow::Result<(NodeId, NodeId)> {
        Ok((node_id(self.registry, from)?, node_id(self.registry, to)?))
    }

    fn endpoint(&mut self, line: StatisticsLine<'static>) -> anyhow::Result<()> {
        let StatisticsLine::Endpoint {
            of,
            listed,
            statistics: MaybeOwned::Owned(statistics),
        } = line
        else {
            return Ok(());
        };
        let module = module_id(self.registry, &of)?;
        let trace = listed.as_ref().and_then(|listed| TraceId::parse(&listed.trace));
        let trace = trace.unwrap_or(TraceId([u8::MAX; 16]));
        let first = Place {
            trace_hash: trace_hash(&trace),
            trace,
            row: listed.as_ref().map_or(0, |listed| listed.row),
        };
        let key = listed.as_ref().map(|listed| &*listed.endpoint);
        self.graph.endpoints.unite(module, key, first, *statistics);
        Ok(())
    }

    fn unlisted(&mut self, line: &Unlisted<'static>) -> anyhow::Result<()> {
        let of = OfModule {
            module: line.module.clone(),
            app: line.app.clone(),
        };
        let module = module_id(self.registry, &of)?;
        let facts = line.facts();
        if !self.graph.endpoints.add_listed(module, &line.endpoint, &facts) {
            self.graph.endpoints.add_other(module, &facts);
        }
        Ok(())
    }

    /// The bytes of all calls of the line are added with its first call; the other calls have no bytes.
    fn second(&mut self, line: &SecondLine<'static>) -> anyhow::Result<()> {
        ensure!(!line.net_ns.is_empty(), "a second without calls");
        let pair = self.pair(&line.from, &line.to)?;
        for (index, &net_ns) in line.net_ns.iter().enumerate() {
            let call = LinkCall {
                net_ns,
                sent: line.sent.filter(|_| index == 0),
                received: line.received.filter(|_| index == 0),
                sent_counts: false,
                end_unix_ns: 0,
            };
            self.graph.links.add_to_second(pair, line.second, &call)?;
        }
        Ok(())
    }

    fn sample(&mut self, line: &SampleLine<'static>) -> anyhow::Result<()> {
        match line {
            SampleLine::Sample {
                from,
                to,
                order: (hash, span),
                net_ns,
                bytes,
            } => {
                let mut order = [0; 16];
                order[..8].copy_from_slice(&hash.to_be_bytes());
                order[8..].copy_from_slice(&span.to_be_bytes());
                let pair = self.pair(from, to)?;
                let (net_ns, bytes) = (*net_ns, *bytes);
                self.graph
                    .links
                    .add_sample(pair, &Sample { order, net_ns, bytes })
            }
            SampleLine::Further {
                from,
                to,
                calls,
                least_net_ns,
            } => {
                let pair = self.pair(from, to)?;
                let (calls, least_net_ns) = (*calls, *least_net_ns);
                self.graph.links.count(pair, FurtherCalls { calls, least_net_ns });
                Ok(())
            }
        }
    }
}
