//! Placement: which instances live, as told or as concluded from their telemetry.

mod events;
pub mod moves;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use cctf_proto::cctf::PlacementKind;
use serde::{Deserialize, Serialize};

use super::Pipeline;
use super::output::Output;
use super::sources::Source;
use moves::Move;

pub use events::Event;

/// How an instance serves, as it told.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Slots {
    /// Worker slots.
    pub workers: Option<u64>,
    /// Bound of its queue.
    pub queue_limit: Option<u64>,
    /// held or released.
    pub slot_policy: Option<String>,
}

/// A live instance.
#[derive(Debug, Serialize, Deserialize)]
struct Life {
    started_unix_ns: u64,
    last_unix_ns: u64,
    last_heard: u64,
    /// When its start is concluded, unless it is told before.
    announce_at: Option<u64>,
    told: bool,
}

/// All instances' lives.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Placement {
    lives: BTreeMap<u32, Life>,
    /// What each instance told of its slots, kept beyond its life for the inventory.
    pub slots: BTreeMap<u32, Slots>,
    /// Instances that told their stop, and no start since.
    told_stopped: BTreeSet<u32>,
    moves: Vec<Move>,
    /// How many instances of each module live and have been announced; counted from `lives` when first asked for.
    #[serde(skip)]
    replicas: Option<HashMap<u32, u64>>,
}

impl Placement {
    fn count_replica(&mut self, module: u32, change: i64) {
        if let Some(replicas) = &mut self.replicas {
            let count = replicas.entry(module).or_default();
            *count = count.saturating_add_signed(change);
        }
    }

    /// Whether an instance has told its stop, and no start since.
    pub(super) fn has_told_stop(&self, instance: u32) -> bool {
        self.told_stopped.contains(&instance)
    }

    fn is_announced(&self, instance: u32) -> bool {
        self.lives
            .get(&instance)
            .is_some_and(|life| life.announce_at.is_none())
    }
}

impl Pipeline {
    /// Notes that a source's instance lives.
    pub(super) fn hear(&mut self, source: &Arc<Source>, start_unix_ns: u64, end_unix_ns: u64) {
        let Some(instance) = source.instance else { return };
        // What an instance still sends after it told its stop is its last words, not a new life.
        if self.placement.has_told_stop(instance) {
            return;
        }
        let now = self.now;
        let life = self.placement.lives.entry(instance).or_insert_with(|| Life {
            started_unix_ns: start_unix_ns,
            last_unix_ns: end_unix_ns,
            last_heard: now,
            announce_at: Some(now + self.window_ns),
            told: false,
        });
        life.last_heard = now;
        life.last_unix_ns = life.last_unix_ns.max(end_unix_ns);
        if life.announce_at.is_some() {
            life.started_unix_ns = life.started_unix_ns.min(start_unix_ns);
        }
    }

    /// Takes a told start.
    pub(super) fn tell_start(&mut self, instance: u32, ts: u64, slots: Slots, output: &mut Output) {
        self.placement.slots.insert(instance, slots);
        self.placement.told_stopped.remove(&instance);
        let is_announced = self.placement.is_announced(instance);
        let life = Life {
            started_unix_ns: ts,
            last_unix_ns: ts,
            last_heard: self.now,
            announce_at: None,
            told: true,
        };
        self.placement.lives.insert(instance, life);
        if !is_announced {
            let module = self.sources.instance(instance).module;
            self.placement.count_replica(module, 1);
            self.begin_life(instance, ts, false, output);
        }
    }

    fn begin_life(&mut self, instance: u32, ts: u64, inferred: bool, output: &mut Output) {
        let event = Event::new(instance, ts, PlacementKind::Start, inferred);
        self.write_placement(&event, None, output);
        self.note_replicas(instance, ts, output);
        let begun = Move {
            instance,
            ts_unix_ns: ts,
            began_unix_ns: ts,
            is_start: true,
            noted_at: self.now,
        };
        self.note_move(begun, output);
    }

