//! [`Execution`]: performs the steps of an engine. It sends requests, and makes the spans and results of calls.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;

use opentelemetry::Context;
use opentelemetry::trace::{Span as _, SpanContext, TraceContextExt as _, Tracer as _};
use opentelemetry_sdk::trace::Span;
use standin::What;

use super::calls::Outgoing;
use super::delayed::Delayed;
use super::engine::Engine;
use super::exchanges::Exchanges;
use super::mailbox::{Answered, CallCpu, Failure, Mailbox, Parked as _};
use super::plan::{Plan, PlannedCall};
use super::shared::StandIn;
use super::step::{Ending, Step};
use crate::clock::system_time;
use crate::meter::Reading;
use crate::telemetry::planned_span::Outcome;
use crate::telemetry::server_span::RequestTrace;

/// An invocation in progress.
pub struct Execution {
    pub engine: Engine,
    pub plan: Plan,
    pub mailbox: Arc<Mailbox>,
    /// CPU time for decoding the request, on an I/O thread.
    pub decoding_cpu_ns: u64,
    /// CPU time of the calls so far on the thread of calls. The slot's own readings include the CPU time of calls on the slot.
    pub used_by_calls: Reading,
    /// Number of calls so far, except sleeps.
    pub calls_started: u64,
    /// By how much the first gaps are shorter than planned.
    pub expected_excess_ns: u64,
    /// Bytes of the bodies of the calls so far and of their answers.
    pub bytes_of_calls: u64,
    stand_in: Arc<StandIn>,
    /// Calls in progress, if the invocation has a thread.
    exchanges: Exchanges,
    has_thread: bool,
    /// The span of each call that has started.
    spans: Vec<Option<Span>>,
    /// The status of each answer that arrived before the planned network time was over.
    early: Vec<Option<u16>>,
    lineage: Lineage,
    hops: u32,
}

/// The trace context of an invocation's calls.
struct Lineage {
    /// Parent of the spans of calls; `None` if the trace is not sampled.
    parent: Option<Context>,
    /// Context for requests of calls that have no span.
    context: Option<SpanContext>,
    baggage: Option<Arc<str>>,
}

impl Execution {
    /// An invocation that has not started. `hops` is the number of hops of the request that caused it.
    pub fn new(stand_in: Arc<StandIn>, plan: Plan, engine: Engine, trace: &RequestTrace, hops: u32) -> Self {
        let context = trace.span_context().cloned();
        let parent = context.clone().filter(|_| trace.is_recorded());
        Self {
            engine,
            spans: plan.calls.iter().map(|_| None).collect(),
            early: vec![None; plan.calls.len()],
            plan,
            mailbox: Arc::default(),
            decoding_cpu_ns: 0,
            used_by_calls: Reading::default(),
            calls_started: 0,
            expected_excess_ns: 0,
            bytes_of_calls: 0,
            exchanges: Exchanges::default(),
            has_thread: false,
            stand_in,
            lineage: Lineage {
                parent: parent.map(|parent| Context::new().with_remote_span_context(parent)),
                context,
                baggage: trace.baggage().map(Into::into),
            },
            hops,
        }
    }

    /// Passes the expected costs of the execution itself to the engine.
    pub fn expect_costs(&mut self) {
        let line = self.stand_in.call.line();
        for (index, call) in self.plan.calls.iter().enumerate() {
            if call.what != What::Sleep && !call.is_after_answer {
                self.engine.expect_cost(index, line.at(call.bytes()));
            }
        }
        self.engine.expect_finish(self.stand_in.finish.get());
        self.expected_excess_ns = self.stand_in.excess.get();
        self.engine.expect_excess(self.expected_excess_ns);
    }

    /// From now on, the current thread executes the invocation's calls, and is woken at answers.
    pub fn take_thread(&mut self) {
        self.mailbox.read_by(thread::current());
        self.has_thread = true;
    }

    /// From now on, the invocation has no thread. Its calls are executed on the thread of calls.
    pub fn leave_thread(&mut self) {
        self.has_thread = false;
        self.exchanges.hand_over(&self.stand_in.calls, &self.mailbox);
    }

