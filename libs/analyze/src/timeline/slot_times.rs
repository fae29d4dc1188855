//! [`SlotTimes`]: total lifetime of slots, by module and bucket.

use std::collections::BTreeMap;

use super::grid::Grid;
use crate::stats::cells::Key;
use crate::stats::instances::Instance;

/// Total lifetime of slots in each bucket, nanoseconds. `None` if the number of slots of an instance is unknown.
type ByBucket = Option<Vec<u128>>;

#[derive(Debug, Default)]
pub struct SlotTimes(BTreeMap<(Option<String>, String), ByBucket>);

impl SlotTimes {
    pub fn new(instances: &[Instance], grid: Grid) -> Self {
        let mut times: BTreeMap<(Option<String>, String), ByBucket> = BTreeMap::new();
        for instance in instances {
            let module = (instance.app_id.clone(), instance.module_id.clone());
            let of_module = times
                .entry(module)
                .or_insert_with(|| Some(vec![0; grid.buckets()]));
            let Some(workers) = instance.workers else {
                *of_module = None;
                continue;
            };
            for (bucket, sum) in of_module.iter_mut().flatten().enumerate() {
                let lived = instance.life.within(grid.bounds(bucket));
                // Each product fits into 128 bits, but a sum of two may not.
                *sum = sum.saturating_add(u128::from(workers) * u128::from(lived));
            }
        }
        Self(times)
    }

    pub fn of(&self, module: &Key) -> Option<&[u128]> {
        let key = (module.app_id.clone(), module.module_id.clone()?);
        self.0.get(&key)?.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::instances::Life;

    #[test]
    fn slots_without_end_overflow_no_sum() {
        let instance = Instance {
            app_id: None,
            module_id: "m".to_owned(),
            instance_id: "i".to_owned(),
            node_id: "n".to_owned(),
            workers: Some(u64::MAX),
            is_released: false,
            life: Life::default(),
        };
        let grid = Grid::new(i64::MIN, i64::MAX);
        let instances = vec![instance; 1000];
        let key = Key {
            module_id: Some("m".to_owned()),
            ..Key::default()
        };
        let times = SlotTimes::new(&instances, grid);
        assert_eq!(times.of(&key).map(|times| times[0]), Some(u128::MAX));
    }
}
