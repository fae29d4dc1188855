//! [`Moves`]: pairs starts and stops of a module into migrations.

use aggregate::ids::InstanceId;
use aggregate::migrations::is_migration;
use serde::{Deserialize, Serialize};

use crate::pipeline::shared::Shared;

/// Maximum number of starts and stops kept.
const MOVES_MAX: usize = 1024;

/// A start or stop of an instance that may be half of a migration.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Move {
    pub instance: InstanceId,
    /// Nanoseconds since the Unix epoch.
    pub ts_unix_ns: u64,
    /// Start of the instance's life, which this start or stop begins or ends.
    pub began_unix_ns: u64,
    pub is_start: bool,
    /// Journal time at which it became known.
    pub noted_at: u64,
}

/// Starts and stops that are not paired yet.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Moves(Vec<Move>);

impl Moves {
    /// Pairs a start on one node with a stop on another, if they are within the stale time of each other. Returns the start and
    /// the stop. If there is no counterpart, `this` is remembered.
    pub fn pair(&mut self, this: Move, shared: &Shared) -> Option<(Move, Move)> {
        let stale = shared.windows.stale_ns;
        // An inferred stop becomes known only a stale time after it happened.
        let remembered = 2 * stale + shared.windows.join_ns;
        self.0
            .retain(|other| other.noted_at.saturating_add(remembered) >= this.noted_at);
        let name = shared.sources.instance(this.instance);
        let in_order = |other: Move| {
            if this.is_start {
                (this, other)
            } else {
                (other, this)
            }
        };
        let fits = |other: &Move| {
            let other_name = shared.sources.instance(other.instance);
            let nodes = other_name.node.zip(name.node);
            let (start, stop) = in_order(*other);
            other.is_start != this.is_start
                && other_name.module == name.module
                && nodes.is_some_and(|(one, other)| one != other)
                && is_migration(start.ts_unix_ns, stop.ts_unix_ns, stop.began_unix_ns, stale)
        };
        let Some(index) = self.0.iter().rposition(fits) else {
            if self.0.len() >= MOVES_MAX {
                self.0.remove(0);
            }
            self.0.push(this);
            return None;
        };
        Some(in_order(self.0.remove(index)))
    }
}