    /// Continues the calls in progress. `was_busy` is whether the thread did other work.
    pub fn poll_calls(&mut self, was_busy: bool) {
        self.exchanges.poll(&self.stand_in.calls, &self.mailbox, was_busy);
    }

    /// Whether an answer has arrived that was not taken yet.
    pub fn has_answer(&mut self) -> bool {
        self.poll_calls(true);
        self.mailbox.first_ns().is_some()
    }

    /// Passes all answers on to the engine.
    pub fn take_answers(&mut self) {
        self.poll_calls(true);
        for answered in self.mailbox.take() {
            self.answer(answered);
        }
    }

    /// Performs a step that concerns a call.
    pub fn perform(&mut self, step: Step, now_ns: u64) {
        match step {
            Step::Start { call } => self.start(call, now_ns),
            Step::Send {
                call,
                callee,
                is_awaited,
            } => self.send(call, callee, is_awaited, now_ns),
            Step::End { call, at_ns, end } => self.end_by_time(call, at_ns, end),
            Step::Burn { .. } | Step::Wait { .. } | Step::Answer { .. } | Step::Done => {}
        }
    }

    /// Hands the requests that are due later to a timer. They are then sent at their times, whatever this invocation waits for.
    pub fn send_without_slot(&mut self) {
        for (due_ns, call, callee) in self.engine.take_sends() {
            if let Some(delayed) = self.delayed(call, callee, due_ns) {
                delayed.advance();
            }
        }
        for (call, callee, delay_ns) in self.engine.take_sends_after_answers() {
            if let Some(mut delayed) = self.delayed(call, callee, 0) {
                let send = move |at_ns: u64| {
                    delayed.due_ns = at_ns.saturating_add(delay_ns);
                    delayed.advance();
                };
                self.mailbox.on_answer(call, Box::new(send));
            }
        }
    }

    /// A request that can be sent without this invocation; `None` if it cannot be sent.
    fn delayed(&self, call: usize, callee: usize, due_ns: u64) -> Option<Box<Delayed>> {
        let outgoing = self.outgoing(call, callee).ok()?;
        let counted = self.stand_in.enter_afterwards();
        if counted.is_none() {
            self.stand_in.counters.dropped.fetch_add(1, Ordering::Relaxed);
        }
        Some(Box::new(Delayed {
            stand_in: self.stand_in.clone(),
            outgoing,
            due_ns,
            counted: counted?,
        }))
    }

    fn start(&mut self, call: usize, now_ns: u64) {
        let planned = &self.plan.calls[call];
        if planned.what == What::Sleep {
            return;
        }
        self.calls_started += 1;
        self.bytes_of_calls += planned.bytes();
        if let (Some(parent), Some(tracer)) = (&self.lineage.parent, &self.stand_in.service.tracer) {
            let mut builder = planned.span.span();
            builder.start_time = Some(system_time(now_ns));
            self.spans[call] = Some(tracer.build_with_context(builder, parent));
        }
    }

    fn send(&mut self, call: usize, callee: usize, is_awaited: bool, now_ns: u64) {
        let sent = self.outgoing(call, callee).and_then(|outgoing| {
            let calls = &self.stand_in.calls;
            if self.has_thread && is_awaited {
                let exchange = calls.exchange(outgoing)?;
                self.exchanges.start(call, exchange, calls, &self.mailbox);
                return Ok(());
            }
            let awaited_by = is_awaited.then(|| (self.mailbox.clone(), call));
            calls.send(outgoing, awaited_by)
        });
        match sent {
            Err(failure) if is_awaited => self.answer(Answered {
                call,
                at_ns: now_ns,
                result: Err(failure),
                response_ns: None,
                cpu: CallCpu::OnSlot(0),
            }),
            Ok(()) | Err(_) => {}
        }
    }

