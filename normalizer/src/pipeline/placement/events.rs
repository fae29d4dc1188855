//! [`Event`]: a placement event, and its rows in placement_events.jsonl.

use aggregate::ids::{InstanceId, RunId};
use cctf_proto::cctf::{File, Milliseconds, PlacementEvent, PlacementKind, Stage, Text};

use crate::mapping::UNKNOWN_NODE;
use crate::pipeline::output::Output;
use crate::pipeline::shared::Shared;

/// A placement event.
pub struct Event<'a> {
    pub instance: InstanceId,
    /// Whether the event concerns the instance itself. Otherwise it concerns the whole module of the instance.
    pub of_instance: bool,
    /// Nanoseconds since the Unix epoch.
    pub ts_unix_ns: u64,
    pub kind: PlacementKind,
    /// Whether it was inferred rather than reported.
    pub inferred: bool,
    /// Number of live instances after a scale event.
    pub replicas: Option<u64>,
    /// Node that a migrating instance left.
    pub from_node: Option<&'a str>,
    pub reason: Option<&'a str>,
}

impl Event<'_> {
    pub fn new(instance: InstanceId, ts_unix_ns: u64, kind: PlacementKind, inferred: bool) -> Self {
        Self {
            instance,
            of_instance: true,
            ts_unix_ns,
            kind,
            inferred,
            replicas: None,
            from_node: None,
            reason: None,
        }
    }
}

/// Writes an event to these runs.
pub fn write_event(event: &Event<'_>, runs: &[RunId], shared: &mut Shared, output: &mut Output) {
    let known = event.from_node.filter(|&node| node != UNKNOWN_NODE);
    let from = known.and_then(|node| shared.sources.node_named(node));
    let sources = &shared.sources;
    let instance = sources.instance(event.instance);
    let module = sources.module(instance.module);
    // A source that reports an event about a module may not know the stage of the module's node.
    let of_node = || instance.node.map(|node| sources.node(node).stage());
    let stage = match (instance.stage, event.kind) {
        (Stage::Unknown, PlacementKind::Scale | PlacementKind::Migrate) if !event.inferred => {
            of_node().unwrap_or(Stage::Unknown)
        }
        (stage, _) => stage,
    };
    let limits = instance.limits.as_ref();
    let limits = limits.filter(|_| event.kind == PlacementKind::Start);
    let row = PlacementEvent {
        ts: Milliseconds::from_ns(event.ts_unix_ns as i64),
        app_id: module.app_id.as_deref().map(Text::from),
        module_id: module.module_id.as_str().into(),
        instance_id: event.of_instance.then(|| instance.instance_id.as_str().into()),
        node_id: instance.node_id.as_str().into(),
        event: event.kind,
        stage,
        inferred: event.inferred,
        workers: limits.and_then(|limits| limits.workers),
        queue_limit: limits.and_then(|limits| limits.queue_limit),
        slot_policy: limits
            .and_then(|limits| limits.slot_policy.as_deref())
            .map(Text::from),
        replicas: event.replicas,
        from_node_id: event.from_node.map(Text::from),
        image: module.image.as_deref().map(Text::from),
        cpu_limit: module.cpu_limit,
        mem_limit_mb: module.mem_limit_mb,
        reason: event.reason.map(Text::from),
    };
    for &run in runs {
        let of = &mut shared.runs[run];
        if event.kind == PlacementKind::Start && !of.announced.insert(event.instance) {
            continue;
        }
        if event.kind == PlacementKind::Stop {
            of.announced.remove(&event.instance);
        }
        of.nodes.extend(instance.node);
        of.nodes.extend(from);
        let module = of.modules.entry(instance.module).or_default();
        if event.of_instance {
            module.instances.insert(event.instance);
        }
        shared
            .runs
            .write_row(run, File::PlacementEvents, &row, event.ts_unix_ns, output);
    }
}
