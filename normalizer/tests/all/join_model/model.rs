//! Random spans, and a table of their rows.

use std::collections::HashMap;

use aggregate::ids::{InstanceId, NameId};
use cctf_normalizer::join::{Arrival, Evicted, JoinTable, Joined, Outcome, PendingId, Role, RowRef};
use cctf_proto::cctf::SpanId;
use proptest::prelude::*;
use proptest::sample::Index;

pub const WINDOW: u64 = 1_000;
pub const TRACE_ID: [u8; 16] = [7; 16];
/// First id of parents that never arrive.
pub const MISSING: usize = 1_000_000;
pub const ENTRIES_MAX: usize = 1 << 20;

/// A span.
#[derive(Debug, Clone, Copy)]
pub struct Made {
    pub id: usize,
    pub role: Role,
    pub instance: u32,
    /// The id of its parent.
    pub parent: Option<usize>,
    pub is_remote: Option<bool>,
    /// Whether its id may also belong to another span.
    pub may_share: bool,
    pub lasted: i64,
}

/// The instance of spans whose resource has no service name.
pub const UNKNOWN_INSTANCE: u32 = u32::MAX;

/// A root span from an SDK that does not report whether parents are remote.
pub const ROOT: Made = Made {
    id: 0,
    role: Role::Server,
    instance: 0,
    parent: None,
    is_remote: None,
    may_share: false,
    lasted: 10,
};

pub fn id(number: usize) -> [u8; 8] {
    (number as u64 + 1).to_be_bytes()
}

pub fn arrival(made: &Made) -> Arrival {
    Arrival {
        trace_id: TRACE_ID,
        span_id: id(made.id),
        parent_span_id: made.parent.map(|parent| SpanId(id(parent))),
        role: made.role,
        parent_is_remote: made.is_remote,
        may_share_id: made.may_share && made.is_remote.is_none(),
        instance: (made.instance != UNKNOWN_INSTANCE).then(|| InstanceId::new(made.instance as usize)),
        duration_ns: made.lasted,
        end_unix_ns: 100,
        peer: Some(NameId::new(0)),
        run: None,
    }
}

fn role() -> impl Strategy<Value = Role> {
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

/// The random choices for a span: its parent and its properties.
type Drawn = ((Role, u32, Index, u8), (Option<bool>, bool, bool, i64));

fn drawn() -> impl Strategy<Value = Drawn> {
    let remote = prop_oneof![3 => Just(None), 1 => Just(Some(true)), 1 => Just(Some(false))];
    (
        (role(), 0..3_u32, any::<Index>(), 0..12_u8),
        (remote, any::<bool>(), any::<bool>(), 8..12_i64),
    )
}

/// A random trace. Most spans have an earlier parent. Some are roots, some have a parent that never arrives, and there are
/// cycles of any length. In half of the cases, a call of a source that may share ids has an answer with the same id.
pub fn trace(spans_max: usize) -> impl Strategy<Value = Vec<Made>> {
    prop::collection::vec(drawn(), 1..spans_max).prop_map(|spans| {
        let count = spans.len();
        let mut made: Vec<Made> = Vec::new();
        for (id, ((role, instance, above, chance), (is_remote, may_share, is_shared, lasted))) in
            spans.into_iter().enumerate()
        {
            let parent = match chance {
                0 => Some(MISSING + above.index(3)),
                1 => Some(above.index(count)),
                2 => None,
                _ if id == 0 => None,
                _ => Some(above.index(id)),
            };
            let span = Made {
                id,
                role,
                instance,
                parent,
                is_remote,
                may_share,
                lasted,
            };
            made.push(span);
            if role == Role::Client && may_share && is_shared && is_remote.is_none() && parent != Some(id) {
                made.push(Made {
                    role: Role::Server,
                    instance: (instance + u32::from(chance % 3 > 0)) % 3,
                    ..span
                });
            }
        }
        made
    })
}

/// A random order of arrival, and the time before each arrival.
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

/// Whether the pipeline may have a row for the span while the join is undecided.
pub fn may_have_row(span: &Made) -> bool {
    match span.role {
        Role::Internal => span.parent.is_none() || span.is_remote != Some(false),
        Role::Poll | Role::Missing => false,
        _ => true,
    }
}

/// A join table, and its rows. Each row is the index of its span.
pub struct Table {
    pub join: JoinTable,
    pub outcomes: HashMap<usize, (Outcome, u64)>,
    pub evicted: Vec<Evicted>,
}

impl Table {
    pub fn new(entries_max: usize) -> Self {
        Self {
            join: JoinTable::new(WINDOW, entries_max),
            outcomes: HashMap::new(),
            evicted: Vec::new(),
        }
    }

    pub fn insert(&mut self, place: usize, made: &Made, now: u64) {
        match self.join.insert(&arrival(made), now) {
            Joined::Resolved(outcome) if may_have_row(made) => self.resolve(place, outcome, now),
            Joined::Waits(entry) if may_have_row(made) => {
                self.join.hold(entry, RowRef::Pending(PendingId::new(place)));
            }
            _ => {}
        }
        self.take(now);
    }

    pub fn expire(&mut self, now: u64) {
        self.join.expire(now);
        self.take(now);
    }

    pub fn take(&mut self, now: u64) {
        while let Some(resolved) = self.join.take_resolved() {
            let RowRef::Pending(row) = resolved.row else {
                panic!("{resolved:?} is not a row of this table");
            };
            self.resolve(row.index(), resolved.outcome, now);
        }
        self.evicted
            .extend(std::iter::from_fn(|| self.join.take_evicted()));
    }

    pub fn resolve(&mut self, place: usize, outcome: Outcome, now: u64) {
        let before = self.outcomes.insert(place, (outcome, now));
        assert!(before.is_none(), "row {place} is resolved twice");
    }

    /// Lets all windows pass. Rows that depend on later spans can wait for one more window several times, but not without end.
    pub fn drain(&mut self, from: u64) {
        for tenths in 1..=50 {
            self.expire(from + tenths * (WINDOW / 10 + 1));
        }
    }
}