    fn outgoing(&self, call: usize, callee: usize) -> Result<Outgoing, Failure> {
        let planned = &self.plan.calls[call];
        let receiver = planned.callees.get(callee).ok_or(Failure::NoStandIn)?;
        let stand_ins = self
            .stand_in
            .addresses
            .get()
            .map_err(|_unreadable| Failure::NoStandIn)?;
        let instance = stand_ins.choose(&receiver.module, &receiver.instance);
        let Some(instance) = instance else {
            self.stand_in.counters.no_stand_in(&receiver.module);
            return Err(Failure::NoStandIn);
        };
        let path = standin::request::path(planned.span.path.as_deref());
        let span = self.spans[call].as_ref().map(Span::span_context);
        Ok(Outgoing {
            method: standin::request::method(planned.span.method.as_deref()),
            url: format!("{}{path}", instance.url.trim_end_matches('/')),
            context: span.or(self.lineage.context.as_ref()).cloned(),
            baggage: self.lineage.baggage.clone(),
            hops: self.hops + 1,
            work: receiver.work.clone(),
            body_bytes: receiver.body_bytes,
        })
    }

    fn answer(&mut self, answered: Answered) {
        let Answered {
            call,
            at_ns,
            result,
            response_ns,
            cpu,
        } = answered;
        match cpu {
            CallCpu::OnSlot(cpu_ns) => self.stand_in.polls.add(cpu_ns),
            CallCpu::Elsewhere(used) => {
                self.used_by_calls.add(used);
                self.stand_in.polls.add(used.cpu_ns);
            }
        }
        let is_failed = result.map_or(true, |status| self.plan.calls[call].fails_with(status));
        if let (Ok(status), Some(response_ns)) = (result, response_ns)
            && self.engine.waits_for_network(call, response_ns, at_ns, is_failed)
        {
            self.early[call] = Some(status);
            return;
        }
        // If this returns false, the call has already ended, because it timed out.
        if self.engine.answered_by(call, at_ns, is_failed) {
            let planned = &self.plan.calls[call];
            let outcome = outcome(planned, result);
            let bytes = result.is_ok().then_some(u64::from(planned.bytes_in));
            self.end(call, at_ns, &outcome, bytes);
        }
    }

    fn end_by_time(&mut self, call: usize, at_ns: u64, end: Ending) {
        match end {
            Ending::Duration => {
                let planned = &self.plan.calls[call];
                let (outcome, bytes) = (planned.outcome.clone(), u64::from(planned.bytes_in));
                self.end(call, at_ns, &outcome, Some(bytes));
            }
            Ending::Timeout => {
                let timeout = Outcome {
                    error: Some("timeout".into()),
                    is_failed: true,
                    status: None,
                };
                self.end(call, at_ns, &timeout, None);
            }
            Ending::Answer => {
                let planned = &self.plan.calls[call];
                let Some(status) = self.early[call] else { return };
                let outcome = outcome(planned, Ok(status));
                let bytes = u64::from(planned.bytes_in);
                self.end(call, at_ns, &outcome, Some(bytes));
            }
        }
    }

    fn end(&mut self, call: usize, at_ns: u64, outcome: &Outcome, bytes: Option<u64>) {
        if let Some(span) = &mut self.spans[call] {
            outcome.report(span, bytes);
            span.end_with_timestamp(system_time(at_ns));
        }
    }
}

/// The result in the span of an answered call: the recorded result if the answer is the recorded one, and the real result
/// otherwise.
fn outcome(planned: &PlannedCall, result: Result<u16, Failure>) -> Outcome {
    match result {
        Ok(status) if planned.is_as_recorded(status) => planned.outcome.clone(),
        Ok(status) => {
            let is_failed = planned.fails_with(status);
            Outcome {
                status: Some(status),
                error: is_failed.then(|| status.to_string().into()),
                is_failed,
            }
        }
        Err(failure) => Outcome {
            status: None,
            error: Some(failure.error_type().into()),
            is_failed: true,
        },
    }
}

/// The result that the invocation reports: the recorded one, if both failed or both succeeded. Otherwise a generic failure or
/// success.
pub fn executed(recorded: &Outcome, is_failed: bool) -> Outcome {
    if is_failed == recorded.is_failed {
        return recorded.clone();
    }
    // For remote procedure calls: success or "unknown error". For HTTP: 200 or 500.
    let status = |recorded: u16| match (recorded < 100, is_failed) {
        (true, false) => 0,
        (true, true) => 2,
        (false, false) => 200,
        (false, true) => 500,
    };
    Outcome {
        status: recorded.status.map(status),
        error: None,
        is_failed,
    }
}
