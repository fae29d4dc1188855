//! [`Processes`]: the samples of `process.cpu.time` of each process.

use std::collections::BTreeMap;

use cctf_proto::cctf::SystemStat;
use rundir::{Lines, ReadError};

use crate::counted::counted;
use crate::regression::Accumulator;
use crate::system_stats::{self, PROCESS_CPU};

/// Module, node and instance.
pub type ProcessKey = (String, String, String);

/// The samples of a process. One sample has several rows: one for each mode, such as user and system time.
#[derive(Debug, Default)]
struct Process {
    accumulator: Accumulator,
    at_ns: i64,
    sum_s: f64,
    rows: usize,
    /// Number of modes in a complete sample.
    modes: usize,
}

impl Process {
    fn add(&mut self, at_ns: i64, value: f64) {
        if at_ns != self.at_ns {
            self.complete();
            (self.at_ns, self.sum_s, self.rows) = (at_ns, 0.0, 0);
        }
        self.sum_s += value;
        self.rows += 1;
    }

    /// Adds the sample whose rows have been read. A sample that lacks a mode is left out.
    fn complete(&mut self) {
        if self.rows > self.modes {
            self.modes = self.rows;
            self.accumulator.restart();
        }
        if self.rows > 0 && self.rows == self.modes {
            self.accumulator.add_sample(self.at_ns, self.sum_s);
        }
    }
}

#[derive(Debug)]
pub struct Processes {
    processes: BTreeMap<ProcessKey, Process>,
    /// Maximum number of processes.
    max: usize,
    /// Number of samples that were ignored, because they belong to processes beyond the maximum.
    ignored: u64,
}

impl Processes {
    pub fn new(max: usize) -> Self {
        Self {
            processes: BTreeMap::new(),
            max,
            ignored: 0,
        }
    }

    /// Reads the samples of the wanted modules in one part. Returns the number of damaged lines.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn read(&mut self, lines: Lines, is_wanted: impl Fn(&str) -> bool) -> Result<u64, ReadError> {
        let mut damaged = 0;
        let add = |stat: &SystemStat<'_>| {
            if stat.module_id.as_deref().is_some_and(&is_wanted) {
                self.add(stat);
            }
        };
        system_stats::read(lines, &[PROCESS_CPU], add, |_| damaged += 1)?;
        Ok(damaged)
    }

    fn add(&mut self, stat: &SystemStat<'_>) {
        let (Some(module), Some(instance)) = (&stat.module_id, &stat.instance_id) else {
            return;
        };
        let key = (module.to_string(), stat.node_id.to_string(), instance.to_string());
        if self.processes.len() >= self.max && !self.processes.contains_key(&key) {
            self.ignored += 1;
            return;
        }
        let process = self.processes.entry(key).or_default();
        process.add(stat.ts_ms.as_ns(), stat.value);
    }

    /// A sentence about processes beyond the maximum, if there are any.
    pub fn note(&self) -> Option<String> {
        (self.ignored > 0).then(|| {
            format!(
                "{} ignored: only the first {} processes count",
                counted(
                    self.ignored,
                    "sample of process.cpu.time is",
                    "samples of process.cpu.time are"
                ),
                self.max
            )
        })
    }

    pub fn finish(self) -> BTreeMap<ProcessKey, Accumulator> {
        let finish = |mut process: Process| {
            process.complete();
            process.accumulator
        };
        self.processes
            .into_iter()
            .map(|(key, process)| (key, finish(process)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_of_processes_beyond_the_maximum_are_counted() {
        const MAX: usize = 5;
        let mut processes = Processes::new(MAX);
        for at in 1..=2 {
            for instance in 0..MAX + 3 {
                let line = format!(
                    r#"{{"ts_ms":{at}.000000,"node_id":"n","stage":"edge","metric":"process.cpu.time","value":1.0,"instance_id":"{instance}","module_id":"m"}}"#
                );
                processes.add(&serde_json::from_str(&line).unwrap());
            }
        }
        let note = processes.note().unwrap();
        assert!(note.starts_with("6 samples"), "{note}");
        assert_eq!(processes.finish().len(), MAX);
    }

    #[test]
    fn modes_add_up_and_a_sample_without_one_is_left_out() {
        let mut process = Process::default();
        let mut at = 0;
        for second in 0..200_i64 {
            at = second * 1_000_000_000;
            process.add(at, second as f64);
            if second != 100 {
                process.add(at, 2.0 * second as f64);
            }
            process.accumulator.add_request(0, at, at);
        }
        process.complete();
        let found = process.accumulator.finish();
        assert!(at > 0);
        assert_eq!(found.map(|found| found.intervals), Ok(198));
    }
}
