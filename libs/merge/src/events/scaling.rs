//! [`ScalingEvents`]: infers scale and migrate events from the starts and stops of all instances.

use std::collections::HashMap;

use aggregate::migrations::is_migration;
use cctf_proto::cctf::{Milliseconds, PlacementEvent, PlacementKind, Row, Text};

use crate::events::event::{inferred_event, is_already_running, push_by_time};
use crate::ids::{InstanceId, ModuleId};
use crate::model::Timeouts;
use crate::registry::{EntityRegistry, UNKNOWN_NODE};
use crate::values::encoded;
use cctf_sort::sorter::Sorter;

/// Maximum number of starts and stops that wait for the other half of a migration.
const MOVES_MAX: usize = 1024;

/// A start or stop that may be half of a migration. Times are in nanoseconds.
struct Move {
    instance: InstanceId,
    module: ModuleId,
    node: String,
    ts: i64,
    /// The instance's start.
    started: i64,
    is_start: bool,
    /// The time at which a normalizer would have known of it, nanoseconds.
    noticed: i64,
    line: Vec<u8>,
}

/// State after all starts and stops that were added so far.
pub struct ScalingEvents {
    timeouts: Timeouts,
    /// Starts of the instances that are alive, nanoseconds.
    started: HashMap<InstanceId, i64>,
    replicas: HashMap<ModuleId, u64>,
    moves: Vec<Move>,
}

impl ScalingEvents {
    pub fn new(timeouts: Timeouts) -> Self {
        Self {
            timeouts,
            started: HashMap::new(),
            replicas: HashMap::new(),
            moves: Vec::new(),
        }
    }

    /// Adds a start or stop, and adds the events that follow from it to `by_time`. Starts and stops must be added in the order
    /// in which a normalizer would have known of them.
    pub fn add(
        &mut self,
        row: &PlacementEvent<'_>,
        instance: InstanceId,
        noticed: i64,
        registry: &EntityRegistry,
        by_time: &mut Sorter,
    ) -> anyhow::Result<()> {
        let (module, ts) = (registry.module_of(instance), row.ts.as_ns());
        let is_start = row.event == PlacementKind::Start;
        let replicas = self.replicas.entry(module).or_default();
        let started = if is_start {
            if self.started.insert(instance, ts).is_none() {
                *replicas += 1;
            }
            ts
        } else {
            let started = self.started.remove(&instance);
            *replicas = replicas.saturating_sub(u64::from(started.is_some()));
            started.unwrap_or(ts)
        };
        if is_start && is_already_running(row) {
            return Ok(());
        }
        let now = *replicas;
        let before = if is_start { now.saturating_sub(1) } else { now + 1 };
        if now > 0 && before > 0 {
            let scale = PlacementEvent {
                replicas: Some(now),
                ..inferred_event(row, row.ts, PlacementKind::Scale)
            };
            push_by_time(by_time, row.ts, &encoded(&scale))?;
        }
        let mut line = Vec::new();
        Row::encode(row, &mut line);
        let this = Move {
            instance,
            module,
            node: row.node_id.to_string(),
            ts,
            started,
            is_start,
            noticed,
            line,
        };
        self.pair(this, by_time)
    }

    /// Infers a migration if an earlier move is the other half of this one.
    fn pair(&mut self, this: Move, by_time: &mut Sorter) -> anyhow::Result<()> {
        let Timeouts { join_ns, stale_ns } = self.timeouts;
        let remembered = stale_ns.saturating_mul(2).saturating_add(join_ns);
        self.moves
            .retain(|other| other.noticed.saturating_add(remembered) >= this.noticed);
        let fits = |other: &Move| is_pair(&this, other, stale_ns);
        let Some(index) = self.moves.iter().rposition(fits) else {
            if self.moves.len() >= MOVES_MAX {
                self.moves.remove(0);
            }
            self.moves.push(this);
            return Ok(());
        };
        let other = self.moves.remove(index);
        let ts = Milliseconds::from_ns(this.ts);
        let (start, stop) = if this.is_start {
            (this, other)
        } else {
            (other, this)
        };
        let row: PlacementEvent<'_> = serde_json::from_slice(&start.line)?;
        let migrate = PlacementEvent {
            from_node_id: Some(Text::from(stop.node.as_str())),
            ..inferred_event(&row, ts, PlacementKind::Migrate)
        };
        push_by_time(by_time, ts, &encoded(&migrate))
    }
}

/// Whether two moves are the halves of a migration.
fn is_pair(this: &Move, other: &Move, stale_ns: i64) -> bool {
    let (start, stop) = if this.is_start {
        (this, other)
    } else {
        (other, this)
    };
    let unsigned = |ns: i64| u64::try_from(ns).unwrap_or(0);
    other.is_start != this.is_start
        && other.module == this.module
        && other.node != this.node
        && ![&*other.node, &*this.node].contains(&UNKNOWN_NODE)
        && other.instance != this.instance
        && is_migration(
            unsigned(start.ts),
            unsigned(stop.ts),
            unsigned(stop.started),
            stale_ns.unsigned_abs(),
        )
}
