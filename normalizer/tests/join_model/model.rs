//! Spans made at random, the contract's rules on them by walking, and a table that holds their rows.

use std::collections::HashMap;

use cctf_normalizer::join::{Arrival, Departed, JoinTable, Outcome, Role};
use cctf_proto::cctf::SpanId;
use proptest::prelude::*;
use proptest::sample::Index;

pub const WINDOW: u64 = 1_000;
pub const TRACE_ID: [u8; 16] = [7; 16];
/// Parents that never arrive have ids from here on.
pub const MISSING: usize = 1_000_000;
pub const ENTRIES_MAX: usize = 1 << 20;

/// A span, named by its place in the list.
#[derive(Debug, Clone, Copy)]
pub struct Made {
    pub role: Role,
    pub instance: u32,
    pub parent: Option<usize>,
    pub is_remote: bool,
}

pub fn id(place: usize) -> [u8; 8] {
    (place as u64 + 1).to_be_bytes()
}

pub fn arrival(place: usize, made: &Made) -> Arrival {
    Arrival {
        trace_id: TRACE_ID,
        span_id: id(place),
        parent_span_id: made.parent.map(|parent| SpanId(id(parent))),
        role: made.role,
        parent_is_remote: made.is_remote,
        instance: made.instance,
        duration_nanos: 10,
        end_unix_nano: 100,
        peer: 0,
    }
}

pub fn role() -> impl Strategy<Value = Role> {
    prop_oneof![
        4 => Just(Role::Server),
        1 => Just(Role::Consumer),
        2 => Just(Role::Receipt),
        1 => Just(Role::Poll),
        3 => Just(Role::Internal),
        4 => Just(Role::Client),
        1 => Just(Role::Producer),
    ]
}

/// Spans whose parents stand before them in the list, so that there is no cycle, or never arrive.
pub fn forest(spans_max: usize) -> impl Strategy<Value = Vec<Made>> {
    let span = (role(), 0..3_u32, any::<Index>(), 0..10_u8, any::<bool>());
    prop::collection::vec(span, 1..spans_max).prop_map(|spans| {
        let make = |(place, (role, instance, above, chance, is_remote)): (usize, (_, _, Index, _, _))| Made {
            role,
            instance,
            parent: match chance {
                0 => Some(MISSING + above.index(3)),
                _ if place == 0 || chance == 1 => None,
                _ => Some(above.index(place)),
            },
            is_remote,
        };
        spans.into_iter().enumerate().map(make).collect()
    })
}

/// Spans whose parents are anywhere: cycles, themselves.
pub fn tangle(spans_max: usize) -> impl Strategy<Value = Vec<Made>> {
    let span = (role(), 0..3_u32, any::<Index>(), any::<bool>());
    prop::collection::vec(span, 1..spans_max).prop_map(|spans| {
        let count = spans.len();
        let make = |(role, instance, above, is_remote): (_, _, Index, _)| Made {
            role,
            instance,
            parent: Some(above.index(count + 1)).filter(|&parent| parent < count),
            is_remote,
        };
        spans.into_iter().map(make).collect()
    })
}

/// Orders of arrival, and the time that passes before each.
pub fn in_any_order(
    spans: impl Strategy<Value = Vec<Made>>,
    step_max: u64,
) -> impl Strategy<Value = (Vec<Made>, Vec<usize>, Vec<u64>)> {
    spans.prop_flat_map(move |spans| {
        let places: Vec<usize> = (0..spans.len()).collect();
        let steps = prop::collection::vec(0..=step_max, spans.len());
        (Just(spans), Just(places).prop_shuffle(), steps)
    })
}

/// Whether a span is an invocation because of its parent alone.
fn is_invocation_below(span: &Made, above: &Made) -> bool {
    let is_own = above.instance == span.instance;
    match span.role {
        Role::Server => above.role.is_call() || !is_own,
        Role::Receipt => above.role == Role::Producer || !is_own,
        Role::Consumer => above.role != Role::Receipt || !is_own,
        _ => false,
    }
}

/// The contract's rules, by walking.
pub struct Model<'a>(pub &'a [Made]);

