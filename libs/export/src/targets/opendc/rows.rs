//! [`Rows`]: the invocations of a run as tasks of OpenDC. Its unit of time is the millisecond. Its unit of work is MHz times a time.

use plan::plan::Invocation;

use super::topology::core_mhz;
use crate::counts::Counts;
use crate::job::Job;
use crate::source::Source;

/// Nanoseconds of the unit of time.
const MS: i64 = 1_000_000;

/// All tasks, in the order of their arrival.
#[derive(Debug, Default)]
pub struct Rows {
    pub tasks: Vec<Task>,
    /// Tasks that are shorter than the unit of time.
    pub lengthened: u64,
}

/// One invocation. Each takes 40 bytes, because the files have tasks in the order of arrival.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Task {
    /// Recorded arrival, nanoseconds since the Unix epoch.
    enqueue_ns: i64,
    /// Time from its start to its end, with its calls, rounded up to the unit of time.
    pub duration_ms: i64,
    /// Speed of one core of its node, MHz.
    pub core_mhz: f64,
    /// CPU time, nanoseconds.
    cpu_ns: i64,
    pub endpoint: u32,
}

impl Rows {
    /// The tasks of the exported roots.
    pub fn new(source: &Source<'_>, job: &mut Job<'_>) -> anyhow::Result<(Self, Counts)> {
        let (mut rows, mut counts) = (Self::default(), Counts::default());
        let roots = source.roots();
        for (number, tree) in (1..).zip(source.trees()) {
            counts.add_tree(source, &tree);
            for invocation in &tree.invocations {
                let (task, is_lengthened) = task(source, invocation);
                rows.tasks.push(task);
                rows.lengthened += u64::from(is_lengthened);
            }
            job.advance(number, roots)?;
        }
        // Tasks of one time keep the order of their roots.
        rows.tasks.sort_by_key(|task| task.enqueue_ns);
        Ok((rows, counts))
    }
}

fn task(source: &Source<'_>, invocation: &Invocation) -> (Task, bool) {
    let recorded = &source.plan.recorded;
    let work = &recorded.works[invocation.work as usize];
    let node = recorded.names.instances[work.instance as usize].node;
    // The own time of a refused request is the mean of its endpoint.
    let service_ns = match invocation.is_refused {
        true => invocation.cpu.ns().unwrap_or(0) + invocation.other_ns,
        false => work.service_ns(),
    };
    let task = Task {
        enqueue_ns: work.enqueue_ns,
        duration_ms: rounded_up(service_ns).max(1),
        core_mhz: core_mhz(source, node),
        cpu_ns: invocation.cpu.ns().unwrap_or(0).max(0),
        endpoint: invocation.endpoint,
    };
    (task, service_ns < MS)
}

impl Task {
    /// Arrival in whole milliseconds since the Unix epoch.
    pub fn submission_ms(&self) -> i64 {
        self.enqueue_ns.div_euclid(MS)
    }

    /// Cores that it uses at once, at least 1. More than one if it has more CPU time than time.
    pub fn cores(&self) -> i32 {
        let cores = (self.cpu_ns + self.duration_ms * MS - 1) / (self.duration_ms * MS);
        i32::try_from(cores.max(1)).unwrap_or(i32::MAX)
    }

    /// Speed of all its cores, MHz.
    pub fn capacity_mhz(&self) -> f64 {
        f64::from(self.cores()) * self.core_mhz
    }

    /// Mean use of CPUs over its duration, MHz: usage times duration is the CPU time times the speed of a core.
    pub fn usage_mhz(&self) -> f64 {
        self.cpu_ns as f64 / (self.duration_ms * MS) as f64 * self.core_mhz
    }
}

fn rounded_up(ns: i64) -> i64 {
    (ns.max(0) + MS - 1) / MS
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(duration_ms: i64, cpu_ns: i64) -> Task {
        Task {
            enqueue_ns: -1,
            duration_ms,
            core_mhz: 2000.0,
            cpu_ns,
            endpoint: 0,
        }
    }

    #[test]
    fn usage_times_duration_is_the_work_and_fits_into_the_cores() {
        for (duration_ms, cpu_ns, cores, usage) in [
            (4, 1_000_000, 1, 500.0),
            (4, 4_000_000, 1, 2000.0),
            (4, 4_000_001, 2, 2_000.000_5),
            (1, 0, 1, 0.0),
        ] {
            let task = task(duration_ms, cpu_ns);
            assert_eq!((task.cores(), task.usage_mhz()), (cores, usage));
            assert!(task.usage_mhz() <= task.capacity_mhz());
        }
        assert_eq!(task(1, 0).submission_ms(), -1);
        assert_eq!([0, 1, MS, MS + 1].map(rounded_up), [0, 1, 1, 2]);
    }
}
