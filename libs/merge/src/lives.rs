//! [`Lives`]: who lives, as the united events tell it, and the scale and migrate events that are concluded from it.

use std::collections::HashMap;

use aggregate::migrations::is_migration;
use cctf_proto::cctf::{Milliseconds, PlacementEvent, PlacementKind, Row, Text};

use super::directory::{Directory, UNKNOWN_NODE};
use super::lifetimes::is_going_on;
use super::meta::Patience;
use super::placement::push;
use super::sorter::Sorter;
use super::values::encoded;

/// Starts and stops kept to be paired into migrations.
const MOVES_MAX: usize = 1024;

/// A start or stop that may be half of a migration.
struct Move {
    instance: u32,
    module: u32,
    node: String,
    ts: i64,
    began: i64,
    is_start: bool,
    noted: i64,
    line: Vec<u8>,
}

/// Who lives, as far as the events have come.
pub struct Lives {
    patience: Patience,
    began: HashMap<u32, i64>,
    replicas: HashMap<u32, u64>,
    moves: Vec<Move>,
}

impl Lives {
    /// Nobody yet.
    pub fn new(patience: Patience) -> Self {
        Self {
            patience,
            began: HashMap::new(),
            replicas: HashMap::new(),
            moves: Vec::new(),
        }
    }

    /// Takes a start or stop of the instance of that number, which became known at `notice`.
    pub fn note(
        &mut self,
        row: &PlacementEvent<'_>,
        instance: u32,
        notice: u64,
        directory: &Directory,
        by_time: &mut Sorter,
    ) -> anyhow::Result<()> {
        let (module, ts) = (directory.module_of(instance), row.ts.as_ns());
        let is_start = row.event == PlacementKind::Start;
        let replicas = self.replicas.entry(module).or_default();
        let began = if is_start {
            if self.began.insert(instance, ts).is_none() {
                *replicas += 1;
            }
            ts
        } else {
            let began = self.began.remove(&instance);
            *replicas = replicas.saturating_sub(u64::from(began.is_some()));
            began.unwrap_or(ts)
        };
        if is_start && is_going_on(row) {
            return Ok(());
        }
        let now = *replicas;
        let before = if is_start { now.saturating_sub(1) } else { now + 1 };
        if now > 0 && before > 0 {
            let scale = PlacementEvent {
                replicas: Some(now),
                ..concluded(row, row.ts, PlacementKind::Scale)
            };
            push(by_time, row.ts, &encoded(&scale))?;
        }
        let mut line = Vec::new();
        Row::encode(row, &mut line);
        let this = Move {
            instance,
            module,
            node: row.node_id.to_string(),
            ts,
            began,
            is_start,
            noted: (notice ^ 1 << 63) as i64,
            line,
        };
        self.pair(this, by_time)
    }

    fn pair(&mut self, this: Move, by_time: &mut Sorter) -> anyhow::Result<()> {
        let stale_ns = self.patience.stale_ns;
        let remembered = stale_ns.saturating_mul(2).saturating_add(self.patience.join_ns);
        self.moves
            .retain(|other| other.noted.saturating_add(remembered) >= this.noted);
        let fits = |other: &Move| {
            let (start, stop) = if this.is_start {
                (&this, other)
            } else {
                (other, &this)
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
                    unsigned(stop.began),
                    stale_ns.unsigned_abs(),
                )
        };
        let Some(at) = self.moves.iter().rposition(fits) else {
            if self.moves.len() >= MOVES_MAX {
                self.moves.remove(0);
            }
            self.moves.push(this);
            return Ok(());
        };
        let other = self.moves.remove(at);
        let ts = Milliseconds::from_ns(this.ts);
        let (start, stop) = if this.is_start {
            (this, other)
        } else {
            (other, this)
        };
        let row: PlacementEvent<'_> = serde_json::from_slice(&start.line)?;
        let migrate = PlacementEvent {
            from_node_id: Some(Text::from(stop.node.as_str())),
            ..concluded(&row, ts, PlacementKind::Migrate)
        };
        push(by_time, ts, &encoded(&migrate))
    }
}

/// An event that nobody told, of the instance that another is of.
pub(super) fn concluded<'a>(
    of: &PlacementEvent<'a>,
    ts: Milliseconds,
    event: PlacementKind,
) -> PlacementEvent<'a> {
    PlacementEvent {
        ts,
        event,
        inferred: true,
        workers: None,
        queue_limit: None,
        slot_policy: None,
        replicas: None,
        from_node_id: None,
        reason: None,
        ..of.clone()
    }
}
