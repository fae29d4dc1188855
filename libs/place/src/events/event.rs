//! [`Event`]: a migration or a scaling during a run.

use crate::assignments::Choices;

/// One event.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Event {
    /// The group, by its number in the site.
    pub group: u32,
    pub when: When,
    pub action: Action,
}

/// The time or the condition of an event.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum When {
    /// Nanoseconds after the first request.
    At(i64),
    /// As soon as the slots of the group have been busy for more than this share of the window in `busy`.
    Above(f64),
}

/// The change that an event makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// All instances move to the node with this number in the choices.
    Migrate(u32),
    /// The number of instances that take turns.
    Scale(u32),
}

impl Action {
    /// The new node of a migration, and the new number of instances of a scaling.
    pub fn change(self, choices: &Choices) -> (Option<String>, Option<u32>) {
        match self {
            Self::Migrate(node) => (Some(choices.nodes[node as usize].clone()), None),
            Self::Scale(replicas) => (None, Some(replicas)),
        }
    }
}

impl When {
    /// The utilisation; `None` for an event at a time.
    pub fn above(self) -> Option<f64> {
        match self {
            Self::At(_) => None,
            Self::Above(share) => Some(share),
        }
    }
}
