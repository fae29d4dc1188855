//! [`ServerState`]: jobs that share a server equally, by virtual time.
//!
//! The jobs in progress get equal amounts of work in the same time. So one number is enough for all jobs: the virtual time is the
//! work that a job would have got since the server was last idle. A job ends when the virtual time has grown by the job's work.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Parts of a nanosecond in which virtual time is counted: rounding then changes a time by less than 1 ns.
const PARTS: i128 = 1_024;

/// The end of time. A job that would take longer ends then, so that no simulation is endless.
const END_NS: i64 = i64::MAX - 1;

/// The purpose of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Job {
    /// CPU time before a call.
    Call(u32),
    /// CPU time before the answer of a visit.
    Answer(u32),
    /// CPU time that delays nothing.
    Beside,
    /// The request of a call on a link.
    Request(u32),
    /// The answer of a call on a link.
    Reply(u32),
}

/// A server at one moment.
#[derive(Debug)]
pub struct ServerState {
    capacity: i128,
    /// Virtual time, in parts, at `at_ns`.
    virtual_parts: i128,
    at_ns: i64,
    /// When the next job ends, unless further jobs arrive. The maximum if there are no jobs.
    pub due_ns: i64,
    /// Jobs by the virtual time of their end.
    jobs: BinaryHeap<Reverse<(i128, Job)>>,
    /// Work of all jobs so far.
    pub worked_ns: i64,
    /// Sum over all ended jobs of the time that they took longer than alone. The begin and the work of each job in progress are
    /// already subtracted; the job's end adds its end time. Jobs that delay nothing do not count.
    waited_ns: i128,
}

impl ServerState {
    pub fn new(capacity: u32) -> Self {
        Self {
            capacity: i128::from(capacity.max(1)),
            virtual_parts: 0,
            at_ns: 0,
            due_ns: i64::MAX,
            jobs: BinaryHeap::new(),
            worked_ns: 0,
            waited_ns: 0,
        }
    }

    /// Sum over all jobs of the time that they took longer than alone. Valid only after the last job has ended.
    pub fn waited_ns(&self) -> i64 {
        i64::try_from(self.waited_ns).unwrap_or_default().max(0)
    }

    /// Adds a job that would take `work_ns` alone.
    pub fn add(&mut self, job: Job, work_ns: i64, now: i64) {
        self.advance(now);
        if self.jobs.is_empty() {
            self.virtual_parts = 0;
        }
        self.worked_ns = self.worked_ns.saturating_add(work_ns);
        if job != Job::Beside {
            self.waited_ns -= i128::from(now) + i128::from(work_ns);
        }
        let end = self.virtual_parts + i128::from(work_ns) * PARTS;
        self.jobs.push(Reverse((end, job)));
        self.schedule();
    }

    /// Removes and returns the next job that has ended by now.
    pub fn ended(&mut self, now: i64) -> Option<Job> {
        self.advance(now);
        let Reverse((end, _)) = self.jobs.peek()?;
        let has_ended = *end <= self.virtual_parts || now >= END_NS;
        let job = if has_ended { self.jobs.pop() } else { None };
        self.schedule();
        let job = job.map(|Reverse((_, job))| job)?;
        if job != Job::Beside {
            self.waited_ns += i128::from(now);
        }
        Some(job)
    }

    /// The number of equal parts of the capacity, of which each job gets one: at least the capacity, because a job gets at most
    /// one unit.
    fn shared_by(&self) -> i128 {
        self.capacity.max(self.jobs.len() as i128)
    }

    fn advance(&mut self, now: i64) {
        let passed_ns = i128::from(now) - i128::from(self.at_ns);
        self.at_ns = now;
        if !self.jobs.is_empty() {
            self.virtual_parts += passed_ns * PARTS * self.capacity / self.shared_by();
        }
    }

    fn schedule(&mut self) {
        self.due_ns = i64::MAX;
        if let Some(Reverse((end, _))) = self.jobs.peek() {
            let left = (end - self.virtual_parts).max(0) * self.shared_by();
            let rate = PARTS * self.capacity;
            let wait_ns = (left + rate - 1) / rate;
            let due_ns = i128::from(self.at_ns) + wait_ns;
            self.due_ns = i64::try_from(due_ns).map_or(END_NS, |due_ns| due_ns.min(END_NS));
        }
    }
}
