//! [`Engine`]: the state machine of a planned invocation. It decides what happens, and when. It has no clock and does no I/O:
//! its inputs are times, CPU times and the ends of calls, and its outputs are steps. docs/plan.md, "How to execute it", has the
//! rules.

use std::collections::VecDeque;

use standin::{Ends, Work};

use super::events::{Event, Events};
use super::gaps::Gaps;
use super::graph::{Graph, Role};
use super::node::{Node, State};
use super::step::{Ending, Step};

/// The state of an invocation. A node is a call or the answer. Calls have the same indices as in the plan; the answer is the last
/// node.
#[derive(Debug)]
pub struct Engine {
    nodes: Vec<Node>,
    graph: Graph,
    fails_with: Vec<u16>,
    is_failed: bool,
    gaps: Gaps,
    events: Events,
    steps: VecDeque<Step>,
    /// Buffer that [`Engine::end`] reuses.
    ending: Vec<(usize, u64, bool)>,
    /// Number of calls in progress that end with an answer.
    awaited: usize,
    /// CPU time of all gaps that have ended. A gap is the own time before a call or the answer.
    planned_cpu_ns: u64,
    /// Planned CPU time beside calls (while the invocation only waits for calls) that is not used yet.
    beside_cpu_ns: u64,
    beside_used_ns: u64,
    /// Planned CPU time after the answer. It is not used.
    late_cpu_ns: u64,
    /// CPU time of all gaps before the answer that have not ended.
    future_cpu_ns: u64,
    /// Expected cost (CPU time) of executing those calls before the answer that have not ended.
    open_costs_ns: u64,
    /// Planned time in which a gap was in progress, so far, and the end of its last part.
    gaps_ns: u64,
    gaps_until_ns: u64,
    /// The time at which the gap of the answer ended.
    answer_due_ns: Option<u64>,
    was_idle: bool,
    is_answered: bool,
}

impl Engine {
    /// An invocation that has not started. `work` must have passed the check of the crate `standin`.
    pub fn new(work: &Work<'_>) -> Self {
        let graph = Graph::new(work);
        let calls = work.calls.iter().enumerate();
        let calls = calls.map(|(index, call)| Node::of_call(call, graph.open(index)));
        let before_answer = || work.calls.iter().filter(|call| !call.is_after_answer);
        let answer = Node::of_answer(&work.answer, graph.open(work.calls.len()));
        Self {
            nodes: calls.chain([answer]).collect(),
            graph,
            fails_with: work.fails_with.clone(),
            is_failed: work.is_failed,
            gaps: Gaps::default(),
            events: Events::default(),
            steps: VecDeque::new(),
            ending: Vec::new(),
            awaited: 0,
            planned_cpu_ns: 0,
            beside_cpu_ns: work.beside_cpu_ns,
            beside_used_ns: 0,
            late_cpu_ns: 0,
            future_cpu_ns: before_answer().map(|call| call.wait.cpu_ns).sum::<u64>() + work.answer.cpu_ns,
            open_costs_ns: 0,
            gaps_ns: 0,
            gaps_until_ns: 0,
            answer_due_ns: None,
            was_idle: false,
            is_answered: false,
        }
    }

    /// Starts the invocation.
    pub fn start(&mut self, at_ns: u64) {
        for node in &mut self.nodes {
            node.base_ns = at_ns;
        }
        for index in 0..self.nodes.len() {
            self.begin_gap_if_ready(index);
        }
    }

