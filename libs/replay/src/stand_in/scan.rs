//! [`Scan`]: counts the requests to stand-ins before the first one is sent.

use std::collections::{BTreeMap, BTreeSet};

use foldhash::HashSet;
use plan::roots::{Arrival, RootsError};

use super::by_root::ByRoot;
use super::nested::{Changes, Tally, nest};
use super::paths::{Repeat, Stations, repeats_a_module};

/// Maximum number of endpoints that are counted one by one; as in a survey of roots.
const ENDPOINTS_MAX: usize = 10_000;

/// Counts of the requests. A root that is sent twice counts twice.
#[derive(Debug, Default)]
pub struct Scan {
    pub requests: u64,
    /// Roots that no recorded invocation in the plan answered.
    pub unplanned: u64,
    /// Roots whose plan a stand-in would refuse, by reason.
    pub refused: BTreeMap<String, u64>,
    /// Requests that were not recorded as HTTP, by kind.
    pub other_kinds: BTreeMap<&'static str, u64>,
    pub statuses: BTreeMap<Option<i64>, u64>,
    /// By module, method and route.
    pub endpoints: BTreeMap<[String; 3], Requests>,
    /// Requests to endpoints beyond the maximum.
    pub other_endpoints: u64,
    pub tally: Tally,
    /// Whether at least one request reaches each recorded instance.
    pub is_used: Vec<bool>,
    /// Numbers of the trees that are not sent.
    pub excluded: HashSet<u32>,
    /// Numbers of the trees in which a path enters a module twice.
    repeating: Vec<u32>,
    /// Number of times that each tree is sent.
    times: Vec<u32>,
}

/// The requests of one endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Requests {
    pub count: u64,
    /// Sizes of the recorded bodies.
    pub min_bytes: u32,
    pub max_bytes: u32,
}

impl Scan {
    /// Reads all requests, and looks at each tree once.
    ///
    /// # Errors
    /// If the roots cannot be read.
    pub fn of(
        roots: &ByRoot,
        arrivals: impl Iterator<Item = Result<Arrival, RootsError>>,
    ) -> Result<Self, RootsError> {
        let mut scan = Self {
            is_used: vec![false; roots.plan.recorded.names().instances.len()],
            times: vec![0; roots.len()],
            ..Self::default()
        };
        let mut seen = Vec::new();
        for arrival in arrivals {
            let root = arrival?.root;
            let Some(number) = roots.find(&root) else {
                scan.unplanned += 1;
                continue;
            };
            let times = &mut scan.times[number as usize];
            *times += 1;
            if *times == 1 {
                seen.push((number, root.kind, root.status));
            }
        }
        for (number, kind, status) in seen {
            let times = u64::from(scan.times[number as usize]);
            if !scan.tree(roots, number, times) {
                continue;
            }
            scan.requests += times;
            *scan.statuses.entry(status).or_default() += times;
            if !kind.can_be_sent() {
                *scan.other_kinds.entry(kind.name()).or_default() += times;
            }
        }
        Ok(scan)
    }

    /// Adds a tree. Returns false if a stand-in would refuse it.
    fn tree(&mut self, roots: &ByRoot, number: u32, times: u64) -> bool {
        let tree = roots.tree(number);
        let mut tally = Tally::default();
        let bytes_in = tree.invocations.first().and_then(|first| first.bytes_in);
        match nest(&roots.plan, &tree, &Changes::default(), &mut tally) {
            Ok(work) => _ = tally.body(bytes_in, &work),
            Err(error) => {
                *self.refused.entry(error.to_string()).or_default() += times;
                self.excluded.insert(number);
                return false;
            }
        }
        self.tally.add(&tally, times);
        for invocation in &tree.invocations {
            self.is_used[invocation.instance as usize] = true;
        }
        if repeats_a_module(roots, &tree) {
            self.repeating.push(number);
        }
        if let Some(first) = tree.invocations.first() {
            let endpoint = &roots.plan.recorded.names().endpoints[first.endpoint as usize];
            let text = |text: &Option<String>| text.clone().unwrap_or_default();
            let (module, _) = roots.instance(first.instance);
            let name = [module.to_owned(), text(&endpoint.method), text(&endpoint.route)];
            self.endpoint(name, bytes_in.unwrap_or(0), times);
        }
        true
    }

    fn endpoint(&mut self, name: [String; 3], bytes: u32, times: u64) {
        let is_full = self.endpoints.len() >= ENDPOINTS_MAX;
        match self.endpoints.get_mut(&name) {
            Some(requests) => {
                requests.count += times;
                requests.min_bytes = requests.min_bytes.min(bytes);
                requests.max_bytes = requests.max_bytes.max(bytes);
            }
            None if is_full => self.other_endpoints += times,
            None => {
                let requests = Requests {
                    count: times,
                    min_bytes: bytes,
                    max_bytes: bytes,
                };
                self.endpoints.insert(name, requests);
            }
        }
    }

    /// The modules that requests reach, directly or through others.
    pub fn modules<'a>(&self, roots: &'a ByRoot) -> BTreeSet<&'a str> {
        let used = (0..).zip(&self.is_used).filter(|(_, is_used)| **is_used);
        used.map(|(number, _)| roots.instance(number).0).collect()
    }

    /// For each module, the worst path on which requests hold slots of one stand-in more than once.
    pub fn repeats(&self, roots: &ByRoot, stations: &Stations) -> Vec<Repeat> {
        let mut found: BTreeMap<String, Repeat> = BTreeMap::new();
        for number in &self.repeating {
            let Some(repeat) = stations.worst(roots, &roots.tree(*number)) else {
                continue;
            };
            let is_worse = |known: &Repeat| {
                u64::from(repeat.times) * u64::from(known.slots)
                    > u64::from(known.times) * u64::from(repeat.slots)
            };
            if found.get(&repeat.module).is_none_or(is_worse) {
                found.insert(repeat.module.clone(), repeat);
            }
        }
        found.into_values().collect()
    }
}
