//! [`Event`]: a migration or a scaling during a run.

/// Maximum number of events of a placement. Each event at a utilisation costs one more simulation.
pub const EVENTS_MAX: usize = 16;
/// Maximum number of instances of a scaled group.
pub const REPLICAS_MAX: u32 = 64;

/// One event.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Event {
    /// The group, by its number in the site.
    pub group: u32,
    pub when: When,
    pub action: Action,
}

/// When it happens.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum When {
    /// So many nanoseconds after the first request.
    At(i64),
    /// As soon as the slots of the group have been busy for more than this share of the window in `play`.
    Above(f64),
}

/// What happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// All instances go to the node, by its number in the choices.
    Migrate(u32),
    /// So many instances take turns.
    Scale(u32),
}
