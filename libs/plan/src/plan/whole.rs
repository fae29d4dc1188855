//! [`Plan`]: all roots of a run, or of a part of it.

use super::build::Builder;
use super::counts::Counts;
use super::cpu::{CpuTimes, Regressed};
use super::model::{Cpu, Tree};
use super::orders::{Orders, Reader};
use super::own_time::own_time;
use super::refused::MeanWork;
use crate::work::{Arrival, Recorded, Waited};

/// The part of a run that a plan has, by the arrival of roots. Nanoseconds since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Arrival of the run's first root, from which all times count.
    pub zero_ns: i64,
    pub from_ns: i64,
    pub to_ns: i64,
}

impl Span {
    /// Everything, with times since the Unix epoch.
    pub const ALL: Self = Self {
        zero_ns: 0,
        from_ns: i64::MIN,
        to_ns: i64::MAX,
    };

    /// Whether an arrival at this time belongs to it.
    pub fn has(self, at_ns: i64) -> bool {
        self.from_ns <= at_ns && at_ns < self.to_ns
    }

    /// Whether a plan of it has this root.
    pub fn takes(self, arrival: &Arrival) -> bool {
        self.has(arrival.at_ns) && !arrival.is_left_out
    }
}

/// A recorded run as a load and a description of work.
#[derive(Debug)]
pub struct Plan {
    pub recorded: Recorded,
    pub span: Span,
    /// Zero in a plan without checks.
    pub counts: Counts,
    orders: Orders,
    cpu: CpuTimes,
    mean_work: MeanWork,
}

impl Plan {
    /// Builds all trees once, to check and to count them.
    pub fn new(recorded: Recorded, span: Span, regressed: &Regressed) -> Self {
        let mut plan = Self::unchecked(recorded, span, regressed);
        let mut builder = plan.builder();
        for arrival in &plan.recorded.arrivals {
            match span.takes(arrival) {
                true => drop(builder.tree(arrival)),
                false => builder.skip(arrival),
            }
        }
        builder.count_unreached();
        plan.counts = builder.counts;
        plan
    }

    /// The same without counts and checks, for a program that needs the trees only.
    pub fn unchecked(recorded: Recorded, span: Span, regressed: &Regressed) -> Self {
        let orders = Orders::new(&recorded);
        let mut cpu = CpuTimes::new(&recorded, regressed);
        if !regressed.is_empty() {
            own_times(&recorded, &orders, &mut cpu);
        }
        let mean_work = MeanWork::new(&recorded, &orders);
        Self {
            recorded,
            span,
            counts: Counts::default(),
            orders,
            cpu,
            mean_work,
        }
    }

    fn builder(&self) -> Builder<'_> {
        Builder::new(&self.recorded, &self.orders, &self.cpu, &self.mean_work)
    }

    /// The roots in the order of their arrival.
    pub fn trees(&self) -> Trees<'_> {
        Trees {
            arrivals: self.recorded.arrivals.iter(),
            span: self.span,
            builder: self.builder(),
        }
    }

    /// The tree of one arrival of the recorded work, in any order and as often as needed.
    pub fn tree(&self, arrival: &Arrival) -> Tree {
        self.builder().tree(arrival)
    }

    /// What the plan leaves out or assumes, one sentence each.
    pub fn notes(&self) -> Vec<String> {
        let mut notes = self.recorded.notes.sentences();
        let unnamed = self.recorded.texts.unnamed;
        notes.extend(self.counts.sentences(self.orders.not_compared, unnamed));
        notes
    }
}

/// Sums the own times of invocations with regressed CPU times, which are divided in proportion to them.
fn own_times(recorded: &Recorded, orders: &Orders, cpu: &mut CpuTimes) {
    let mut reader = Reader::default();
    for (work, row) in (0..).zip(&recorded.works) {
        let is_regressed = matches!(cpu.of(recorded, work), Cpu::Regressed(_));
        if is_regressed && row.waited != Waited::Refused {
            let own_ns = own_time(recorded, orders, &mut reader, work).other_ns;
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
        let arrival = self.arrivals.by_ref().find(|arrival| self.span.takes(arrival))?;
        Some(self.builder.tree(arrival))
    }
}
