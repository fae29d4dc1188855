//! [`Model`]: the layered queueing network of a run. Instances are its tasks, and their endpoints are the entries of the tasks.
//! Each entry has a mean demand and mean numbers of calls to other entries.

use foldhash::HashMap;
use plan::plan::{Call, Ends, Invocation, Tree, What};

use crate::counts::Counts;
use crate::job::Job;
use crate::source::Source;

/// Maximum number of entries of one instance. All further endpoints share the last entry. Without routes, an instance can have
/// as many endpoints as requests.
const ENTRIES_PER_INSTANCE_MAX: usize = 32;

/// Sums over the exported roots, from which the mean values follow.
#[derive(Debug, Default)]
pub struct Model {
    pub counts: Counts,
    /// In the order in which they first appear in the trees of the roots.
    pub entries: Vec<Entry>,
    /// The numbers of the entries of each instance.
    pub of_instance: Vec<Vec<u32>>,
    /// Indexed by the number of the instance.
    pub recorded: Vec<Recorded>,
    pub lost: Lost,
    numbers: HashMap<(u32, u32), u32>,
    first_ns: i64,
    last_ns: i64,
}

/// The requests that one instance received at one endpoint. Times are sums over these requests, in nanoseconds.
#[derive(Debug, Clone, Default)]
pub struct Entry {
    pub instance: u32,
    /// The first endpoint, if several share the entry.
    pub endpoint: u32,
    pub invocations: u64,
    /// Invocations that no call of the model causes: roots, and those caused by a message or by a call without a waiting caller.
    pub arrivals: u64,
    pub cpu_ns: i64,
    /// Other own time: sleeps, disks, locks.
    pub other_ns: i64,
    /// Time of calls to something without telemetry, of messages, of sleeps without a slot, and of calls that close a circle.
    pub away_ns: i64,
    /// Calls to other entries, in the order of the first call to each.
    pub calls: Vec<Edge>,
}

/// The calls from one entry to another one, if the callers wait for the answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Edge {
    pub to: u32,
    pub count: u64,
    /// Recorded time of the calls minus the response times of the callees, nanoseconds.
    pub net_ns: i64,
    /// Recorded time of the calls, nanoseconds.
    pub recorded_ns: i64,
}

/// The recorded figures of an instance, for comparison with those of the model. Times are sums in nanoseconds.
#[derive(Debug, Clone, Copy, Default)]
pub struct Recorded {
    pub invocations: u64,
    /// Time from the start to the end of the invocations that had a slot.
    pub service_ns: i64,
    pub response_ns: i64,
    /// Number of invocations that report a queue time.
    pub queued: u64,
    pub queue_ns: i64,
}

/// What the model cannot express.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Lost {
    /// Invocations with calls at the same time.
    pub parallel: u64,
    /// Calls that would close a circle of tasks.
    pub circles: u64,
    /// Invocations that arrive from outside although something in the run caused them.
    pub detached: u64,
    /// Endpoints that share an entry with others.
    pub merged: u64,
}

impl Model {
    /// The model of the exported roots.
    pub fn new(source: &Source<'_>, job: &mut Job<'_>) -> anyhow::Result<Self> {
        let instances = source.plan.recorded.names.instances.len();
        let mut model = Self {
            recorded: vec![Recorded::default(); instances],
            of_instance: vec![Vec::new(); instances],
            first_ns: i64::MAX,
            last_ns: i64::MIN,
            ..Self::default()
        };
        let roots = source.roots();
        for (number, tree) in (1..).zip(source.trees()) {
            model.tree(source, &tree);
            job.advance(number, roots)?;
        }
        Ok(model)
    }

    /// Time from the first arrival to the last end, at least a microsecond, so that rates are finite.
    pub fn seconds(&self) -> f64 {
        (self.last_ns - self.first_ns).max(1_000) as f64 / 1e9
    }

    /// Roots a second.
    pub fn rate(&self) -> f64 {
        self.counts.roots as f64 / self.seconds()
    }

    fn tree(&mut self, source: &Source<'_>, tree: &Tree) {
        self.counts.add_tree(source, tree);
        let mut is_called = vec![false; tree.invocations.len()];
        for invocation in &tree.invocations {
            self.invocation(source, tree, invocation, &mut is_called);
        }
        for (place, invocation) in tree.invocations.iter().enumerate() {
            if !is_called[place] {
                let entry = self.entry(invocation);
                self.entries[entry as usize].arrivals += 1;
                self.lost.detached += u64::from(place > 0);
            }
        }
    }

