//! [`Events`]: the queue of events of an invocation that happen at known times and need no own work.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::node::{Node, State};

/// An event. Calls and callees are identified by their indices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Event {
    /// A call ends after its duration, or times out.
    End { call: usize },
    /// The answer of a call has crossed the network.
    Arrive { call: usize, is_failed: bool },
    /// A request is due whose answer no call waits for.
    Send { call: usize, callee: usize },
}

/// Future events, the earliest first.
#[derive(Debug, Default)]
pub struct Events(BinaryHeap<Reverse<(u64, Event)>>);

impl Events {
    pub fn add(&mut self, due_ns: u64, event: Event) {
        self.0.push(Reverse((due_ns, event)));
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn next_ns(&self) -> Option<u64> {
        self.0.peek().map(|Reverse((due_ns, _))| *due_ns)
    }

    /// Removes the first event if it is due.
    pub fn take_due(&mut self, now_ns: u64) -> Option<(u64, Event)> {
        self.next_ns().filter(|due_ns| *due_ns <= now_ns)?;
        self.0.pop().map(|Reverse(due)| due)
    }

    /// Drops the first events of the queue, as long as they are timeouts of calls that have already ended.
    pub fn drop_timeouts(&mut self, nodes: &[Node]) {
        while let Some(Reverse((_, Event::End { call }))) = self.0.peek()
            && nodes[*call].state != State::Started
        {
            self.0.pop();
        }
    }

    /// Removes all requests from the queue. Returns time, call and callee of each.
    pub fn take_sends(&mut self, nodes: &mut [Node]) -> Vec<(u64, usize, usize)> {
        let mut sends = Vec::new();
        for Reverse((due_ns, event)) in std::mem::take(&mut self.0) {
            match event {
                Event::Arrive { .. } => self.add(due_ns, event),
                Event::Send { call, callee } => sends.push((due_ns, call, callee)),
                Event::End { call } => {
                    let delays_ns = nodes[call].take_delays();
                    let due = delays_ns.iter().map(|delay_ns| due_ns.saturating_add(*delay_ns));
                    sends.extend(due.enumerate().map(|(callee, due_ns)| (due_ns, call, callee)));
                    self.add(due_ns, event);
                }
            }
        }
        sends
    }
}
