//! Compares the timeline with `stats` for the same window.

use std::time::Duration;

use analyze::coarse;
use analyze::stats::figures::{QUANTILES, Sums, Time};
use analyze::stats::group::By;
use analyze::stats::window::Window;
use analyze::stats::{Options, stats};
use analyze::timeline::collector::ENDPOINTS_MAX;
use proptest::prelude::*;
use report::model::{Bucket, RunData};

use super::run::{Call, Folder, Invocation, T0};

const MODULES: [&str; 3] = ["a", "b", "c"];
const S: u64 = 1_000_000_000;

fn rows() -> impl Strategy<Value = Vec<Invocation>> {
    let times = (0..30 * S, 0..3 * S, prop_oneof![Just(0), 1..3 * S], any::<u32>());
    let row = (times, 0..3_usize, 0..20_u64).prop_map(|((enqueue, queue, service, bits), module, error)| {
        let known = |bit: u32, ns: u64| (bits >> bit & 1 == 1).then_some(ns);
        Invocation {
            trace: u64::from(bits) + 1,
            span: enqueue + 1,
            module: MODULES[module],
            enqueue,
            queue,
            service,
            cpu: known(1, service / 3),
            network: known(2, queue / 2),
            status: if error == 0 { 500 } else { 200 },
            ..Invocation::default()
        }
    });
    prop::collection::vec(row, 1..80)
}

/// The sums of `stats` over a window, by module.
fn of_window(folder: &Folder, from: u64, to: u64) -> Vec<(String, Sums)> {
    let (run, part) = folder.target().find().unwrap().unwrap();
    let options = Options {
        by: vec![By::Module],
        window: Window {
            from: Duration::from_nanos(from),
            to: Some(Duration::from_nanos(to)),
        },
        lint: false,
        threads: 1,
    };
    let found = stats(&run, &part, &options, &mut |_| {}).unwrap();
    let groups = found.groups.into_iter();
    groups
        .map(|group| (group.key.module_id.unwrap(), group.sums))
        .collect()
}

/// Sums and bins of the buckets of a window.
fn added(buckets: &[Bucket], time: Time) -> (u64, u128, Vec<(u16, u32)>) {
    let times = || buckets.iter().map(|bucket| &bucket.times[time as usize]);
    let mut bins: Vec<(u16, u32)> = times().flat_map(|time| time.bins.iter().copied()).collect();
    bins.sort_unstable();
    (
        times().map(|time| time.count).sum(),
        times().map(|time| time.sum_ns).sum(),
        bins,
    )
}

fn agree(buckets: &[Bucket], sums: &Sums) {
    let calls: u64 = buckets.iter().map(|bucket| bucket.calls).sum();
    let errors: u64 = buckets.iter().map(|bucket| bucket.errors).sum();
    assert_eq!((calls, errors), (sums.calls, sums.errors));
    for time in Time::ALL {
        let (count, sum_ns, bins) = added(buckets, time);
        let of_stats = sums.of(time);
        assert_eq!(
            (count, sum_ns),
            (of_stats.sketch.count(), of_stats.sum_ns),
            "{time:?}"
        );
        for (name, fraction) in QUANTILES {
            let found = coarse::quantile(&bins, fraction);
            let exact = of_stats.sketch.quantile(fraction).map(|ns| ns as f64);
            assert_eq!(found.is_some(), exact.is_some());
            let (found, exact) = (found.unwrap_or(0.0), exact.unwrap_or(0.0));
            let error_max = coarse::RELATIVE_ERROR + analyze::sketch::RELATIVE_ERROR;
            assert!(
                (found - exact).abs() <= exact * error_max * 1.05,
                "{time:?} {name}: {found} for {exact}"
            );
        }
    }
}