    /// The next step of an invocation. `cpu_ns` is the CPU time that it has used so far.
    pub fn next(&mut self, now_ns: u64, cpu_ns: u64) -> Step {
        if let Some(step) = self.event(now_ns) {
            return step;
        }
        self.count_beside(cpu_ns);
        while let Some(index) = self.gaps.burning() {
            if cpu_ns < self.burn_target_ns(index) {
                break;
            }
            self.gaps.burnt();
            let gap_cpu_ns = self.nodes[index].cpu_ns;
            self.planned_cpu_ns = self.planned_cpu_ns.saturating_add(gap_cpu_ns);
            self.future_cpu_ns = self.future_cpu_ns.saturating_sub(gap_cpu_ns);
        }
        if let Some((due_ns, index)) = self.gaps.take_ended(now_ns) {
            if index == self.answer() {
                self.answer_due_ns = Some(due_ns);
            }
            return self.leave_gap(index, now_ns);
        }
        self.idle_step()
    }

    /// The next event that needs no own work of the invocation: a call that ends at a known time, or a request that is due.
    pub fn event(&mut self, now_ns: u64) -> Option<Step> {
        self.fire_events(now_ns);
        self.steps.pop_front()
    }

    /// Records that the first callee of a call has answered, or cannot answer. Returns false if the call no longer waits,
    /// because it timed out.
    pub fn answered_by(&mut self, call: usize, at_ns: u64, is_failed: bool) -> bool {
        // Handles earlier events first. The order matters: the last needed end of a group decides when the waiting call starts.
        self.fire_events(at_ns.saturating_sub(1));
        let Some(node) = self.nodes.get(call) else {
            return false;
        };
        let is_awaited = node.state == State::Started && node.is_awaited();
        if is_awaited {
            self.end_call(call, at_ns, is_failed);
        }
        is_awaited
    }

    /// Records that a callee answered after `response_ns`. If the planned network time is over only after `at_ns`, returns true,
    /// and the call ends at that later time, with [`Ending::Answer`]. Otherwise returns false.
    pub fn waits_for_network(&mut self, call: usize, response_ns: u64, at_ns: u64, is_failed: bool) -> bool {
        let node = self.nodes.get(call).filter(|node| node.state == State::Started);
        let due_ns = node.map_or(0, |node| node.arrives_ns(response_ns));
        if due_ns > at_ns {
            self.events.add(due_ns, Event::Arrive { call, is_failed });
        }
        due_ns > at_ns
    }

    /// Records that the answer was sent, after `cpu_ns` of CPU time. The remaining work needs neither a slot nor CPU time.
    pub fn answer_sent(&mut self, at_ns: u64, cpu_ns: u64) {
        self.is_answered = true;
        for index in self.gaps.stop_burning() {
            self.late_cpu_ns = self.late_cpu_ns.saturating_add(self.nodes[index].cpu_ns);
        }
        // A part of this CPU time was already used before the answer.
        let burnt_ns = cpu_ns.saturating_sub(self.planned_cpu_ns);
        self.late_cpu_ns = self.late_cpu_ns.saturating_sub(burnt_ns);
        self.end(self.answer(), at_ns, false);
    }

    /// Records that the invocation has a slot again, since `since_ns`. The gaps that waited for the slot begin at that time.
    pub fn has_slot(&mut self, since_ns: u64) {
        self.fire_events(since_ns);
        self.gaps.begin_at(since_ns, &mut self.nodes);
    }

    /// Adds a wait for a CPU. Waits are not part of the planned gaps, so the gaps get longer.
    pub fn waited_for_cpu(&mut self, wait_ns: u64, now_ns: u64) {
        self.gaps.delay(wait_ns, now_ns, &self.nodes);
    }

    /// Time by which the thread can be late without delaying the end of a gap in progress.
    pub fn slack_ns(&self) -> u64 {
        self.gaps.slack_ns(&self.nodes)
    }

    /// Number of calls in progress that end with an answer.
    pub fn awaited(&self) -> usize {
        self.awaited
    }

    /// Whether the invocation only waits for calls: no gap is in progress.
    pub fn is_idle(&self) -> bool {
        self.gaps.is_empty()
    }

    /// Whether a gap still needs CPU time.
    pub fn is_burning(&self) -> bool {
        self.gaps.is_burning()
    }

