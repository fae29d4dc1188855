//! [`CloudSim`]: exports the instances of a run as stations (queues with slots) for the simulator CloudSim Plus. The export has
//! a workload file for each station, and a program that simulates all stations.
//!
//! [`jobs`] writes the requests of the instances in the Standard Workload Format.

mod jobs;

use std::path::Path;

use crate::counts::Counts;
use crate::export::Target;
use crate::job::Job;
use crate::source::Source;

use jobs::Jobs;

/// The program, and the project file that names the library it needs.
const PROJECT: [(&str, &str); 2] = [
    ("pom.xml", include_str!("project/pom.xml")),
    (
        "src/main/java/Stations.java",
        include_str!("project/Stations.java"),
    ),
];
/// The table of instances and their slots.
const STATIONS_FILE: &str = "stations.csv";

/// The target.
#[derive(Debug, Clone, Copy)]
pub struct CloudSim;

impl Target for CloudSim {
    const NAME: &'static str = "cloudsim";

    fn write(&self, source: &Source<'_>, job: &mut Job<'_>) -> anyhow::Result<Counts> {
        let (jobs, counts) = Jobs::new(source, job)?;
        let stations = jobs.write(source, job)?;
        job.text(STATIONS_FILE, &jobs::table(source, &stations))?;
        for (name, text) in PROJECT {
            job.text(name, text)?;
        }
        let assumptions = &mut job.assumptions;
        assumptions.rows(source);
        assumptions.work(source, &counts);
        assumptions.slots(source);
        let names = &source.plan.recorded.names;
        let released = stations.iter().filter(|station| {
            let station = names.instances[station.instance as usize].station;
            station.slots.is_some() && station.is_released
        });
        let released: Vec<String> = released
            .map(|station| source.instance_name(station.instance))
            .collect();
        assumptions.add_named(
            "slots_released",
            true,
            &released,
            "instance gives up its slot during calls: its requests have only their own time, in one piece",
            "instances give up their slots during calls: their requests have only their own time, in one piece",
        );
        let has_limit = |station: &&jobs::Station| {
            names.instances[station.instance as usize]
                .station
                .queue_limit
                .is_some()
        };
        let limited: Vec<String> = stations
            .iter()
            .filter(has_limit)
            .map(|station| source.instance_name(station.instance))
            .collect();
        assumptions.add_named(
            "queue_limit",
            false,
            &limited,
            "instance has a maximum queue length, which is not exported: no request is refused",
            "instances have a maximum queue length, which is not exported: no request is refused",
        );
        assumptions.add(
            "fixed_calls",
            false,
            counts.calls,
            "call is part of the time of its request, and does not change with the load of other instances",
            "calls are part of the time of their requests, and do not change with the load of other instances",
        );
        assumptions.add(
            "shortened",
            false,
            jobs.shortened,
            "request is shorter than 1 us and lasts 1 us, the shortest time of the reader",
            "requests are shorter than 1 us and last 1 us, the shortest time of the reader",
        );
        Ok(counts)
    }

    fn next(&self, out: &Path) -> String {
        format!("mvn -q -f {} compile exec:java", out.join("pom.xml").display())
    }
}
