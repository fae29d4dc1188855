//! [`Processes`]: the samples of `process.cpu.time` of each process.

use std::collections::BTreeMap;

use cctf_proto::cctf::SystemStat;
use rundir::{Lines, ReadError};

use crate::regression::Accumulator;
use crate::system_stats::{self, PROCESS_CPU};

/// Maximum number of processes. Each holds at most 1.5 MB; samples of further ones are ignored.
const PROCESSES_MAX: usize = 256;

/// Module, node and instance.
pub type ProcessKey = (String, String, String);

/// One sample has a row for each mode, such as user and system time.
#[derive(Debug, Default)]
struct Process {
    accumulator: Accumulator,
    at_ns: i64,
    sum_s: f64,
    rows: usize,
    /// Modes of a sample.
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

    /// Adds the sample whose rows were read. One that lacks a mode is left out.
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

#[derive(Debug, Default)]
pub struct Processes(BTreeMap<ProcessKey, Process>);

impl Processes {
    /// Reads the samples of one part. Returns the number of damaged lines.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn read(&mut self, lines: Lines) -> Result<u64, ReadError> {
        let mut damaged = 0;
        system_stats::read(lines, &[PROCESS_CPU], |stat| self.add(stat), |_| damaged += 1)?;
        Ok(damaged)
    }

    fn add(&mut self, stat: &SystemStat<'_>) {
        let (Some(module), Some(instance)) = (&stat.module_id, &stat.instance_id) else {
            return;
        };
        let key = (module.to_string(), stat.node_id.to_string(), instance.to_string());
        if self.0.len() < PROCESSES_MAX || self.0.contains_key(&key) {
            let process = self.0.entry(key).or_default();
            process.add(stat.ts_ms.as_ns(), stat.value);
        }
    }

    pub fn finish(self) -> BTreeMap<ProcessKey, Accumulator> {
        let finish = |mut process: Process| {
            process.complete();
            process.accumulator
        };
        self.0
            .into_iter()
            .map(|(key, process)| (key, finish(process)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
