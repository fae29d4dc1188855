//! Placement: which instances live, as told or as concluded from their telemetry, and the events of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use cctf_proto::cctf::{File, Milliseconds, PlacementEvent, PlacementKind, Text};

use super::Pipeline;
use super::output::Output;
use super::runs::write_row;
use super::sources::Source;

/// Instances that started within this time of each other are one deployment, not a migration.
const DEPLOYMENT_NANOS: u64 = 2_000_000_000;
/// Starts and stops kept to be paired into migrations.
const MOVES_MAX: usize = 1024;

/// How an instance serves, as it told.
#[derive(Debug, Clone, Default)]
pub struct Slots {
    /// Worker slots.
    pub workers: Option<u64>,
    /// Bound of its queue.
    pub queue_limit: Option<u64>,
    /// held or released.
    pub slot_policy: Option<String>,
}

/// A live instance.
#[derive(Debug)]
struct Life {
    started_unix_nano: u64,
    last_unix_nano: u64,
    last_heard: u64,
    /// When its start is concluded, unless it is told before.
    announce_at: Option<u64>,
    told: bool,
}

/// A start or stop that may be half of a migration.
#[derive(Debug, Clone, Copy)]
struct Move {
    instance: u32,
    ts_unix_nano: u64,
    /// Start of the life that the move begins or ends.
    began_unix_nano: u64,
    is_start: bool,
}

/// All instances' lives.
#[derive(Debug, Default)]
pub struct Placement {
    lives: BTreeMap<u32, Life>,
    /// What each instance told of its slots, kept beyond its life for the inventory.
    pub slots: BTreeMap<u32, Slots>,
    /// Instances that told their stop, and no start since.
    told_stopped: BTreeSet<u32>,
    moves: Vec<Move>,
}

/// A placement event's own part.
struct Event<'a> {
    instance: u32,
    ts_unix_nano: u64,
    kind: PlacementKind,
    inferred: bool,
    replicas: Option<u64>,
    from_node: Option<&'a str>,
    reason: Option<&'a str>,
}

impl Pipeline {
    /// Notes that a source's instance lives.
    pub(super) fn hear(
        &mut self,
        source: &Arc<Source>,
        start_unix_nano: u64,
        end_unix_nano: u64,
    ) {
        let Some(instance) = source.instance else { return };
        // What an instance still sends after it told its stop is its last words, not a new life.
        if self.placement.told_stopped.contains(&instance) {
            return;
        }
        let now = self.now;
        let life = self.placement.lives.entry(instance).or_insert_with(|| Life {
            started_unix_nano: start_unix_nano,
            last_unix_nano: end_unix_nano,
            last_heard: now,
            announce_at: Some(now + self.window_nanos),
            told: false,
        });
        life.last_heard = now;
        life.last_unix_nano = life.last_unix_nano.max(end_unix_nano);
        if life.announce_at.is_some() {
            life.started_unix_nano = life.started_unix_nano.min(start_unix_nano);
        }
    }

    /// Takes a told start.
    pub(super) fn tell_start(&mut self, instance: u32, ts: u64, slots: Slots, output: &mut Output) {
        self.placement.slots.insert(instance, slots);
        self.placement.told_stopped.remove(&instance);
        let concluded = self
            .placement
            .lives
            .get(&instance)
            .is_some_and(|life| life.announce_at.is_none());
        let life = Life {
            started_unix_nano: ts,
            last_unix_nano: ts,
            last_heard: self.now,
            announce_at: None,
            told: true,
        };
        self.placement.lives.insert(instance, life);
        if !concluded {
            self.begin_life(instance, ts, false, output);
        }
    }

    fn begin_life(&mut self, instance: u32, ts: u64, inferred: bool, output: &mut Output) {
        let event = Event {
            instance,
            ts_unix_nano: ts,
            kind: PlacementKind::Start,
            inferred,
            replicas: None,
            from_node: None,
            reason: None,
        };
        self.write_placement(&event, None, output);
        self.note_replicas(instance, ts, output);
        self.note_move(
            Move {
                instance,
                ts_unix_nano: ts,
                began_unix_nano: ts,
                is_start: true,
            },
            output,
        );
    }

