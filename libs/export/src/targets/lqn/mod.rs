//! [`Lqn`]: exports the mean values of a run as a layered queueing network. The solver LINE computes its mean queue lengths and
//! response times, to which the results of simulations can be compared.
//!
//! [`model`] has the tasks and entries of the network, with their mean demands and calls. [`cycles`] removes calls that form a
//! circle. [`write`](mod@write) writes the network's file. [`recorded`](mod@recorded) writes which instances and endpoints the
//! tasks and entries stand for, and their recorded figures.

mod cycles;
mod model;
mod recorded;
mod write;

use std::path::Path;

use crate::assumptions::Assumptions;
use crate::counts::Counts;
use crate::export::Target;
use crate::job::Job;
use crate::source::Source;

use model::Model;

/// The program that solves the network.
const PROGRAM: (&str, &str) = ("solve.py", include_str!("solve.py"));

/// The target.
#[derive(Debug, Clone, Copy)]
pub struct Lqn;

impl Target for Lqn {
    const NAME: &'static str = "lqn";

    fn write(&self, source: &Source<'_>, job: &mut Job<'_>) -> anyhow::Result<Counts> {
        let mut model = Model::new(source, job)?;
        model.lost.circles = cycles::cut(&mut model.entries, &model.of_instance);
        job.text("model.lqnx", &write::xml(source, &model))?;
        let recorded = recorded::recorded(source, &model);
        job.text(
            "recorded.json",
            &(serde_json::to_string_pretty(&recorded)? + "\n"),
        )?;
        job.text(PROGRAM.0, PROGRAM.1)?;
        let assumptions = &mut job.assumptions;
        assumptions.rows(source);
        assumptions.work(source, &model.counts);
        assumptions.slots(source);
        assumptions.cpus(source);
        add_lost(&model, assumptions);
        Ok(model.counts)
    }

    fn next(&self, out: &Path) -> String {
        format!(
            "python3 {}    (requires the package line-solver==3.0.8.0)",
            out.join(PROGRAM.0).display()
        )
    }
}

fn add_lost(model: &Model, assumptions: &mut Assumptions) {
    let (counts, lost) = (&model.counts, &model.lost);
    assumptions.add(
        "means_only",
        false,
        counts.invocations,
        "invocation is part of a mean: service times count as exponential, arrivals as Poisson",
        "invocations are part of means: service times count as exponential, arrivals as Poisson",
    );
    assumptions.add(
        "parallel",
        true,
        lost.parallel,
        "invocation has calls at the same time, which are one after the other in the network",
        "invocations have calls at the same time, which are one after the other in the network",
    );
    assumptions.add(
        "detached",
        false,
        lost.detached,
        "invocation that nobody waits for (a message, a call after the answer) arrives from outside",
        "invocations that nobody waits for (messages, calls after the answer) arrive from outside",
    );
    assumptions.add(
        "circles",
        true,
        lost.circles,
        "call closes a circle of instances: it takes its recorded time, and what it reaches arrives from outside",
        "calls close a circle of instances: they take their recorded time, and what they reach arrives from outside",
    );
    assumptions.add(
        "merged",
        false,
        lost.merged,
        "endpoint shares an entry with others, because its instance has more than 32",
        "endpoints share entries with others, because their instances have more than 32",
    );
    let conditional = counts.assumed.timeouts + counts.assumed.retries + counts.assumed.quorums;
    assumptions.add(
        "conditional",
        true,
        conditional,
        "timeout, retry or quorum is not in the network: its calls are as many as recorded",
        "timeouts, retries and quorums are not in the network: their calls are as many as recorded",
    );
}
