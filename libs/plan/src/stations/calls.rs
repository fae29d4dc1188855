//! Part of [`Simulator`]: starts, ends and results of calls.

use super::model::Fails;
use super::simulate::{Failures, Kind, Simulator};
use crate::plan::Ends;
use crate::work::NONE;

impl Simulator<'_> {
    pub(super) fn call_start(&mut self, index: u32, now: i64) {
        let call = &self.load.calls[index as usize];
        self.calls[index as usize].has_started = true;
        if !call.is_message {
            self.send_request(index, now);
        }
        if let Ends::Duration(ns) | Ends::Timeout(ns) = call.ends {
            self.after(now, ns, Kind::CallEnd, index);
        }
    }

    /// Schedules the arrivals of all visits that a call causes.
    pub(super) fn call_arrives(&mut self, index: u32, at_ns: i64) {
        let mut callee = self.load.calls[index as usize].callee;
        while let Some(visit) = self.load.visits.get(callee as usize) {
            self.after(at_ns, visit.delay_ns, Kind::Arrive, callee);
            callee = visit.sibling;
        }
    }

    pub(super) fn call_end(&mut self, index: u32, now: i64) {
        let call = &self.load.calls[index as usize];
        if std::mem::replace(&mut self.calls[index as usize].has_ended, true) {
            return;
        }
        let has_started = self.calls[index as usize].has_started;
        let has_failed = has_started && self.has_failed(index, now);
        self.visits[call.visit as usize].has_failed_call |= has_failed && call.fails_visit;
        if has_started && call.is_message {
            self.call_arrives(index, now);
        }
        let sends_retries = has_failed || self.failures == Failures::AsRecorded;
        for place in self.dependents.of(index) {
            let dependent = self.dependents.at(place);
            let retry_of = self.load.calls.get(dependent.call as usize);
            if !sends_retries && retry_of.is_some_and(|retry| retry.retry_of == index) {
                self.after(now, 0, Kind::CallEnd, dependent.call);
                continue;
            }
            let pending = match self.calls.get_mut(dependent.call as usize) {
                Some(call) => &mut call.pending,
                None => &mut self.visits[call.visit as usize].answer,
            };
            let is_ready = match dependent.is_any {
                true => pending.one_of_group_less(),
                false => pending.one_less(),
            };
            match dependent.call {
                _ if !is_ready => {}
                NONE => self.answer_is_ready(call.visit, now),
                call => self.call_is_ready(call, now),
            }
        }
    }

    /// Whether a call that ends at `now` has failed.
    fn has_failed(&self, index: u32, now: i64) -> bool {
        let call = &self.load.calls[index as usize];
        let callee = self.visits.get(call.callee as usize);
        let visit_has_failed = callee.is_some_and(|visit| match visit.has_answered {
            true => visit.has_failed,
            false => self.would_fail(call.callee),
        });
        match call.ends {
            Ends::Duration(_) => call.is_failed,
            Ends::Answer => visit_has_failed,
            Ends::Timeout(_) => {
                let is_answered = callee.is_some_and(|visit| {
                    let end_ns = self.outcomes[call.callee as usize].end_ns;
                    let at_ns = match self.platform.way(self.load, call) {
                        Some(_) => self.calls[index as usize].answer_ns,
                        None => end_ns.saturating_add(call.back_ns),
                    };
                    visit.has_answered && at_ns <= now
                });
                !is_answered || visit_has_failed
            }
        }
    }

    pub(super) fn would_fail(&self, visit: u32) -> bool {
        match self.load.visits[visit as usize].fails {
            Fails::Never => false,
            Fails::Always => true,
            Fails::WithCalls => self.visits[visit as usize].has_failed_call,
        }
    }

    /// Handles the end of a visit at `end_ns`. If this visit answers the call that caused it, schedules the end of the call.
    pub(super) fn answer_ends_call(&mut self, visit: u32, end_ns: i64, now: i64) {
        let caller = self.load.visits[visit as usize].caller;
        let Some(call) = self.load.calls.get(caller as usize) else {
            return;
        };
        let ends_call = match call.ends {
            Ends::Answer => true,
            Ends::Timeout(_) => self.failures == Failures::Simulated,
            Ends::Duration(_) => false,
        };
        if call.callee != visit {
            return;
        }
        match self.platform.way(self.load, call) {
            Some(_) => self.send_reply(caller, end_ns, now, ends_call),
            None if ends_call => {
                let at_ns = end_ns.saturating_add(call.back_ns - call.ahead_ns);
                self.after(at_ns.max(now), 0, Kind::CallEnd, caller);
            }
            None => {}
        }
    }
}