fn whole_run(data: &RunData) -> Sums {
    let mut sums = Sums::default();
    for group in data.stats.groups.iter().filter(|group| group.by == By::Module) {
        sums.merge(&group.sums);
    }
    sums
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_window_of_buckets_has_the_figures_of_stats(rows in rows(), ends in (0..=120_usize, 0..=120_usize)) {
        let folder = Folder::new();
        folder.invocations(&rows);
        let data = folder.gather();
        let timeline = &data.timeline;
        agree(&timeline.run.buckets, &whole_run(&data));
        let buckets = timeline.run.buckets.len();
        let (from, to) = (ends.0.min(ends.1).min(buckets), ends.0.max(ends.1).min(buckets));
        if from == to {
            return Ok(());
        }
        let at = |bucket: usize| timeline.bucket_ns * bucket as u64;
        let of_stats = of_window(&folder, at(from), at(to));
        let mut all = Sums::default();
        for (key, series) in &timeline.modules {
            let name = key.module_id.as_deref().unwrap();
            let sums = of_stats.iter().find(|(module, _)| module == name);
            let sums = sums.map(|(_, sums)| sums.clone()).unwrap_or_default();
            agree(&series.buckets[from..to], &sums);
            all.merge(&sums);
        }
        agree(&timeline.run.buckets[from..to], &all);
        let of_endpoints = timeline.endpoints.iter().map(|(_, series)| &series.buckets[from..to]);
        let calls = of_endpoints.flatten().map(|bucket| bucket.calls).sum::<u64>();
        prop_assert!(timeline.endpoints.len() < ENDPOINTS_MAX);
        prop_assert_eq!(calls, all.calls);
    }

    #[test]
    fn busy_time_is_spread_over_the_buckets(rows in rows()) {
        let folder = Folder::new();
        folder.invocations(&rows);
        let instances = MODULES.map(|module| format!(
            r#"{{"app_id":null,"module_id":"{module}","name":"{module}","type":"MODULE","resources":null,"instances":[{{"instance_id":"{module}-1","node_id":"n","workers":2}}]}}"#
        ));
        folder.write("module_inventory.json", &format!("[{}]", instances.join(",")));
        let data = folder.gather();
        let timeline = &data.timeline;
        for (key, series) in &timeline.modules {
            let of_module = rows.iter().filter(|row| Some(row.module) == key.module_id.as_deref());
            let works: Vec<(i64, i64)> = of_module
                .map(|row| (T0 + row.enqueue + row.queue, row.service))
                .map(|(start, service)| (start as i64, (start + service) as i64))
                .collect();
            for (number, bucket) in series.buckets.iter().enumerate() {
                let begin = timeline.begin_ns + (timeline.bucket_ns * number as u64) as i64;
                let end = (begin + timeline.bucket_ns as i64).min(timeline.end_ns);
                let busy = bucket.utilisation.unwrap_or(0.0) * 2.0 * (end - begin) as f64;
                let inside = works.iter().map(|(from, to)| ((*to).min(end) - (*from).max(begin)).max(0));
                let wanted = inside.sum::<i64>() as f64;
                // Each share is rounded down to a nanosecond.
                prop_assert!((busy - wanted).abs() < 1000.0, "{busy} {wanted}");
            }
        }
    }
}

#[test]
fn threads_change_nothing_over_many_chunks() {
    let folder = Folder::new();
    let mut mixed = 1_u64;
    let mut next = |max: u64| {
        mixed = mixed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (mixed >> 33) % max
    };
    let rows: Vec<Invocation> = (0..25_000)
        .map(|number| Invocation {
            trace: number / 3 + 1,
            span: number + 1,
            parent: if number % 3 == 0 { 0 } else { number / 3 * 3 + 1 },
            call: number + 1_000_000,
            module: MODULES[next(3) as usize],
            enqueue: number * 2_000_000 + next(50_000_000),
            queue: next(5_000_000),
            service: 1 + next(80_000_000),
            status: if next(100) == 0 { 503 } else { 200 },
            ..Invocation::default()
        })
        .collect();
    let calls: Vec<Call> = (0..25_000)
        .map(|number| Call {
            trace: number / 3 + 1,
            span: number + 1_000_000,
            module: MODULES[next(3) as usize],
            instance: "i",
            start: number * 2_000_000,
            duration: next(90_000_000),
            peer: ["a:80", "10.0.0.1:80", "10.0.0.2:80"][next(3) as usize],
            ..Call::default()
        })
        .collect();
    folder.invocations(&rows).calls(&calls);
    assert!(std::fs::metadata(folder.path("invocations.jsonl")).unwrap().len() > 2 << 22);
    let one = folder.gather_with(1);
    assert_eq!(one.stats.rows, 25_000);
    assert_eq!((one.timeline.run.buckets.len(), one.timeline.bucket_ns), (51, S));
    assert_eq!(one.edges.iter().map(|edge| edge.calls).sum::<u64>(), 25_000);
    let picks: Vec<_> = one.traces.iter().map(|picked| picked.pick).collect();
    assert_eq!(picks.len(), 7, "{picks:?}");
    assert!(one.traces.iter().all(|picked| picked.trace.nodes.len() == 6));
    for threads in [2, 5] {
        assert_eq!(
            format!("{:?}", folder.gather_with(threads)),
            format!("{one:?}"),
            "{threads} threads"
        );
    }
}