    /// Whether the invocation only waits for calls, and at least one of them will end.
    pub fn can_wait_without_slot(&self) -> bool {
        self.is_idle() && (self.awaited > 0 || !self.events.is_empty())
    }

    /// Whether nothing is left to do.
    pub fn is_done(&self) -> bool {
        let has_events = !self.steps.is_empty() || !self.events.is_empty();
        self.is_answered && self.is_idle() && self.awaited == 0 && !has_events
    }

    /// The time of the next event of an invocation without a gap in progress.
    pub fn next_event_ns(&self) -> Option<u64> {
        self.events.next_ns()
    }

    /// Planned CPU time so far. CPU time beside calls counts only as far as it was used.
    pub fn planned_cpu_ns(&self) -> u64 {
        self.planned_cpu_ns
    }

    /// Planned CPU time that was not used, because calls were too short for CPU time beside them, or because it is planned
    /// after the answer.
    pub fn unused_cpu_ns(&self) -> u64 {
        self.beside_cpu_ns.saturating_add(self.late_cpu_ns)
    }

    /// CPU time of the invocation at the end of a gap. This is the planned CPU time, minus the part of the expected costs of
    /// later calls that does not fit into later gaps. So the total equals the plan.
    fn burn_target_ns(&self, index: usize) -> u64 {
        let gap_cpu_ns = self.nodes[index].cpu_ns;
        let further_ns = self
            .future_cpu_ns
            .saturating_sub(gap_cpu_ns)
            .saturating_add(self.beside_cpu_ns);
        let target_ns = self.planned_cpu_ns.saturating_add(gap_cpu_ns);
        target_ns.saturating_sub(self.open_costs_ns.saturating_sub(further_ns))
    }

    fn answer(&self) -> usize {
        self.nodes.len() - 1
    }

    fn idle_step(&mut self) -> Step {
        let until_ns = self
            .gaps
            .next_end_ns()
            .into_iter()
            .chain(self.next_event_ns())
            .min();
        if let Some(index) = self.gaps.burning() {
            return Step::Burn {
                cpu_ns: self.burn_target_ns(index),
                until_ns: until_ns.unwrap_or(u64::MAX),
                is_last: index == self.answer(),
            };
        }
        if until_ns.is_none() && self.awaited == 0 {
            // No further event is possible. This happens only after the answer, because a checked plan always reaches its
            // answer.
            return match self.is_answered {
                true => Step::Done,
                false => self.leave_gap(self.answer(), 0),
            };
        }
        self.was_idle |= self.is_idle();
        let is_beside_calls = self.is_idle() && !self.is_answered;
        let beside_ns = if is_beside_calls { self.beside_cpu_ns } else { 0 };
        Step::Wait {
            until_ns,
            spare_cpu_ns: self.planned_cpu_ns.saturating_add(beside_ns),
        }
    }

    fn leave_gap(&mut self, index: usize, now_ns: u64) -> Step {
        self.nodes[index].state = State::Started;
        self.nodes[index].started_ns = now_ns;
        if index == self.answer() {
            return Step::Answer {
                is_failed: self.fails(),
            };
        }
        let node = &self.nodes[index];
        let is_awaited = node.is_awaited();
        if let Ends::Duration(ns) | Ends::Timeout(ns) = node.ends {
            let due_ns = now_ns.saturating_add(ns);
            self.events.add(due_ns, Event::End { call: index });
        }
        self.awaited += usize::from(is_awaited);
        if is_awaited || !node.is_message {
            self.steps.extend(node.delays_ns.first().map(|_| Step::Send {
                call: index,
                callee: 0,
                is_awaited,
            }));
        }
        if !node.is_message {
            self.schedule_further(index, now_ns, 1);
        }
        Step::Start { call: index }
    }

