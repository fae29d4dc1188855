//! [`Survey`]: counts of roots that a user needs before the roots are sent.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use foldhash::quality::RandomState;

use super::kind::Kind;
use super::root::Root;

/// Maximum number of endpoints that are counted one by one, about 1 MiB. Nobody reads a longer table.
pub const ENDPOINTS_MAX: usize = 10_000;
/// Maximum number of modules. A user must name a target for each.
pub const MODULES_MAX: usize = 10_000;
/// Maximum number of different statuses. HTTP defines some sixty.
pub const STATUSES_MAX: usize = 100;

/// The treatment of roots whose caller is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Orphans {
    /// Count them, but do not send them.
    #[default]
    Drop,
    /// Treat them like all other roots.
    Root,
}

impl Orphans {
    /// Whether a root is selected under this rule.
    pub fn take(self, root: &Root) -> bool {
        self == Self::Root || !root.origin.is_orphan()
    }
}

/// Counts of roots. The fields from `unanswered` on count only roots that can be sent.
#[derive(Debug, Clone, Default)]
pub struct Survey {
    orphans_are: Orphans,
    /// Roots of all kinds, except dropped orphans and background calls.
    pub roots: u64,
    /// Orphans, whether dropped or not.
    pub orphans: u64,
    /// Time of the first and the last root of any kind, nanoseconds since the Unix epoch.
    pub first_ns: Option<i64>,
    pub last_ns: Option<i64>,
    /// Times of the first and the last root of any kind, including orphans even if they are dropped.
    span_with_orphans: Option<(i64, i64)>,
    by_kind: [u64; Kind::ALL.len()],
    /// Roots of all kinds that no invocation in the run processed.
    pub without_invocation: u64,
    /// Roots that have no answer in the run, for example because the client timed out.
    pub unanswered: u64,
    /// Recorded retries.
    pub resent: u64,
    /// Roots of a user's session. The recorded client waited for earlier answers (a closed loop); a replay does not (an open
    /// loop).
    pub with_session: u64,
    /// Roots with a recorded query. Other roots had no query, or it was not recorded.
    pub with_query: u64,
    /// Sizes of bodies.
    pub bodies: Bodies,
    /// Number of roots by status; `None` stands for no answer.
    pub statuses: BTreeMap<Option<i64>, u64>,
    /// Roots whose status is not among the first [`STATUSES_MAX`] different ones.
    pub other_statuses: u64,
    modules: HashMap<Arc<str>, u64, RandomState>,
    /// Roots of modules that are not among the first [`MODULES_MAX`].
    pub other_modules: u64,
    endpoints: HashMap<EndpointName, (u64, Bodies), RandomState>,
    /// Roots of endpoints that are not among the first [`ENDPOINTS_MAX`].
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
    /// The route, or else the path.
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

    /// Times of the first and the last root. `orphans` decides whether orphans are included.
    pub(super) fn span_ns(&self, orphans: Orphans) -> Option<(i64, i64)> {
        match orphans {
            Orphans::Drop => self.first_ns.zip(self.last_ns),
            Orphans::Root => self.span_with_orphans,
        }
    }

    /// Number of roots of all kinds, except background calls. `orphans` decides whether orphans are included.
    pub(super) fn count(&self, orphans: Orphans) -> u64 {
        match (orphans, self.orphans_are) {
            (Orphans::Root, Orphans::Drop) => self.roots + self.orphans,
            (Orphans::Drop, Orphans::Root) => self.roots - self.orphans,
            _ => self.roots,
        }
    }

    /// Number of roots of one kind, except dropped orphans.
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

    /// The kinds that occur and cannot be sent, with their counts.
    pub fn not_sendable(&self) -> impl Iterator<Item = (Kind, u64)> + '_ {
        let kinds = Kind::ALL.into_iter().filter(|kind| !kind.can_be_sent());
        kinds
            .map(|kind| (kind, self.of_kind(kind)))
            .filter(|(_, count)| *count > 0)
    }

    /// Modules with their number of sendable requests, sorted by name.
    pub fn modules(&self) -> BTreeMap<Arc<str>, u64> {
        let modules = self.modules.iter();
        modules.map(|(name, count)| (Arc::clone(name), *count)).collect()
    }

    /// Endpoints, sorted by descending number of requests.
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
