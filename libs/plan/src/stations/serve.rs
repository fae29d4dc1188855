//! Jobs of servers in a [`Simulator`].

use std::cmp::Reverse;

use super::server::Job;
use super::simulate::{Kind, Simulator};

impl Simulator<'_> {
    /// Passes a job to a server.
    pub(super) fn serve(&mut self, server: u32, job: Job, work_ns: i64, now: i64) {
        let state = &mut self.servers[server as usize];
        state.add(job, work_ns, now);
        self.events.push(Reverse((state.due_ns, Kind::Served, server)));
    }

    /// Continues after all jobs that end now.
    pub(super) fn served(&mut self, server: u32, now: i64) {
        if self.servers[server as usize].due_ns != now {
            return;
        }
        while let Some(job) = self.servers[server as usize].ended(now) {
            match job {
                Job::Call(call) => self.worked_for_call(call, now),
                Job::Answer(visit) => self.worked_for_answer(visit, now),
                Job::Request(call) => self.request_sent(call, now),
                Job::Reply(call) => self.reply_sent(call, now),
                Job::Beside => {}
            }
        }
        let due_ns = self.servers[server as usize].due_ns;
        if due_ns < i64::MAX {
            self.events.push(Reverse((due_ns, Kind::Served, server)));
        }
    }
}