    /// Ends an instance's life.
    pub(super) fn stop_instance(
        &mut self,
        instance: u32,
        ts: u64,
        inferred: bool,
        reason: Option<&str>,
        output: &mut Output,
    ) {
        if let Some(life) = self.placement.lives.get(&instance)
            && life.announce_at.is_some()
        {
            let started = life.started_unix_nano;
            self.conclude_start(instance, started, output);
        }
        if !inferred {
            self.placement.told_stopped.insert(instance);
        }
        let began = self
            .placement
            .lives
            .remove(&instance)
            .map_or(ts, |life| life.started_unix_nano);
        let event = Event {
            instance,
            ts_unix_nano: ts,
            kind: PlacementKind::Stop,
            inferred,
            replicas: None,
            from_node: None,
            reason,
        };
        self.write_placement(&event, None, output);
        self.note_replicas(instance, ts, output);
        self.note_move(
            Move {
                instance,
                ts_unix_nano: ts,
                began_unix_nano: began,
                is_start: false,
            },
            output,
        );
    }

    fn conclude_start(&mut self, instance: u32, ts: u64, output: &mut Output) {
        if let Some(life) = self.placement.lives.get_mut(&instance) {
            life.announce_at = None;
        }
        self.open_own_if_none(output);
        self.begin_life(instance, ts, true, output);
    }

    /// Writes a told scale or migrate event.
    #[allow(clippy::too_many_arguments, reason = "each is a field of the event")]
    pub(super) fn annotate(
        &mut self,
        instance: u32,
        ts: u64,
        kind: PlacementKind,
        replicas: Option<u64>,
        from_node: Option<&str>,
        reason: Option<&str>,
        output: &mut Output,
    ) {
        let event = Event {
            instance,
            ts_unix_nano: ts,
            kind,
            inferred: false,
            replicas,
            from_node,
            reason,
        };
        self.write_placement(&event, None, output);
    }

    /// A module's number of live instances has changed from one number above zero to another.
    fn note_replicas(&mut self, instance: u32, ts: u64, output: &mut Output) {
        let module = self.sources.instance(instance).module;
        let is_live = self.placement.lives.contains_key(&instance);
        let alive = self.placement.lives.iter();
        let replicas = alive
            .filter(|(other, life)| {
                life.announce_at.is_none() && self.sources.instance(**other).module == module
            })
            .count() as u64;
        let before = if is_live {
            replicas.saturating_sub(1)
        } else {
            replicas + 1
        };
        if replicas == 0 || before == 0 {
            return;
        }
        let event = Event {
            instance,
            ts_unix_nano: ts,
            kind: PlacementKind::Scale,
            inferred: true,
            replicas: Some(replicas),
            from_node: None,
            reason: None,
        };
        self.write_placement(&event, None, output);
    }

    /// Pairs a start on one node with a stop on another into a migration.
    fn note_move(&mut self, this: Move, output: &mut Output) {
        let stale = self.stale_nanos;
        self.placement
            .moves
            .retain(|other| other.ts_unix_nano.abs_diff(this.ts_unix_nano) <= stale);
        let (module, node) = {
            let name = self.sources.instance(this.instance);
            (name.module, name.node)
        };
        let fits = |other: &Move| {
            let name = self.sources.instance(other.instance);
            let (start, stop) = if this.is_start {
                (&this, other)
            } else {
                (other, &this)
            };
            other.is_start != this.is_start
                && name.module == module
                && name.node != node
                && start.ts_unix_nano >= stop.began_unix_nano.saturating_add(DEPLOYMENT_NANOS)
        };
        let Some(at) = self.placement.moves.iter().rposition(fits) else {
            if self.placement.moves.len() >= MOVES_MAX {
                self.placement.moves.remove(0);
            }
            self.placement.moves.push(this);
            return;
        };
        let other = self.placement.moves.remove(at);
        let (start, stop) = if this.is_start {
            (this, other)
        } else {
            (other, this)
        };
        let from_node = self.sources.instance(stop.instance).node_id.clone();
        let event = Event {
            instance: start.instance,
            ts_unix_nano: this.ts_unix_nano,
            kind: PlacementKind::Migrate,
            inferred: true,
            replicas: None,
            from_node: Some(&from_node),
            reason: None,
        };
        self.write_placement(&event, None, output);
    }

