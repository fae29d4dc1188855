//! [`Engine`]: what a planned invocation does, and when. It has no clock and does no I/O: time, CPU time and the ends of calls go in,
//! steps come out. docs/plan.md, "How to execute it", has the rules.

use std::collections::VecDeque;

use standin::{Ends, Work};

use super::events::{Event, Events};
use super::gaps::Gaps;
use super::graph::{Graph, Role};
use super::node::{Node, State};
use super::step::{Ending, Step};

/// The state of an invocation. Its calls have their indices in the plan; the answer is the node after the last call.
#[derive(Debug)]
pub struct Engine {
    nodes: Vec<Node>,
    graph: Graph,
    fails_with: Vec<u16>,
    is_failed: bool,
    gaps: Gaps,
    events: Events,
    steps: VecDeque<Step>,
    /// Reused by [`Engine::end`].
    ending: Vec<(usize, u64, bool)>,
    /// Calls that an answer ends.
    awaited: usize,
    /// CPU time of all gaps that are over.
    planned_cpu_ns: u64,
    beside_cpu_ns: u64,
    beside_used_ns: u64,
    /// CPU time after the answer, which is not used.
    late_cpu_ns: u64,
    /// CPU time of all gaps before the answer that are not over.
    future_cpu_ns: u64,
    /// Expected CPU time of executing the calls before the answer that have not ended.
    open_costs_ns: u64,
    /// The time at which the answer's gap was over.
    answer_due_ns: Option<u64>,
    was_idle: bool,
    is_answered: bool,
}

impl Engine {
    /// An invocation that has not started. `work` has passed the check of the crate that decoded it.
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

    /// The next step of an invocation that has used `cpu_ns` of CPU time so far.
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

    /// What happens without the invocation's own work: a call that ends by its time, a request that is due.
    pub fn event(&mut self, now_ns: u64) -> Option<Step> {
        self.fire_events(now_ns);
        self.steps.pop_front()
    }

    /// The first callee of a call has answered or cannot answer. False if the call does not wait for it: the caller gave up before.
    pub fn answered_by(&mut self, call: usize, at_ns: u64, is_failed: bool) -> bool {
        // Ends are in the order of time, so that a group's last needed end is the right one.
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

    /// A callee has answered after `response_ns`. If its planned network time is not over at `at_ns`, the call ends when it is, with
    /// [`Ending::Answer`]; otherwise false.
    pub fn waits_for_network(&mut self, call: usize, response_ns: u64, at_ns: u64, is_failed: bool) -> bool {
        let node = self.nodes.get(call).filter(|node| node.state == State::Started);
        let due_ns = node.map_or(0, |node| node.arrives_ns(response_ns));
        if due_ns > at_ns {
            self.events.add(due_ns, Event::Arrive { call, is_failed });
        }
        due_ns > at_ns
    }

    /// The answer is out, after `cpu_ns` of CPU time. Work that is left needs no slot, and no CPU.
    pub fn answer_sent(&mut self, at_ns: u64, cpu_ns: u64) {
        self.is_answered = true;
        for index in self.gaps.stop_burning() {
            self.late_cpu_ns = self.late_cpu_ns.saturating_add(self.nodes[index].cpu_ns);
        }
        // A part of it was used before.
        let burnt_ns = cpu_ns.saturating_sub(self.planned_cpu_ns);
        self.late_cpu_ns = self.late_cpu_ns.saturating_sub(burnt_ns);
        self.end(self.answer(), at_ns, false);
    }

    /// The invocation has a slot again, since this time. Its gaps, all of which began without one, begin now.
    pub fn has_slot(&mut self, since_ns: u64) {
        self.fire_events(since_ns);
        self.gaps.begin_at(since_ns, &mut self.nodes);
    }

    /// The invocation has waited for a CPU, which is no part of its gaps.
    pub fn waited_for_cpu(&mut self, wait_ns: u64, now_ns: u64) {
        self.gaps.delay(wait_ns, now_ns, &self.nodes);
    }

    /// By how much the thread can be late without delaying a gap in progress.
    pub fn slack_ns(&self) -> u64 {
        self.gaps.slack_ns(&self.nodes)
    }

    /// Number of calls that an answer will end.
    pub fn awaited(&self) -> usize {
        self.awaited
    }

    /// Whether it only waits for calls: no gap is in progress.
    pub fn is_idle(&self) -> bool {
        self.gaps.is_empty()
    }

    /// Whether a gap still needs CPU time.
    pub fn is_burning(&self) -> bool {
        self.gaps.is_burning()
    }

    /// Whether it only waits for calls, and one of them will end.
    pub fn can_wait_without_slot(&self) -> bool {
        self.is_idle() && (self.awaited > 0 || !self.events.is_empty())
    }

    /// Whether nothing is left to do.
    pub fn is_done(&self) -> bool {
        let has_events = !self.steps.is_empty() || !self.events.is_empty();
        self.is_answered && self.is_idle() && self.awaited == 0 && !has_events
    }

    /// The time of the next event of an idle invocation.
    pub fn next_event_ns(&self) -> Option<u64> {
        self.events.next_ns()
    }

    /// Planned CPU time so far, as far as it was not beside calls without need.
    pub fn planned_cpu_ns(&self) -> u64 {
        self.planned_cpu_ns
    }

    /// CPU time of the plan that nobody has used: beside calls that were too short, or after the answer.
    pub fn unused_cpu_ns(&self) -> u64 {
        self.beside_cpu_ns.saturating_add(self.late_cpu_ns)
    }

    /// The invocation's CPU time at the end of a gap. It is that of the plan, less what the execution of further calls will use beyond
    /// the CPU time of further gaps: so the sum is right.
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
            // Nothing can happen any more. A checked plan always reaches its answer.
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

    /// After a time beside calls, CPU time beyond the plan's gaps is that beside the calls.
    fn count_beside(&mut self, cpu_ns: u64) {
        if self.was_idle && !self.is_idle() {
            self.was_idle = false;
            let used_ns = cpu_ns.saturating_sub(self.planned_cpu_ns).min(self.beside_cpu_ns);
            self.planned_cpu_ns += used_ns;
            self.beside_cpu_ns -= used_ns;
            self.beside_used_ns += used_ns;
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

    /// Requests to the callees from `first` on, each after its delay.
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

    /// Ends a call or the answer, and what ends with it.
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
    }
}

mod expected;
#[cfg(test)]
mod tests;
mod without_slot;
