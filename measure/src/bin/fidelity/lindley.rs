//! One server with a service time of 2 ms and Poisson arrivals at 80% of its capacity: queue times compared with Lindley's recursion and
//! the Pollaczek–Khinchine formula.

use std::path::Path;

use super::finding::{Finding, quantile};
use super::stack::Stack;
use super::theory::{Means, Wakeups, lindley_differences};

/// Each request needs 2 ms of CPU time, which gives a load of 80%. The service's own overhead makes the measured load a little
/// higher.
const WORK: &str = "/work?cpu_ms=2";
const RATE: f64 = 400.0;
const SEED: &str = "1";
/// Number of requests at the start that are not evaluated. They warm up caches and threads.
pub const WARM_UP: usize = 200;
pub const DIFFERENCE_MS_MAX: f64 = 1.0;
pub const MEAN_RATIO: (f64, f64) = (0.85, 1.15);

/// Drives the load for `duration`, and compares the queue times with theory.
pub fn check(bin_dir: &Path, duration: &str) -> anyhow::Result<Vec<Finding>> {
    let stack = Stack::start(bin_dir, &[("WORKERS", "1"), ("QUEUE_LIMIT", "100000")])?;
    let report = stack.load_poisson(bin_dir, WORK, RATE, duration, SEED)?;
    let lateness_ms = report["lateness_ms"]["p99"].as_f64().unwrap_or(f64::NAN);
    let rows = stack.finish("/work")?;
    let rows = rows.get(WARM_UP..).unwrap_or_default();
    let mut differences = lindley_differences(rows, Wakeups::Ignored);
    let means = Means::of(rows);
    let name = format!("{} requests, utilisation {:.3}", rows.len(), means.load);
    Ok(vec![
        Finding::note(
            "lateness of the driver's sends, p99",
            &format!("{lateness_ms:.3} ms"),
            "under 1 ms if quiet",
        ),
        Finding::at_most(
            "queue time against one step of Lindley's recursion, p99",
            quantile(&mut differences, 0.99),
            DIFFERENCE_MS_MAX,
            "ms",
        ),
        Finding::between(
            &format!("mean queue time, {name}"),
            means.recorded_ms,
            (means.expected_ms * MEAN_RATIO.0, means.expected_ms * MEAN_RATIO.1),
            "ms",
        ),
    ])
}
