//! [`VisitProgress`], [`CallProgress`]: the state of each visit and call during the simulation.

use super::model::{Load, Wait};
use super::platform::Platform;
use crate::work::{NONE, Waited};

/// The events for which a call or an answer still waits.
#[derive(Debug, Clone, Copy, Default)]
pub struct Pending {
    /// Number of events that must still happen: the start of the visit, the end of each required call, and the quorum of the
    /// group.
    left: u16,
    /// Number of calls of the group that must still end.
    of_group: u16,
}

impl Pending {
    pub fn new(wait: &Wait) -> Self {
        Self {
            left: 1 + wait.after + u16::from(wait.need > 0),
            of_group: wait.need,
        }
    }

    /// Records that the visit has started, or that a required call has ended. Returns whether nothing is left to wait for.
    pub fn one_less(&mut self) -> bool {
        self.left = self.left.saturating_sub(1);
        self.left == 0
    }

    /// Records that a call of the group has ended. Returns whether nothing is left to wait for.
    pub fn one_of_group_less(&mut self) -> bool {
        let Some(of_group) = self.of_group.checked_sub(1) else {
            return false;
        };
        self.of_group = of_group;
        of_group == 0 && self.one_less()
    }
}

/// The state of a visit at one moment.
#[derive(Debug, Clone, Copy)]
pub struct VisitProgress {
    pub answer: Pending,
    /// Number of gaps in progress, before calls and before the answer. Own work is done only in gaps.
    pub working: u32,
    /// The first call whose gap begins when the visit gets its next slot, or [`NONE`]. [`CallProgress::next_ready`] links to
    /// the next one.
    pub ready: u32,
    pub is_answer_ready: bool,
    /// Whether the visit is queued for another slot after calls.
    pub is_back: bool,
    /// The call whose gap needs this slot; `NONE` stands for the answer.
    pub back_for: u32,
    /// When the visit was queued last.
    pub queued_ns: i64,
    /// When the thread of the visit's slot has woken up.
    pub awake_ns: i64,
    /// Whether the station has slots, and the visit needs one.
    pub needs_slot: bool,
    /// Whether the visit releases its slot while it waits for calls.
    pub is_released: bool,
    pub holds_slot: bool,
    pub has_started: bool,
    pub has_answered: bool,
    /// Whether a call has failed whose failure makes this visit fail.
    pub has_failed_call: bool,
    /// Whether the visit's answer is a failure.
    pub has_failed: bool,
}

impl VisitProgress {
    /// The initial state of all visits, before they arrive.
    pub fn all(load: &Load, platform: &Platform) -> Vec<Self> {
        let visits = load.visits.iter().map(|visit| {
            let station = platform.hosts[visit.instance as usize].station;
            let needs_slot = station.slots.is_some() && visit.waited != Waited::Unknown;
            Self {
                answer: Pending::new(&visit.answer),
                working: 0,
                ready: NONE,
                is_answer_ready: false,
                is_back: false,
                back_for: NONE,
                queued_ns: 0,
                awake_ns: 0,
                needs_slot,
                is_released: needs_slot && station.is_released,
                holds_slot: false,
                has_started: false,
                has_answered: false,
                has_failed_call: false,
                has_failed: false,
            }
        });
        visits.collect()
    }

    /// Whether own work can begin now: the visit has a slot, or needs none.
    pub fn can_work(&self) -> bool {
        !self.needs_slot || self.holds_slot
    }
}

/// The state of a call at one moment.
#[derive(Debug, Clone, Copy)]
pub struct CallProgress {
    pub pending: Pending,
    /// The next call of the visit whose gap begins when the visit gets its next slot, or [`NONE`].
    pub next_ready: u32,
    pub has_started: bool,
    pub has_ended: bool,
    /// When the answer reaches the caller over another link than recorded. The maximum if that is not known yet.
    pub answer_ns: i64,
}

impl CallProgress {
    /// The initial state of all calls, before they start.
    pub fn all(load: &Load) -> Vec<Self> {
        let calls = load.calls.iter().map(|call| Self {
            pending: Pending::new(&call.wait),
            next_ready: NONE,
            has_started: false,
            has_ended: false,
            answer_ns: i64::MAX,
        });
        calls.collect()
    }
}
