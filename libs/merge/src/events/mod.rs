//! Placement events: starts and stops of instances, scaling and migrations.
//!
//! - [`event`]: an event and its line.
//! - [`lifetimes`]: one start and one stop for each life of an instance.
//! - [`scaling`]: scale and migrate events, inferred from starts and stops.
//! - [`placement`]: the rows of `placement_events.jsonl`.

pub mod event;
pub mod lifetimes;
pub mod placement;
pub mod scaling;
