//! [`Plan`]: all roots of a run, or of a part of it.

use super::build::Builder;
use super::counts::Counts;
use super::cpu::{CpuTimes, Regressed};
use super::facts::Recorded;
use super::model::{Cpu, Tree};
use super::orders::Orders;
use crate::work::{Arrival, Waited};

/// The part of a run that a plan has, by the arrival of roots. Nanoseconds since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Arrival of the run's first root, from which all times count.
    pub zero_ns: i64,
    pub from_ns: i64,
    pub to_ns: i64,
}

impl Span {
    /// Whether an arrival at this time belongs to it.
    pub fn has(self, at_ns: i64) -> bool {
        self.from_ns <= at_ns && at_ns < self.to_ns
    }
}

/// A recorded run as a load and a description of work.
#[derive(Debug)]
pub struct Plan {
    pub recorded: Recorded,
    pub span: Span,
    pub counts: Counts,
    orders: Orders,
    cpu: CpuTimes,
}

impl Plan {
    /// Builds all trees once, to check and to count them.
    pub fn new(recorded: Recorded, span: Span, regressed: &Regressed) -> Self {
        let orders = Orders::new(&recorded);
        let mut cpu = CpuTimes::new(&recorded, regressed);
        if !regressed.is_empty() {
            own_times(&recorded, &orders, &mut cpu);
        }
        let mut builder = Builder::new(&recorded, &orders, &cpu);
        for arrival in &recorded.works.arrivals {
            match span.has(arrival.at_ns) {
                true => drop(builder.tree(arrival)),
                false => builder.skip(arrival),
            }
        }
        builder.count_unreached();
        let counts = builder.counts;
        Self {
            recorded,
            span,
            counts,
            orders,
            cpu,
        }
    }

    /// The roots in the order of their arrival.
    pub fn trees(&self) -> Trees<'_> {
        Trees {
            arrivals: self.recorded.works.arrivals.iter(),
            span: self.span,
            builder: Builder::new(&self.recorded, &self.orders, &self.cpu),
        }
    }

    /// The tree of one arrival of the recorded work, in any order and as often as needed.
    pub fn tree(&self, arrival: &Arrival) -> Tree {
        Builder::new(&self.recorded, &self.orders, &self.cpu).tree(arrival)
    }

    /// What the plan leaves out or assumes, one sentence each.
    pub fn notes(&self) -> Vec<String> {
        let mut notes = self.recorded.works.notes.sentences();
        let unnamed = self.recorded.texts.unnamed;
        notes.extend(self.counts.sentences(self.orders.not_compared, unnamed));
        notes
    }
}

/// Sums the own times of invocations with regressed CPU times, which are divided in proportion to them.
fn own_times(recorded: &Recorded, orders: &Orders, cpu: &mut CpuTimes) {
    let all = 0..recorded.works.works.len() as u32;
    let is_regressed = |work: &u32| matches!(cpu.of(recorded, *work), Cpu::Regressed(_));
    let regressed: Vec<u32> = all.filter(is_regressed).collect();
    let mut builder = Builder::new(recorded, orders, cpu);
    let own_ns: Vec<i64> = regressed.iter().map(|work| builder.own_ns(*work)).collect();
    for (work, own_ns) in regressed.into_iter().zip(own_ns) {
        let row = &recorded.works.works[work as usize];
        if row.waited != Waited::Refused {
            cpu.add_own_time(row.endpoint, own_ns);
        }
    }
}

/// The roots of a plan, built one after the other.
#[derive(Debug)]
pub struct Trees<'a> {
    arrivals: std::slice::Iter<'a, Arrival>,
    span: Span,
    builder: Builder<'a>,
}

impl Iterator for Trees<'_> {
    type Item = Tree;

    fn next(&mut self) -> Option<Tree> {
        let arrival = self
            .arrivals
            .by_ref()
            .find(|arrival| self.span.has(arrival.at_ns))?;
        Some(self.builder.tree(arrival))
    }
}
