//! The stage for placement: it tracks which instances are alive, as reported or as inferred from their telemetry.

mod events;
mod moves;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use aggregate::ids::{InstanceId, ModuleId, RunId};
use cctf_proto::cctf::{ALREADY_RUNNING, PlacementKind};
use serde::{Deserialize, Serialize};

use self::events::write_event;
use self::moves::{Move, Moves};
use super::output::Output;
use super::shared::Shared;
use super::shared::facts::{Activity, OpenedRun};
use super::shared::registry::WorkerLimits;

pub use self::events::Event;

/// A live instance.
#[derive(Debug, Serialize, Deserialize)]
struct Life {
    started_unix_ns: u64,
    last_unix_ns: u64,
    /// Journal time of the latest telemetry from the instance.
    last_heard: u64,
    /// Journal time at which the start is inferred, unless it is reported before. `None` once the start has been written.
    infer_at: Option<u64>,
    /// Whether its start was reported.
    is_reported: bool,
}

impl Life {
    fn is_announced(&self) -> bool {
        self.infer_at.is_none()
    }
}

/// The lives of all instances.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Placement {
    lives: BTreeMap<InstanceId, Life>,
    moves: Moves,
    /// For each module, the number of live instances whose start was written. Counted from `lives` at first use.
    #[serde(skip)]
    replicas: Option<HashMap<ModuleId, u64>>,
}

impl Placement {
    /// Records that an instance is alive.
    pub fn touch(&mut self, activity: Activity, shared: &Shared) {
        let instance = activity.instance;
        // Telemetry that arrives after the instance has reported its stop does not begin a new life.
        if shared.sources.instance(instance).has_reported_stop {
            return;
        }
        let now = shared.clock.now;
        let life = self.lives.entry(instance).or_insert_with(|| Life {
            started_unix_ns: activity.first_unix_ns,
            last_unix_ns: activity.last_unix_ns,
            last_heard: now,
            infer_at: Some(now + shared.windows.join_ns),
            is_reported: false,
        });
        life.last_heard = now;
        life.last_unix_ns = life.last_unix_ns.max(activity.last_unix_ns);
        if !life.is_announced() {
            life.started_unix_ns = life.started_unix_ns.min(activity.first_unix_ns);
        }
    }

    /// Processes a start that an instance reports. The reason [`ALREADY_RUNNING`] occurs if a recorded run is sent again. No
    /// scaling or migration is inferred from such a start.
    pub fn start_reported(
        &mut self,
        instance: InstanceId,
        ts: u64,
        limits: WorkerLimits,
        reason: Option<&str>,
        shared: &mut Shared,
        output: &mut Output,
    ) {
        let name = shared.sources.instance_mut(instance);
        name.limits = Some(limits);
        name.has_reported_stop = false;
        let is_announced = self.is_announced(instance);
        let life = Life {
            started_unix_ns: ts,
            last_unix_ns: ts,
            last_heard: shared.clock.now,
            infer_at: None,
            is_reported: true,
        };
        self.lives.insert(instance, life);
        if !is_announced {
            self.count_replica(shared.sources.instance(instance).module, 1);
            self.begin_life(instance, ts, (false, reason), shared, output);
        }
    }

    /// Processes a stop that an instance reports.
    pub fn stop_reported(
        &mut self,
        instance: InstanceId,
        ts: u64,
        reason: Option<&str>,
        shared: &mut Shared,
        output: &mut Output,
    ) {
        self.stop(instance, ts, false, reason, shared, output);
    }

    /// Writes a start event for each live instance to each run that was opened since the last call.
    #[inline]
    pub fn announce_opened(&self, shared: &mut Shared, output: &mut Output) {
        while let Some(opened) = shared.take_opened() {
            self.announce_living(opened, shared, output);
        }
    }

    /// Writes a start event for each live instance to a run or part that was just opened.
    pub fn announce_living(&self, opened: OpenedRun, shared: &mut Shared, output: &mut Output) {
        let living = self.lives.iter().filter(|(_, life)| life.is_announced());
        for (&instance, life) in living {
            let event = Event {
                reason: Some(ALREADY_RUNNING),
                ..Event::new(
                    instance,
                    opened.started_unix_ns,
                    PlacementKind::Start,
                    !life.is_reported,
                )
            };
            write_event(&event, &[opened.run], shared, output);
        }
    }

    /// Infers the starts and stops that are due.
    pub fn expire(&mut self, shared: &mut Shared, output: &mut Output) {
        let (now, stale_ns) = (shared.clock.now, shared.windows.stale_ns);
        let due: Vec<(InstanceId, u64, u64, bool)> = self
            .lives
            .iter()
            .filter_map(|(&instance, life)| {
                let is_stale = life.last_heard.saturating_add(stale_ns) <= now;
                let starts = life.infer_at.is_some_and(|at| at <= now);
                (is_stale || starts).then_some((instance, life.started_unix_ns, life.last_unix_ns, is_stale))
            })
            .collect();
        for (instance, started, last, is_stale) in due {
            if is_stale {
                self.stop(instance, last, true, None, shared, output);
            } else {
                self.infer_start(instance, started, shared, output);
            }
        }
    }

    /// Infers all unreported starts, because the normalizer shuts down.
    pub fn infer_starts(&mut self, shared: &mut Shared, output: &mut Output) {
        self.infer_starts_where(|_| true, shared, output);
    }

