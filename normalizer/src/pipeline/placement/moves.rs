//! Moves: starts and stops of a module, paired into migrations.

use aggregate::migrations::is_migration;
use cctf_proto::cctf::PlacementKind;
use serde::{Deserialize, Serialize};

use super::events::Event;
use crate::pipeline::Pipeline;
use crate::pipeline::output::Output;

/// Starts and stops kept to be paired into migrations.
const MOVES_MAX: usize = 1024;

/// A start or stop that may be half of a migration.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Move {
    /// The instance.
    pub instance: u32,
    /// When, nanoseconds since the Unix epoch.
    pub ts_unix_ns: u64,
    /// Start of the life that the move begins or ends.
    pub began_unix_ns: u64,
    /// Whether it begins it.
    pub is_start: bool,
    /// Journal time at which it became known.
    pub noted_at: u64,
}

impl Pipeline {
    /// Pairs a start on one node with a stop on another, within the stale time of each other, into a migration.
    pub(super) fn note_move(&mut self, this: Move, output: &mut Output) {
        let stale = self.stale_ns;
        // A stop that is concluded becomes known a stale time after it.
        let remembered = 2 * stale + self.window_ns;
        self.placement
            .moves
            .retain(|other| other.noted_at.saturating_add(remembered) >= this.noted_at);
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
                && name.node.zip(node).is_some_and(|(one, other)| one != other)
                && is_migration(start.ts_unix_ns, stop.ts_unix_ns, stop.began_unix_ns, stale)
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
            from_node: Some(&from_node),
            ..Event::new(start.instance, this.ts_unix_ns, PlacementKind::Migrate, true)
        };
        self.write_placement(&event, None, output);
    }
}
