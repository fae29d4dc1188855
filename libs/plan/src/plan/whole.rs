//! [`Plan`]: the plan of a whole run, or of a window of it.

use super::build::Builder;
use super::counts::Counts;
use super::cpu::{CpuTimes, Regressed};
use super::model::{Cpu, Tree};
use super::orders::{Orders, Reader};
use super::own_time::own_time;
use super::refused::MeanWork;
use crate::work::{Arrival, Recorded, Waited};

/// The window of a plan, which selects roots by their arrival. Nanoseconds since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Arrival of the run's first root. Times in the plan count from it.
    pub zero_ns: i64,
    pub from_ns: i64,
    pub to_ns: i64,
}

impl Span {
    /// The whole run, with times since the Unix epoch.
    pub const ALL: Self = Self {
        zero_ns: 0,
        from_ns: i64::MIN,
        to_ns: i64::MAX,
    };

    /// Whether a root that arrives at this time is in the window.
    pub fn has(self, at_ns: i64) -> bool {
        self.from_ns <= at_ns && at_ns < self.to_ns
    }

    /// Whether a plan of this window contains the root.
    pub fn takes(self, arrival: &Arrival) -> bool {
        self.has(arrival.at_ns) && !arrival.is_left_out
    }
}

/// The requests of a recorded run and the work that they need.
#[derive(Debug)]
pub struct Plan {
    pub recorded: Recorded,
    pub span: Span,
    /// All zero if the plan was built without checks.
    pub counts: Counts,
    orders: Orders,
    cpu: CpuTimes,
    mean_work: MeanWork,
}

impl Plan {
    /// Builds all trees once, to check and count them.
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

    /// Like [`Plan::new`], but without counts and checks, for programs that need only the trees.
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

    /// The tree of one root. This method can be called in any order of the roots and any number of times.
    pub fn tree(&self, arrival: &Arrival) -> Tree {
        self.builder().tree(arrival)
    }

    /// The things that the plan leaves out or assumes, as one sentence each.
    pub fn notes(&self) -> Vec<String> {
        let mut notes = self.recorded.notes.sentences();
        let unnamed = self.recorded.texts.unnamed;
        notes.extend(self.counts.sentences(self.orders.not_compared, unnamed));
        notes
    }
}

/// Sums the own times of invocations whose CPU time is estimated. The estimate is later divided in proportion to these times.
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

/// An iterator over the trees of a plan. It builds one tree after the other.
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
