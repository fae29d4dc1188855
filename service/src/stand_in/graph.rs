//! [`Graph`]: for each call of an invocation, the calls that wait for its end. The answer counts as a call.

use standin::Work;

/// The way in which a call waits for another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The end of the other call is required.
    All,
    /// The other call belongs to a group of calls, of which only a given number must end.
    OneOf,
    /// The call is sent only if the other call, its earlier attempt, failed.
    Retry,
}

/// Edges from each call to the calls that wait for it. A node is a call or the answer; the answer is the last node.
#[derive(Debug)]
pub struct Graph {
    /// The waiting calls, sorted by the call for which they wait.
    followers: Vec<(u16, Role)>,
    /// For each node, the start of its range in `followers`; then the end of the last range.
    begins: Vec<u32>,
    /// For each node, the number of required ends.
    open: Vec<u32>,
}

impl Graph {
    pub fn new(work: &Work<'_>) -> Self {
        let answer = work.calls.len();
        let mut edges: Vec<(usize, (u16, Role))> = Vec::new();
        let waits = work.calls.iter().map(|call| &call.wait).chain([&work.answer]);
        // The conversion is safe, because the crate `standin` bounds the number of calls by 1,024.
        for (index, wait) in (0_u16..).zip(waits) {
            edges.extend(wait.after.iter().map(|of| (usize::from(*of), (index, Role::All))));
            edges.extend(
                wait.any_of
                    .iter()
                    .map(|of| (usize::from(*of), (index, Role::OneOf))),
            );
        }
        for (index, call) in (0_u16..).zip(&work.calls) {
            edges.extend(call.retry_of.map(|of| (usize::from(of), (index, Role::Retry))));
            edges.extend(call.is_after_answer.then_some((answer, (index, Role::All))));
        }
        edges.sort_by_key(|(of, _)| *of);
        let mut begins = vec![0; answer + 2];
        let mut open = vec![0; answer + 1];
        for (of, (follower, role)) in &edges {
            begins[of + 1] += 1;
            open[usize::from(*follower)] += u32::from(*role != Role::OneOf);
        }
        for node in 0..=answer {
            begins[node + 1] += begins[node];
        }
        Self {
            followers: edges.into_iter().map(|(_, follower)| follower).collect(),
            begins,
            open,
        }
    }

    /// The calls that wait for the end of a call or of the answer.
    pub fn followers(&self, node: usize) -> &[(u16, Role)] {
        &self.followers[self.begins[node] as usize..self.begins[node + 1] as usize]
    }

    /// The number of ends that are required before the gap of a node begins.
    pub fn open(&self, node: usize) -> usize {
        self.open[node] as usize
    }
}