    /// Infers the unreported starts of a run's instances, because the run is being closed.
    pub fn infer_starts_of(&mut self, run: RunId, shared: &mut Shared, output: &mut Output) {
        let modules = shared.runs[run].modules.values();
        let instances: BTreeSet<InstanceId> = modules
            .flat_map(|module| module.instances.iter().copied())
            .collect();
        self.infer_starts_where(|instance| instances.contains(&instance), shared, output);
    }

    fn infer_starts_where(
        &mut self,
        is_wanted: impl Fn(InstanceId) -> bool,
        shared: &mut Shared,
        output: &mut Output,
    ) {
        let lives = self.lives.iter();
        let waiting: Vec<(InstanceId, u64)> = lives
            .filter(|(instance, life)| !life.is_announced() && is_wanted(**instance))
            .map(|(&instance, life)| (instance, life.started_unix_ns))
            .collect();
        for (instance, started) in waiting {
            self.infer_start(instance, started, shared, output);
        }
    }

    fn is_announced(&self, instance: InstanceId) -> bool {
        self.lives.get(&instance).is_some_and(Life::is_announced)
    }

    fn infer_start(&mut self, instance: InstanceId, ts: u64, shared: &mut Shared, output: &mut Output) {
        let life = self.lives.get_mut(&instance);
        if life.is_some_and(|life| life.infer_at.take().is_some()) {
            self.count_replica(shared.sources.instance(instance).module, 1);
        }
        shared.open_own_if_none(output);
        self.announce_opened(shared, output);
        self.begin_life(instance, ts, (true, None), shared, output);
    }

    fn begin_life(
        &mut self,
        instance: InstanceId,
        ts: u64,
        (inferred, reason): (bool, Option<&str>),
        shared: &mut Shared,
        output: &mut Output,
    ) {
        let event = Event {
            reason,
            ..Event::new(instance, ts, PlacementKind::Start, inferred)
        };
        write_to_live_runs(&event, shared, output);
        if reason == Some(ALREADY_RUNNING) {
            return;
        }
        self.note_replicas(instance, ts, shared, output);
        let begun = Move {
            instance,
            ts_unix_ns: ts,
            began_unix_ns: ts,
            is_start: true,
            noted_at: shared.clock.now,
        };
        self.note_move(begun, shared, output);
    }

    /// Ends the life of an instance. If the instance was unknown, its life began at the same time.
    fn stop(
        &mut self,
        instance: InstanceId,
        ts: u64,
        inferred: bool,
        reason: Option<&str>,
        shared: &mut Shared,
        output: &mut Output,
    ) {
        if !self.is_announced(instance) {
            let now = shared.clock.now;
            let life = self.lives.entry(instance).or_insert_with(|| Life {
                started_unix_ns: ts,
                last_unix_ns: ts,
                last_heard: now,
                infer_at: Some(now),
                is_reported: false,
            });
            let started = life.started_unix_ns.min(ts);
            self.infer_start(instance, started, shared, output);
        }
        if !inferred {
            shared.sources.instance_mut(instance).has_reported_stop = true;
        }
        let life = self.lives.remove(&instance);
        if life.as_ref().is_some_and(Life::is_announced) {
            self.count_replica(shared.sources.instance(instance).module, -1);
        }
        let began_unix_ns = life.map_or(ts, |life| life.started_unix_ns);
        let event = Event {
            reason,
            ..Event::new(instance, ts, PlacementKind::Stop, inferred)
        };
        write_to_live_runs(&event, shared, output);
        self.note_replicas(instance, ts, shared, output);
        let ended = Move {
            instance,
            ts_unix_ns: ts,
            began_unix_ns,
            is_start: false,
            noted_at: shared.clock.now,
        };
        self.note_move(ended, shared, output);
    }

    /// Writes a migration if this start or stop completes one.
    fn note_move(&mut self, this: Move, shared: &mut Shared, output: &mut Output) {
        let Some((start, stop)) = self.moves.pair(this, shared) else {
            return;
        };
        let from_node = shared.sources.instance(stop.instance).node_id.clone();
        let event = Event {
            from_node: Some(&from_node),
            ..Event::new(start.instance, this.ts_unix_ns, PlacementKind::Migrate, true)
        };
        write_to_live_runs(&event, shared, output);
    }

    /// Writes a scale event if the number of a module's live instances has changed and was above zero before and after.
    fn note_replicas(&mut self, instance: InstanceId, ts: u64, shared: &mut Shared, output: &mut Output) {
        let module = shared.sources.instance(instance).module;
        let is_live = self.lives.contains_key(&instance);
        let replicas = self.replicas_of(module, shared);
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
        write_to_live_runs(&event, shared, output);
    }

    /// For a module, the number of live instances whose start was written.
    fn replicas_of(&mut self, module: ModuleId, shared: &Shared) -> u64 {
        let lives = &self.lives;
        let replicas = self.replicas.get_or_insert_with(|| {
            let mut counted = HashMap::new();
            for (&instance, _) in lives.iter().filter(|(_, life)| life.is_announced()) {
                *counted
                    .entry(shared.sources.instance(instance).module)
                    .or_default() += 1;
            }
            counted
        });
        replicas.get(&module).copied().unwrap_or(0)
    }

    fn count_replica(&mut self, module: ModuleId, change: i64) {
        if let Some(replicas) = &mut self.replicas {
            let count = replicas.entry(module).or_default();
            *count = count.saturating_add_signed(change);
        }
    }
}

/// Writes an event to all runs that are not closed.
pub fn write_to_live_runs(event: &Event<'_>, shared: &mut Shared, output: &mut Output) {
    let live: Vec<RunId> = shared.runs.live().collect();
    write_event(event, &live, shared, output);
}
