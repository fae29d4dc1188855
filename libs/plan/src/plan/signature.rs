//! [`Signature`]: identifies the calls of an invocation, so that the same calls can be found in other invocations of the
//! endpoint.
//!
//! The calls of one internal span form a branch. Branches are identified by the receivers of their calls. Several branches with
//! the same receivers are numbered in the order of their first calls. A call is identified by its branch and its receiver.
//! Several calls of a branch to the same receiver are numbered in order of time.

use super::timeline::Timeline;

/// The calls of an invocation in a canonical order. The order depends on their receivers, but not on times between branches.
#[derive(Debug, Default)]
pub struct Signature {
    /// Equal for two invocations if they belong to the same endpoint and have the same branches and receivers.
    pub key: Vec<u32>,
    /// For each call, in the order of starts: its place, which is its index in the canonical order.
    pub places: Vec<u32>,
    /// For each place: the number of the internal span of the call; 0 if the call has none.
    pub branches: Vec<u32>,
}

/// The calls of one internal span.
struct Branch {
    is_internal: bool,
    /// Receiver and index of each call.
    calls: Vec<(u32, u32)>,
}

impl Signature {
    /// Computes the signature of another invocation in place of the current one.
    pub fn read(&mut self, endpoint: u32, timeline: &Timeline) {
        self.key.clear();
        self.places.clear();
        self.branches.clear();
        self.key.push(endpoint);
        self.places.resize(timeline.calls.len(), 0);
        let mut branches = branches(timeline);
        for branch in &mut branches {
            branch.calls.sort_unstable();
        }
        let receivers = |branch: &Branch| branch.calls.iter().map(|call| call.0).collect::<Vec<_>>();
        // The sort is stable, so branches with equal keys stay in the order of their first calls.
        branches.sort_by_cached_key(|branch| (branch.is_internal, receivers(branch)));
        for (number, branch) in branches.iter().enumerate() {
            let number = if branch.is_internal { number as u32 + 1 } else { 0 };
            for &(receiver, call) in &branch.calls {
                self.places[call as usize] = self.branches.len() as u32;
                self.branches.push(number);
                self.key.extend([number, receiver]);
            }
        }
    }
}

/// The branches in the order of their first calls.
fn branches(timeline: &Timeline) -> Vec<Branch> {
    let mut branches: Vec<Branch> = Vec::new();
    let mut numbers = foldhash::HashMap::default();
    for (index, call) in timeline.calls.iter().enumerate() {
        let number = *numbers.entry(call.branch).or_insert_with(|| {
            branches.push(Branch {
                is_internal: call.branch.is_some(),
                calls: Vec::new(),
            });
            branches.len() - 1
        });
        branches[number].calls.push((call.receiver, index as u32));
    }
    branches
}
