//! Own work of visits in a [`Simulator`]: CPU time, for which requests share the CPUs of a node, and time that only passes.
//!
//! CPU time comes first in a gap, because no row states when in the gap it was used. Without CPUs in the platform, a gap takes
//! its recorded length.

use super::model::Wait;
use super::platform::WHOLE_PPM;
use super::server::Job;
use super::simulate::{Kind, Simulator};
use crate::work::NONE;

impl Simulator<'_> {
    /// Begins the own work before a call, at the earliest when the slot's thread is awake.
    pub(super) fn work_for_call(&mut self, index: u32, now: i64) {
        let call = &self.load.calls[index as usize];
        let progress = &mut self.visits[call.visit as usize];
        progress.working += 1;
        let begin_ns = now.max(progress.awake_ns);
        match self.cpu_work(call.visit, &call.wait) {
            None => {
                let gap_ns = self.gap_ns(call.visit, &call.wait);
                self.leave_and_start(index, begin_ns, gap_ns);
            }
            Some(_) if begin_ns > now => self.after(begin_ns, 0, Kind::WorkForCall, index),
            Some(_) => self.begin_work_for_call(index, now),
        }
    }

    pub(super) fn begin_work_for_call(&mut self, index: u32, now: i64) {
        let call = &self.load.calls[index as usize];
        if let Some((server, work_ns)) = self.cpu_work(call.visit, &call.wait) {
            self.serve(server, Job::Call(index), work_ns, now);
        }
    }

    /// Continues when the CPU time before a call has been used.
    pub(super) fn worked_for_call(&mut self, index: u32, now: i64) {
        let call = &self.load.calls[index as usize];
        self.leave_and_start(index, now, self.rest_ns(call.visit, &call.wait));
    }

    /// Starts the call after `ns`. If the instance releases its slot for the call, it may release the slot earlier, but not
    /// before `now`.
    fn leave_and_start(&mut self, index: u32, now: i64, ns: i64) {
        let call = &self.load.calls[index as usize];
        if self.visits[call.visit as usize].is_released {
            let early_ns = i64::from(call.early_ns).min(ns);
            self.after(now, ns - early_ns, Kind::Leave, index);
        }
        self.after(now, ns, Kind::CallStart, index);
    }

    /// Begins the own work before the answer.
    pub(super) fn work_for_answer(&mut self, visit: u32, now: i64) {
        let progress = &mut self.visits[visit as usize];
        progress.working += 1;
        let begin_ns = now.max(progress.awake_ns);
        let wait = &self.load.visits[visit as usize].answer;
        match self.cpu_work(visit, wait) {
            None => {
                let gap_ns = self.gap_ns(visit, wait);
                self.answer_at(visit, begin_ns.saturating_add(gap_ns), now);
            }
            Some(_) if begin_ns > now => self.after(begin_ns, 0, Kind::WorkForAnswer, visit),
            Some(_) => self.begin_work_for_answer(visit, now),
        }
    }

    pub(super) fn begin_work_for_answer(&mut self, visit: u32, now: i64) {
        let wait = &self.load.visits[visit as usize].answer;
        if let Some((server, work_ns)) = self.cpu_work(visit, wait) {
            self.serve(server, Job::Answer(visit), work_ns, now);
        }
    }

    /// Continues when the CPU time before the answer has been used.
    pub(super) fn worked_for_answer(&mut self, visit: u32, now: i64) {
        let rest_ns = self.rest_ns(visit, &self.load.visits[visit as usize].answer);
        self.answer_at(visit, now.saturating_add(rest_ns), now);
    }

    /// Schedules the end of a visit. If the answer leaves before this end, it can be sent as soon as the end is known.
    fn answer_at(&mut self, visit: u32, end_ns: i64, now: i64) {
        self.after(end_ns, 0, Kind::End, visit);
        if self.is_ahead(visit) {
            self.answer_ends_call(visit, end_ns, now);
        }
    }

    pub(super) fn is_ahead(&self, visit: u32) -> bool {
        let caller = self.load.visits[visit as usize].caller;
        let caller = self.load.calls.get(caller as usize);
        caller.is_some_and(|call| call.ahead_ns > 0)
    }

    /// CPU time that runs while a visit waits for its calls.
    pub(super) fn work_beside(&mut self, visit: u32, now: i64) {
        let recorded = &self.load.visits[visit as usize];
        let host = self.platform.hosts[recorded.instance as usize];
        if host.cpus != NONE && recorded.beside_cpu_ns > 0 {
            let work_ns = scaled(recorded.beside_cpu_ns, host.slowness);
            self.serve(host.cpus, Job::Beside, work_ns, now);
        }
    }

    /// The CPUs that a gap needs, and for how long. `None` if the gap needs no CPU, or the platform has no CPUs.
    fn cpu_work(&self, visit: u32, wait: &Wait) -> Option<(u32, i64)> {
        let instance = self.load.visits[visit as usize].instance;
        let host = self.platform.hosts[instance as usize];
        let needs_cpu = host.cpus != NONE && wait.cpu_ns > 0;
        needs_cpu.then(|| (host.cpus, scaled(wait.cpu_ns, host.slowness)))
    }

    /// The length of a gap that needs no CPU of the platform. If the platform has no CPUs, the waits for CPUs are as recorded.
    fn gap_ns(&self, visit: u32, wait: &Wait) -> i64 {
        let instance = self.load.visits[visit as usize].instance;
        let host = self.platform.hosts[instance as usize];
        match host.cpus {
            NONE if host.slowness == 1.0 => wait.gap_ns,
            NONE => wait.gap_ns - wait.cpu_ns + scaled(wait.cpu_ns, host.slowness),
            _ => self.rest_ns(visit, wait),
        }
    }

    /// The part of a gap without CPU time. It includes the waits for CPUs that stay as recorded.
    fn rest_ns(&self, visit: u32, wait: &Wait) -> i64 {
        let instance = self.load.visits[visit as usize].instance;
        let kept = i128::from(self.platform.hosts[instance as usize].cpu_wait_kept_ppm);
        let kept_ns = i128::from(wait.cpu_wait_ns) * kept / i128::from(WHOLE_PPM);
        // The cast is safe, because a kept part is at most the wait.
        (wait.gap_ns - wait.cpu_wait_ns - wait.cpu_ns).max(0) + kept_ns as i64
    }
}

fn scaled(ns: i64, slowness: f64) -> i64 {
    if slowness == 1.0 {
        return ns;
    }
    // A float becomes an integer by saturation. Work of 0 would end before it began.
    ((ns as f64 * slowness).round() as i64).max(1)
}
