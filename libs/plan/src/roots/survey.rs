//! [`Survey`]: what a person must know about roots before they are sent.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use foldhash::quality::RandomState;

use super::kind::Kind;
use super::root::Root;

/// Maximum number of endpoints that are counted one by one. A table of more is of no use to a person; about 1 MiB.
pub const ENDPOINTS_MAX: usize = 10_000;
/// Maximum number of modules. Each needs a target, which a person names.
pub const MODULES_MAX: usize = 10_000;
/// Maximum number of different statuses. HTTP uses some sixty.
pub const STATUSES_MAX: usize = 100;

/// Treatment of roots whose caller is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Orphans {
    /// They are counted, not sent.
    #[default]
    Drop,
    /// They are roots like all others.
    Root,
}

impl Orphans {
    /// Whether the root is taken.
    pub fn take(self, root: &Root) -> bool {
        self == Self::Root || !root.origin.is_orphan()
    }
}

/// Counts of roots. Everything below [`Survey::of_kind`] is about the roots that can be sent.
#[derive(Debug, Clone, Default)]
pub struct Survey {
    orphans_are: Orphans,
    /// Roots of all kinds, without dropped orphans and background calls.
    pub roots: u64,
    /// Orphans, dropped or not.
    pub orphans: u64,
    /// Time of the first and the last root of any kind, nanoseconds since the Unix epoch.
    pub first_ns: Option<i64>,
    pub last_ns: Option<i64>,
    /// The same times with orphans, whether or not they are dropped.
    span_with_orphans: Option<(i64, i64)>,
    by_kind: [u64; Kind::ALL.len()],
    /// Roots of all kinds that no invocation in the run processed.
    pub without_invocation: u64,
    /// Those without an answer in the run, such as timeouts of the client.
    pub unanswered: u64,
    /// Recorded retries.
    pub resent: u64,
    /// Those of a user's session: a closed loop when they were recorded, an open one when they are replayed.
    pub with_session: u64,
    /// Those with a recorded query. The others had none, or it was not kept.
    pub with_query: u64,
    /// Sizes of bodies.
    pub bodies: Bodies,
    /// Number by status; `None` is no answer.
    pub statuses: BTreeMap<Option<i64>, u64>,
    /// Those with a status beyond [`STATUSES_MAX`] different ones.
    pub other_statuses: u64,
    modules: HashMap<Arc<str>, u64, RandomState>,
    /// Those of a module beyond [`MODULES_MAX`].
    pub other_modules: u64,
    endpoints: HashMap<EndpointName, (u64, Bodies), RandomState>,
    /// Those of an endpoint beyond [`ENDPOINTS_MAX`].
    pub other_endpoints: u64,
}

/// Sizes of bodies, bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Bodies {
    pub min: Option<u64>,
    pub max: Option<u64>,
    /// Bodies of unknown size.
    pub unknown: u64,
}

impl Bodies {
    fn add(&mut self, bytes: Option<u64>) {
        let Some(bytes) = bytes else {
            self.unknown += 1;
            return;
        };
        self.min = Some(self.min.map_or(bytes, |min| min.min(bytes)));
        self.max = self.max.max(Some(bytes));
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct EndpointName {
    module: Arc<str>,
    method: Option<Arc<str>>,
    shape: Option<Arc<str>>,
}

/// The requests to one endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    pub module: Arc<str>,
    pub method: Arc<str>,
    /// The route, else the path.
    pub shape: Arc<str>,
    pub requests: u64,
    pub bodies: Bodies,
}

impl Survey {
    pub fn new(orphans: Orphans) -> Self {
        Self {
            orphans_are: orphans,
            ..Self::default()
        }
    }

    /// Time of the first and the last root, orphans included or not.
    pub(super) fn span_ns(&self, orphans: Orphans) -> Option<(i64, i64)> {
        match orphans {
            Orphans::Drop => self.first_ns.zip(self.last_ns),
            Orphans::Root => self.span_with_orphans,
        }
    }

    /// Roots of all kinds without background calls, orphans included or not.
    pub(super) fn count(&self, orphans: Orphans) -> u64 {
        match (orphans, self.orphans_are) {
            (Orphans::Root, Orphans::Drop) => self.roots + self.orphans,
            (Orphans::Drop, Orphans::Root) => self.roots - self.orphans,
            _ => self.roots,
        }
    }

