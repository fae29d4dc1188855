//! [`Node`]: a call of an invocation, or its answer, and how far it is.

use standin::{Call, Ends, Wait, What};

/// A call, or the answer, on its way from its wait to its end.
#[derive(Debug)]
pub struct Node {
    pub gap_ns: u64,
    pub cpu_ns: u64,
    /// Ends for which it waits, all of which must come.
    pub open: usize,
    /// Ends of its group that must come.
    pub need: u16,
    /// The last end for which it waited.
    pub base_ns: u64,
    pub state: State,
    pub is_message: bool,
    pub ends: Ends,
    pub is_failed: bool,
    /// Network time of its exchange.
    pub net_ns: u64,
    /// Time at which it was sent.
    pub started_ns: u64,
    /// For each callee.
    pub delays_ns: Vec<u64>,
    /// Expected CPU time of executing it.
    pub cost_ns: u64,
}

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    Waiting,
    InGap,
    Started,
    Ended { is_failed: bool },
}

impl Node {
    /// A call that waits for `open` ends and those of its group.
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

    /// The answer, likewise.
    pub fn of_answer(wait: &Wait, open: usize) -> Self {
        Self {
            gap_ns: wait.gap_ns,
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

    /// The time at which its gap is over.
    pub fn gap_end_ns(&self) -> u64 {
        self.base_ns.saturating_add(self.gap_ns)
    }

    /// The time at which its caller has an answer that its callee gave after `response_ns`, at the earliest.
    pub fn arrives_ns(&self, response_ns: u64) -> u64 {
        match self.is_awaited() {
            true => self
                .started_ns
                .saturating_add(response_ns)
                .saturating_add(self.net_ns),
            false => 0,
        }
    }

    /// Removes the delays of a message in progress, whose end is known: somebody else reaches its consumers.
    pub fn take_delays(&mut self) -> Vec<u64> {
        match self.is_message && !self.is_awaited() && self.state == State::Started {
            true => std::mem::take(&mut self.delays_ns),
            false => Vec::new(),
        }
    }

    /// Removes the delays of a message in progress that ends with an answer only, except that of its first consumer, which has it.
    /// Somebody else reaches the others after the answer.
    pub fn take_delays_after_answer(&mut self) -> Vec<u64> {
        let ends_with_answer = self.is_message && self.ends == Ends::Answer && self.state == State::Started;
        match ends_with_answer && self.delays_ns.len() > 1 {
            true => self.delays_ns.split_off(1),
            false => Vec::new(),
        }
    }

    /// Whether an answer ends it.
    pub fn is_awaited(&self) -> bool {
        !matches!(self.ends, Ends::Duration(_))
    }
}
