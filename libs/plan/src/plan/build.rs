//! [`Builder`]: builds the trees of a plan, one root after the other.

use super::check::check;
use super::counts::Counts;
use super::cpu::CpuTimes;
use super::gaps::{OwnTime, fill};
use super::invocation::{Linked, calls};
use super::model::{
    Call, Callee, Cpu, DEPTH_MAX, Deviation, Ends, INVOCATIONS_PER_ROOT_MAX, Invocation, RecordedTimes, Tree,
};
use super::orders::{Orders, Reader};
use super::own_time::waits_of;
use super::refused::MeanWork;
use super::waits::{Waits, waits};
use crate::work::{Arrival, Recorded, Waited, What};

/// Builds trees, and counts what they contain and leave out.
#[derive(Debug)]
pub struct Builder<'a> {
    recorded: &'a Recorded,
    orders: &'a Orders,
    cpu: &'a CpuTimes,
    mean_work: &'a MeanWork,
    reader: Reader,
    /// For each recorded invocation: whether it is already in a tree, or was left out because of a bound.
    is_reached: Vec<bool>,
    pub counts: Counts,
}

impl<'a> Builder<'a> {
    pub fn new(
        recorded: &'a Recorded,
        orders: &'a Orders,
        cpu: &'a CpuTimes,
        mean_work: &'a MeanWork,
    ) -> Self {
        Self {
            recorded,
            orders,
            cpu,
            mean_work,
            reader: Reader::default(),
            is_reached: vec![false; recorded.works.len()],
            counts: Counts::default(),
        }
    }

    /// The tree of a root: the root's own invocation and all invocations that it causes.
    pub fn tree(&mut self, arrival: &Arrival) -> Tree {
        let works = &self.recorded.works;
        let mut tree = Tree {
            at_ns: arrival.at_ns,
            trace_id: works[arrival.work as usize].trace_id,
            span_id: arrival.span_id,
            client_net_ns: arrival.out_ns + arrival.back_ns,
            is_root: arrival.is_root,
            invocations: Vec::new(),
        };
        self.counts.roots += 1;
        self.counts.orphans += u64::from(!arrival.is_root);
        self.is_reached[arrival.work as usize] = true;
        // Index and depth of each invocation of the tree. The order is that of the tree.
        let mut found = vec![(arrival.work, 0)];
        let mut next = 0;
        while let Some(&(work, depth)) = found.get(next) {
            let invocation = self.invocation(work, |builder, callee| {
                let number = found.len();
                if depth + 1 > DEPTH_MAX || number >= INVOCATIONS_PER_ROOT_MAX {
                    builder.leave_out(callee);
                    return None;
                }
                builder.is_reached[callee as usize] = true;
                found.push((callee, depth + 1));
                Some(number as u32)
            });
            tree.invocations.push(invocation);
            next += 1;
        }
        self.counts.conditional_failures += failures(&mut tree.invocations);
        tree
    }

    /// Counts the invocations that are not in any tree, except those that were left out because of a bound.
    pub fn count_unreached(&mut self) {
        self.counts.unreached = self.is_reached.iter().filter(|is_reached| !**is_reached).count() as u64;
    }

    /// Counts a root outside the window. Its invocations are not part of the plan.
    pub fn skip(&mut self, arrival: &Arrival) {
        self.counts.outside += 1;
        self.mark_below(arrival.work);
    }

    /// Leaves out an invocation, and all invocations that it causes.
    fn leave_out(&mut self, work: u32) {
        self.counts.invocations_left_out += self.mark_below(work);
    }

    /// Leaves out all invocations of a call that is itself left out. `first` is the first one.
    fn leave_out_from(&mut self, first: u32) {
        let recorded = self.recorded;
        for (callee, _) in recorded.callees(first) {
            self.leave_out(callee);
        }
    }

