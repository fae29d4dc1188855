//! [`SimGrid`]: exports a run as a platform, stations and work for the simulator SimGrid, with programs that simulate them. A
//! station is an instance with a queue and slots.
//!
//! - [`work`]: writes the roots, invocations and calls. [`picks`]: selects the roots; their arrivals can be those of another
//!   run.
//! - [`names`]: writes the names of nodes, links and modules for the simulated rows, and the stations. [`platform`]: writes the
//!   hosts and links.
//! - [`waits`]: which part of the recorded waits for CPUs a simulation keeps, because it cannot reproduce it.
//! - `drivers`: the programs in C++ and Python, which are part of the export.

mod names;
mod picks;
mod platform;
mod waits;
mod work;

use std::path::Path;

use plan::plan::Tree;
use plan::stations::load;

use crate::counts::Counts;
use crate::export::Target;
use crate::job::Job;
use crate::source::Source;

pub use picks::{Arrivals, Pick, picks};

/// The programs of an export, and how to use them.
const DRIVERS: [(&str, &str); 20] = [
    ("README.md", include_str!("drivers/README.md")),
    ("cpp/CMakeLists.txt", include_str!("drivers/cpp/CMakeLists.txt")),
    ("cpp/calls.cpp", include_str!("drivers/cpp/calls.cpp")),
    ("cpp/machine.cpp", include_str!("drivers/cpp/machine.cpp")),
    ("cpp/machine.hpp", include_str!("drivers/cpp/machine.hpp")),
    ("cpp/main.cpp", include_str!("drivers/cpp/main.cpp")),
    ("cpp/out.hpp", include_str!("drivers/cpp/out.hpp")),
    ("cpp/results.cpp", include_str!("drivers/cpp/results.cpp")),
    ("cpp/results.hpp", include_str!("drivers/cpp/results.hpp")),
    ("cpp/simulator.cpp", include_str!("drivers/cpp/simulator.cpp")),
    ("cpp/simulator.hpp", include_str!("drivers/cpp/simulator.hpp")),
    ("cpp/workload.cpp", include_str!("drivers/cpp/workload.cpp")),
    ("cpp/workload.hpp", include_str!("drivers/cpp/workload.hpp")),
    ("python/calls.py", include_str!("drivers/python/calls.py")),
    ("python/machine.py", include_str!("drivers/python/machine.py")),
    ("python/replay.py", include_str!("drivers/python/replay.py")),
    ("python/results.py", include_str!("drivers/python/results.py")),
    ("python/simulator.py", include_str!("drivers/python/simulator.py")),
    ("python/state.py", include_str!("drivers/python/state.py")),
    ("python/workload.py", include_str!("drivers/python/workload.py")),
];

/// The target. The arrivals of a second run can replace those of the exported run.
#[derive(Debug, Default)]
pub struct SimGrid {
    pub arrivals: Option<Arrivals>,
}

impl Target for SimGrid {
    const NAME: &'static str = "simgrid";

    fn write(&self, source: &Source<'_>, job: &mut Job<'_>) -> anyhow::Result<Counts> {
        let load = load(source.plan);
        let picked = picks(source, self.arrivals.as_ref())?;
        let zero_ns = picked.list.iter().map(|pick| pick.at_ns).min().unwrap_or(0);
        let mut writer = work::Writer::new(source, &load, zero_ns, job.lines("workload.tsv")?)?;
        let mut counts = Counts::default();
        let total = picked.list.len() as u64;
        let mut add = |done: usize, pick: &Pick, tree: &Tree, job: &mut Job<'_>| {
            counts.add_tree(source, tree);
            writer.root(pick, tree)?;
            job.advance(done as u64 + 1, total)
        };
        match self.arrivals {
            None => {
                for (done, (pick, tree)) in picked.list.iter().zip(source.plan.trees()).enumerate() {
                    add(done, pick, &tree, job)?;
                }
            }
            Some(_) => {
                let trees: Vec<Tree> = source.plan.trees().collect();
                for (done, pick) in picked.list.iter().enumerate() {
                    add(done, pick, &trees[pick.arrival as usize], job)?;
                }
            }
        }
        writer.finish()?;
        let inventories = names::Inventories::read(source)?;
        job.text(
            "names.tsv",
            &names::names(source, &inventories, zero_ns, self.arrivals.as_ref()),
        )?;
        job.text(
            "stations.tsv",
            &names::stations(source, &waits::kept(source, &load)),
        )?;
        job.text("platform.xml", &platform::platform(source))?;
        for (name, text) in DRIVERS {
            job.text(name, text)?;
        }
        let assumptions = &mut job.assumptions;
        assumptions.rows(source);
        assumptions.work(source, &counts);
        assumptions.slots(source);
        assumptions.node_speed(source);
        platform::assumptions(source, &inventories, assumptions);
        assumptions.add(
            "arrivals_without_work",
            true,
            picked.without_work,
            "arrival of the other run is left out, because this run has no request to its endpoint",
            "arrivals of the other run are left out, because this run has no request to their endpoint",
        );
        Ok(counts)
    }

    fn next(&self, out: &Path) -> String {
        let out = out.display();
        format!(
            "cmake -S {out}/cpp -B {out}/build && cmake --build {out}/build && {out}/build/replay {out} --out logs/simulated"
        )
    }
}
