//! [`infer`]: what the rows of an instance that releases its slots do not state: when a slot was released for a call, and how long
//! its thread needed to wake up for a request that returned.
//!
//! Slots are assigned in the order in which they became free. So with `c` slots, the acquisition `i + c` gets the slot of release `i`,
//! if both are in order of time. A first acquisition has its time in the row, from which the time of the
//! release follows. A return has its start in the row, from which the wake-up follows.

use super::model::{NONE, Place, Waited, Work, Works};

/// A request that was queued for a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Acquisition {
    queued_ns: i64,
    work: u32,
    /// The first call of the group after which it returned; [`NONE`] for the first slot.
    group: u32,
    /// When it was assigned the slot; for a return, when it started, which includes the wake-up.
    ready_ns: i64,
}

/// A slot that became free: at the end of an invocation, or at the latest for this call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Release {
    at_ns: i64,
    call: u32,
}

/// Infers both for all instances that release their slots.
pub fn infer(works: &mut Works) {
    let released: Vec<Option<usize>> = works
        .names
        .instances
        .iter()
        .map(|instance| instance.station.slots.filter(|_| instance.station.is_released))
        .map(|slots| slots.map(|slots| slots as usize))
        .collect();
    if released.iter().all(Option::is_none) {
        return;
    }
    let mut recorded: Vec<Recorded> = released.iter().map(|_| Recorded::default()).collect();
    for (index, work) in works.works.iter().enumerate() {
        let instance = work.instance as usize;
        if released[instance].is_some() && work.waited == Waited::Recorded {
            recorded[instance].add(works, index as u32, work);
        }
    }
    for (recorded, slots) in recorded.into_iter().zip(released) {
        if let Some(slots) = slots {
            recorded.infer(works, slots);
        }
    }
}

/// The acquisitions and releases of one instance.
#[derive(Debug, Default)]
struct Recorded {
    acquisitions: Vec<Acquisition>,
    releases: Vec<Release>,
    /// Ends of the calls of a group.
    ends_ns: Vec<i64>,
}

impl Recorded {
    fn add(&mut self, works: &Works, index: u32, work: &Work) {
        self.acquisitions.push(Acquisition {
            queued_ns: work.enqueue_ns,
            work: index,
            group: NONE,
            ready_ns: work.enqueue_ns + work.wait_ns,
        });
        let (all, mut base_ns) = (work.calls(), work.start_ns());
        let mut first = all.start;
        while first < all.end && works.calls[first].place != Place::After {
            let (mut end, mut left_at) = (first, None);
            let mut group_end_ns = base_ns;
            self.ends_ns.clear();
            while end < all.end && !(works.calls[end].begins_group && end > first) {
                let call = &works.calls[end];
                if call.place == Place::After {
                    break;
                }
                let waits = works.waits_for[call.waits()].iter();
                let after_ns =
                    waits.filter_map(|other| self.ends_ns.get((*other as usize).checked_sub(first)?));
                let start_ns = after_ns.max().copied().unwrap_or(base_ns) + call.gap_ns;
                let is_joined = call.place == Place::Joined;
                let until_ns = start_ns + if is_joined { call.duration_ns } else { 0 };
                if is_joined && left_at.is_none() {
                    left_at = Some(Release {
                        at_ns: start_ns,
                        call: end as u32,
                    });
                }
                self.ends_ns.push(until_ns);
                group_end_ns = group_end_ns.max(until_ns);
                end += 1;
            }
            base_ns = group_end_ns;
            if let Some(release) = left_at {
                self.releases.push(release);
                base_ns += works.calls[first].slot_wait_ns;
                self.acquisitions.push(Acquisition {
                    queued_ns: group_end_ns,
                    work: index,
                    group: first as u32,
                    ready_ns: base_ns,
                });
            }
            first = end;
        }
        self.releases.push(Release {
            at_ns: work.end_ns(),
            call: NONE,
        });
    }

    fn infer(mut self, works: &mut Works, slots: usize) {
        self.acquisitions.sort_unstable();
        self.releases.sort_unstable();
        let never = Release {
            at_ns: i64::MIN,
            call: NONE,
        };
        for (place, acquisition) in self.acquisitions.iter().enumerate() {
            let before = place
                .checked_sub(slots)
                .and_then(|place| self.releases.get(place));
            let release = *before.unwrap_or(&never);
            if let Some(call) = works.calls.get_mut(release.call as usize) {
                let early_ns = release.at_ns.saturating_sub(acquisition.ready_ns);
                call.early_ns = saturated(early_ns.min(call.gap_ns));
            }
            if let Some(call) = works.calls.get_mut(acquisition.group as usize) {
                let could_start_ns = acquisition.queued_ns.max(release.at_ns);
                let setup_ns = (acquisition.ready_ns - could_start_ns).clamp(0, call.slot_wait_ns);
                call.setup_ns = saturated(setup_ns);
                call.slot_wait_ns -= i64::from(call.setup_ns);
                works.works[acquisition.work as usize].slot_wait_ns -= i64::from(call.setup_ns);
            }
        }
    }
}

/// Nanoseconds in 32 bits: at most 4.3 s.
fn saturated(ns: i64) -> u32 {
    u32::try_from(ns.max(0)).unwrap_or(u32::MAX)
}
