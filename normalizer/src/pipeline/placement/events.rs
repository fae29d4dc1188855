//! Placement events: rows of placement_events.jsonl for the runs that are open.

use cctf_proto::cctf::{File, Milliseconds, PlacementEvent, PlacementKind, Stage, Text};

use crate::mapping::UNKNOWN_NODE;
use crate::pipeline::Pipeline;
use crate::pipeline::output::Output;
use crate::pipeline::runs::write_row;

/// A placement event's own part.
pub struct Event<'a> {
    /// The instance.
    pub instance: u32,
    /// Whether it is of the instance, or told of the module that this one is of.
    pub of_instance: bool,
    /// When, nanoseconds since the Unix epoch.
    pub ts_unix_ns: u64,
    /// What happened.
    pub kind: PlacementKind,
    /// Whether it was concluded rather than told.
    pub inferred: bool,
    /// Live instances after a scale event.
    pub replicas: Option<u64>,
    /// Node that a migrating instance left.
    pub from_node: Option<&'a str>,
    /// Why.
    pub reason: Option<&'a str>,
}

impl Event<'_> {
    /// An event of which nothing more is known.
    pub fn new(instance: u32, ts_unix_ns: u64, kind: PlacementKind, inferred: bool) -> Self {
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

impl Pipeline {
    /// A module's number of live instances has changed from one number above zero to another.
    pub(super) fn note_replicas(&mut self, instance: u32, ts: u64, output: &mut Output) {
        let module = self.sources.instance(instance).module;
        let is_live = self.placement.lives.contains_key(&instance);
        let replicas = self.replicas_of(module);
        let before = if is_live {
            replicas.saturating_sub(1)
        } else {
            replicas + 1
        };
        if replicas == 0 || before == 0 {
            return;
        }
        let event = Event {
            replicas: Some(replicas),
            ..Event::new(instance, ts, PlacementKind::Scale, true)
        };
        self.write_placement(&event, None, output);
    }

    /// Gives a run, or a part of one, that opens the instances that live already.
    pub(in crate::pipeline) fn announce_living(&mut self, run: usize, output: &mut Output) {
        let started = self.runs.at(run).started();
        let living: Vec<(u32, bool)> = self
            .placement
            .lives
            .iter()
            .filter(|(_, life)| life.announce_at.is_none())
            .map(|(&instance, life)| (instance, life.told))
            .collect();
        for (instance, told) in living {
            let event = Event {
                reason: Some("already_running"),
                ..Event::new(instance, started, PlacementKind::Start, !told)
            };
            self.write_placement(&event, Some(run), output);
        }
    }

    /// Writes an event to the one run, or to all that are open.
    pub(in crate::pipeline) fn write_placement(
        &mut self,
        event: &Event<'_>,
        only: Option<usize>,
        output: &mut Output,
    ) {
        let targets: Vec<usize> = match only {
            Some(run) => vec![run],
            None => self.runs.live().collect(),
        };
        let known = event.from_node.filter(|&node| node != UNKNOWN_NODE);
        let from = known.and_then(|node| self.sources.node_named(node));
        let instance = self.sources.instance(event.instance);
        let module = self.sources.module(instance.module);
        // Who tells what became of a module need not know the stage of its node.
        let of_node = || instance.node.map(|node| self.sources.node(node).stage());
        let stage = match (instance.stage, event.kind) {
            (Stage::Unknown, PlacementKind::Scale | PlacementKind::Migrate) if !event.inferred => {
                of_node().unwrap_or(Stage::Unknown)
            }
            (stage, _) => stage,
        };
        let slots = self
            .placement
            .slots
            .get(&event.instance)
            .filter(|_| event.kind == PlacementKind::Start);
        let row = PlacementEvent {
            ts: Milliseconds::from_ns(event.ts_unix_ns as i64),
            app_id: module.app_id.as_deref().map(Text::from),
            module_id: module.module_id.as_str().into(),
            instance_id: event.of_instance.then(|| instance.instance_id.as_str().into()),
            node_id: instance.node_id.as_str().into(),
            event: event.kind,
            stage,
            inferred: event.inferred,
            workers: slots.and_then(|slots| slots.workers),
            queue_limit: slots.and_then(|slots| slots.queue_limit),
            slot_policy: slots
                .and_then(|slots| slots.slot_policy.as_deref())
                .map(Text::from),
            replicas: event.replicas,
            from_node_id: event.from_node.map(Text::from),
            image: module.image.as_deref().map(Text::from),
            cpu_limit: module.cpu_limit,
            mem_limit_mb: module.mem_limit_mb,
            reason: event.reason.map(Text::from),
        };
        for slot in targets {
            let run = self.runs.at(slot);
            if event.kind == PlacementKind::Start && !run.announced.insert(event.instance) {
                continue;
            }
            if event.kind == PlacementKind::Stop {
                run.announced.remove(&event.instance);
            }
            run.nodes.extend(instance.node);
            run.nodes.extend(from);
            let module = run.modules.entry(instance.module).or_default();
            if event.of_instance {
                module.instances.insert(event.instance);
            }
            write_row(run, output, slot, File::PlacementEvents, &row, event.ts_unix_ns);
        }
    }
}
