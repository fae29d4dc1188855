//! [`Signature`]: which calls an invocation makes, so that each can be found in other invocations of its endpoint.
//!
//! Calls of one internal span form a branch. A branch is known by what it calls, and its place among equal ones in the order
//! of their first calls. A call is known by its branch, its receiver, and its place among equal ones of its branch.

use super::timeline::Timeline;

/// The calls of an invocation in an order that depends on what is called, not on times between branches.
#[derive(Debug, Default)]
pub struct Signature {
    /// Equal for invocations of one endpoint with the same branches and receivers.
    pub key: Vec<u32>,
    /// For each call in the order of its start: its place in the signature.
    pub places: Vec<u32>,
    /// For each place: number of its internal span in this signature; 0 for none.
    pub branches: Vec<u32>,
}

/// The calls of one internal span.
struct Branch {
    is_internal: bool,
    /// Receiver and index of each call.
    calls: Vec<(u32, u32)>,
}

impl Signature {
    /// Replaces the signature by that of another invocation.
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
        // The sort is stable: equal branches stay in the order of their first calls.
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
