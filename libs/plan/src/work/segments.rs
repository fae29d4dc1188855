//! [`Segments`]: the time of an invocation as own time around groups of calls, and the calls for which each call waits.
//!
//! A call waits for each call of its invocation that had ended before it started. It is enough to keep those of its own group,
//! because a group begins after all earlier ones have ended. Of these, a call is left out if it had ended before
//! another one started for which the call waits: that one already waits for it.

use super::collect::MadeCall;
use super::model::{Call, Ending, NONE, Place, Work};

/// Maximum number of calls for which one call waits. More than that end before a call only where a hundred calls overlap.
const WAITS_MAX: usize = 64;

/// The calls of all invocations so far.
#[derive(Debug, Default)]
pub struct Segments {
    pub calls: Vec<Call>,
    pub waits_for: Vec<u32>,
    /// Own time of the last invocation that was added.
    pub own_ns: i64,
    pub negative_gaps: u64,
    pub shortened_waits: u64,
}

/// A group of calls that overlap.
struct Group {
    /// Index of its first call among those of the invocation.
    first: usize,
    /// End of the group before it, or start of the invocation.
    base_ns: i64,
    end_ns: i64,
}

impl Segments {
    /// Adds the calls of an invocation, in the order of their start. `asleep_ns` of an invocation without calls is a time without a slot.
    pub fn add(&mut self, work: (u32, &mut Work), rows: &[MadeCall], mut calls: Vec<Call>, asleep_ns: i64) {
        let (index, work) = work;
        work.first_call = self.calls.len() as u32;
        let (start_ns, end_ns) = (work.start_ns(), work.end_ns());
        let mut group: Option<Group> = None;
        for (place, row) in rows.iter().enumerate() {
            let call = &mut calls[place];
            if row.start_ns >= end_ns {
                call.place = Place::After;
                call.gap_ns = row.start_ns - end_ns;
                continue;
            }
            let begin_ns = row.start_ns.max(start_ns);
            self.negative_gaps += u64::from(row.start_ns < start_ns);
            if row.end_ns > end_ns {
                call.place = Place::Detached;
            }
            // A detached call counts as a point: nothing waits for its end.
            let until_ns = match call.place {
                Place::Detached => begin_ns,
                _ => row.end_ns.max(begin_ns),
            };
            match &mut group {
                Some(group) if begin_ns < group.end_ns => group.end_ns = group.end_ns.max(until_ns),
                _ => {
                    call.begins_group = true;
                    let ended = group.replace(Group {
                        first: place,
                        base_ns: group.as_ref().map_or(start_ns, |group| group.end_ns),
                        end_ns: until_ns,
                    });
                    self.waits(ended, place, rows, &mut calls, start_ns);
                }
            }
        }
        let last_ns = group.as_ref().map_or(start_ns, |group| group.end_ns);
        let inside = rows.iter().take_while(|row| row.start_ns < end_ns).count();
        self.waits(group, inside, rows, &mut calls, start_ns);
        work.tail_ns = (end_ns - last_ns).max(0);
        self.without_slot_waits(work, &mut calls);
        if asleep_ns > 0 && calls.is_empty() {
            let asleep_ns = asleep_ns.min(work.tail_ns);
            calls.push(sleep(work, index, asleep_ns));
            work.tail_ns = 0;
        }
        let before = calls
            .iter()
            .filter(|call| call.begins_group)
            .map(|call| call.gap_ns);
        self.own_ns = work.tail_ns + before.sum::<i64>();
        work.calls = calls.len() as u32;
        self.calls.append(&mut calls);
    }

    /// Sets the gaps in an ended group, and the calls for which each of its calls waits.
    fn waits(
        &mut self,
        ended: Option<Group>,
        end: usize,
        rows: &[MadeCall],
        calls: &mut [Call],
        start_ns: i64,
    ) {
        let Some(group) = ended else { return };
        let offset = self.calls.len();
        let mut by_end: Vec<usize> = (group.first..end)
            .filter(|index| calls[*index].place == Place::Joined)
            .collect();
        by_end.sort_by_key(|index| (rows[*index].end_ns, *index));
        let (mut ended, mut latest) = (0, None);
        for index in group.first..end {
            let begin_ns = rows[index].start_ns.max(start_ns);
            while let Some(&other) = by_end.get(ended) {
                if rows[other].end_ns > begin_ns || other >= index {
                    break;
                }
                latest = latest.max(Some((rows[other].start_ns, other)));
                ended += 1;
            }
            calls[index].first_wait = self.waits_for.len() as u32;
            calls[index].gap_ns = begin_ns - group.base_ns;
            let Some((latest_ns, latest)) = latest else {
                continue;
            };
            for &other in by_end[..ended].iter().rev() {
                if rows[other].end_ns <= latest_ns && other != latest {
                    break;
                }
                if calls[index].waits as usize == WAITS_MAX {
                    self.shortened_waits += 1;
                    break;
                }
                if calls[index].waits == 0 {
                    calls[index].gap_ns = (begin_ns - rows[other].end_ns.max(start_ns)).max(0);
                }
                calls[index].waits += 1;
                self.waits_for.push((offset + other) as u32);
            }
        }
    }

    /// Takes the recorded waits for further slots out of the own times after groups, from the last one on.
    fn without_slot_waits(&mut self, work: &mut Work, calls: &mut [Call]) {
        let begins: Vec<usize> = (0..calls.len())
            .filter(|call| calls[*call].begins_group)
            .collect();
        let mut rest_ns = work.slot_wait_ns;
        let part_ns = rest_ns.min(work.tail_ns);
        work.tail_ns -= part_ns;
        rest_ns -= part_ns;
        if let Some(&last) = begins.last() {
            calls[last].slot_wait_ns = part_ns;
        }
        for (before, first) in begins.iter().zip(begins.iter().skip(1)).rev() {
            let part_ns = rest_ns.min(calls[*first].gap_ns);
            rest_ns -= part_ns;
            calls[*before].slot_wait_ns = part_ns;
            let group = calls[*first..].iter_mut().enumerate();
            for (_, call) in group.take_while(|(index, call)| *index == 0 || !call.begins_group) {
                if call.waits == 0 && call.place != Place::After {
                    call.gap_ns = (call.gap_ns - part_ns).max(0);
                }
            }
        }
        self.negative_gaps += u64::from(rest_ns > 0);
    }
}

/// The sleep of a request that gave up its slot for it, as a call that nobody answers.
fn sleep(work: &Work, index: u32, asleep_ns: i64) -> Call {
    Call {
        span_id: work.span_id,
        gap_ns: work.tail_ns - asleep_ns,
        out_ns: 0,
        back_ns: 0,
        duration_ns: asleep_ns,
        slot_wait_ns: work.slot_wait_ns,
        setup_ns: 0,
        early_ns: 0,
        work: index,
        callee: NONE,
        first_wait: 0,
        waits: 0,
        ending: Ending::Duration,
        place: Place::Joined,
        begins_group: true,
    }
}