    /// Roots of a kind, without dropped orphans.
    pub fn of_kind(&self, kind: Kind) -> u64 {
        self.by_kind[usize::from(kind.number())]
    }

    /// Roots that can be sent.
    pub fn sendable(&self) -> u64 {
        Kind::ALL
            .into_iter()
            .filter(|kind| kind.can_be_sent())
            .map(|kind| self.of_kind(kind))
            .sum()
    }

    /// Kinds that cannot be sent, with their counts, if there are any.
    pub fn not_sendable(&self) -> impl Iterator<Item = (Kind, u64)> + '_ {
        let kinds = Kind::ALL.into_iter().filter(|kind| !kind.can_be_sent());
        kinds
            .map(|kind| (kind, self.of_kind(kind)))
            .filter(|(_, count)| *count > 0)
    }

    /// Modules with their number of requests that can be sent, by name.
    pub fn modules(&self) -> BTreeMap<Arc<str>, u64> {
        let modules = self.modules.iter();
        modules.map(|(name, count)| (Arc::clone(name), *count)).collect()
    }

    /// Endpoints, those with most requests first.
    pub fn endpoints(&self) -> Vec<Endpoint> {
        let text = |text: &Option<Arc<str>>| text.clone().unwrap_or_else(|| "".into());
        let mut endpoints: Vec<Endpoint> = self
            .endpoints
            .iter()
            .map(|(name, (requests, bodies))| Endpoint {
                module: Arc::clone(&name.module),
                method: text(&name.method),
                shape: text(&name.shape),
                requests: *requests,
                bodies: *bodies,
            })
            .collect();
        endpoints.sort_by(|left, right| {
            let by_count = right.requests.cmp(&left.requests);
            let name = |of: &Endpoint| [&of.module, &of.shape, &of.method].map(Arc::clone);
            by_count.then_with(|| name(left).cmp(&name(right)))
        });
        endpoints
    }

    pub fn add(&mut self, root: &Root) {
        if root.kind == Kind::Background {
            self.by_kind[usize::from(root.kind.number())] += 1;
            return;
        }
        self.orphans += u64::from(root.origin.is_orphan());
        let (first, last) = self.span_with_orphans.unwrap_or((root.at_ns, root.at_ns));
        self.span_with_orphans = Some((first.min(root.at_ns), last.max(root.at_ns)));
        if !self.orphans_are.take(root) {
            return;
        }
        self.roots += 1;
        self.without_invocation += u64::from(!root.is_answered);
        self.first_ns = Some(self.first_ns.map_or(root.at_ns, |first| first.min(root.at_ns)));
        self.last_ns = self.last_ns.max(Some(root.at_ns));
        self.by_kind[usize::from(root.kind.number())] += 1;
        if root.kind.can_be_sent() {
            self.add_sendable(root);
        }
    }

    fn add_sendable(&mut self, root: &Root) {
        self.unanswered += u64::from(!root.is_answered);
        self.resent += u64::from(root.is_resent);
        self.with_session += u64::from(root.has_session);
        self.with_query += u64::from(root.query.is_some());
        self.bodies.add(root.body_bytes);
        if let Some(count) = self.statuses.get_mut(&root.status) {
            *count += 1;
        } else if self.statuses.len() < STATUSES_MAX {
            self.statuses.insert(root.status, 1);
        } else {
            self.other_statuses += 1;
        }
        if let Some(count) = self.modules.get_mut(&root.module) {
            *count += 1;
        } else if self.modules.len() < MODULES_MAX {
            self.modules.insert(Arc::clone(&root.module), 1);
        } else {
            self.other_modules += 1;
        }
        let name = EndpointName {
            module: Arc::clone(&root.module),
            method: root.method.clone(),
            shape: root.shape().cloned(),
        };
        let is_full = self.endpoints.len() >= ENDPOINTS_MAX;
        let (requests, bodies) = match self.endpoints.get_mut(&name) {
            Some(found) => found,
            None if is_full => {
                self.other_endpoints += 1;
                return;
            }
            None => self.endpoints.entry(name).or_default(),
        };
        *requests += 1;
        bodies.add(root.body_bytes);
    }
}
