//! [`Eclypse`]: exports a run as an application and an infrastructure for the simulator ECLYPSE, with the recorded placement.
//!
//! [`load`] sums the CPU time and own time of instances and the bytes of the calls between them; [`graphs`] writes the two
//! graphs.

mod graphs;
mod load;

use std::path::Path;

use serde_json::Value;

use crate::counts::Counts;
use crate::export::Target;
use crate::job::Job;
use crate::source::Source;

use graphs::Names;
use load::Load;

/// The program that places the application.
const PROGRAM: (&str, &str) = ("place.py", include_str!("place.py"));

/// The target.
#[derive(Debug, Clone, Copy)]
pub struct Eclypse;

impl Target for Eclypse {
    const NAME: &'static str = "eclypse";

    fn write(&self, source: &Source<'_>, job: &mut Job<'_>) -> anyhow::Result<Counts> {
        let load = Load::new(source, job)?;
        let names = Names::new(source);
        let json = |value: &Value| serde_json::to_string_pretty(value).map(|text| text + "\n");
        job.text(
            "infrastructure.json",
            &json(&graphs::infrastructure(source, &load))?,
        )?;
        job.text(
            "application.json",
            &json(&graphs::application(source, &names, &load))?,
        )?;
        job.text("placement.json", &graphs::placement(source, &names)?)?;
        job.text(PROGRAM.0, PROGRAM.1)?;
        let assumptions = &mut job.assumptions;
        assumptions.rows(source);
        assumptions.links(source);
        assumptions.add(
            "cpu_unknown",
            true,
            load.counts.assumed.cpu_unknown,
            "invocation has no CPU time: its service needs too little CPU",
            "invocations have no CPU time: their services need too little CPU",
        );
        let nodes = &source.plan.recorded.names.nodes;
        let unknown = nodes
            .iter()
            .zip(&source.nodes)
            .filter(|(_, facts)| facts.cpu_cores.is_none() || facts.mem_mb.is_none());
        let unknown: Vec<String> = unknown.map(|(name, _)| name.clone()).collect();
        assumptions.add_named(
            "capacity_unknown",
            true,
            &unknown,
            "node has no CPU count or memory size: it counts as unlimited",
            "nodes have no CPU count or memory size: they count as unlimited",
        );
        assumptions.add(
            "memory_unknown",
            false,
            source.plan.recorded.names.instances.len() as u64,
            "service has no recorded memory use: it needs 0",
            "services have no recorded memory use: they need 0",
        );
        Ok(load.counts)
    }

    fn next(&self, out: &Path) -> String {
        format!(
            "python3 {}    (requires the packages eclypse==0.9.1 and pyyaml)",
            out.join(PROGRAM.0).display()
        )
    }
}