    /// Marks an invocation and all its descendants as reached. Returns the number of invocations marked.
    fn mark_below(&mut self, work: u32) -> u64 {
        let recorded = self.recorded;
        let (mut open, mut count) = (vec![work], 0);
        while let Some(work) = open.pop() {
            if std::mem::replace(&mut self.is_reached[work as usize], true) {
                continue;
            }
            count += 1;
            for call in &recorded.calls[recorded.works[work as usize].calls()] {
                open.extend(recorded.callees(call.callee).map(|(callee, _)| callee));
            }
        }
        count
    }

    /// One invocation. `add` returns the index of a callee in the tree, or `None` if the tree has no room for the callee.
    fn invocation(&mut self, work: u32, mut add: impl FnMut(&mut Self, u32) -> Option<u32>) -> Invocation {
        let recorded = self.recorded;
        let row = &recorded.works[work as usize];
        let facts = &row.facts;
        self.reader.read(recorded, work);
        let mut waits = waits(self.orders, &self.reader);
        let linked = Linked {
            recorded,
            timeline: &self.reader.timeline,
            first_call: row.calls().start,
        };
        let retries = linked.retries(&mut waits, &mut self.counts.retries_without_attempt);
        let is_refused = row.waited == Waited::Refused;
        let (cpu, own) = self.own_time(work, &mut waits);
        self.counts.shortened_waits += waits.shortened;
        self.counts.calls_left_out += self.reader.timeline.calls_left_out as u64;
        let mut invocation = Invocation {
            work,
            instance: row.instance,
            endpoint: row.endpoint,
            kind: facts.kind,
            cpu,
            other_ns: own.other_ns,
            beside_cpu_ns: own.beside_cpu_ns,
            bytes_in: facts.bytes_in,
            bytes_out: facts.bytes_out.filter(|_| !is_refused),
            status: facts.status.filter(|_| !is_refused),
            error: facts.error.filter(|_| !is_refused),
            is_failed: facts.is_failed && !is_refused,
            fails_with: Vec::new(),
            is_refused,
            calls: calls(&linked, &mut waits, &retries),
            answer: waits.answer,
            recorded: RecordedTimes {
                response_ns: row.response_ns,
                queue_ns: facts.queue_ns,
                slot_wait_ns: facts.slot_wait_ns,
                cpu_wait_ns: facts.cpu_wait_ns,
            },
            deviation: None,
        };
        let answers_ns = linked.answers_ns();
        invocation.deviation = check(recorded, &invocation, &own, &answers_ns);
        for (index, call) in invocation.calls.iter_mut().enumerate() {
            let of = &recorded.calls[row.calls().start + index];
            self.link(of.callee, call, &mut add);
        }
        for index in row.calls().skip(invocation.calls.len()) {
            self.leave_out_from(recorded.calls[index].callee);
        }
        self.count(&invocation);
        invocation
    }

    /// The CPU time of an invocation, and its own time in the gaps between its calls. [`gaps`](super::gaps) defines a gap.
    fn own_time(&self, work: u32, waits: &mut Waits) -> (Cpu, OwnTime) {
        let (recorded, timeline) = (self.recorded, &self.reader.timeline);
        let row = &recorded.works[work as usize];
        let mut cpu = self.cpu.of(recorded, work);
        if row.waited == Waited::Refused {
            let mean = self.mean_work.of(row.endpoint);
            let cpu_ns = cpu.ns().unwrap_or(0).min(mean.own_ns);
            if let Cpu::Regressed(_) = cpu {
                cpu = Cpu::Regressed(cpu_ns);
            }
            waits.answer.gap_ns = mean.own_ns;
            waits.answer.cpu_ns = cpu_ns;
            waits.answer.cpu_wait_ns = mean.cpu_wait_ns;
            let own = OwnTime {
                other_ns: mean.own_ns - cpu_ns,
                ..OwnTime::default()
            };
            return (cpu, own);
        }
        let mut reported = waits_of(&row.facts);
        if let Cpu::Regressed(mean_ns) = cpu {
            let own_ns = fill(timeline, &mut waits.clone(), reported).other_ns;
            cpu = Cpu::Regressed(self.cpu.share(row.endpoint, mean_ns, own_ns));
        }
        reported.cpu_ns = cpu.ns().unwrap_or(0);
        (cpu, fill(timeline, waits, reported))
    }

