//! [`CpuTimes`]: CPU times of endpoints whose rows report none, and means of those whose rows do.

use foldhash::HashMap;

use super::facts::Recorded;
use super::model::Cpu;
use crate::work::Waited;

/// Mean CPU times by module, method and route, from a regression. Nanoseconds.
pub type Regressed = HashMap<(String, Option<String>, Option<String>), i64>;

/// CPU times by endpoint, nanoseconds.
#[derive(Debug, Default)]
pub struct CpuTimes {
    regressed: Vec<Option<i64>>,
    /// Of the invocations that report one.
    means: Vec<Option<i64>>,
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
        for (work, facts) in recorded.works.works.iter().zip(&recorded.invocations) {
            if let (Waited::Recorded, Some(cpu_ns)) = (work.waited, facts.cpu_ns) {
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
        }
    }

    /// The CPU time of an invocation.
    pub fn of(&self, recorded: &Recorded, work: u32) -> Cpu {
        let endpoint = recorded.works.works[work as usize].endpoint as usize;
        let own_ns = match recorded.works.works[work as usize].waited {
            // It did nothing of its work.
            Waited::Refused => self.means[endpoint],
            Waited::Recorded | Waited::Unknown => recorded.invocations[work as usize].cpu_ns,
        };
        match (own_ns, self.regressed[endpoint]) {
            (Some(ns), _) => Cpu::Measured(ns),
            (None, Some(ns)) => Cpu::Regressed(ns),
            (None, None) => Cpu::Unknown,
        }
    }
}
