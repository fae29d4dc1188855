//! Figures of a run in equal time intervals (buckets).
//!
//! - [`series`]: the figures of the whole run and of its modules; [`grid`]: the intervals.
//! - [`collector`]: sums over invocations; [`sampled`], [`slot_times`]: figures that the rows do not contain.
//! - [`finish`]: combines these.

pub mod collector;
pub mod grid;
pub mod sampled;
pub mod series;
pub mod slot_times;

use collector::Collector;
use grid::Grid;
use sampled::SampledBuckets;
use series::{Series, Timeline};
use slot_times::SlotTimes;

use crate::stats::cells::Key;
use crate::stats::group::utilisation;

/// Adds samples and slots to the collected series. `modules` and `endpoints` are the keys in the order of their ranks.
pub fn finish(
    grid: Grid,
    collector: Collector,
    modules: impl Iterator<Item = Key>,
    endpoints: impl Iterator<Item = Key>,
    sampled: &SampledBuckets,
    slots: &SlotTimes,
) -> Timeline {
    let collected = collector.finish();
    let (mut run, _) = collected.run;
    let (mut busy_ns, mut slot_ns) = (vec![0; grid.buckets()], vec![0; grid.buckets()]);
    let mut found = Vec::new();
    for (key, (mut series, busy)) in modules.zip(collected.modules) {
        if let Some(slots) = slots.of(&key) {
            add_utilisation(&mut series, &busy, slots);
            // The utilisation of the whole run is that of the modules whose slots are known.
            for (bucket, (busy, slots)) in busy.iter().zip(slots).enumerate() {
                busy_ns[bucket] += busy;
                slot_ns[bucket] = slots.saturating_add(slot_ns[bucket]);
            }
        }
        if let Some(module_id) = &key.module_id {
            add_in_flight(&mut series, sampled.by_bucket(Some(module_id), grid));
        }
        found.push((key, series));
    }
    add_utilisation(&mut run, &busy_ns, &slot_ns);
    add_in_flight(&mut run, sampled.by_bucket(None, grid));
    Timeline {
        begin_ns: grid.begin_ns(),
        end_ns: grid.end_ns(),
        bucket_ns: grid.width_ns(),
        run,
        modules: found,
        endpoints: endpoints.zip(collected.endpoints).collect(),
    }
}

fn add_utilisation(series: &mut Series, busy: &[u128], slots: &[u128]) {
    for (bucket, (&busy, &slots)) in series.buckets.iter_mut().zip(busy.iter().zip(slots)) {
        bucket.utilisation = utilisation(busy, slots);
    }
}

fn add_in_flight(series: &mut Series, in_flight: Vec<Option<f64>>) {
    for (bucket, in_flight) in series.buckets.iter_mut().zip(in_flight) {
        bucket.in_flight = in_flight;
    }
}