    /// Adds the invocations that a call causes. If the tree has no room for the answering one, the call lasts as long as
    /// recorded.
    fn link(&mut self, first: u32, call: &mut Call, add: &mut impl FnMut(&mut Self, u32) -> Option<u32>) {
        let recorded = self.recorded;
        for (callee, work) in recorded.callees(first) {
            let delay_ns = match (call.what, recorded.work(first)) {
                (What::Message, _) => work.enqueue_ns - call.recorded_end_ns,
                (_, Some(first)) => work.enqueue_ns - first.enqueue_ns,
                (_, None) => 0,
            };
            self.counts.negative_delays += u64::from(call.what == What::Message && delay_ns < 0);
            if !self.is_reached[callee as usize]
                && let Some(invocation) = add(self, callee)
            {
                let delay_ns = delay_ns.max(0);
                call.callees.push(Callee { invocation, delay_ns });
            } else if callee == first && call.ends == Ends::Answer {
                call.ends = Ends::Duration(call.recorded_ns);
            }
        }
    }

    fn count(&mut self, invocation: &Invocation) {
        let counts = &mut self.counts;
        counts.invocations += 1;
        counts.calls += invocation.calls.len() as u64;
        counts.refused += u64::from(invocation.is_refused);
        counts.beside_cpu += u64::from(invocation.beside_cpu_ns > 0);
        match invocation.cpu {
            Cpu::Unknown => counts.cpu_unknown += 1,
            Cpu::Regressed(_) => {
                counts.cpu_regressed += 1;
                counts.cpu_cut += u64::from(self.cpu.is_cut(invocation.endpoint));
            }
            Cpu::Measured(_) => {}
        }
        let waits = invocation.calls.iter().map(|call| &call.wait);
        let quorums = waits.chain([&invocation.answer]).filter(|wait| wait.need > 0);
        counts.quorums += quorums.count() as u64;
        for call in &invocation.calls {
            counts.leaf_calls += u64::from(call.callees.is_empty());
            counts.messages += u64::from(call.what == What::Message);
            counts.retries += u64::from(call.retry_of.is_some());
            counts.late_calls += u64::from(call.is_after_answer);
            counts.timeouts += u64::from(matches!(call.ends, Ends::Timeout(_)));
            counts.early_answers += u64::from(call.ends == Ends::Answer && call.net_ns < Some(0));
        }
        if let Some(Deviation { reason, ns }) = invocation.deviation {
            let work = &self.recorded.works[invocation.work as usize];
            let names = self.recorded.names();
            let module = &names.modules[names.module_of(work.instance) as usize];
            counts.deviations[reason as usize]
                .add(ns, || format!("{module} {}/{}", work.trace_id, work.span_id));
        }
    }
}

/// Finds failures that a full queue or a timeout of a callee caused. Such a failure is not planned: it recurs only if its cause
/// does. Returns the number of these failures.
fn failures(invocations: &mut [Invocation]) -> u64 {
    let mut count = 0;
    // Callees come after their callers.
    for index in (0..invocations.len()).rev() {
        if !invocations[index].is_failed {
            continue;
        }
        let is_conditional = |call: &Call| {
            let callee = call.callees.first();
            let callee = callee.map(|callee| &invocations[callee.invocation as usize]);
            let is_below = callee.is_some_and(|callee| callee.is_refused || !callee.fails_with.is_empty());
            is_below || matches!(call.ends, Ends::Timeout(_))
        };
        let failed = || {
            (0..)
                .zip(&invocations[index].calls)
                .filter(|(_, call)| call.is_failed)
        };
        let causes: Vec<u32> = match failed().any(|(_, call)| is_conditional(call)) {
            true => failed().map(|(number, _)| number).collect(),
            false => Vec::new(),
        };
        count += u64::from(!causes.is_empty());
        invocations[index].fails_with = causes;
    }
    count
}
