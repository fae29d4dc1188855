//! One server has half of its maximum load, while a CPU hog runs on each CPU. A request that finds the slot free waits until
//! the slot's thread gets a CPU. The recorded wake-up times must explain all of the queue time that Lindley's recursion does
//! not explain.

use std::path::Path;

use anyhow::ensure;
use e2e::host::load::Load;

use super::finding::{Finding, quantile};
use super::lindley::{DIFFERENCE_MS_MAX, MEAN_RATIO, WARM_UP};
use super::stack::{Row, Stack};
use super::theory::{Means, Wakeups, lindley_differences};

/// Work that is longer than a time slice. Successive shorter requests would share time slices, but the formula for the mean
/// requires independent times.
const WORK: &str = "/work?cpu_ms=4";
/// With this seed, the mean waiting time of a constant service at half of its capacity is within 2% of the expected one after
/// 2,500, 5,000, 10,000 and 15,000 arrivals. With other seeds it deviates by up to 8%, which is about half of the tolerance.
const SEED: &str = "102";
/// The utilisation that the rate shall cause.
const LOAD: f64 = 0.5;
/// Rate and length of the first load, which measures the service time while the hogs run.
const PROBE_RATE: f64 = 50.0;
const PROBE_DURATION: &str = "10s";
const SERVICE: [(&str, &str); 2] = [("WORKERS", "1"), ("QUEUE_LIMIT", "100000")];

/// Drives the load for `duration`, and compares the queue times with theory.
pub fn check(bin_dir: &Path, duration: &str) -> anyhow::Result<Vec<Finding>> {
    let service_ms = mean_service_ms(&beside_hogs(bin_dir, PROBE_RATE, PROBE_DURATION)?);
    ensure!(service_ms > 0.0, "the first load left no rows");
    let rows = beside_hogs(bin_dir, 1e3 * LOAD / service_ms, duration)?;
    let mut unexplained = lindley_differences(&rows, Wakeups::Ignored);
    let mut differences = lindley_differences(&rows, Wakeups::Added);
    let mut wakeups: Vec<f64> = rows.iter().map(Row::wakeup_ms).collect();
    let means = Means::of(&rows);
    let expected_ms = means.expected_ms + means.setup_ms;
    let name = format!("{} requests, utilisation {:.3}", rows.len(), means.load);
    Ok(vec![
        Finding::note(
            "a hog on each CPU: wake-up, median and p95",
            &format!(
                "{:.3}, {:.3} ms",
                quantile(&mut wakeups, 0.5),
                quantile(&mut wakeups, 0.95)
            ),
            "",
        ),
        Finding::note(
            "a hog on each CPU: Lindley's recursion without wake-ups, p99",
            &format!("{:.3} ms", quantile(&mut unexplained, 0.99)),
            "",
        ),
        Finding::at_most(
            "a hog on each CPU: Lindley's recursion with wake-ups, p99",
            quantile(&mut differences, 0.99),
            DIFFERENCE_MS_MAX,
            "ms",
        ),
        Finding::note(
            "a hog on each CPU: part of the expected mean by wake-ups",
            &format!("{:.3} ms", means.setup_ms),
            "",
        ),
        Finding::between(
            &format!("mean queue time, {name}"),
            means.recorded_ms,
            (expected_ms * MEAN_RATIO.0, expected_ms * MEAN_RATIO.1),
            "ms",
        ),
    ])
}

fn beside_hogs(bin_dir: &Path, rate: f64, duration: &str) -> anyhow::Result<Vec<Row>> {
    let stack = Stack::start(bin_dir, &SERVICE)?;
    let mut hogs = Load::new();
    for _ in 0..std::thread::available_parallelism()?.get() {
        hogs.burn();
    }
    let loaded = stack.load_poisson(bin_dir, WORK, rate, duration, SEED);
    hogs.finish()?;
    loaded?;
    let rows = stack.finish("/work")?;
    Ok(rows.get(WARM_UP..).unwrap_or_default().to_vec())
}

fn mean_service_ms(rows: &[Row]) -> f64 {
    rows.iter().map(Row::service_ms).sum::<f64>() / rows.len() as f64
}
