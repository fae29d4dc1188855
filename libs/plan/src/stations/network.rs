//! Requests and answers on the links of a [`Simulator`]'s platform.

use super::platform::Way;
use super::server::Job;
use super::simulate::{Kind, Simulator};
use crate::work::NONE;

impl Simulator<'_> {
    /// Sends the request of a call.
    pub(super) fn send_request(&mut self, index: u32, now: i64) {
        let call = &self.load.calls[index as usize];
        let Some(way) = self.platform.way(self.load, call) else {
            return self.call_arrives(index, now.saturating_add(call.out_ns));
        };
        match shared(way, 0, call.bytes_out) {
            Some((server, work_ns)) => self.serve(server, Job::Request(index), work_ns, now),
            None => {
                let sent_ns = now + way.after.transfer_ns(call.bytes_out);
                self.request_sent(index, sent_ns);
            }
        }
    }

    /// Continues when the last byte of a request is on the link.
    pub(super) fn request_sent(&mut self, index: u32, sent_ns: i64) {
        let call = &self.load.calls[index as usize];
        if let Some(way) = self.platform.way(self.load, call) {
            let rest_ns = way.rest_ns([call.out_ns, call.back_ns], [call.bytes_out, call.bytes_in]);
            let at_ns = sent_ns.saturating_add(rest_ns[0] + way.after.delay_ns);
            self.call_arrives(index, at_ns);
        }
    }

    /// Sends the answer of a call whose callee ends at `end_ns`. If the answer leaves before this end, it does not share the
    /// link: when the end is known, the answer's time is already over.
    pub(super) fn send_reply(&mut self, index: u32, end_ns: i64, now: i64, ends_call: bool) {
        let call = &self.load.calls[index as usize];
        let Some(way) = self.platform.way(self.load, call) else {
            return;
        };
        match shared(way, 1, call.bytes_in).filter(|_| ends_call && call.ahead_ns == 0) {
            Some((server, work_ns)) => self.serve(server, Job::Reply(index), work_ns, now),
            None => {
                let sent_ns = end_ns.saturating_add(way.after.transfer_ns(call.bytes_in) - call.ahead_ns);
                self.reply_arrives(index, sent_ns, now, ends_call);
            }
        }
    }

    /// Continues when the last byte of an answer is on the link.
    pub(super) fn reply_sent(&mut self, index: u32, now: i64) {
        self.reply_arrives(index, now, now, true);
    }

    fn reply_arrives(&mut self, index: u32, sent_ns: i64, now: i64, ends_call: bool) {
        let call = &self.load.calls[index as usize];
        let Some(way) = self.platform.way(self.load, call) else {
            return;
        };
        let rest_ns = way.rest_ns([call.out_ns, call.back_ns], [call.bytes_out, call.bytes_in]);
        let at_ns = sent_ns.saturating_add(rest_ns[1] + way.after.delay_ns).max(now);
        self.calls[index as usize].answer_ns = at_ns;
        if ends_call {
            self.after(at_ns, 0, Kind::CallEnd, index);
        }
    }
}

/// The server of a direction of the link, and the work of a body there. `None` if requests do not share this direction.
fn shared(way: &Way, side: usize, bytes: u32) -> Option<(u32, i64)> {
    let work_ns = way.after.transfer_ns(bytes);
    (way.servers[side] != NONE && work_ns > 0).then_some((way.servers[side], work_ns))
}
