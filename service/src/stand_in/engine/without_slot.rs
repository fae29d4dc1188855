//! Requests that are sent at their times even if the invocation waits, for example for a slot.

use super::Engine;

impl Engine {
    /// Removes the requests that are due at known times and whose answers no call waits for. Returns time, call and callee of
    /// each.
    pub fn take_sends(&mut self) -> Vec<(u64, usize, usize)> {
        self.events.take_sends(&mut self.nodes)
    }

    /// Removes the requests that are due a fixed time after the answer to a message in progress. Returns call, callee and delay
    /// of each.
    pub fn take_sends_after_answers(&mut self) -> Vec<(usize, usize, u64)> {
        let nodes = self.nodes.iter_mut().enumerate();
        let sends = nodes.flat_map(|(call, node)| {
            let delays_ns = node.take_delays_after_answer();
            (1..)
                .zip(delays_ns)
                .map(move |(callee, delay_ns)| (call, callee, delay_ns))
        });
        sends.collect()
    }
}
