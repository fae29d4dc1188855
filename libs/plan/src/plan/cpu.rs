//! [`CpuTimes`]: CPU times of endpoints whose rows report none, and means of those whose rows do.

use foldhash::HashMap;

use super::model::Cpu;
use crate::work::{Recorded, Waited};

/// Mean CPU times by module, method and route, from a regression. Nanoseconds.
pub type Regressed = HashMap<(String, Option<String>, Option<String>), i64>;

/// CPU times by endpoint, nanoseconds.
#[derive(Debug, Default)]
pub struct CpuTimes {
    regressed: Vec<Option<i64>>,
    /// Of the invocations that report one.
    means: Vec<Option<i64>>,
    /// Number and own times of the invocations with a regressed one.
    own_times: Vec<(i64, i64)>,
}

impl CpuTimes {
    pub fn new(recorded: &Recorded, regressed: &Regressed) -> Self {
        let endpoints = &recorded.names().endpoints;
        let of = |endpoint: &crate::work::Endpoint| {
            let module = recorded.names().modules[endpoint.module as usize].clone();
            let key = (module, endpoint.method.clone(), endpoint.route.clone());
            regressed.get(&key).copied()
        };
        let mut sums = vec![(0_i64, 0_i64); endpoints.len()];
        for work in &recorded.works {
            if let (Waited::Recorded, Some(cpu_ns)) = (work.waited, work.facts.cpu_ns) {
                let sum = &mut sums[work.endpoint as usize];
                *sum = (sum.0 + 1, sum.1.saturating_add(cpu_ns));
            }
        }
        Self {
            regressed: endpoints.iter().map(of).collect(),
            means: sums
                .into_iter()
                .map(|(count, sum)| sum.checked_div(count))
                .collect(),
            own_times: vec![(0, 0); endpoints.len()],
        }
    }

    /// Adds the own time of an invocation with a regressed CPU time.
    pub fn add_own_time(&mut self, endpoint: u32, own_ns: i64) {
        let sum = &mut self.own_times[endpoint as usize];
        *sum = (sum.0 + 1, sum.1.saturating_add(own_ns));
    }

    /// The part of a regressed mean for an invocation with this own time: in proportion to it, so that the mean stays, and at most
    /// all of it.
    pub fn share(&self, endpoint: u32, mean_ns: i64, own_ns: i64) -> i64 {
        let (count, sum_ns) = self.own_times[endpoint as usize];
        let part = i128::from(mean_ns) * i128::from(count) * i128::from(own_ns);
        let share = part.checked_div(i128::from(sum_ns)).unwrap_or(0);
        share.clamp(0, i128::from(own_ns)) as i64
    }

    /// Whether the regressed mean of an endpoint is longer than its mean own time, so that a part of it is lost.
    pub fn is_cut(&self, endpoint: u32) -> bool {
        let (count, sum_ns) = self.own_times[endpoint as usize];
        let mean_ns = self.regressed[endpoint as usize].unwrap_or(0);
        i128::from(mean_ns) * i128::from(count) > i128::from(sum_ns)
    }

    /// The CPU time of an invocation. A regressed one is the mean of the endpoint.
    pub fn of(&self, recorded: &Recorded, work: u32) -> Cpu {
        let work = &recorded.works[work as usize];
        let endpoint = work.endpoint as usize;
        let own_ns = match work.waited {
            // It did nothing of its work.
            Waited::Refused => self.means[endpoint],
            Waited::Recorded | Waited::Unknown => work.facts.cpu_ns,
        };
        match (own_ns, self.regressed[endpoint]) {
            (Some(ns), _) => Cpu::Measured(ns),
            (None, Some(ns)) => Cpu::Regressed(ns),
            (None, None) => Cpu::Unknown,
        }
    }
}
