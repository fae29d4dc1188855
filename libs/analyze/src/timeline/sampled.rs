//! [`SampledBuckets`]: the sampled number of requests in the system, for each time interval (bucket).

use std::collections::BTreeMap;

use cctf_proto::cctf::{File, Part, SystemStat};
use rundir::parts::Run;
use rundir::{Lines, ReadError};

use super::grid::Grid;
use crate::system_stats::{self, IN_FLIGHT};

/// Maximum number of instances. Each takes 16 bytes for each of 120 buckets, so all take 8 MiB.
const INSTANCES_MAX: usize = 4096;

/// Sum and number of the samples in a bucket.
type Samples = (f64, u32);

/// Samples of all instances.
#[derive(Default)]
pub struct SampledBuckets {
    /// By module, node and instance.
    instances: BTreeMap<(Option<String>, String, Option<String>), Vec<Samples>>,
    /// Samples of instances beyond the maximum.
    pub beyond: u64,
}

impl SampledBuckets {
    /// Reads all samples. Damaged lines are skipped, because `stats` lists them.
    ///
    /// # Errors
    /// If a file cannot be read.
    pub fn read(run: &Run, parts: &[Part], grid: Grid) -> Result<Self, ReadError> {
        let mut found = Self::default();
        for part in parts {
            if let Some(lines) = Lines::open(run.path(part, File::SystemStats))? {
                system_stats::read(lines, &[IN_FLIGHT], |stat| found.add(stat, grid), |_| {})?;
            }
        }
        Ok(found)
    }

    pub fn is_empty(&self) -> bool {
        self.instances.is_empty()
    }

    fn add(&mut self, stat: &SystemStat<'_>, grid: Grid) {
        let Some(bucket) = grid.bucket(stat.ts_ms.as_ns()) else {
            return;
        };
        let owned = |text: &Option<cctf_proto::cctf::Text<'_>>| text.as_ref().map(|text| text.to_string());
        let key = (
            owned(&stat.module_id),
            stat.node_id.to_string(),
            owned(&stat.instance_id),
        );
        if self.instances.len() >= INSTANCES_MAX && !self.instances.contains_key(&key) {
            self.beyond += 1;
            return;
        }
        let samples = self.instances.entry(key);
        let (sum, count) = &mut samples.or_insert_with(|| vec![(0.0, 0); grid.buckets()])[bucket];
        *sum += stat.value;
        *count += 1;
    }

    /// The sum over the instances of a module, or over all instances, for each bucket. `None` if no instance has a value there.
    pub fn by_bucket(&self, module_id: Option<&str>, grid: Grid) -> Vec<Option<f64>> {
        let mut sums = vec![None; grid.buckets()];
        let is_wanted = |module: &Option<String>| module_id.is_none() || module.as_deref() == module_id;
        let instances = self
            .instances
            .iter()
            .filter(|((module, _, _), _)| is_wanted(module));
        let mut wanted: Vec<&Vec<Samples>> = instances.map(|(_, samples)| samples).collect();
        // The order does not depend on names, so the rounding of the sums does not, either.
        wanted.sort_by_cached_key(|samples| {
            let exact = samples.iter().map(|(sum, count)| (sum.to_bits(), *count));
            exact.collect::<Vec<_>>()
        });
        wanted
            .into_iter()
            .for_each(|samples| add_means(&mut sums, samples));
        sums
    }
}

/// Adds the mean of each bucket. A bucket without samples gets the mean of the previous one, if a later bucket has samples.
fn add_means(sums: &mut [Option<f64>], samples: &[Samples]) {
    let last = samples.iter().rposition(|(_, count)| *count > 0);
    let mut mean = None;
    for (sum, (of_bucket, count)) in sums.iter_mut().zip(samples).take(last.map_or(0, |last| last + 1)) {
        if *count > 0 {
            mean = Some(of_bucket / f64::from(*count));
        }
        if let Some(mean) = mean {
            *sum = Some(sum.unwrap_or(0.0) + mean);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instances_add_up_and_a_value_holds_until_the_next_sample() {
        let mut sums = vec![None; 6];
        add_means(
            &mut sums,
            &[(0.0, 0), (4.0, 2), (0.0, 0), (3.0, 1), (0.0, 0), (0.0, 0)],
        );
        assert_eq!(sums, [None, Some(2.0), Some(2.0), Some(3.0), None, None]);
        add_means(
            &mut sums,
            &[(1.0, 1), (0.0, 0), (5.0, 1), (0.0, 0), (0.0, 0), (0.0, 0)],
        );
        assert_eq!(sums, [Some(1.0), Some(3.0), Some(7.0), Some(3.0), None, None]);
    }
}
