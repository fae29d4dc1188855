//! [`Handovers`]: infers two times that rows do not state, for instances whose requests release their slots during calls: when
//! a slot was released for a call, and how long its thread needed to wake up for a request that returned from a call.
//!
//! Slots are assigned in the order in which they became free. So with `c` slots, acquisition `i + c` gets the slot of release
//! `i`, if both are sorted by time. The row of an invocation states when it got its first slot; this gives the time of the
//! release that made the slot free. It also states when a returned request started; this gives the wake-up.

use super::model::{Load, Wait};
use crate::work::{self, NONE, Names, Waited};

/// The recorded acquisitions and releases of all instances.
pub struct Handovers {
    /// `None` for an instance whose requests keep their slots during calls.
    instances: Vec<Option<Instance>>,
    gaps: Vec<Gap>,
}

#[derive(Debug, Default)]
struct Instance {
    slots: usize,
    acquisitions: Vec<Acquisition>,
    releases: Vec<Release>,
}

/// The moment at which a queued request got a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Acquisition {
    queued_ns: i64,
    visit: u32,
    /// The reason why the request needed the slot.
    owner: Owner,
    /// When the slot was assigned. For a request that returned from a call, when it started, which is after the wake-up.
    ready_ns: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Owner {
    First,
    Call(u32),
    Answer,
}

/// The moment at which a slot became free: the end of an invocation; or the start of a call, before which the slot may already
/// have been free.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Release {
    at_ns: i64,
    call: u32,
}

/// A period in which an invocation worked or waited for a slot. It ends with the start of a call, or with the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Gap {
    from_ns: i64,
    to_ns: i64,
    owner: Owner,
    slot_wait_ns: i64,
}

impl Handovers {
    pub fn new(names: &Names) -> Self {
        let instances = names.instances.iter().map(|instance| {
            let station = instance.station;
            let slots = station.slots.filter(|_| station.is_released)?;
            Some(Instance {
                slots: slots as usize,
                ..Instance::default()
            })
        });
        Self {
            instances: instances.collect(),
            gaps: Vec::new(),
        }
    }

    /// Adds a visit and the recorded rows of its calls.
    pub fn add(&mut self, load: &Load, number: u32, rows: &[work::Call]) {
        let visit = &load.visits[number as usize];
        let Some(instance) = &mut self.instances[visit.instance as usize] else {
            return;
        };
        if visit.waited != Waited::Recorded {
            return;
        }
        let start_ns = visit.enqueue_ns + visit.wait_ns + visit.setup_ns;
        let end_ns = visit.enqueue_ns + visit.response_ns;
        let gap = |owner: Owner, wait: &Wait, to_ns: i64| Gap {
            from_ns: (to_ns - wait.gap_ns - wait.slot_wait_ns).max(start_ns),
            to_ns,
            owner,
            slot_wait_ns: wait.slot_wait_ns,
        };
        self.gaps.clear();
        for (index, row) in visit.calls().zip(rows) {
            let call = &load.calls[index];
            if !call.is_after_answer {
                let to_ns = row.start_ns.max(start_ns);
                self.gaps.push(gap(Owner::Call(index as u32), &call.wait, to_ns));
            }
        }
        self.gaps.push(gap(Owner::Answer, &visit.answer, end_ns));
        self.gaps.sort_unstable();
        instance.add_visit(number, visit.enqueue_ns, visit.wait_ns, &self.gaps);
    }

    /// Infers the release times and wake-ups of all instances whose requests release their slots.
    pub fn infer(self, load: &mut Load) {
        for instance in self.instances.into_iter().flatten() {
            instance.infer(load);
        }
    }
}

impl Instance {
    /// Adds the acquisitions and releases of a visit. A visit has a slot while at least one of its gaps lasts.
    fn add_visit(&mut self, visit: u32, enqueue_ns: i64, wait_ns: i64, gaps: &[Gap]) {
        let mut last: Option<Gap> = None;
        for gap in gaps {
            match &mut last {
                Some(last) if gap.from_ns <= last.to_ns => {
                    if gap.to_ns >= last.to_ns {
                        (last.to_ns, last.owner) = (gap.to_ns, gap.owner);
                    }
                }
                _ => {
                    if let Some(ended) = last.replace(*gap) {
                        self.release(&ended);
                    }
                    let is_first = self.acquisitions.last().is_none_or(|last| last.visit != visit);
                    self.acquisitions.push(match is_first {
                        true => Acquisition {
                            queued_ns: enqueue_ns,
                            visit,
                            owner: Owner::First,
                            ready_ns: enqueue_ns + wait_ns,
                        },
                        false => Acquisition {
                            queued_ns: gap.from_ns,
                            visit,
                            owner: gap.owner,
                            ready_ns: gap.from_ns + gap.slot_wait_ns,
                        },
                    });
                }
            }
        }
        if let Some(ended) = last {
            self.release(&ended);
        }
    }

    fn release(&mut self, gap: &Gap) {
        let call = match gap.owner {
            Owner::Call(call) => call,
            Owner::First | Owner::Answer => NONE,
        };
        self.releases.push(Release {
            at_ns: gap.to_ns,
            call,
        });
    }

    fn infer(mut self, load: &mut Load) {
        self.acquisitions.sort_unstable();
        self.releases.sort_unstable();
        let never = Release {
            at_ns: i64::MIN,
            call: NONE,
        };
        for (place, acquisition) in self.acquisitions.iter().enumerate() {
            let before = place
                .checked_sub(self.slots)
                .and_then(|place| self.releases.get(place));
            let release = *before.unwrap_or(&never);
            if let Some(call) = load.calls.get_mut(release.call as usize) {
                let early_ns = release.at_ns.saturating_sub(acquisition.ready_ns);
                call.early_ns = saturated(early_ns.min(call.wait.gap_ns));
            }
            let visit = &mut load.visits[acquisition.visit as usize];
            let wait = match acquisition.owner {
                Owner::First => continue,
                Owner::Call(call) => &mut load.calls[call as usize].wait,
                Owner::Answer => &mut visit.answer,
            };
            let could_start_ns = acquisition.queued_ns.max(release.at_ns);
            let setup_ns = (acquisition.ready_ns - could_start_ns).clamp(0, wait.slot_wait_ns.max(0));
            wait.setup_ns = saturated(setup_ns);
            let setup_ns = i64::from(wait.setup_ns);
            wait.slot_wait_ns -= setup_ns;
            visit.slot_wait_ns = (visit.slot_wait_ns - setup_ns).max(0);
        }
    }
}

/// Nanoseconds as 32 bits, saturating at 4.3 s.
fn saturated(ns: i64) -> u32 {
    u32::try_from(ns.max(0)).unwrap_or(u32::MAX)
}
