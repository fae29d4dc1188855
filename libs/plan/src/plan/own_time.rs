//! [`own_time`]: the own time of one invocation.

use super::gaps::{OwnTime, Reported, fill};
use super::orders::{Orders, Reader};
use super::waits::waits;
use crate::work::{InvocationFacts, Recorded};

/// The own time of an invocation. It includes the CPU time, but no waits.
pub fn own_time(recorded: &Recorded, orders: &Orders, reader: &mut Reader, work: u32) -> OwnTime {
    reader.read(recorded, work);
    let reported = waits_of(&recorded.works[work as usize].facts);
    let mut waits = waits(orders, reader);
    fill(&reader.timeline, &mut waits, reported)
}

/// The waits that a row reports within its own time. Its CPU time is left 0.
pub fn waits_of(facts: &InvocationFacts) -> Reported {
    Reported {
        cpu_ns: 0,
        cpu_wait_ns: facts.cpu_wait_ns,
        slot_wait_ns: facts.slot_wait_ns,
    }
}
