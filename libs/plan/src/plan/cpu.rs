//! [`CpuTimes`]: estimates the CPU times of endpoints whose rows have none, and computes the means of endpoints whose rows have
//! them.

use foldhash::HashMap;

use super::model::Cpu;
use crate::work::{Recorded, Waited};

/// Mean CPU times by module, method and route, as estimated by a regression. Nanoseconds.
pub type Regressed = HashMap<(String, Option<String>, Option<String>), i64>;

/// CPU times by endpoint, nanoseconds.
#[derive(Debug, Default)]
pub struct CpuTimes {
    regressed: Vec<Option<i64>>,
    /// Mean CPU time of each endpoint, over its invocations that have a CPU time.
    means: Vec<Option<i64>>,
    /// Number and total own time of each endpoint's invocations whose CPU time is estimated.
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

    /// Adds the own time of an invocation whose CPU time is estimated.
    pub fn add_own_time(&mut self, endpoint: u32, own_ns: i64) {
        let sum = &mut self.own_times[endpoint as usize];
        *sum = (sum.0 + 1, sum.1.saturating_add(own_ns));
    }

    /// The estimated CPU time of one invocation. The estimated mean of the endpoint is divided in proportion to the own times
    /// of its invocations, so the mean is preserved. The result is at most `own_ns`.
    pub fn share(&self, endpoint: u32, mean_ns: i64, own_ns: i64) -> i64 {
        let (count, sum_ns) = self.own_times[endpoint as usize];
        let part = i128::from(mean_ns) * i128::from(count) * i128::from(own_ns);
        let share = part.checked_div(i128::from(sum_ns)).unwrap_or(0);
        share.clamp(0, i128::from(own_ns)) as i64
    }

    /// Whether the estimated mean CPU time of an endpoint is longer than the mean own time. Then a part of the estimate is cut.
    pub fn is_cut(&self, endpoint: u32) -> bool {
        let (count, sum_ns) = self.own_times[endpoint as usize];
        let mean_ns = self.regressed[endpoint as usize].unwrap_or(0);
        i128::from(mean_ns) * i128::from(count) > i128::from(sum_ns)
    }

    /// The CPU time of an invocation. An estimated CPU time is the mean of the endpoint.
    pub fn of(&self, recorded: &Recorded, work: u32) -> Cpu {
        let work = &recorded.works[work as usize];
        let endpoint = work.endpoint as usize;
        let own_ns = match work.waited {
            // A refused invocation did not do its work, so it gets the mean of its endpoint.
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
