//! [`OwnTimes`]: mean own times of endpoints, for requests whose own time is unknown.

use foldhash::HashMap;

use super::model::{Waited, Work};

/// Sums of own times by endpoint.
#[derive(Debug, Default)]
pub struct OwnTimes {
    /// Count and sum, nanoseconds.
    by_endpoint: HashMap<u32, (i64, i64)>,
}

impl OwnTimes {
    pub fn add(&mut self, work: &Work, own_ns: i64) {
        if work.waited == Waited::Recorded {
            let sum = self.by_endpoint.entry(work.endpoint).or_default();
            sum.0 += 1;
            sum.1 = sum.1.saturating_add(own_ns);
        }
    }

    /// A refused request would have taken the mean of its endpoint, without calls.
    pub fn replace_refused(&self, works: &mut [Work]) {
        let refused = works.iter_mut().filter(|work| work.waited == Waited::Refused);
        for work in refused {
            let sum = self.by_endpoint.get(&work.endpoint);
            work.tail_ns = sum.map_or(0, |(count, sum)| sum / count);
        }
    }
}
