//! The reference for comparisons: the rules of docs/cctf.md, applied to the complete set of a trace's spans. Order and time
//! have no effect.

use std::collections::HashSet;

use cctf_normalizer::join::Role;
use cctf_proto::cctf::SpanId;

use super::model::{Made, id};

/// A row's caller. `None` for a span that has no row.
pub type Row = Option<(Option<SpanId>, IsOrphan)>;
type IsOrphan = bool;

pub struct Reference<'a> {
    spans: &'a [Made],
    parents: Vec<Option<usize>>,
    invocations: Vec<bool>,
}

/// The result of a search from a span through its ancestors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Above {
    Invocation(usize),
    Root,
    Unknown,
}

impl<'a> Reference<'a> {
    pub fn new(spans: &'a [Made]) -> Self {
        let mut of = Self {
            spans,
            parents: Vec::new(),
            invocations: Vec::new(),
        };
        of.parents = (0..spans.len()).map(|place| of.find_parent(place)).collect();
        of.invocations = (0..spans.len()).map(|place| of.find_invocation(place)).collect();
        of
    }

    fn with_id(&self, id: usize) -> impl Iterator<Item = usize> + '_ {
        (0..self.spans.len()).filter(move |&place| self.spans[place].id == id)
    }

    fn is_callee(&self, place: usize) -> bool {
        matches!(
            self.spans[place].role,
            Role::Server | Role::Consumer | Role::Receipt
        )
    }

    /// The parent: the call that has the same id as a callee, or else the best of the spans with the parent's id.
    fn find_parent(&self, place: usize) -> Option<usize> {
        let span = &self.spans[place];
        let named = span.parent?;
        let twin = |&other: &usize| {
            self.spans[other].role.is_call()
                && self.spans[other].parent == span.parent
                && self.is_callee(place)
        };
        if let Some(twin) = self.with_id(span.id).find(twin) {
            return Some(twin);
        }
        self.with_id(named)
            .filter(|&other| other != place)
            .min_by_key(|&other| {
                let is_foreign = !self.is_callee(place) && self.spans[other].instance != span.instance;
                (is_foreign, self.spans[other].role.is_call())
            })
    }

    fn is_foreign(&self, place: usize, parent: usize) -> bool {
        self.spans[place].instance != self.spans[parent].instance
    }

    /// Whether a RECEIVE span only polls: its parent then belongs to the same process.
    fn is_poll(&self, place: usize) -> bool {
        let span = &self.spans[place];
        let is_below_its_own = || {
            self.parents[place].is_some_and(|parent| {
                self.spans[parent].role != Role::Producer && !self.is_foreign(place, parent)
            })
        };
        let is_remote = span.is_remote == Some(true);
        span.role == Role::Poll
            || span.role == Role::Receipt && (span.parent.is_none() || !is_remote && is_below_its_own())
    }

    /// Whether the span is an invocation, if no SERVER ancestor prevents this.
    fn is_work(&self, place: usize) -> bool {
        let (span, parent) = (&self.spans[place], self.parents[place]);
        let is_remote = span.is_remote == Some(true);
        let is_below_foreign = || parent.is_some_and(|parent| self.is_foreign(place, parent));
        match span.role {
            Role::Server => true,
            Role::Receipt => !self.is_poll(place),
            // A direct child of the receipt of its message. All receipts outlast their children here.
            Role::Consumer => {
                is_remote
                    || !parent.is_some_and(|parent| {
                        self.spans[parent].role == Role::Receipt
                            && !self.is_poll(parent)
                            && !self.is_foreign(place, parent)
                    })
            }
            Role::Internal => {
                span.parent.is_none() || is_remote || span.is_remote.is_none() && is_below_foreign()
            }
            _ => false,
        }
    }

    /// The SERVER ancestor of a SERVER span in the same instance, if all spans between them are inner spans.
    fn server_above(&self, place: usize) -> Option<usize> {
        if self.spans[place].is_remote == Some(true) {
            return None;
        }
        let (mut at, mut seen) = (place, HashSet::new());
        while seen.insert(at) {
            let parent = self.parents[at].filter(|&parent| !self.is_foreign(at, parent))?;
            match self.spans[parent].role {
                Role::Server => return Some(parent),
                Role::Internal if !self.is_work(parent) => at = parent,
                Role::Poll | Role::Receipt if self.is_poll(parent) => at = parent,
                _ => return None,
            }
        }
        None
    }

    /// The SERVER spans of a cycle in which each one is a second instrumentation of the next one.
    fn cycle_of_servers(&self, place: usize) -> Vec<usize> {
        let (mut on, mut at) = (vec![place], place);
        while let Some(above) = self.server_above(at) {
            if above == place {
                return on;
            }
            if on.contains(&above) {
                return Vec::new();
            }
            on.push(above);
            at = above;
        }
        Vec::new()
    }

    fn find_invocation(&self, place: usize) -> bool {
        if self.spans[place].role != Role::Server || self.server_above(place).is_none() {
            return self.is_work(place);
        }
        let cycle = self.cycle_of_servers(place);
        cycle.iter().min_by_key(|&&place| self.spans[place].id) == Some(&place)
    }

    fn above(&self, place: usize) -> Above {
        let (mut at, mut seen) = (place, HashSet::new());
        while seen.insert(at) {
            if self.spans[at].parent.is_none() {
                return Above::Root;
            }
            match self.parents[at] {
                None => return Above::Unknown,
                Some(parent) if self.invocations[parent] => return Above::Invocation(parent),
                Some(parent) => at = parent,
            }
        }
        Above::Unknown
    }

    /// The invocation at which the cycle is cut.
    fn cut_of(&self, place: usize) -> Option<usize> {
        let mut on = Vec::new();
        let mut at = place;
        while !on.contains(&at) {
            on.push(at);
            match self.above(at) {
                Above::Invocation(above) => at = above,
                _ => return None,
            }
        }
        if at != place {
            return None;
        }
        on.into_iter().min_by_key(|&at| {
            let Above::Invocation(above) = self.above(at) else {
                unreachable!()
            };
            let parent = self.parents[at].unwrap();
            let parent_has_row = self.spans[parent].role.is_call() || self.invocations[parent];
            let is_shorter = self.spans[at].lasted < self.spans[above].lasted;
            (is_shorter, !parent_has_row, self.spans[at].id)
        })
    }

    pub fn row(&self, place: usize) -> Row {
        let is_call = self.spans[place].role.is_call();
        if !is_call && !self.invocations[place] {
            return None;
        }
        if !is_call && self.cut_of(place) == Some(place) {
            return Some((None, true));
        }
        Some(match self.above(place) {
            Above::Invocation(above) => (Some(SpanId(id(self.spans[above].id))), false),
            Above::Root => (None, false),
            Above::Unknown => (None, true),
        })
    }
}
