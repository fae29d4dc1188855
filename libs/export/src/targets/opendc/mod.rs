//! [`OpenDc`]: exports a run as a workload and a topology for OpenDC, a simulator of data centres.
//!
//! [`rows`] makes tasks of invocations. [`tables`] writes the Parquet files of tasks and of fragments, the parts of a task.
//! [`topology`] writes the hosts.

mod rows;
mod tables;
mod topology;

use std::path::Path;

use crate::counts::Counts;
use crate::export::Target;
use crate::job::Job;
use crate::source::Source;

use rows::Rows;

/// The target.
#[derive(Debug, Clone, Copy)]
pub struct OpenDc;

impl Target for OpenDc {
    const NAME: &'static str = "opendc";

    fn write(&self, source: &Source<'_>, job: &mut Job<'_>) -> anyhow::Result<Counts> {
        let (rows, counts) = Rows::new(source, job)?;
        job.bytes("trace/tasks.parquet", &tables::tasks(source, &rows)?)?;
        job.bytes("trace/fragments.parquet", &tables::fragments(&rows)?)?;
        job.text("topology.json", &topology::topology(source)?)?;
        job.text("experiment.json", &topology::experiment(source)?)?;
        let assumptions = &mut job.assumptions;
        assumptions.rows(source);
        assumptions.work(source, &counts);
        topology::assumptions(source, assumptions);
        let instances = &source.plan.recorded.names.instances;
        let with_slots = (0..)
            .zip(instances)
            .filter(|(_, instance)| instance.station.slots.is_some());
        let with_slots: Vec<String> = with_slots
            .map(|(number, _)| source.instance_name(number))
            .collect();
        assumptions.add_named(
            "slots_lost",
            true,
            &with_slots,
            "instance has slots, which OpenDC does not have: its requests wait for CPUs of a host only",
            "instances have slots, which OpenDC does not have: their requests wait for CPUs of a host only",
        );
        let is_placed = topology::hosts(source).count() > 1;
        assumptions.add(
            "placement_lost",
            true,
            if is_placed { counts.invocations } else { 0 },
            "task is placed by the allocation policy of OpenDC, not on its recorded node",
            "tasks are placed by the allocation policy of OpenDC, not on their recorded nodes",
        );
        assumptions.add(
            "fixed_calls",
            false,
            counts.calls,
            "call is part of the duration of its task, and does not change with the load of other hosts",
            "calls are part of the duration of their tasks, and do not change with the load of other hosts",
        );
        assumptions.add(
            "lengthened",
            false,
            rows.lengthened,
            "task is shorter than 1 ms and lasts 1 ms, the unit of OpenDC; its work is unchanged",
            "tasks are shorter than 1 ms and last 1 ms, the unit of OpenDC; their work is unchanged",
        );
        Ok(counts)
    }

    fn next(&self, out: &Path) -> String {
        format!(
            "cd {} && OpenDCExperimentRunner --experiment-path experiment.json    (the runner of OpenDC; docs/export/opendc.md)",
            out.display()
        )
    }
}