    fn invocation(
        &mut self,
        source: &Source<'_>,
        tree: &Tree,
        invocation: &Invocation,
        is_called: &mut [bool],
    ) {
        let work = &source.plan.recorded.works[invocation.work as usize];
        self.first_ns = self.first_ns.min(work.enqueue_ns);
        self.last_ns = self.last_ns.max(work.end_ns());
        let recorded = &mut self.recorded[invocation.instance as usize];
        recorded.invocations += 1;
        recorded.response_ns += work.response_ns;
        if !invocation.is_refused {
            recorded.service_ns += work.service_ns();
        }
        if let Some(queue_ns) = work.facts.queue_ns {
            recorded.queued += 1;
            recorded.queue_ns += queue_ns;
        }
        let number = self.entry(invocation) as usize;
        let entry = &mut self.entries[number];
        entry.invocations += 1;
        entry.cpu_ns += invocation.cpu.ns().unwrap_or(0);
        entry.other_ns += invocation.other_ns;
        self.lost.parallel += u64::from(is_parallel(&invocation.calls));
        for call in invocation.calls.iter().filter(|call| !call.is_after_answer) {
            let waits_for_answer = matches!(call.ends, Ends::Answer | Ends::Timeout(_));
            let callee = call
                .callees
                .first()
                .filter(|_| waits_for_answer && call.what == What::Request);
            let Some(callee) = callee else {
                if let Ends::Duration(ns) | Ends::Timeout(ns) = call.ends {
                    self.entries[number].away_ns += ns;
                }
                continue;
            };
            is_called[callee.invocation as usize] = true;
            let to = self.entry(&tree.invocations[callee.invocation as usize]);
            self.entries[number].add_call(to, call);
        }
    }

    /// The number of the entry of an invocation.
    fn entry(&mut self, invocation: &Invocation) -> u32 {
        let (instance, endpoint) = (invocation.instance, invocation.endpoint);
        *self.numbers.entry((instance, endpoint)).or_insert_with(|| {
            let of_instance = &mut self.of_instance[instance as usize];
            if let Some(&last) = of_instance.get(ENTRIES_PER_INSTANCE_MAX - 1) {
                self.lost.merged += 1;
                return last;
            }
            let number = self.entries.len() as u32;
            of_instance.push(number);
            self.entries.push(Entry {
                instance,
                endpoint,
                ..Entry::default()
            });
            number
        })
    }
}

impl Entry {
    fn add_call(&mut self, to: u32, call: &Call) {
        let place = self.calls.iter().position(|edge| edge.to == to);
        let place = place.unwrap_or_else(|| {
            self.calls.push(Edge {
                to,
                count: 0,
                net_ns: 0,
                recorded_ns: 0,
            });
            self.calls.len() - 1
        });
        let edge = &mut self.calls[place];
        edge.count += 1;
        edge.net_ns += call.net_ns.unwrap_or(0).max(0);
        edge.recorded_ns += call.recorded_ns.max(0);
    }

    /// Mean time for which an invocation waits for calls without a callee in the model, and for the network. An instance that
    /// releases its slots during calls occupies no slot during this time. Seconds.
    pub fn away_s(&self) -> f64 {
        let net_ns: i64 = self.calls.iter().map(|edge| edge.net_ns).sum();
        self.mean_s(self.away_ns + net_ns)
    }

    /// The mean of an invocation of this entry, if `ns` is the sum over all of them. Seconds.
    pub fn mean_s(&self, ns: i64) -> f64 {
        ns as f64 / 1e9 / self.invocations.max(1) as f64
    }

    /// Mean number of calls of an invocation.
    pub fn mean_calls(&self, edge: &Edge) -> f64 {
        edge.count as f64 / self.invocations.max(1) as f64
    }
}

/// Whether two calls can be in progress at once. They can if any call does not wait for the call before it.
fn is_parallel(calls: &[Call]) -> bool {
    let mut before = None;
    for (place, call) in (0_u32..).zip(calls).filter(|(_, call)| !call.is_after_answer) {
        let waits = |before: u32| call.wait.after.contains(&before) || call.retry_of == Some(before);
        if before.replace(place).is_some_and(|before| !waits(before)) {
            return true;
        }
    }
    false
}