    /// Ends an instance's life. Its last words may be the first that is heard of it: then it began with them.
    pub(super) fn stop_instance(
        &mut self,
        instance: u32,
        ts: u64,
        inferred: bool,
        reason: Option<&str>,
        output: &mut Output,
    ) {
        if !self.placement.is_announced(instance) {
            let now = self.now;
            let life = self.placement.lives.entry(instance).or_insert_with(|| Life {
                started_unix_ns: ts,
                last_unix_ns: ts,
                last_heard: now,
                announce_at: Some(now),
                told: false,
            });
            let started = life.started_unix_ns.min(ts);
            self.conclude_start(instance, started, output);
        }
        if !inferred {
            self.placement.told_stopped.insert(instance);
        }
        let life = self.placement.lives.remove(&instance);
        if life.as_ref().is_some_and(|life| life.announce_at.is_none()) {
            let module = self.sources.instance(instance).module;
            self.placement.count_replica(module, -1);
        }
        let began_unix_ns = life.map_or(ts, |life| life.started_unix_ns);
        let event = Event {
            reason,
            ..Event::new(instance, ts, PlacementKind::Stop, inferred)
        };
        self.write_placement(&event, None, output);
        self.note_replicas(instance, ts, output);
        let ended = Move {
            instance,
            ts_unix_ns: ts,
            began_unix_ns,
            is_start: false,
            noted_at: self.now,
        };
        self.note_move(ended, output);
    }

    fn conclude_start(&mut self, instance: u32, ts: u64, output: &mut Output) {
        let life = self.placement.lives.get_mut(&instance);
        if life.is_some_and(|life| life.announce_at.take().is_some()) {
            let module = self.sources.instance(instance).module;
            self.placement.count_replica(module, 1);
        }
        self.open_own_if_none(output);
        self.begin_life(instance, ts, true, output);
    }

    /// How many instances of a module live and have been announced.
    fn replicas_of(&mut self, module: u32) -> u64 {
        let placement = &mut self.placement;
        let replicas = placement.replicas.get_or_insert_with(|| {
            let mut counted = HashMap::new();
            let announced = placement
                .lives
                .iter()
                .filter(|(_, life)| life.announce_at.is_none());
            for (&instance, _) in announced {
                *counted.entry(self.sources.instance(instance).module).or_default() += 1;
            }
            counted
        });
        replicas.get(&module).copied().unwrap_or(0)
    }

    /// Concludes starts and stops whose time has come.
    pub(super) fn expire_placement(&mut self, output: &mut Output) {
        let now = self.now;
        let due: Vec<(u32, u64, u64, bool)> = self
            .placement
            .lives
            .iter()
            .filter_map(|(&instance, life)| {
                let is_stale = life.last_heard.saturating_add(self.stale_ns) <= now;
                let starts = life.announce_at.is_some_and(|at| at <= now);
                (is_stale || starts).then_some((instance, life.started_unix_ns, life.last_unix_ns, is_stale))
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

    /// Concludes all starts that wait to be told: the normalizer goes down.
    pub(super) fn conclude_starts(&mut self, output: &mut Output) {
        self.conclude_starts_where(|_| true, output);
    }

    /// Concludes the starts of a run's instances that wait to be told: the run is closed.
    pub(super) fn conclude_starts_of(&mut self, run: usize, output: &mut Output) {
        let modules = self.runs.at(run).modules.values();
        let instances: BTreeSet<u32> = modules
            .flat_map(|module| module.instances.iter().copied())
            .collect();
        self.conclude_starts_where(|instance| instances.contains(&instance), output);
    }

    fn conclude_starts_where(&mut self, is_wanted: impl Fn(u32) -> bool, output: &mut Output) {
        let lives = self.placement.lives.iter();
        let waiting: Vec<(u32, u64)> = lives
            .filter(|(instance, life)| life.announce_at.is_some() && is_wanted(**instance))
            .map(|(&instance, life)| (instance, life.started_unix_ns))
            .collect();
        for (instance, started) in waiting {
            self.conclude_start(instance, started, output);
        }
    }
}
