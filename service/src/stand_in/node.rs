//! [`Node`]: a call of an invocation, or its answer, with its current state.

use standin::{Call, Ends, Wait, What};

/// A call or the answer. It first waits for ends of calls, then for its gap, and then it runs until its own end.
#[derive(Debug)]
pub struct Node {
    pub gap_ns: u64,
    /// The gap of the plan. `gap_ns` is shorter by what the execution is expected to add.
    pub planned_gap_ns: u64,
    pub cpu_ns: u64,
    /// Number of required ends that have not come yet.
    pub open: usize,
    /// The number of calls of a group that must still end. Only for groups in which some calls need not end.
    pub need: u16,
    /// Time of the last end for which it waited. Its gap begins then.
    pub base_ns: u64,
    pub state: State,
    pub is_message: bool,
    pub ends: Ends,
    pub is_failed: bool,
    /// Planned network time of the call.
    pub net_ns: u64,
    /// Time at which the call was sent.
    pub started_ns: u64,
    /// The delay of the request to each callee.
    pub delays_ns: Vec<u64>,
    /// Expected CPU time of executing the call.
    pub cost_ns: u64,
}

/// The state of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    Waiting,
    InGap,
    Started,
    Ended { is_failed: bool },
}

impl Node {
    /// A call that waits for the ends of `open` required calls, and for its group.
    pub fn of_call(call: &Call<'_>, open: usize) -> Self {
        Self {
            state: State::Waiting,
            is_message: call.what == What::Message,
            ends: call.ends,
            is_failed: call.is_failed,
            net_ns: call.net_ns,
            delays_ns: call.callees.iter().map(|callee| callee.delay_ns).collect(),
            ..Self::of_answer(&call.wait, open)
        }
    }

    /// The answer, which waits for the ends of `open` required calls, and for its group.
    pub fn of_answer(wait: &Wait, open: usize) -> Self {
        Self {
            gap_ns: wait.gap_ns,
            planned_gap_ns: wait.gap_ns,
            cpu_ns: wait.cpu_ns,
            open,
            need: wait.need,
            base_ns: 0,
            state: State::Waiting,
            is_message: false,
            ends: Ends::Answer,
            is_failed: false,
            net_ns: 0,
            started_ns: 0,
            delays_ns: Vec::new(),
            cost_ns: 0,
        }
    }

    /// The time at which the gap ends.
    pub fn gap_end_ns(&self) -> u64 {
        self.base_ns.saturating_add(self.gap_ns)
    }

    /// The earliest time at which the caller gets an answer that the callee gave after `response_ns`.
    pub fn arrives_ns(&self, response_ns: u64) -> u64 {
        match self.is_awaited() {
            true => self
                .started_ns
                .saturating_add(response_ns)
                .saturating_add(self.net_ns),
            false => 0,
        }
    }

    /// Removes the delays of a message in progress whose end is known. The requests to its consumers are then sent without the
    /// invocation.
    pub fn take_delays(&mut self) -> Vec<u64> {
        match self.is_message && !self.is_awaited() && self.state == State::Started {
            true => std::mem::take(&mut self.delays_ns),
            false => Vec::new(),
        }
    }

    /// Removes the delays of a message in progress that ends with an answer. The delay of the first consumer is kept, because the
    /// request to it was already sent. The requests to the others are then sent without the invocation, after the answer.
    pub fn take_delays_after_answer(&mut self) -> Vec<u64> {
        let ends_with_answer = self.is_message && self.ends == Ends::Answer && self.state == State::Started;
        match ends_with_answer && self.delays_ns.len() > 1 {
            true => self.delays_ns.split_off(1),
            false => Vec::new(),
        }
    }

    /// Whether the node ends with an answer.
    pub fn is_awaited(&self) -> bool {
        !matches!(self.ends, Ends::Duration(_))
    }
}
