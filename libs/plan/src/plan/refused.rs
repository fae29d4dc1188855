//! [`MeanWork`]: mean own times of endpoints. A request that a full queue refused has no own times, so it gets these.

use foldhash::HashMap;

use super::orders::{Orders, Reader};
use super::own_time::own_time;
use crate::work::{Recorded, Waited};

/// Mean own times of each endpoint that has a refused request.
#[derive(Debug, Default)]
pub struct MeanWork {
    by_endpoint: HashMap<u32, Work>,
}

/// Sums or means of one endpoint, nanoseconds.
#[derive(Debug, Clone, Copy, Default)]
pub struct Work {
    /// Own time, without calls and waits.
    pub own_ns: i64,
    pub cpu_wait_ns: i64,
    count: i64,
}

impl MeanWork {
    pub fn new(recorded: &Recorded, orders: &Orders) -> Self {
        let refused = recorded
            .works
            .iter()
            .filter(|work| work.waited == Waited::Refused);
        let mut by_endpoint: HashMap<u32, Work> =
            refused.map(|work| (work.endpoint, Work::default())).collect();
        if by_endpoint.is_empty() {
            return Self::default();
        }
        let mut reader = Reader::default();
        for (number, work) in (0..).zip(&recorded.works) {
            if work.waited != Waited::Recorded {
                continue;
            }
            if let Some(sum) = by_endpoint.get_mut(&work.endpoint) {
                let own = own_time(recorded, orders, &mut reader, number);
                sum.count += 1;
                sum.own_ns = sum.own_ns.saturating_add(own.other_ns);
                sum.cpu_wait_ns = sum.cpu_wait_ns.saturating_add(own.cpu_wait_ns);
            }
        }
        for sum in by_endpoint.values_mut().filter(|sum| sum.count > 0) {
            sum.own_ns /= sum.count;
            sum.cpu_wait_ns /= sum.count;
        }
        Self { by_endpoint }
    }

    /// The mean work of an endpoint. 0 if all of its requests were refused.
    pub fn of(&self, endpoint: u32) -> Work {
        self.by_endpoint.get(&endpoint).copied().unwrap_or_default()
    }
}