    /// Gives a run that opens the instances that live already.
    pub(super) fn announce_living(&mut self, run: usize, output: &mut Output) {
        let started = self.runs.at(run).started_unix_nano;
        let living: Vec<(u32, bool)> = self
            .placement
            .lives
            .iter()
            .filter(|(_, life)| life.announce_at.is_none())
            .map(|(&instance, life)| (instance, life.told))
            .collect();
        for (instance, told) in living {
            let event = Event {
                instance,
                ts_unix_nano: started,
                kind: PlacementKind::Start,
                inferred: !told,
                replicas: None,
                from_node: None,
                reason: Some("already_running"),
            };
            self.write_placement(&event, Some(run), output);
        }
    }

    /// Concludes starts and stops whose time has come.
    pub(super) fn expire_placement(&mut self, output: &mut Output) {
        let now = self.now;
        let due: Vec<(u32, u64, u64, bool)> = self
            .placement
            .lives
            .iter()
            .filter_map(|(&instance, life)| {
                let is_stale = life.last_heard.saturating_add(self.stale_nanos) <= now;
                let starts = life.announce_at.is_some_and(|at| at <= now);
                (is_stale || starts).then_some((
                    instance,
                    life.started_unix_nano,
                    life.last_unix_nano,
                    is_stale,
                ))
            })
            .collect();
        for (instance, started, last, is_stale) in due {
            if is_stale {
                self.stop_instance(instance, last, true, None, output);
            } else {
                self.conclude_start(instance, started, output);
            }
        }
    }

    /// Concludes all starts that wait to be told: the normalizer goes down, or a run is closed.
    pub(super) fn conclude_starts(&mut self, output: &mut Output) {
        let waiting: Vec<(u32, u64)> = self
            .placement
            .lives
            .iter()
            .filter(|(_, life)| life.announce_at.is_some())
            .map(|(&instance, life)| (instance, life.started_unix_nano))
            .collect();
        for (instance, started) in waiting {
            self.conclude_start(instance, started, output);
        }
    }

    /// Time in which the normalizer was down is not silence.
    pub(super) fn forgive_silence(&mut self, down_nanos: u64) {
        for life in self.placement.lives.values_mut() {
            life.last_heard = life.last_heard.saturating_add(down_nanos);
        }
    }

    fn write_placement(&mut self, event: &Event<'_>, only: Option<usize>, output: &mut Output) {
        let targets: Vec<usize> = match only {
            Some(run) => vec![run],
            None => self.runs.live().collect(),
        };
        let instance = self.sources.instance(event.instance);
        let module = self.sources.module(instance.module);
        let slots = self
            .placement
            .slots
            .get(&event.instance)
            .filter(|_| event.kind == PlacementKind::Start);
        let row = PlacementEvent {
            ts: Milliseconds::from_nanos(event.ts_unix_nano as i64),
            app_id: module.app_id.as_deref().map(Text::from),
            module_id: module.module_id.as_str().into(),
            instance_id: instance.instance_id.as_str().into(),
            node_id: instance.node_id.as_str().into(),
            event: event.kind,
            stage: instance.stage,
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
            run.modules
                .entry(instance.module)
                .or_default()
                .instances
                .insert(event.instance);
            write_row(run, output, slot, File::PlacementEvents, &row, event.ts_unix_nano);
        }
    }
}
