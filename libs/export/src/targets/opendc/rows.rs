//! [`Rows`]: the invocations of a run as tasks of OpenDC. OpenDC's unit of time is the millisecond, and its unit of work is MHz
//! times a time.

use plan::plan::Invocation;

use super::topology::core_mhz;
use crate::counts::Counts;
use crate::job::Job;
use crate::source::Source;

/// OpenDC's unit of time, nanoseconds.
const MS: i64 = 1_000_000;

/// All tasks, in the order of their arrival.
#[derive(Debug, Default)]
pub struct Rows {
    pub tasks: Vec<Task>,
    /// Number of tasks that are shorter than the unit of time, and become this long.
    pub lengthened: u64,
}

/// One invocation. All tasks are in memory at once, with 40 bytes each, because the files have them in the order of arrival.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Task {
    /// Recorded arrival, nanoseconds since the Unix epoch.
    enqueue_ns: i64,
    /// Time from start to end, which includes the calls, rounded up to the unit of time.
    pub duration_ms: i64,
    /// Speed of one core of the recorded node, MHz.
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
        // Tasks that arrive at the same time stay in the order of their roots.
        rows.tasks.sort_by_key(|task| task.enqueue_ns);
        Ok((rows, counts))
    }
}

fn task(source: &Source<'_>, invocation: &Invocation) -> (Task, bool) {
    let recorded = &source.plan.recorded;
    let work = &recorded.works[invocation.work as usize];
    let node = recorded.names.instances[work.instance as usize].node;
    // A request that a full queue refused was not processed. It counts with the mean own time of its endpoint.
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

    /// Number of cores that the task uses at once, at least 1. It is more than 1 if the CPU time exceeds the duration.
    pub fn cores(&self) -> i32 {
        let cores = (self.cpu_ns + self.duration_ms * MS - 1) / (self.duration_ms * MS);
        i32::try_from(cores.max(1)).unwrap_or(i32::MAX)
    }

    /// Total speed of the cores that the task uses, MHz.
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
