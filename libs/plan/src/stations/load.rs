//! [`load`]: flattens the trees of a plan into lists for the simulator.

use super::handover::Handovers;
use super::model::{Arrival, Call, Fails, Load, Visit, Wait};
use crate::plan::{self, Plan, Tree};
use crate::work::{self, NONE, What};

/// The load of a plan: all of its roots, and all invocations that they cause.
pub fn load(plan: &Plan) -> Load {
    let recorded = &plan.recorded;
    let mut flattener = Flattener {
        plan,
        handovers: Handovers::new(&recorded.names),
        load: Load {
            names: recorded.names.clone(),
            notes: recorded.notes.clone(),
            ..Load::default()
        },
    };
    flattener.load.visits.reserve(recorded.works.len());
    flattener.load.calls.reserve(recorded.calls.len());
    let is_in = |arrival: &&work::Arrival| plan.span.takes(arrival);
    for (tree, arrival) in plan.trees().zip(recorded.arrivals.iter().filter(is_in)) {
        let visit = flattener.load.visits.len() as u32;
        flattener.tree(&tree);
        flattener.load.arrivals.push(Arrival {
            visit,
            at_ns: tree.at_ns,
            out_ns: arrival.out_ns,
            back_ns: arrival.back_ns,
            bytes_in: tree.invocations[0].bytes_in.unwrap_or(0),
            bytes_out: tree.invocations[0].bytes_out.unwrap_or(0),
            span_id: tree.span_id,
            is_root: tree.is_root,
        });
    }
    let Flattener {
        mut load, handovers, ..
    } = flattener;
    handovers.infer(&mut load);
    load
}

struct Flattener<'p> {
    plan: &'p Plan,
    handovers: Handovers,
    load: Load,
}

impl Flattener<'_> {
    fn tree(&mut self, tree: &Tree) {
        let first_visit = self.load.visits.len() as u32;
        for invocation in &tree.invocations {
            self.visit(invocation);
        }
        for (number, invocation) in (first_visit..).zip(&tree.invocations) {
            let calls = self.load.visits[number as usize].calls();
            for (call, planned) in calls.zip(&invocation.calls) {
                self.callees(call, planned, first_visit);
                if let Some(callee) = planned.callees.first() {
                    let answers = &tree.invocations[callee.invocation as usize];
                    let call = &mut self.load.calls[call];
                    call.bytes_out = planned.bytes_out.or(answers.bytes_in).unwrap_or(0);
                    call.bytes_in = planned.bytes_in.or(answers.bytes_out).unwrap_or(0);
                }
            }
        }
    }

    fn visit(&mut self, invocation: &plan::Invocation) {
        let number = self.load.visits.len() as u32;
        let recorded = &self.plan.recorded;
        let work = &recorded.works[invocation.work as usize];
        let first_call = self.load.calls.len() as u32;
        for (planned, made) in invocation.calls.iter().zip(&recorded.calls[work.calls()]) {
            self.call(number, first_call, planned, made);
        }
        for call in &invocation.fails_with {
            self.load.calls[(first_call + call) as usize].fails_visit = true;
        }
        let answer = self.wait(&invocation.answer, first_call, None);
        self.load.visits.push(Visit {
            trace_id: work.trace_id,
            span_id: work.span_id,
            enqueue_ns: work.enqueue_ns,
            wait_ns: work.wait_ns,
            setup_ns: work.setup_ns,
            slot_wait_ns: work.slot_wait_ns,
            response_ns: work.response_ns,
            beside_cpu_ns: invocation.beside_cpu_ns,
            delay_ns: 0,
            first_call,
            calls: invocation.calls.len() as u32,
            caller: NONE,
            sibling: NONE,
            instance: invocation.instance,
            endpoint: invocation.endpoint,
            waited: work.waited,
            fails: match (invocation.fails_with.is_empty(), invocation.is_failed) {
                (false, _) => Fails::WithCalls,
                (true, true) => Fails::Always,
                (true, false) => Fails::Never,
            },
            answer,
        });
        self.handovers
            .add(&self.load, number, &recorded.calls[work.calls()]);
    }

    fn call(&mut self, visit: u32, first_call: u32, planned: &plan::Call, made: &work::Call) {
        let net_ns = planned.net_ns.unwrap_or(0);
        let is_ahead = planned.ends == plan::Ends::Answer && net_ns < 0;
        let call = Call {
            wait: self.wait(&planned.wait, first_call, planned.retry_of),
            out_ns: made.out_ns,
            back_ns: made.back_ns,
            ahead_ns: if is_ahead { made.out_ns - net_ns } else { 0 },
            ends: planned.ends,
            visit,
            callee: NONE,
            retry_of: planned.retry_of.map_or(NONE, |attempt| first_call + attempt),
            early_ns: 0,
            bytes_out: 0,
            bytes_in: 0,
            is_after_answer: planned.is_after_answer,
            is_message: planned.what == What::Message,
            is_failed: planned.is_failed,
            fails_visit: false,
        };
        self.load.calls.push(call);
    }

    /// The wait of a call. A retry also waits for its earlier attempt, because only the result shows whether the retry is sent.
    fn wait(&mut self, wait: &plan::Wait, first_call: u32, retry_of: Option<u32>) -> Wait {
        let attempt = retry_of.filter(|attempt| !wait.after.contains(attempt));
        let waits_for = &mut self.load.waits_for;
        let first = waits_for.len() as u32;
        let after = wait.after.iter().copied().chain(attempt);
        waits_for.extend(after.map(|call| first_call + call));
        let after = waits_for.len() - first as usize;
        waits_for.extend(wait.any_of.iter().map(|call| first_call + call));
        // The casts are safe, because an invocation has at most 1,024 calls.
        Wait {
            first,
            after: after as u16,
            any_of: wait.any_of.len() as u16,
            need: wait.need as u16,
            setup_ns: 0,
            gap_ns: wait.gap_ns + wait.cpu_wait_ns,
            cpu_ns: wait.cpu_ns,
            cpu_wait_ns: wait.cpu_wait_ns,
            slot_wait_ns: wait.slot_wait_ns,
        }
    }

    fn callees(&mut self, call: usize, planned: &plan::Call, first_visit: u32) {
        let mut before = NONE;
        for callee in &planned.callees {
            let number = first_visit + callee.invocation;
            match self.load.visits.get_mut(before as usize) {
                None => self.load.calls[call].callee = number,
                Some(before) => before.sibling = number,
            }
            let visit = &mut self.load.visits[number as usize];
            visit.caller = call as u32;
            visit.delay_ns = callee.delay_ns;
            before = number;
        }
    }
}