impl Model<'_> {
    pub fn parent(&self, place: usize) -> Option<&Made> {
        self.0[place].parent.and_then(|parent| self.0.get(parent))
    }

    /// Whether the span's own part is decided once all has arrived.
    pub fn is_known(&self, place: usize) -> bool {
        let span = &self.0[place];
        let Some(parent) = span.parent else { return true };
        let is_callee = matches!(span.role, Role::Server | Role::Consumer | Role::Receipt);
        let by_itself = is_callee && span.is_remote;
        let by_parent = self
            .parent(place)
            .is_some_and(|above| is_invocation_below(span, above));
        by_itself || by_parent || parent < MISSING && self.is_known(parent)
    }

    pub fn is_invocation(&self, place: usize) -> bool {
        let span = &self.0[place];
        match (span.role, span.parent) {
            (Role::Internal | Role::Server | Role::Consumer, None) => true,
            (Role::Consumer, Some(parent)) => {
                span.is_remote
                    || parent >= MISSING
                    || is_invocation_below(span, &self.0[parent])
                    || !self.is_invocation(parent)
            }
            (Role::Receipt, Some(parent)) => {
                span.is_remote || parent >= MISSING || is_invocation_below(span, &self.0[parent])
            }
            (Role::Server, Some(parent)) => {
                span.is_remote
                    || parent >= MISSING
                    || !self.is_within_server(parent)
                    || self.0[parent].instance != span.instance
            }
            _ => false,
        }
    }

    /// Whether a SERVER invocation of the same instance stands at or above, with neither call nor other instance between.
    pub fn is_within_server(&self, place: usize) -> bool {
        let span = &self.0[place];
        match span.role {
            Role::Server if self.is_invocation(place) => true,
            Role::Client | Role::Producer | Role::Consumer => false,
            Role::Receipt if self.is_invocation(place) => false,
            _ => span.parent.is_some_and(|parent| {
                parent < MISSING && self.0[parent].instance == span.instance && self.is_within_server(parent)
            }),
        }
    }

    /// The nearest invocation at or above.
    pub fn ancestor(&self, place: usize) -> Option<SpanId> {
        if self.is_invocation(place) {
            return Some(SpanId(id(place)));
        }
        self.ancestor(self.0[place].parent.filter(|&parent| parent < MISSING)?)
    }

    pub fn has_row(&self, place: usize) -> bool {
        match self.0[place].role {
            Role::Internal => self.0[place].parent.is_none(),
            Role::Poll | Role::Missing => false,
            _ => true,
        }
    }

    /// The parent or ancestor that the row tells of; `Err` for no row. `None` while what is above is not decided.
    pub fn outcome(&self, place: usize) -> Option<Result<Option<SpanId>, ()>> {
        let span = &self.0[place];
        let caused_by = match span.parent {
            None => None,
            Some(parent) if parent < MISSING && self.is_known(parent) => self.ancestor(parent),
            Some(_) => return None,
        };
        Some(if span.role.is_call() || self.is_invocation(place) {
            Ok(caused_by)
        } else {
            Err(())
        })
    }

    pub fn above(&self, place: usize) -> Vec<usize> {
        let mut above = Vec::new();
        let mut at = self.0[place].parent;
        while let Some(parent) = at.filter(|parent| *parent < self.0.len() && !above.contains(parent)) {
            above.push(parent);
            at = self.0[parent].parent;
        }
        above
    }
}

/// A table with its rows, each of which is a span's place.
pub struct Table {
    pub join: JoinTable,
    pub outcomes: HashMap<usize, (Outcome, u64)>,
    pub departed: Vec<Departed>,
}

impl Table {
    pub fn new(entries_max: usize) -> Self {
        Self {
            join: JoinTable::new(WINDOW, entries_max),
            outcomes: HashMap::new(),
            departed: Vec::new(),
        }
    }

    pub fn insert(&mut self, place: usize, made: &Made, has_row: bool, now: u64) {
        match self.join.insert(&arrival(place, made), now) {
            Ok(outcome) if has_row => self.settle(place, outcome, now),
            Err(entry) if has_row => self.join.hold(entry, place as u32),
            _ => {}
        }
        self.take(now);
    }

    pub fn expire(&mut self, now: u64) {
        self.join.expire(now);
        self.take(now);
    }

    pub fn take(&mut self, now: u64) {
        while let Some(settled) = self.join.take_settled() {
            self.settle(settled.row as usize, settled.outcome, now);
        }
        while let Some(departed) = self.join.take_departed() {
            self.departed.push(departed);
        }
    }

    pub fn settle(&mut self, place: usize, outcome: Outcome, now: u64) {
        let before = self.outcomes.insert(place, (outcome, now));
        assert!(before.is_none(), "row {place} is settled twice");
    }

    /// Lets all windows pass. What hangs on later spans may take a window more each time, but not for ever.
    pub fn drain(&mut self, from: u64) {
        for windows in 1..=4 {
            self.expire(from + windows * (WINDOW + 1));
        }
    }
}