    /// Schedules the requests to the callees from index `first` on, each after its delay.
    fn schedule_further(&mut self, call: usize, from_ns: u64, first: usize) {
        for (callee, delay_ns) in self.nodes[call].delays_ns.iter().enumerate().skip(first) {
            let due_ns = from_ns.saturating_add(*delay_ns);
            self.events.add(due_ns, Event::Send { call, callee });
        }
    }

    /// Whether the answer is a failure.
    fn fails(&self) -> bool {
        if self.fails_with.is_empty() {
            return self.is_failed;
        }
        let has_failed =
            |call: &u16| self.nodes[usize::from(*call)].state == State::Ended { is_failed: true };
        self.fails_with.iter().any(has_failed)
    }

    fn fire_events(&mut self, now_ns: u64) {
        while let Some((due_ns, event)) = self.events.take_due(now_ns) {
            let (call, end, is_failed) = match event {
                Event::Send { call, callee } => {
                    self.steps.push_back(Step::Send {
                        call,
                        callee,
                        is_awaited: false,
                    });
                    continue;
                }
                Event::Arrive { call, is_failed } => (call, Ending::Answer, is_failed),
                Event::End { call } => match self.nodes[call].ends {
                    Ends::Duration(_) => (call, Ending::Duration, self.nodes[call].is_failed),
                    Ends::Answer | Ends::Timeout(_) => (call, Ending::Timeout, true),
                },
            };
            if self.nodes[call].state == State::Started {
                let at_ns = due_ns;
                self.steps.push_back(Step::End { call, at_ns, end });
                self.end_call(call, due_ns, is_failed);
            }
        }
        self.events.drop_timeouts(&self.nodes);
    }

    fn end_call(&mut self, call: usize, at_ns: u64, is_failed: bool) {
        let node = &self.nodes[call];
        let is_awaited = node.is_awaited();
        self.awaited -= usize::from(is_awaited);
        if node.is_message {
            self.schedule_further(call, at_ns, usize::from(is_awaited));
        }
        self.end(call, at_ns, is_failed);
        self.events.drop_timeouts(&self.nodes);
    }

    /// Ends a call or the answer, and everything that ends at the same time as a consequence.
    fn end(&mut self, index: usize, at_ns: u64, is_failed: bool) {
        let mut ending = std::mem::take(&mut self.ending);
        ending.push((index, at_ns, is_failed));
        while let Some((index, at_ns, is_failed)) = ending.pop() {
            self.nodes[index].state = State::Ended { is_failed };
            self.open_costs_ns = self.open_costs_ns.saturating_sub(self.nodes[index].cost_ns);
            for edge in 0..self.graph.followers(index).len() {
                let (follower, role) = self.graph.followers(index)[edge];
                let node = &mut self.nodes[usize::from(follower)];
                if node.state != State::Waiting {
                    continue;
                }
                match role {
                    // The earlier attempt succeeded, so the retry is not sent.
                    Role::Retry if !is_failed => {
                        ending.push((usize::from(follower), at_ns, false));
                        node.state = State::Ended { is_failed: false };
                        continue;
                    }
                    Role::OneOf if node.need == 0 => continue,
                    Role::OneOf => node.need -= 1,
                    Role::All | Role::Retry => node.open -= 1,
                }
                node.base_ns = node.base_ns.max(at_ns);
                self.begin_gap_if_ready(usize::from(follower));
            }
        }
        self.ending = ending;
    }

    fn begin_gap_if_ready(&mut self, index: usize) {
        let node = &mut self.nodes[index];
        if node.state != State::Waiting || node.open > 0 || node.need > 0 {
            return;
        }
        node.state = State::InGap;
        let needs_cpu = node.cpu_ns > 0 && !self.is_answered;
        if !needs_cpu {
            self.late_cpu_ns = self.late_cpu_ns.saturating_add(node.cpu_ns);
        }
        self.gaps.begin(index, node, needs_cpu);
        self.count_gap(index);
    }
}

mod expected;
#[cfg(test)]
mod tests;
mod without_slot;
